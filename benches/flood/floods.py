"""One principal who wants as much as there is, of one kind at a time.

    floods.py KIND HOST:PORT SECONDS TOKEN

Prints how many were sent, and what became of them, as one line of JSON. It writes many at once and looks only at what
an answer begins with, so that it is not the slower side.
"""

import asyncio
import collections
import json
import os
import re
import struct
import sys
import time

LINES, AT_ONCE = 40, 16
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
CODE = re.compile(rb'"type":"error"[^}]*?"code":"(\w+)"|"type":"(ack)"|"type":"(welcome)"')
HANDSHAKE = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
TAIL = 512


def request(method, path, token, body=None, more=""):
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n{more}"
    if body is None:
        return (head + "\r\n").encode()
    return (head + f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}").encode()


def frame(text):
    """A masked text frame; the mask is zero, which is as good as any."""
    data = text.encode()
    size = struct.pack("!BB", 0x81, 0x80 | len(data)) if len(data) < 126 else struct.pack("!BBH", 0x81, 0xFE, len(data))
    return size + bytes(4) + data


async def send_requests(address, make, until, seen):
    """Requests one behind the other on one connection, `AT_ONCE` of them under way."""
    while time.monotonic() < until:
        try:
            reader, writer = await asyncio.open_connection(*address)
            while time.monotonic() < until:
                writer.write(b"".join(make() for _ in range(AT_ONCE)))
                seen["sent"] += AT_ONCE
                await writer.drain()
                answered, rest = 0, b""
                while answered < AT_ONCE:
                    piece = await reader.read(1 << 16)
                    if not piece:
                        raise ConnectionError("closed")
                    rest += piece
                    for found in STATUS.finditer(rest):
                        seen[found[1].decode()] += 1
                        answered += 1
                    rest = rest[-12:]  # One byte less than a status has, so that none is counted twice.
            writer.close()
        except OSError:
            seen["connections lost"] += 1
            await asyncio.sleep(0.01)


async def open_sockets(address, token, until, seen):
    """Sockets that are opened and left at once."""
    hello = request("GET", "/api/v1/ws", token, more=HANDSHAKE)
    while time.monotonic() < until:
        try:
            reader, writer = await asyncio.open_connection(*address)
            writer.write(hello)
            seen["sent"] += 1
            answer = await reader.read(1 << 12)
            found = STATUS.match(answer)
            seen[found[1].decode() if found else "none"] += 1
            writer.transport.abort()
        except OSError:
            seen["connections lost"] += 1
            await asyncio.sleep(0.01)


async def send_messages(address, token, until, seen):
    """Questions on one socket, as fast as they are taken."""
    while time.monotonic() < until:
        try:
            reader, writer = await asyncio.open_connection(*address)
            writer.write(request("GET", "/api/v1/ws", token, more=HANDSHAKE))
            if b" 101 " not in await reader.readuntil(b"\r\n\r\n"):
                raise ConnectionError("refused")

            async def read():
                rest = b""
                while piece := await reader.read(1 << 16):
                    rest += piece
                    end = 0
                    for found in CODE.finditer(rest):
                        seen[(found[1] or found[2] or found[3]).decode()] += 1
                        end = found.end()
                    rest = rest[end:][-TAIL:]

            reading = asyncio.create_task(read())
            while time.monotonic() < until and not reading.done():
                asked = [json.dumps({"type": "send", "id": os.urandom(6).hex(), "text": "And now?", "mode": "queue"})
                         for _ in range(AT_ONCE)]
                writer.write(b"".join(map(frame, asked)))
                seen["sent"] += AT_ONCE
                await writer.drain()
                await asyncio.sleep(0)
            reading.cancel()
            writer.transport.abort()
        except (OSError, asyncio.IncompleteReadError):
            seen["connections lost"] += 1
            await asyncio.sleep(0.01)


def document(token):
    body = {"title": os.urandom(6).hex(), "text": "What flows is a river. " * 40 + os.urandom(6).hex()}
    return request("POST", "/api/v1/documents/text", token, json.dumps(body))


def forged(token):
    """A token of another signature for each request."""
    return request("GET", "/api/v1/sessions", token.rsplit(".", 1)[0] + "." + os.urandom(32).hex()[:43])


REQUESTS = {
    "requests": lambda token: request("GET", "/api/v1/sessions", token),
    "sign-ins": forged,
    "uploads": document,
}
SOCKETS = {"sockets": open_sockets, "messages": send_messages}


async def main(kind, host, seconds, token):
    name, port = host.split(":")
    until, seen = time.monotonic() + seconds, collections.Counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(LINES):
            if make := REQUESTS.get(kind):
                group.create_task(send_requests((name, int(port)), lambda: make(token), until, seen))
            else:
                group.create_task(SOCKETS[kind]((name, int(port)), token, until, seen))
    print(json.dumps(seen))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4]))
