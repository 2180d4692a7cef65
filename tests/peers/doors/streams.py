"""Asks a media relay over TCP and WebSocket, and writes what it answers: one line of JSON for each question.

Usage: streams.py HOST TCP-PORT HTTP-PORT [whole]

With "whole" no request over TCP is sent in parts: Debian's rtpengine 10.5 may answer one of them without end.
"""

import asyncio
import json
import socket
import sys

import websockets

WHOLE = sys.argv[4:] == ["whole"]
HOST, TCP, HTTP = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


def tell(door, asked, answer):
    text = answer.decode() if isinstance(answer, bytes) else answer
    print(json.dumps([door, repr(asked), type(answer).__name__, text]), flush=True)


def tcp(parts, answers):
    """Sends parts one after the other, and reads so many dictionaries that end with 'e'."""
    with socket.create_connection((HOST, TCP), timeout=5) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        got = b""
        for part in [b"".join(parts)] if WHOLE else parts:
            connection.sendall(part)
        while got.count(b"e") < answers[0] or not got.endswith(answers[1]):
            more = connection.recv(65536)
            if not more:
                break
            got += more
        tell("tcp", b"".join(parts), got)


async def socket_of(protocol, messages):
    url = f"ws://{HOST}:{HTTP}/"
    async with websockets.connect(url, subprotocols=[protocol]) as connection:
        assert connection.subprotocol == protocol, connection.subprotocol
        for message in messages:
            # A list is a message in fragments.
            await connection.send(message)
            tell(protocol, message, await asyncio.wait_for(connection.recv(), 5))
        pong = await connection.ping(b"?")
        await asyncio.wait_for(pong, 5)
        tell(protocol, "ping", "pong")
    tell(protocol, "close", str(connection.close_code))


async def main():
    tcp([b"t1 d7:command4:pinge"], (1, b"ponge"))
    tcp([b"t2 d7:com", b"mand4:pin", b"ge"], (1, b"ponge"))
    tcp([b"t3 d7:command4:pinget4 d7:command4:pinge"], (2, b"t4 d6:result4:ponge"))
    tcp([b"t3 d7:command4:pinge"], (1, b"ponge"))
    tcp([b"t5 d7:command5:query7:call-id1:xe"], (1, b"call-ide"))
    ng = "ng.rtpengine.com"
    asked = ["w1 d7:command4:pinge", b"w2 d7:command4:pinge", 'w3 {"command":"ping"}']
    asked += [["w4 d7:com", "mand4:pinge"], "w1 d7:command4:pinge", 'w5 {"command":"query","call-id":"x"}']
    await socket_of(ng, asked)
    await socket_of("cli.rtpengine.com", ["list numsessions", "list timeout", "nonsense"])
    await socket_of("echo.rtpengine.com", ["hello", b"bytes", ["in ", "parts"]])


asyncio.run(main())
