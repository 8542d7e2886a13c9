"""Asks a question and prints the answer as it is written: python stream.py "How long can I return a tent?"

Nothing is lost and nothing comes twice: each piece of text says where it belongs, a new connection goes on behind the
cursor, and at the end length and checksum prove the whole. Ctrl-C stops the answer. Needs the package websockets.
"""

import asyncio
import contextlib
import json
import signal
import sys
import time
import uuid
import zlib

from gateway import HEADERS, URL, backoff, call
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

SILENCE_S = 40  # The gateway says something every 25 seconds.
CALM_S = 60


class Answer:
    """What is held of the answer. Pure: frames in, frames out."""

    def __init__(self, question):
        self.id = str(uuid.uuid4())
        self.question = {"type": "send", "id": self.id, "text": question}
        self.held = b""  # In UTF-16, for that is what the protocol counts in.
        self.status = None  # How it ended, once it has and its text is proven.
        self.epoch = self.run = self.end = None
        self.seq = 0

    @property
    def text(self):
        return self.held.decode("utf-16-le")

    @property
    def cursor(self):
        """Where another connection goes on."""
        if self.epoch is None:
            return None
        return f"{self.epoch}:{self.seq}" + (f":{self.run}:{len(self.held) // 2}" if self.run else "")

    def take(self, frame):
        """Takes a frame, and gives the one that it has to be answered with, if any."""
        kind = frame["type"]
        is_ours = self.run is not None and frame.get("run") == self.run
        if kind == "welcome":
            self.epoch = frame["epoch"]
        else:  # What a welcome counts may not have come yet.
            self.seq = frame.get("seq", self.seq)
        if kind == "snapshot":
            self.replace(frame)
        elif kind == "run.start" and frame["for"] == self.id:
            self.run = frame["run"]
        elif kind == "failover" and is_ours:
            self.held = self.held[: 2 * frame["keep"]]
        elif kind == "run.done" and is_ours:
            self.end = frame
            if not self.is_proven():
                return self.sync(0)
        elif kind == "delta" and is_ours:
            if 2 * frame["off"] > len(self.held):
                return self.sync(len(self.held) // 2)
            overlap = len(self.held) - 2 * frame["off"]  # What is held already is dropped.
            self.held += frame["text"].encode("utf-16-le")[overlap:]
            self.is_proven()

    def replace(self, snapshot):
        """The cursor was good no more, and this is how the conversation stands."""
        found = [one for one in snapshot["runs"] + snapshot["messages"] if one.get("for") == self.id]
        answer = found[0] if found else {}
        self.run, self.status = answer.get("run"), answer.get("status")
        self.held = answer.get("text", "").encode("utf-16-le")

    def sync(self, off):
        self.held = self.held[: 2 * off]
        return {"type": "sync", "run": self.run, "off": off}

    def is_proven(self):
        if self.end and (self.end["len"], self.end["crc32"]) == (len(self.held) // 2, f"{zlib.crc32(self.text.encode()):08x}"):
            self.status = self.end["status"]
        return self.status is not None


async def connection(session, answer, show, stop):
    """One connection, until the answer is over or the connection is. Gives when to come back, where the gateway says so."""
    resume = f"?resume={answer.cursor}" if answer.cursor else ""
    address = f"{URL.replace('http', 'ws', 1)}/api/v1/ws/{session}{resume}"
    pause = None
    async with connect(address, additional_headers=HEADERS, subprotocols=["chat.v1"]) as socket:

        async def say(frame, after=0.0):
            await asyncio.sleep(after)
            with contextlib.suppress(ConnectionClosed):  # Reading tells of it.
                await socket.send(json.dumps(frame))

        async def say_stop():
            await stop.wait()
            await say({"type": "stop", "for": answer.id})

        tasks = {asyncio.create_task(say_stop())}
        try:
            while answer.status is None:
                frame = json.loads(await asyncio.wait_for(socket.recv(), SILENCE_S))
                asked = answer.take(frame)
                if asked:
                    await say(asked)
                show(answer.text)
                if frame["type"] == "goaway":
                    pause = frame["retry_in_ms"] / 1000
                elif frame["type"] == "welcome":
                    await say(answer.question)  # To say it again does no harm: the id makes it the same question.
                elif frame["type"] == "error" and frame.get("re") == answer.id:
                    if not frame["retryable"]:
                        sys.exit(f"{frame['code']}: {frame['message']}")
                    tasks.add(asyncio.create_task(say(answer.question, frame.get("retry_in_ms", 1000) / 1000)))
        except (ConnectionClosed, asyncio.TimeoutError) as lost:
            code = getattr(getattr(lost, "rcvd", None), "code", None)
            if code in (1002, 1003, 1009) or (code and 4000 <= code < 4100):  # These are final; everything else passes.
                sys.exit(f"the gateway closed the connection: {code}")
        finally:
            for task in tasks:
                task.cancel()
    return pause


async def stream(session, question, show, stop):
    """Asks, over as many connections as it takes. `show` is given the whole text each time that there is more of it."""
    answer = Answer(question)
    failures = 0
    while True:
        began, pause = time.monotonic(), None
        try:
            pause = await connection(session, answer, show, stop)
        except InvalidStatus as refused:
            if refused.response.status_code not in (429, 503):
                sys.exit(f"refused: {refused.response.body.decode()}")
            pause = float(refused.response.headers.get("Retry-After", 1)) + backoff(0)
        except (OSError, EOFError, asyncio.TimeoutError, InvalidHandshake):  # Nobody was there, or left at once.
            pass
        if answer.status is not None:
            return answer
        failures = 0 if time.monotonic() - began > CALM_S else failures
        await asyncio.sleep(backoff(failures) if pause is None else pause)
        failures += 1


async def main(question):
    stop, shown = asyncio.Event(), ""
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)

    def show(text):
        nonlocal shown  # After a failover a part of the text may be withdrawn.
        print(text[len(shown) :] if text.startswith(shown) else f"\n(once more)\n{text}", end="", flush=True)
        shown = text

    session = call("POST", "sessions", json={}).json()["session_id"]
    answer = await stream(session, question, show, stop)
    print(f"\n({answer.status})")


asyncio.run(main(sys.argv[1]))
