"""One answer as it is written, for whoever has asked for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import TYPE_CHECKING

from .errors import RivuletError, Unanswered
from .events import Answer, Approval, Event, OfRun, RunDone, Source, Sources, Started, ToolCall, ToolResult
from .feed import Feed
from .wire import Frame

if TYPE_CHECKING:
    from .session import Session


class Stream:
    """An answer in the making. Take its events with `async for`, or all of it with `answer()`.

    Leaving it early, by `break`, by an exception or by being cancelled, stops the answer. `async with` makes sure that this
    is so at once, wherever the loop is left. A lost connection is no end: the text goes on where it was.
    """

    def __init__(self, session: Session, frame: Frame, question: str | None, message: str | None) -> None:
        self._session = session
        self._feed = Feed()
        self.frame = frame
        """What was asked."""
        self.id: str = frame["id"]
        """The id of the request, which makes it safe to repeat; of a question, that of its message."""
        self.run: str | None = None
        """The run that writes the answer, once it is known."""
        self._question = question
        self._message = message
        self._promised: str | None = None
        self._accepted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._accepted.add_done_callback(lambda done: done.cancelled() or done.exception())

    # What the session tells.

    def offer(self, event: Event) -> None:
        """An event of the session, which may be one of this answer."""
        if self._feed.over or not isinstance(event, OfRun):
            return
        if self.run is None and isinstance(event, Started) and self._is_ours(event.run, event.message, event.question):
            self.run = event.run
        if event.run == self.run:
            self._feed.put(event)
            if isinstance(event, RunDone):
                self._feed.end()

    def accepted_as(self, ack: Frame) -> None:
        run = ack.get("run")
        self._promised = run if isinstance(run, str) else None
        if not self._accepted.done():
            self._accepted.set_result(None)

    def fail(self, error: RivuletError) -> None:
        if not self._accepted.done():
            self._accepted.set_exception(error)
        self._feed.end(error)

    def unanswered(self) -> None:
        self.fail(Unanswered("what was asked is no part of the conversation any more"))

    def is_mine(self, message: Frame) -> bool:
        """Whether an answer of the conversation is the one that was asked for."""
        return self._is_ours(message.get("run"), message.get("id"), message.get("for"))

    def _is_ours(self, run: object, message: object, question: object) -> bool:
        if self._promised is not None:
            return run == self._promised
        return (self._question is not None and question == self._question) or (message is not None and message == self._message)

    def concerns(self, message: Frame) -> bool:
        """Whether a message is the answer or its question: no older one is."""
        return self.is_mine(message) or (self._question is not None and message.get("id") == self._question)

    @property
    def is_bound(self) -> bool:
        return self.run is not None

    @property
    def is_accepted(self) -> bool:
        return self._accepted.done()

    @property
    def promised(self) -> str | None:
        """The run that the gateway has promised for it."""
        return self._promised

    @property
    def over(self) -> bool:
        return self._feed.over

    # What the caller does.

    async def accepted(self) -> None:
        """Waits until the gateway has what was asked on its disk. Raises `Refused` where it does not take it."""
        await asyncio.shield(self._accepted)

    async def next(self) -> Event | None:
        """The next event; `None` at the end. What follows an early end is left to the caller: `async for` stops the answer."""
        return await self._feed.get()

    async def __aiter__(self) -> AsyncGenerator[Event, None]:
        try:
            while (event := await self._feed.get()) is not None:
                yield event
        finally:
            self.close()

    async def answer(self) -> Answer:
        """Waits for the end. An answer that failed is returned too: look at its `status`."""
        sources: tuple[Source, ...] = ()
        tools: list[ToolCall] = []
        results: list[ToolResult] = []
        approvals: list[Approval] = []
        done: RunDone | None = None
        try:
            while (event := await self._feed.get()) is not None:
                if isinstance(event, Sources):
                    sources = event.items
                elif isinstance(event, ToolCall):
                    tools.append(event)
                elif isinstance(event, ToolResult):
                    results.append(event)
                elif isinstance(event, Approval):
                    approvals.append(event)
                elif isinstance(event, RunDone):
                    done = event
        finally:
            self.close()
        if done is None:
            raise Unanswered("the answer was left before its end")
        return Answer(
            text=done.text,
            status=done.status,
            message=done.message,
            run=done.run,
            proven=done.proven,
            model=done.model,
            cached=done.cached,
            sources=sources,
            citations=done.citations,
            tools=tuple(tools),
            results=tuple(results),
            approvals=tuple(approvals),
            usage=done.usage,
            timing=done.timing,
            error=done.error,
        )

    async def stop(self) -> None:
        """Stops the answer; what was written stays, and its `RunDone` still comes. Does nothing when it is over."""
        if not self._feed.over:
            await self._session.stop_stream(self)

    def close(self) -> None:
        """Leaves it. An answer that is still being written is stopped, without waiting for that."""
        if not self._feed.over:
            self._feed.end()
            self._session.leave(self)

    async def aclose(self) -> None:
        self.close()

    async def __aenter__(self) -> Stream:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
