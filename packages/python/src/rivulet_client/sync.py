"""The same without `async`: for scripts, notebooks and threads. One thread of its own does the waiting.

    from rivulet_client.sync import Client

    with Client("http://127.0.0.1:8080") as client, client.session() as session:
        print(session.ask("How long can I return a tent?").text)
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, Literal, TypeVar

from . import client as _client
from . import session as _session
from . import stream as _stream
from .endpoint import Credential
from .errors import RivuletError
from .events import Answer, Approval, Event, Message
from .wire import Frame

T = TypeVar("T")


class _Loop:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="rivulet-client", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Waits for what the loop does. Ctrl-C in between takes it back."""
        if self.closed:
            work.close()
            raise RivuletError("the client is closed")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def call(self, make: Callable[[], T]) -> T:
        async def work() -> T:
            return make()

        return self.run(work())

    def tell(self, make: Callable[[], None]) -> None:
        """The same as `call`, in the loop's own thread too: waiting there would be for ever, so there it is done next."""
        if threading.current_thread() is self._thread:
            self._loop.call_soon(make)
        else:
            self.call(make)

    @property
    def closed(self) -> bool:
        return self._loop.is_closed()

    def close(self) -> None:
        if not self.closed:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()


class Stream:
    """An answer in the making: take its events with `for`, or all of it with `answer()`. Leaving it early stops it."""

    def __init__(self, loop: _Loop, stream: _stream.Stream) -> None:
        self._loop = loop
        self._stream = stream

    @property
    def id(self) -> str:
        return self._stream.id

    @property
    def run(self) -> str | None:
        return self._stream.run

    def __iter__(self) -> Iterator[Event]:
        try:
            while (event := self._loop.run(self._stream.next())) is not None:
                yield event
        finally:
            self.close()

    def answer(self) -> Answer:
        return self._loop.run(self._stream.answer())

    def accepted(self) -> None:
        self._loop.run(self._stream.accepted())

    def stop(self) -> None:
        self._loop.run(self._stream.stop())

    def close(self) -> None:
        # An iterator that nobody has finished is closed whenever Python comes by, in any thread, and may outlive the client.
        if not self._loop.closed:
            self._loop.tell(self._stream.close)

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class Session:
    """A conversation. Made by `Client.session`; used with `with`, or opened and closed."""

    def __init__(self, loop: _Loop, session: _session.Session) -> None:
        self._loop = loop
        self._session = session

    @property
    def id(self) -> str | None:
        return self._session.id

    @property
    def assistant(self) -> str | None:
        return self._session.assistant

    def open(self) -> Session:
        self._loop.run(self._session.open())
        return self

    def close(self) -> None:
        if not self._loop.closed:
            self._loop.run(self._session.close())

    def ask(self, text: str, *, id: str | None = None, mode: _session.Mode | None = None) -> Answer:
        return self._loop.run(self._session.ask(text, id=id, mode=mode))

    def stream(self, text: str, *, id: str | None = None, mode: _session.Mode | None = None) -> Stream:
        return self._begin(lambda: self._session.stream(text, id=id, mode=mode))

    def edit(self, message: str, text: str, *, id: str | None = None) -> Stream:
        return self._begin(lambda: self._session.edit(message, text, id=id))

    def regenerate(self, message: str | None = None, *, id: str | None = None) -> Stream:
        return self._begin(lambda: self._session.regenerate(message, id=id))

    def approve(self, approval: Approval, approved: bool = True, *, comment: str | None = None) -> Stream:
        return self._begin(lambda: self._session.approve(approval, approved, comment=comment))

    def feedback(self, message: str, value: Literal[1, -1], comment: str | None = None) -> None:
        self._loop.run(self._session.feedback(message, value, comment))

    def stop(self) -> None:
        self._loop.run(self._session.stop())

    def renew_token(self) -> None:
        self._loop.run(self._session.renew_token())

    def break_connection(self) -> None:
        self._loop.call(self._session.break_connection)

    def __enter__(self) -> Session:
        try:
            return self.open()
        except BaseException:
            self.close()
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _begin(self, ask: Callable[[], _stream.Stream]) -> Stream:
        return Stream(self._loop, self._loop.call(ask))


class Client:
    """A gateway, and who asks it; the arguments are those of `rivulet_client.Client`. Callbacks run in its thread."""

    def __init__(
        self,
        url: str = "http://127.0.0.1:8080",
        *,
        token: Credential | None = None,
        ticket: Callable[[], str | Awaitable[str]] | None = None,
        patience: float = _client.PATIENCE_S,
    ) -> None:
        self._client = _client.Client(url, token=token, ticket=ticket, patience=patience)
        self._loop = _Loop()

    def session(self, id: str | None = None, *, assistant: str | None = None) -> Session:
        return Session(self._loop, self._loop.call(lambda: self._client.session(id, assistant=assistant)))

    def ask(self, text: str, *, session: str | None = None, assistant: str | None = None) -> Answer:
        return self._loop.run(self._client.ask(text, session=session, assistant=assistant))

    def messages(self, session: str, *, before: str | None = None, limit: int = 50) -> list[Message]:
        return self._loop.run(self._client.messages(session, before=before, limit=limit))

    def assistants(self) -> list[Frame]:
        return self._loop.run(self._client.assistants())

    def delete(self, session: str) -> None:
        self._loop.run(self._client.delete(session))

    def close(self) -> None:
        if not self._loop.closed:
            self._loop.run(self._client.close())
            self._loop.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
