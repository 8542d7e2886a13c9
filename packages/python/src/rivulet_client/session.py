"""One conversation over whatever sockets it takes: joins the log, the connection and the requests on their way."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Coroutine
from types import TracebackType
from typing import Any, Literal

from websockets.exceptions import ConnectionClosed

from .connection import Connection
from .endpoint import Endpoint
from .errors import Closed, Refused, RivuletError, Unreachable
from .events import Answer, Approval, Error, Event, RunDone, Snapshot, Started
from .feed import Feed
from .log import Log
from .lookup import HELLO, Lookup
from .outbox import Outbox, Request, checked
from .stream import Stream
from .wire import Frame, objects, read_frame, whole, write_frame

Mode = Literal["reject", "queue", "replace"]

FOLLOWED = 1024
FRAMES_TO_WRITE = 256
GOODBYE_S = 2.0


class Session:
    """A conversation. Made by `Client.session`; used with `async with`, or opened and closed."""

    def __init__(self, endpoint: Endpoint, session: str | None, assistant: str | None, patience: float) -> None:
        self._endpoint = endpoint
        self._named = session is not None
        self._session = session
        self._assistant = assistant
        self._log = Log()
        self._connection = Connection(self, patience=patience)
        self._outbox = Outbox(self._say)
        self._lookup = Lookup(endpoint, patience, self._settle, self._say)
        self._streams: dict[str, Stream] = {}
        self._followers: set[Feed] = set()
        self._last_answer: str | None = None
        self._writing: deque[str] = deque()
        self._to_write = asyncio.Event()
        self._open: asyncio.Future[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.end: RivuletError | None = None
        """Why it is over, once it is."""

    @property
    def id(self) -> str | None:
        """The address to come back to; known once it is open."""
        return self._session

    @property
    def assistant(self) -> str | None:
        return self._log.assistant or self._assistant

    async def open(self) -> Session:
        """Connects. Raises `Closed` where the gateway will not have it, `Unreachable` where there is none."""
        if self._open is None:
            self._open = asyncio.get_running_loop().create_future()
            self._open.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._spawn(self._connect())
            self._spawn(self._write())
        await asyncio.shield(self._open)
        return self

    async def close(self) -> None:
        """Leaves the conversation; it stays at the gateway, and so do answers that are being written there."""
        # An iterator that was left just now is closed by the event loop: one round begins that, the next one does it.
        for _ in range(2):
            await asyncio.sleep(0)
        said = [one.answered for one in self._outbox if one.stream is None]
        if said and self.end is None:
            await asyncio.wait(said, timeout=GOODBYE_S)
        self._finish(Closed(1000, "the session was closed"))
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def __aenter__(self) -> Session:
        try:
            return await self.open()
        except BaseException:
            await self.close()
            raise

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    # What a caller asks for.

    async def ask(self, text: str, *, id: str | None = None, mode: Mode | None = None) -> Answer:
        """Asks, and waits for the whole answer. Being cancelled stops it."""
        return await self.stream(text, id=id, mode=mode).answer()

    def stream(self, text: str, *, id: str | None = None, mode: Mode | None = None) -> Stream:
        """Asks. With an `id` of your own, asking again, in another process too, gives the same answer and asks nothing twice.

        `mode`: what to do while another answer is being written: `reject`, `queue`, or `replace` it.
        """
        frame: Frame = {"type": "send", "id": checked(id), "text": whole(text)}
        if mode is not None:
            frame["mode"] = mode
        return self._ask(frame, question=frame["id"])

    def edit(self, message: str, text: str, *, id: str | None = None) -> Stream:
        """Puts another question in the place of `message` and of all that came after it."""
        frame: Frame = {"type": "edit", "id": checked(id), "message": message, "text": whole(text)}
        return self._ask(frame, question=frame["id"])

    def regenerate(self, message: str | None = None, *, id: str | None = None) -> Stream:
        """Has a question answered anew: `message` is the question or its answer, by default the newest answer."""
        newest = message or self._last_answer
        if newest is None:
            raise Refused("not_found", "there is no answer in this conversation")
        # The message is always named: when this is repeated, the newest answer may be another one.
        frame: Frame = {"type": "regenerate", "id": checked(id), "message": newest}
        return self._ask(frame, message=frame["id"])

    def approve(self, approval: Approval, approved: bool = True, *, comment: str | None = None) -> Stream:
        """Allows a call that waits, or does not. Gives the answer that follows."""
        decision = "approved" if approved else "denied"
        frame: Frame = {"type": "approve", "id": checked(None), "approval": approval.id, "digest": approval.digest}
        frame |= {"decision": decision, **({} if comment is None else {"comment": whole(comment)})}
        return self._ask(frame, question=approval.question)

    async def feedback(self, message: str, value: Literal[1, -1], comment: str | None = None) -> None:
        """What the person thinks of a message, in place of what they thought before."""
        frame: Frame = {"type": "feedback", "id": checked(None), "message": message, "value": value}
        await self._wait(frame | ({} if comment is None else {"comment": whole(comment)}))

    async def stop(self) -> None:
        """Stops what is being written, whoever has asked for it. Does nothing where nothing is."""
        live = self._log.live  # Named: when this is repeated, it may be another one.
        with contextlib.suppress(Refused):
            await self._wait({"type": "stop", "id": checked(None), **({"run": live.id} if live else {})})

    async def events(self) -> AsyncGenerator[Event, None]:
        """All that happens in the session, whoever does it. Raises `Lagging` when more than 1,024 events wait."""
        feed = Feed(FOLLOWED)
        self._followers.add(feed)
        if self.end is not None:
            feed.end(self.end)
        try:
            while (event := await feed.get()) is not None:
                yield event
        finally:
            self._followers.discard(feed)

    async def renew_token(self) -> None:
        """Gives the live socket a fresh token. Without this the gateway ends it in time, and it comes back with one."""
        token = await self._endpoint.token(True)
        if token:
            await self._wait({"type": "auth", "id": checked(None), "token": token})

    def break_connection(self) -> None:
        """Breaks the connection as a failing network would: to see, or to test, that it heals."""
        self._connection.cut()

    # What a stream asks for.

    async def stop_stream(self, stream: Stream) -> None:
        with contextlib.suppress(Refused):
            if stream.run is None and "text" not in stream.frame:
                await stream.accepted()  # Until then there is no name for what is to be stopped.
            await self._wait(_stopping(stream))

    def leave(self, stream: Stream) -> None:
        if self._streams.pop(stream.id, None) is None or self.end is not None:
            return
        if stream.run is None and stream.promised is None and "text" not in stream.frame:
            self._spawn(self._stop_quietly(stream))
        else:  # At once, so that a session which is closed next still says it.
            with contextlib.suppress(RivuletError):
                self._request(_stopping(stream), None)

    async def _stop_quietly(self, stream: Stream) -> None:
        with contextlib.suppress(RivuletError):
            await self.stop_stream(stream)

    # Requests on their way.

    def _ask(self, frame: Frame, question: str | None = None, message: str | None = None) -> Stream:
        stream = Stream(self, frame, question, message)
        if frame["id"] in self._outbox or frame["id"] in self._streams:
            raise Refused("idempotency_conflict", "the same id is on its way already")
        self._streams[stream.id] = stream
        try:
            self._request(frame, stream)
        except RivuletError:
            self._streams.pop(stream.id, None)
            raise
        return stream

    async def _wait(self, frame: Frame) -> Frame:
        return await asyncio.shield(self._request(frame, None).answered)

    def _request(self, frame: Frame, stream: Stream | None) -> Request:
        if self.end is not None:
            raise self.end
        if self._open is None:
            raise RivuletError("the session is not open: use `async with client.session() as session`")
        return self._outbox.add(frame, stream, now=self._connection.is_open)

    def _acked(self, ack: Frame) -> None:
        request = self._outbox.acked(ack)
        if request is None:
            return
        stream = request.stream
        if stream is None or stream.over:
            self._outbox.forget(request)
        else:
            stream.accepted_as(ack)
            self._catch_up(stream, ack)
            self._tidy(stream)

    def _catch_up(self, stream: Stream, ack: Frame) -> None:
        """The answer may have begun, or be over, before it was known whose it is."""
        run = self._log.runs.get(stream.promised or "")
        if stream.is_bound:
            return
        if run is not None:
            self._tell(stream, run.so_far())
        elif ack.get("duplicate") is True or stream.frame["type"] == "approve":
            self._spawn(self._look_up(stream))

    async def _look_up(self, stream: Stream) -> None:
        await self._lookup.find(stream, str(self._session))
        self._tidy(stream)

    def _settle(self, stream: Stream, messages: list[Frame], *, is_all: bool) -> None:
        """Takes the answer from the messages of the conversation, if it is there and nobody writes it."""
        if stream.is_bound or stream.over or not stream.is_accepted:
            return
        found = next((one for one in reversed(messages) if one.get("role") == "assistant" and stream.is_mine(one)), None)
        if found is not None and found.get("status") != "pending":
            self._tell(stream, self._log.finished(found))
        elif is_all and stream.frame["type"] in ("send", "edit") and all(one.get("id") != stream.id for one in messages):
            stream.unanswered()
            self._tidy(stream)

    def _tell(self, stream: Stream, events: list[Event]) -> None:
        for event in events:
            stream.offer(event)
        self._tidy(stream)

    def _tidy(self, stream: Stream) -> None:
        """What has begun to be answered need not be asked again; what is over is forgotten."""
        request = self._outbox.get(stream.id)
        if request is not None and request.acked and (stream.is_bound or stream.over):
            self._outbox.forget(request)
        if stream.over:
            self._streams.pop(stream.id, None)

    # What the connection asks and tells.

    async def dial(self, expired: bool) -> tuple[str, dict[str, str]]:
        return await self._endpoint.socket(self._session, self._log.cursor, self._assistant, expired)

    def can_renew(self) -> bool:
        return self._endpoint.can_renew

    def lost(self) -> None:
        self._writing.clear()

    def frame_refused(self, code: int) -> bool:
        return self._outbox.closed_over_frame(code)

    def gone(self) -> bool:
        """A session that was made here and in which nothing was stored: another one is as good."""
        if self._named or self._session is None or self._outbox.any_acked or self._last_answer:
            return False
        self._session, self._log = None, Log()
        return True

    def received(self, text: str | bytes) -> None:
        frame = read_frame(text)
        if frame is None:
            return
        kind = frame["type"]
        if kind == "ping":
            self._say(write_frame({"type": "pong", **({"t": frame["t"]} if "t" in frame else {})}))
        elif kind == "ack":
            self._acked(frame)
        elif kind == "goaway":
            self._connection.go_away(float(frame.get("retry_in_ms", 0)) / 1000)
        elif kind == "error" and (request := self._outbox.get(frame.get("re"))) is not None:
            self._error(request, frame)
        elif kind == "error" and frame.get("re") == HELLO:
            for stream in self._lookup.refused(Refused.from_frame(frame)):
                self._tidy(stream)
        else:
            step = self._log.take(frame)
            if kind == "welcome":
                self._welcomed(frame)
            for reply in step.replies:
                self._say(write_frame(reply))
            for event in step.events:
                self._deliver(event)

    def _error(self, request: Request, frame: Frame) -> None:
        refused = Refused.from_frame(frame)
        if self._connection.leaving and refused.retryable and refused.retry_in is None:
            return  # A gateway that ends takes no more: it is said again, with its id, to the next one.
        self._outbox.refuse(request, refused)
        self._streams.pop(request.id, None)

    def _welcomed(self, frame: Frame) -> None:
        limits = frame.get("limits")
        if isinstance(limits, dict) and isinstance(limits.get("frame_bytes"), int):
            self._outbox.frame_bytes = limits["frame_bytes"]
        heartbeat = frame.get("heartbeat_s")
        self._connection.welcomed(float(heartbeat) if isinstance(heartbeat, (int, float)) else 25.0)
        self._session = self._log.session
        if frame.get("recovered") == "new":
            self._outbox.forget_acks()
        self._lookup.welcomed(frame.get("recovered"))
        self._outbox.say_all()
        if self._open is not None and not self._open.done():
            self._open.set_result(None)

    def _deliver(self, event: Event) -> None:
        if isinstance(event, (Started, RunDone)):
            self._last_answer = event.message
        for feed in list(self._followers):
            feed.put(event)
        for stream in list(self._streams.values()):
            self._tell(stream, [event])
        if isinstance(event, Snapshot):
            self._replaced(event)

    def _replaced(self, snapshot: Snapshot) -> None:
        answers = [one.id for one in snapshot.messages if one.role == "assistant"]
        self._last_answer = answers[-1] if answers else self._last_answer
        messages = objects(snapshot.raw.get("messages"))
        for stream in list(self._streams.values()):
            if stream.run is not None and stream.run not in self._log.runs and not stream.over:
                stream.unanswered()
                self._tidy(stream)
            else:
                self._settle(stream, messages, is_all=not snapshot.more)
        self._lookup.settled(messages, is_all=not snapshot.more)
        for stream in list(self._streams.values()):
            self._tidy(stream)

    # Tasks.

    async def _connect(self) -> None:
        try:
            error = await self._connection.run()
        except Exception as broken:  # A callback of the caller, for a token or a ticket, has failed.
            error = Unreachable(f"{type(broken).__name__}: {broken}")
            error.__cause__ = broken
        self._finish(error)

    def _finish(self, error: RivuletError) -> None:
        if self.end is not None:
            return
        self.end = error
        for request in self._outbox:
            self._outbox.refuse(request, error)
        for stream in list(self._streams.values()):
            stream.fail(error)
        self._streams.clear()
        for feed in self._followers:
            feed.end(error)
        if self._open is not None and not self._open.done():
            self._open.set_exception(error)

    def _say(self, text: str) -> None:
        self._writing.append(text)
        self._to_write.set()
        if len(self._writing) > FRAMES_TO_WRITE:
            self._connection.cut()  # Nobody takes them.

    async def _write(self) -> None:
        while True:
            await self._to_write.wait()
            self._to_write.clear()
            while self._writing:
                with contextlib.suppress(ConnectionClosed):  # Reading tells of it.
                    await self._connection.send(self._writing.popleft())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _stopping(stream: Stream) -> Frame:
    run = stream.run or stream.promised
    return {"type": "stop", "id": checked(None), **({"run": run} if run else {"for": stream.id})}
