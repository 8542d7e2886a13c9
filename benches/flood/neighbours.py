"""Who asks now and then and reads the answers, and notices when others take too much; and who looks whether the gateway lives.

    neighbours.py URL SECONDS TOKEN…

Prints what they saw as one line of JSON.
"""

import asyncio
import functools
import json
import ssl
import sys
import time

import websockets

QUIET, LIVENESS = ("127.0.0.2", 0), ("127.0.0.3", 0)
# Between two questions: with the answer's two seconds, fewer than the 30 a minute that everybody has.
PAUSE_S = 0.1
LOOK_EVERY_S = 0.1
GIVEN_UP_AFTER_S = 30


def share(values, part):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1000 if ordered else None


@functools.cache
def unchecked(url):
    if url.startswith("http://"):
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def ask(sock, at):
    """Seconds to the first text and to the end of one answer, all of which has to come."""
    began, first, length = time.monotonic(), None, 0
    await sock.send(json.dumps({"type": "send", "id": f"q{at}", "text": f"What flows, for the {at}th time?"}))
    while True:
        frame = json.loads(await asyncio.wait_for(sock.recv(), GIVEN_UP_AFTER_S))
        if frame["type"] == "delta":
            first = first or time.monotonic() - began
            if frame["off"] != length:
                raise ValueError(f"a hole before {frame}")
            length += len(frame["text"].encode("utf-16-le")) // 2
        elif frame["type"] == "error":
            raise ValueError(frame["code"])
        elif frame["type"] == "run.done":
            if frame["status"] != "complete" or frame["len"] != length:
                raise ValueError(f"not whole: {frame}")
            return first, time.monotonic() - began


async def neighbour(url, token, until, seen):
    address = url.replace("http", "ws", 1) + "/api/v1/ws"
    headers = {"Authorization": f"Bearer {token}"}
    try:
        async with websockets.connect(address, additional_headers=headers, local_addr=QUIET, ssl=unchecked(url)) as sock:
            at = 0
            while time.monotonic() < until:
                first, whole = await ask(sock, at)
                seen["first"].append(first)
                seen["whole"].append(whole)
                at += 1
                await asyncio.sleep(PAUSE_S)
    except (OSError, ValueError, websockets.WebSocketException, asyncio.TimeoutError) as error:
        seen["failed"].append(f"{type(error).__name__} {error}"[:200])


async def look(url, until, seen):
    """Asks `/livez` on a connection of its own, as a balancer does."""
    name, port = url.split("//")[1].split(":")
    request = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    while time.monotonic() < until:
        began = time.monotonic()
        try:
            async with asyncio.timeout(GIVEN_UP_AFTER_S):
                reader, writer = await asyncio.open_connection(name, int(port), local_addr=LIVENESS, ssl=unchecked(url))
                writer.write(request)
                answer = await reader.read()
                writer.close()
            if not answer.startswith(b"HTTP/1.1 200 "):
                raise ValueError(answer[:40])
            seen["livez"].append(time.monotonic() - began)
        except (OSError, ValueError, asyncio.TimeoutError) as error:
            seen["failed"].append(f"/livez: {type(error).__name__} {error}"[:200])
        await asyncio.sleep(LOOK_EVERY_S)


async def main(url, seconds, tokens):
    until = time.monotonic() + seconds
    seen = {"first": [], "whole": [], "livez": [], "failed": []}
    async with asyncio.TaskGroup() as group:
        group.create_task(look(url, until, seen))
        for at, token in enumerate(tokens):
            group.create_task(neighbour(url, token, until, seen))
            await asyncio.sleep(2 / len(tokens) if at else 0)
    told = {"failed": seen["failed"], "answers": len(seen["whole"])}
    for name in ("first", "whole", "livez"):
        told[name] = {"p50": share(seen[name], 0.5), "p99": share(seen[name], 0.99), "max": share(seen[name], 1)}
    print(json.dumps(told))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2]), sys.argv[3:]))
