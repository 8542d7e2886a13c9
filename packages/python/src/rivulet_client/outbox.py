"""Requests on their way. Each is said, over further sockets too, until the gateway has answered it; its id makes that harmless."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .errors import Refused, RivuletError
from .stream import Stream
from .wire import Frame, write_frame

# As many as the gateway lets one socket wait for.
REQUESTS = 32
FRAME_BYTES = 65_536


@dataclass
class Request:
    """A frame, who waits for its answer, and the answer of the model that comes of it."""

    frame: Frame
    answered: asyncio.Future[Frame]
    stream: Stream | None
    acked: bool = False

    @property
    def id(self) -> str:
        return str(self.frame["id"])


class Outbox:
    """What was asked and is not answered, or has not begun to be. `say` puts a text on the socket."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._requests: dict[str, Request] = {}
        self._waits: Request | None = None  # In careful times: the one that was said.
        self._careful = False  # The last socket was closed over one of several frames, so: one after the other.
        self.frame_bytes = FRAME_BYTES

    def __iter__(self) -> Iterator[Request]:
        return iter(list(self._requests.values()))

    def __contains__(self, id: str) -> bool:
        return id in self._requests

    def get(self, id: object) -> Request | None:
        return self._requests.get(id) if isinstance(id, str) else None

    @property
    def any_acked(self) -> bool:
        return any(one.acked for one in self)

    @property
    def unanswered(self) -> list[Request]:
        return [one for one in self if not one.acked]

    def add(self, frame: Frame, stream: Stream | None, *, now: bool) -> Request:
        """`now`: there is a socket."""
        if len(self.unanswered) >= REQUESTS:
            raise Refused("queue_full", f"{REQUESTS} requests wait for an answer already", retryable=True)
        answered: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        # Who asked may be gone by then.
        answered.add_done_callback(lambda done: done.cancelled() or done.exception())
        request = self._requests[frame["id"]] = Request(frame, answered, stream)
        if now and not self._careful:
            self._put(request)
        return request

    def say_all(self) -> None:
        """There is a new socket: what was not answered is said again."""
        self._waits = None
        if self._careful:
            self._next()
            return
        for request in self.unanswered:
            self._put(request)

    def acked(self, ack: Frame) -> Request | None:
        """Gives the request that this answers, once."""
        request = self.get(ack.get("re"))
        if request is None or request.acked:
            return None
        request.acked = True
        if not request.answered.done():
            request.answered.set_result(ack)
        self._answered(request)
        return request

    def refuse(self, request: Request, error: RivuletError) -> None:
        self.forget(request)
        if request.stream is not None:
            request.stream.fail(error)
        if not request.answered.done():
            request.answered.set_exception(error)
        self._answered(request)

    def forget(self, request: Request) -> None:
        self._requests.pop(request.id, None)

    def forget_acks(self) -> None:
        """The session is a new one, and has nothing of what it may have acknowledged before."""
        for request in self:
            request.acked = False

    def closed_over_frame(self, code: int) -> bool:
        """The socket was closed over a frame. Says whether the next one may fare better."""
        unanswered = self.unanswered
        guilty = self._waits or (unanswered[0] if len(unanswered) == 1 else None)
        self._waits = None
        if guilty is not None:
            words = "too_large" if code == 1009 else "not_taken"
            self.refuse(guilty, Refused(words, "the gateway cannot take this message"))
        self._careful = len(self.unanswered) > 1
        return bool(unanswered)

    def _put(self, request: Request) -> None:
        text = write_frame(request.frame)
        if len(text.encode()) > self.frame_bytes:
            self.refuse(request, Refused("too_large", f"a message takes at most {self.frame_bytes} bytes"))
        else:
            self._say(text)

    def _answered(self, request: Request) -> None:
        if request is self._waits:
            self._next()

    def _next(self) -> None:
        self._waits = next(iter(self.unanswered), None)
        if self._waits is None:
            self._careful = False
        else:
            self._put(self._waits)


def checked(id: str | None) -> str:
    """The id of a request: the caller's own, or a new one. Raises `ValueError` where the gateway would not take it."""
    if id is None:
        return f"m_{uuid.uuid4().hex}"
    if not 1 <= len(id) <= 64 or any(one < " " or "\x7f" <= one <= "\x9f" or "\ud800" <= one <= "\udfff" for one in id):
        raise ValueError("an id has 1 to 64 characters, none of them a control character")
    return id
