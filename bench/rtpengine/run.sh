#!/bin/sh
# Starts rtpengine in the foreground, forwarding in user space only: its kernel module is not part of the comparison.
#   rtpengine/run.sh [threads] [NG port]
exec rtpengine --foreground --config-file=none --table=-1 --interface=127.0.0.1 \
  --listen-ng="127.0.0.1:${2:-2223}" --num-threads="${1:-2}" --port-min=40000 --port-max=60000 \
  --log-level=3 --log-stderr --timeout=3600 --silent-timeout=3600 --delete-delay=0
