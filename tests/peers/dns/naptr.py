#!/usr/bin/env python3
"""A name server for tests (RFC 1035, RFC 3403), written for them with nothing but Python's own library.

naptr.py ADDRESS PORT, then groups of six: DOMAIN ORDER PREFERENCE FLAGS SERVICES REGEXP.
It answers NAPTR questions about these domains over UDP; everything else does not exist.
"""

import socket
import struct
import sys

NAPTR, IN = 35, 1


def question(packet):
    """The name of the first question in lower case, its type, and where it ends."""
    labels, at = [], 12
    while packet[at]:
        length = packet[at]
        labels.append(packet[at + 1 : at + 1 + length].decode("ascii").lower())
        at += 1 + length
    kind, _ = struct.unpack("!HH", packet[at + 1 : at + 5])
    return ".".join(labels), kind, at + 5


def text(word):
    return bytes([len(word)]) + word.encode("ascii")


def record(order, preference, flags, services, regexp):
    data = struct.pack("!HH", int(order), int(preference))
    data += text(flags) + text(services) + text(regexp) + b"\0"
    # The owner is the name of the question.
    return struct.pack("!HHHIH", 0xC00C, NAPTR, IN, 60, len(data)) + data


def main():
    zone = {}
    words = sys.argv[3:]
    for at in range(0, len(words), 6):
        zone.setdefault(words[at], []).append(record(*words[at + 1 : at + 6]))
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((sys.argv[1], int(sys.argv[2])))
    while True:
        packet, asker = server.recvfrom(4096)
        name, kind, end = question(packet)
        answers = zone.get(name, []) if kind == NAPTR else []
        status = 0 if name in zone else 3
        header = packet[:2] + struct.pack("!HHHHH", 0x8580 | status, 1, len(answers), 0, 0)
        server.sendto(header + packet[12:end] + b"".join(answers), asker)


main()
