"""Calls through a media relay, driven by NG (JSON over UDP): aiortc as a browser, a bare socket as a plain phone.

    calls.py RELAY_HOST NG_PORT

Each end says a tone of its own, and looks for the other one's in what it hears. One line for each call: its name, and
what each end heard, `tone` or what else.
"""

import array
import asyncio
import fractions
import json
import math
import random
import socket
import struct
import sys

from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame
from av.audio.resampler import AudioResampler

RELAY = (sys.argv[1], int(sys.argv[2]))
RATE = 8000
FRAME = 160
BROWSER, PHONE = 440, 700
SECONDS = 4


def ask(request):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        control.settimeout(5)
        cookie = b"%x" % random.getrandbits(48)
        control.sendto(cookie + b" " + json.dumps(request).encode(), RELAY)
        answered, body = control.recv(65535).split(b" ", 1)
    assert answered == cookie
    response = json.loads(body)
    assert response["result"] == "ok", response
    return response["sdp"]


def offer(call, sdp, **flags):
    return ask({"command": "offer", "call-id": call, "from-tag": "a", "sdp": sdp, **flags})


def answer(call, sdp, **flags):
    return ask({"command": "answer", "call-id": call, "from-tag": "a", "to-tag": "b", "sdp": sdp, **flags})


def delete(call):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = {"command": "delete", "call-id": call, "from-tag": "a"}
        control.sendto(b"d " + json.dumps(request).encode(), RELAY)


def tone(frequency, first, count):
    turn = 2 * math.pi * frequency / RATE
    return [int(8000 * math.sin(turn * (first + n))) for n in range(count)]


def share(samples, frequency):
    """The part of the energy that is at this frequency (Goertzel)."""
    energy = sum(s * s for s in samples) * len(samples) / 2
    turn = 2 * math.pi * frequency / RATE
    sine = sum(s * math.sin(turn * n) for n, s in enumerate(samples))
    cosine = sum(s * math.cos(turn * n) for n, s in enumerate(samples))
    return (sine * sine + cosine * cosine) / energy if energy else 0.0


def verdict(samples, frequency):
    if len(samples) < RATE:
        return "only %d samples" % len(samples)
    part = share(samples[-RATE // 2 :], frequency)
    return "tone" if part > 0.9 else "%.2f of a tone" % part


def to_ulaw(sample):
    sign = 0x80 if sample < 0 else 0
    magnitude = min(abs(sample), 32635) + 132
    exponent = magnitude.bit_length() - 8
    return ~(sign | exponent << 4 | magnitude >> exponent + 3 & 0x0F) & 0xFF


def from_ulaw(octet):
    octet = ~octet & 0xFF
    magnitude = ((octet & 0x0F) << 3) + 132 << (octet >> 4 & 7)
    return 132 - magnitude if octet & 0x80 else magnitude - 132


class Tone(MediaStreamTrack):
    kind = "audio"

    def __init__(self, frequency):
        super().__init__()
        self.frequency, self.said, self.began = frequency, 0, None

    async def recv(self):
        loop = asyncio.get_running_loop()
        self.began = self.began or loop.time()
        await asyncio.sleep(max(0, self.began + self.said / RATE - loop.time()))
        frame = AudioFrame(format="s16", layout="mono", samples=FRAME)
        frame.planes[0].update(array.array("h", tone(self.frequency, self.said, FRAME)).tobytes())
        frame.sample_rate, frame.pts = RATE, self.said
        frame.time_base = fractions.Fraction(1, RATE)
        self.said += FRAME
        return frame


class Browser:
    def __init__(self, frequency):
        self.heard = []
        self.peer = RTCPeerConnection()
        self.peer.addTrack(Tone(frequency))
        self.peer.on("track", lambda track: asyncio.ensure_future(self.listen(track)))

    async def listen(self, track):
        plain = AudioResampler(format="s16", layout="mono", rate=RATE)
        try:
            while True:
                for frame in plain.resample(await track.recv()):
                    samples = bytes(frame.planes[0])[: 2 * frame.samples]
                    self.heard.extend(array.array("h", samples))
        except MediaStreamError:
            return

    async def offers(self):
        await self.peer.setLocalDescription(await self.peer.createOffer())
        return self.peer.localDescription.sdp

    async def answers(self, sdp):
        await self.peer.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        await self.peer.setLocalDescription(await self.peer.createAnswer())
        return self.peer.localDescription.sdp

    async def takes(self, sdp):
        await self.peer.setRemoteDescription(RTCSessionDescription(sdp, "answer"))


class Phone:
    """RTP with G.711 and nothing else."""

    def __init__(self, frequency):
        self.frequency, self.heard, self.peer = frequency, [], None
        self.media = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.media.bind((RELAY[0], 0))
        self.media.setblocking(False)

    def sdp(self):
        host, port = self.media.getsockname()
        return (
            "v=0\r\no=- 1 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\n"
            "m=audio %d RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=sendrecv\r\n" % (host, host, port)
        )

    def takes(self, sdp):
        lines = sdp.split("\r\n")
        media = next(line for line in lines if line.startswith("m=audio"))
        assert "RTP/AVP" in media, media
        host = next(line for line in lines if line.startswith("c=")).split()[2]
        self.peer = (host, int(media.split()[1]))

    async def talk(self):
        loop = asyncio.get_running_loop()
        began = loop.time()
        for n in range(SECONDS * RATE // FRAME):
            await asyncio.sleep(max(0, began + n * FRAME / RATE - loop.time()))
            payload = bytes(map(to_ulaw, tone(self.frequency, n * FRAME, FRAME)))
            header = struct.pack("!BBHII", 0x80, 0, n, n * FRAME, 0x1234)
            self.media.sendto(header + payload, self.peer)
            try:
                while True:
                    packet = self.media.recv(2048)
                    if packet[1] & 0x7F == 0:
                        self.heard.extend(map(from_ulaw, packet[12:]))
            except BlockingIOError:
                pass


def report(name, call, **heard):
    print(name + ":", ", ".join("%s heard %s" % (who, what) for who, what in heard.items()), flush=True)
    delete(call)


async def browser_calls_phone(name, **flags):
    browser, phone = Browser(BROWSER), Phone(PHONE)
    plain = {"transport-protocol": "RTP/AVP", "ICE": "remove", "rtcp-mux": ["demux"], **flags}
    phone.takes(offer(name, await browser.offers(), **plain))
    web = {"transport-protocol": "UDP/TLS/RTP/SAVPF", "ICE": "force", **flags}
    await browser.takes(answer(name, phone.sdp(), **web))
    await phone.talk()
    report(name, name, browser=verdict(browser.heard, PHONE), phone=verdict(phone.heard, BROWSER))
    await browser.peer.close()


async def phone_calls_browser(name):
    browser, phone = Browser(BROWSER), Phone(PHONE)
    web = {
        "transport-protocol": "UDP/TLS/RTP/SAVPF",
        "ICE": "force",
        "rtcp-mux": ["offer"],
        "flags": ["generate-mid"],
    }
    at_browser = offer(name, phone.sdp(), **web)
    plain = {"transport-protocol": "RTP/AVP", "ICE": "remove", "rtcp-mux": ["demux"]}
    phone.takes(answer(name, await browser.answers(at_browser), **plain))
    await phone.talk()
    report(name, name, browser=verdict(browser.heard, PHONE), phone=verdict(phone.heard, BROWSER))
    await browser.peer.close()


async def browser_calls_browser(name):
    caller, callee = Browser(BROWSER), Browser(PHONE)
    at_callee = offer(name, await caller.offers())
    await caller.takes(answer(name, await callee.answers(at_callee)))
    await asyncio.sleep(SECONDS)
    report(name, name, caller=verdict(caller.heard, PHONE), callee=verdict(callee.heard, BROWSER))
    await asyncio.gather(caller.peer.close(), callee.peer.close())


async def main():
    await browser_calls_phone("browser-phone")
    await browser_calls_phone("browser-phone-passive", DTLS="passive")
    await phone_calls_browser("phone-browser")
    await browser_calls_browser("browser-browser")


asyncio.run(main())
