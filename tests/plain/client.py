"""A client that knows nothing of the gateway but its documents: plain WebSocket, plain JSON.

    client.py http://127.0.0.1:8080

Opens sockets to the gateway at that address, which needs the sample knowledge, and checks what the protocol promises:
the order of frames, offsets, length and checksum, resuming after a lost connection, stopping, and every kind of
refusal. Prints the answers as they come; exits with 1 when any promise was broken.
"""

import asyncio
import json
import sys
import traceback
import urllib.request
import zlib

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

QUESTION = "How long can I return a tent?"
LONG_QUESTION = "Explain everything: how does Rivulet resume, stop, store, stream and cite?"
PATIENCE_S = 20
LIFECYCLE = ("message", "run.start", "sources", "run.done")


class Broken(Exception):
    """A promise of the protocol that was not kept."""


def check(kept, what):
    if not kept:
        raise Broken(what)


def utf16(text):
    """Length as the protocol counts it."""
    return len(text.encode("utf-16-le")) // 2


def crc32(text):
    return f"{zlib.crc32(text.encode()):08x}"


class Gateway:
    def __init__(self, url):
        self.http = url.rstrip("/")
        self.ws = self.http.replace("http", "ws", 1) + "/api/v1/ws"

    def connect(self, path="", **options):
        # proxy=None: the gateway is on this machine.
        return connect(self.ws + path, proxy=None, open_timeout=PATIENCE_S, close_timeout=PATIENCE_S, **options)

    def stored_messages(self, session):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{self.http}/api/v1/sessions/{session}", timeout=PATIENCE_S) as response:
            return json.load(response)["messages"]


async def receive(socket):
    frame = json.loads(await asyncio.wait_for(socket.recv(), PATIENCE_S))
    check("type" in frame, f"a frame without a type: {frame}")
    return frame


async def receive_type(socket, wanted):
    """The next frame of that type; whatever comes before it is passed over."""
    while True:
        frame = await receive(socket)
        if frame["type"] == wanted:
            return frame


async def welcomed(socket):
    frame = await receive(socket)
    check(frame["type"] == "welcome", f"the first frame is {frame['type']}, not welcome")
    check(frame["protocol"] == "chat.v1", f"protocol {frame['protocol']}")
    return frame


class Answer:
    """An answer as a client puts it together, and the cursor behind which it would go on."""

    def __init__(self, welcome):
        self.session = welcome["session"]
        self.epoch = welcome["epoch"]
        self.seq = welcome["seq"]
        self.run = None
        self.text = ""
        self.deltas = 0
        self.types = []
        self.done = None

    def take(self, frame):
        kind = frame["type"]
        self.types.append(kind)
        if kind in LIFECYCLE:
            check(frame["seq"] == self.seq + 1, f"{kind} has seq {frame['seq']} after {self.seq}")
            self.seq = frame["seq"]
        if kind == "run.start":
            self.run = frame["run"]
        elif kind == "delta":
            check(frame["run"] == self.run, f"a delta of {frame['run']} in the run {self.run}")
            check(frame["off"] == utf16(self.text), f"a delta at {frame['off']}, held are {utf16(self.text)}")
            self.text += frame["text"]
            self.deltas += 1
            print(frame["text"], end="", flush=True)
        elif kind == "run.done":
            self.done = frame
            print()

    def cursor(self):
        return f"{self.epoch}:{self.seq}:{self.run}:{utf16(self.text)}"

    async def read(self, socket, enough=lambda answer: answer.done):
        while not enough(self):
            self.take(await receive(socket))

    def check_end(self, status="complete"):
        done = self.done
        check(done["status"] == status, f"the run ended with {done['status']}")
        check(done["run"] == self.run, "run.done is of another run")
        check(done["len"] == utf16(self.text), f"len is {done['len']}, held are {utf16(self.text)}")
        check(done["crc32"] == crc32(self.text), f"crc32 is {done['crc32']}, of the text it is {crc32(self.text)}")

    def check_stored(self, gateway):
        stored = next((m for m in gateway.stored_messages(self.session) if m["id"] == self.done["message"]), None)
        check(stored is not None, "the answer is not among the stored messages")
        check(stored["text"] == self.text, f"stored is {stored['text']!r}, received was {self.text!r}")


async def the_smallest_client(gateway):
    """the short form is answered: welcome, ack, sources, deltas, run.done"""
    async with gateway.connect() as socket:
        check(socket.subprotocol is None, "a subprotocol was chosen that nobody offered")
        answer = Answer(await welcomed(socket))
        await socket.send(json.dumps({"message": QUESTION}))
        await answer.read(socket)
    types = answer.types
    check("ack" in types and types.index("ack") < types.index("delta"), f"no ack before the text: {types}")
    check("sources" in types and types.index("sources") < types.index("delta"), f"no sources before the text: {types}")
    check(answer.deltas >= 3, f"the text came in {answer.deltas} pieces")
    check("60 days" in answer.text, "the answer is not in the text")
    answer.check_end()
    answer.check_stored(gateway)


async def resuming(gateway):
    """after a lost connection the cursor brings the rest, nothing twice and nothing missing"""
    # The second answer of the session: the first one must not come back.
    async with gateway.connect() as socket:
        first = Answer(await welcomed(socket))
        await socket.send(json.dumps({"message": QUESTION}))
        await first.read(socket)
        session = first.session
    async with gateway.connect(f"/{session}") as socket:
        welcome = await welcomed(socket)
        check(welcome["recovered"] == "snapshot", f"without a cursor it recovered {welcome['recovered']}")
        snapshot = await receive_type(socket, "snapshot")
        check([m["role"] for m in snapshot["messages"]] == ["user", "assistant"], "the snapshot is not the conversation")
        answer = Answer(welcome)
        await socket.send(json.dumps({"type": "send", "id": "question-2", "text": LONG_QUESTION}))
        await answer.read(socket, lambda answer: answer.deltas >= 3)
        check(answer.done is None, "the answer was over before the connection could be lost")
        # No close frame, as when a network goes away.
        socket.transport.abort()
    print(" … ", end="")
    async with gateway.connect(f"/{session}?resume={answer.cursor()}") as socket:
        welcome = await welcomed(socket)
        check(welcome["recovered"] == "full", f"with a cursor it recovered {welcome['recovered']}")
        check(welcome["epoch"] == answer.epoch, "the epoch changed")
        await answer.read(socket)
    answer.check_end()
    answer.check_stored(gateway)


async def stopping(gateway):
    """stop is acknowledged, ends the run, and keeps the text"""
    async with gateway.connect() as socket:
        answer = Answer(await welcomed(socket))
        await socket.send(json.dumps({"message": LONG_QUESTION}))
        await answer.read(socket, lambda answer: answer.deltas >= 3)
        await socket.send(json.dumps({"type": "stop", "id": "stop-1"}))
        acks = []
        while answer.done is None:
            frame = await receive(socket)
            answer.take(frame)
            if frame["type"] == "ack":
                acks.append(frame)
        check([ack.get("re") for ack in acks] == ["stop-1"], f"the stop was not acknowledged: {acks}")
        check(acks[0]["run"] == answer.run, "the ack names another run")
        await socket.send(json.dumps({"type": "stop", "id": "stop-2"}))
        error = await receive_type(socket, "error")
        check((error["re"], error["code"]) == ("stop-2", "run_not_active"), f"a late stop was answered with {error}")
    answer.check_end("stopped")
    answer.check_stored(gateway)


async def repeating(gateway):
    """the same id with the same text is acknowledged again and stored once, with another text refused"""
    async with gateway.connect() as socket:
        answer = Answer(await welcomed(socket))
        question = {"type": "send", "id": "once", "text": QUESTION}
        await socket.send(json.dumps(question))
        await answer.read(socket)
        await socket.send(json.dumps(question))
        again = await receive_type(socket, "ack")
        check(again["duplicate"] is True and again["run"] == answer.run, f"not known as a duplicate: {again}")
        await socket.send(json.dumps({**question, "text": "Something else"}))
        error = await receive_type(socket, "error")
        check((error["re"], error["code"]) == ("once", "idempotency_conflict"), f"answered with {error}")
    check(len(gateway.stored_messages(answer.session)) == 2, "it was stored twice")


async def bad_frames(gateway):
    """bad JSON and unknown types are answered with an error, and the socket stays open"""
    async with gateway.connect() as socket:
        await welcomed(socket)
        await socket.send('{"message": ')
        error = await receive_type(socket, "error")
        check(error["code"] == "bad_json", f"bad JSON was answered with {error['code']}")
        await socket.send('{"id": "whose", "message": ')
        error = await receive_type(socket, "error")
        check((error["code"], error["re"]) == ("bad_json", "whose"), f"whose it was is not told: {error}")
        await socket.send('{"type": "weather", "id": 7}')
        error = await receive_type(socket, "error")
        check((error["code"], error["re"]) == ("unknown_type", 7), f"an unknown type was answered with {error}")
        await socket.send('{"type": "send", "text": "  "}')
        check((await receive_type(socket, "error"))["code"] == "empty_text", "an empty text was accepted")
        await socket.send('{"type": "ping", "t": 5}')
        check((await receive_type(socket, "pong"))["t"] == 5, "ping was not answered with its t")


async def closed_after(gateway, message):
    """The code with which the gateway closes a socket that was sent `message`."""
    async with gateway.connect() as socket:
        await welcomed(socket)
        try:
            await socket.send(message)
            await receive(socket)
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else "no close frame"
        return "no close"


async def bad_sockets(gateway):
    """a binary frame closes with 1003, a frame of 70,000 bytes with 1009"""
    code = await closed_after(gateway, b"\x00\x01")
    check(code == 1003, f"a binary frame: {code}")
    code = await closed_after(gateway, json.dumps({"message": "x" * 70_000}))
    check(code == 1009, f"a frame of 70,000 bytes: {code}")


async def status_of(gateway, path="", **options):
    """The HTTP status with which the handshake is refused."""
    try:
        async with gateway.connect(path, **options):
            return "no refusal"
    except InvalidStatus as refused:
        return refused.response.status_code


async def bad_handshakes(gateway):
    """an unknown session is refused with 404, a foreign page with 403, an unknown subprotocol with 400"""
    for expected, path, options in [
        (404, "/s_00000000000000000000000000000000", {}),
        (404, "/no%20id%20at%20all", {}),
        (403, "", {"origin": "https://elsewhere.example"}),
        (400, "", {"subprotocols": ["chat.v99"]}),
    ]:
        status = await status_of(gateway, path, **options)
        check(status == expected, f"{path or '/'} with {options}: {status}, not {expected}")


async def half_characters(gateway):
    """half an emoji, as JavaScript leaves it, is taken for U+FFFD"""
    async with gateway.connect() as socket:
        answer = Answer(await welcomed(socket))
        await socket.send('{"type": "send", "id": "half", "text": "Tents \\ud83d"}')
        await answer.read(socket)
        answer.check_end("complete")
    stored = gateway.stored_messages(answer.session)
    check(stored[0]["text"] == "Tents \ufffd", f"stored was {stored[0]['text']!a}")


CHECKS = [
    the_smallest_client,
    resuming,
    stopping,
    repeating,
    half_characters,
    bad_frames,
    bad_sockets,
    bad_handshakes,
]


async def main(url):
    gateway = Gateway(url)
    failed = 0
    for one in CHECKS:
        try:
            await one(gateway)
            print(f"ok: {one.__doc__}")
        except Broken as broken:
            failed += 1
            print(f"\nFAILED: {one.__doc__}\n    {broken}")
        except Exception:
            failed += 1
            print(f"\nFAILED: {one.__doc__}\n{traceback.format_exc()}")
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: client.py URL-OF-THE-GATEWAY")
    sys.exit(asyncio.run(main(sys.argv[1])))
