"""Two phones that speak SRTP by libsrtp (PyPI pylibsrtp), a packet each 20 ms, and say how often they hear something.

phones.py OWN RELAY SEQUENCE NAME PORT TO KEY_OUT KEY_IN NAME PORT TO KEY_OUT KEY_IN

Each NAME sends from its PORT of the address OWN to port TO of the address RELAY, with the master keys in base 64 as `a=crypto` has them. SEQUENCE is the first sequence
number. At SIGTERM both say what they heard, and how long they heard nothing.
"""

import base64
import select
import signal
import socket
import struct
import sys
import time

from pylibsrtp import Error, Policy, Session

PACKET = 0.02
# They say how many packets they heard after each so many.
STEP = 25


class Phone:
    def __init__(self, own, relay, sequence, name, port, to, key_out, key_in, ssrc):
        self.name, self.to, self.ssrc = name, (relay, int(to)), ssrc
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((own, int(port)))
        self.socket.setblocking(False)
        profile = Policy.SRTP_PROFILE_AES128_CM_SHA1_80
        kinds = [(key_out, Policy.SSRC_ANY_OUTBOUND), (key_in, Policy.SSRC_ANY_INBOUND)]
        self.out, self.inbound = [
            Session(Policy(key=base64.b64decode(key), ssrc_type=kind, srtp_profile=profile))
            for key, kind in kinds
        ]
        self.sequence, self.timestamp = sequence, 0
        self.last = None
        self.heard = self.sent = self.errors = 0
        self.highest = None
        self.longest = 0.0

    def say(self):
        head = struct.pack("!BBHII", 0x80, 8, self.sequence & 0xFFFF, self.timestamp & 0xFFFFFFFF, self.ssrc)
        self.socket.sendto(self.out.protect(head + b"\xd5" * 160), self.to)
        self.sequence += 1
        self.timestamp += 160
        self.sent += 1

    def hear(self, now):
        packet, _ = self.socket.recvfrom(2048)
        try:
            clear = self.inbound.unprotect(packet)
        except Error as error:
            self.errors += 1
            print(self.name, "cannot take a packet:", error, flush=True)
            return
        sequence = struct.unpack("!H", clear[2:4])[0]
        if self.highest is not None and sequence + 30000 < self.highest:
            print(self.name, "heard the sequence number roll over", flush=True)
        self.highest = sequence
        if self.last is not None:
            self.longest = max(self.longest, now - self.last)
        self.last = now
        self.heard += 1
        if self.heard % STEP == 0:
            print(f"{self.name} heard {self.heard}", flush=True)


def main():
    own, relay, sequence = sys.argv[1], sys.argv[2], int(sys.argv[3])
    phones = [
        Phone(own, relay, sequence, *sys.argv[at : at + 5], ssrc) for at, ssrc in [(4, 11), (9, 22)]
    ]
    over = []
    signal.signal(signal.SIGTERM, lambda *_: over.append(True))
    due = time.monotonic()
    while not over:
        now = time.monotonic()
        while due <= now:
            for phone in phones:
                try:
                    phone.say()
                except OSError:
                    pass  # the relay's port is closed just now
            due += PACKET
        ready, _, _ = select.select([phone.socket for phone in phones], [], [], max(0, due - now))
        for phone in phones:
            if phone.socket in ready:
                try:
                    phone.hear(time.monotonic())
                except OSError:
                    pass
    for phone in phones:
        print(
            f"{phone.name} sent {phone.sent} heard {phone.heard} refused {phone.errors} "
            f"longest silence {phone.longest * 1000:.0f} ms",
            flush=True,
        )


main()
