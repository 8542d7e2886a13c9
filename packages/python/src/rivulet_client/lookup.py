"""Answers that are in the conversation already: found in the messages that the gateway keeps, from the newest on. It asks for
them, and the session takes the answer from what comes."""

from __future__ import annotations

import asyncio
import time
import urllib.parse
from collections.abc import Callable
from typing import Protocol

from .backoff import Backoff
from .endpoint import Endpoint
from .errors import Refused, RivuletError, Unreachable
from .stream import Stream
from .wire import Frame, objects, write_frame

# As many as the gateway gives at once.
PAGE = 200
HELLO = "hello"


class Settle(Protocol):
    def __call__(self, stream: Stream, messages: list[Frame], *, is_all: bool) -> None:
        """Takes the answer from the messages, if it is there. `is_all`: there are none that are older."""


class Lookup:
    """Asks by requests; with a ticket alone, which opens nothing but sockets, by a `hello` that has a snapshot sent.

    A stream whose messages cannot be had fails with the reason, after `patience` seconds where that may pass.
    """

    def __init__(self, endpoint: Endpoint, patience: float, settle: Settle, say: Callable[[str], None]) -> None:
        self._endpoint = endpoint
        self._patience = patience
        self._settle = settle
        self._say = say
        self._sought: list[Stream] = []  # By the next snapshot.

    async def find(self, stream: Stream, session: str) -> None:
        if self._endpoint.only_sockets:
            self._sought.append(stream)
            self._hello()
            return
        try:
            await self._read_back(stream, f"sessions/{urllib.parse.quote(session, safe='')}")
        except RivuletError as error:
            _fail(stream, error)
        except Exception as broken:  # A callback of the caller, for a token, has failed.
            unknown = Unreachable(f"{type(broken).__name__}: {broken}")
            unknown.__cause__ = broken
            _fail(stream, unknown)

    def welcomed(self, recovered: object) -> None:
        """There is another socket, and the last `hello` went down with its own."""
        if self._sought and recovered == "full":
            self._hello()

    def settled(self, messages: list[Frame], *, is_all: bool) -> None:
        """A snapshot was gone through. What it has nothing of is older, or has not begun, as after an approval."""
        sought, self._sought = self._sought, []
        for stream in sought:
            if not (is_all or stream.frame["type"] == "approve" or any(stream.concerns(one) for one in messages)):
                _fail(stream, RivuletError("the answer is older than all that is shown without a token"))

    def refused(self, refused: Refused) -> list[Stream]:
        """The gateway sends no snapshot. Gives the streams that failed by it."""
        sought, self._sought = self._sought, []
        for stream in sought:
            _fail(stream, refused)
        return sought

    def _hello(self) -> None:
        self._say(write_frame({"type": "hello", "id": HELLO}))

    async def _read_back(self, stream: Stream, path: str) -> None:
        """Reads as far back as to the message where the answer would be."""
        query = {"limit": str(PAGE)}
        while (page := await self._page(stream, path, query)) is not None:
            messages = objects(page.get("messages"))
            more = page.get("more") is True and bool(messages)
            self._settle(stream, messages, is_all=not more)
            if not more or any(stream.concerns(one) for one in messages):
                return
            query["before"] = str(messages[0].get("id"))

    async def _page(self, stream: Stream, path: str, query: dict[str, str]) -> Frame | None:
        """`None`: the answer has come another way."""
        backoff = Backoff()
        since = time.monotonic()
        while not (stream.is_bound or stream.over):
            try:
                return await self._endpoint.request("GET", path, query=query)
            except (Refused, Unreachable, asyncio.TimeoutError) as error:
                wait = error.retry_in if isinstance(error, Refused) else None
                delay = backoff.next(soon=True) if wait is None else wait
                is_passing = not isinstance(error, Refused) or error.retryable
                if not is_passing or time.monotonic() + delay - since > self._patience:
                    raise
            await asyncio.sleep(delay)
        return None


def _fail(stream: Stream, error: RivuletError) -> None:
    if not stream.is_bound:
        stream.fail(error)
