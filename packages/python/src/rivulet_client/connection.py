"""One lasting connection made of many sockets: dials, notices when a socket is dead, waits as the gateway and politeness
ask, and dials again. It knows nothing of what is said."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from .backoff import After, Backoff, after_close, meaning
from .endpoint import problem
from .errors import Closed, Refused, RivuletError, Unreachable

CONNECT_LIMIT_S = 15.0
# By this a silence may outlast the heartbeat.
PATIENCE = 1.4
# A snapshot has 50 messages of 16,384 characters at most, with sources and tools.
FRAME_LIMIT_BYTES = 32 << 20
EXPIRED = 4204

# The code that a socket would have been closed with, had its handshake not been refused.
_CODE_OF_STATUS = {401: 4001, 403: 4003, 404: 4004}


class Owner(Protocol):
    """Who the connection is for."""

    async def dial(self, expired: bool) -> tuple[str, dict[str, str]]:
        """Where to, and with which headers; asked before each attempt."""

    def received(self, text: str | bytes) -> None: ...

    def lost(self) -> None:
        """The socket is gone."""

    def frame_refused(self, code: int) -> bool:
        """The socket was closed over a frame of this side. Whether the next one may fare better."""

    def gone(self) -> bool:
        """There is no such session. Whether another one will do."""

    def can_renew(self) -> bool: ...


class _Connect(connect):
    """A redirect to elsewhere would take the token there."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class Connection:
    """Runs until it is closed, or until it makes no sense to go on."""

    def __init__(self, owner: Owner, *, patience: float, chance: Callable[[], float] = random.random) -> None:
        self._owner = owner
        self._patience = patience
        self._backoff = Backoff(chance)
        self._chance = chance
        self._socket: ClientConnection | None = None
        self._heartbeat_s = 25.0
        self._heard_at = 0.0
        self._welcomed_at: float | None = None
        self._pause: float | None = None  # So long the gateway wants to be left alone.
        self._expired = False
        self.leaving = False

    async def run(self) -> RivuletError:
        """Gives why it is over."""
        since = time.monotonic()  # Since then there was no connection.
        renewed = False
        while True:
            try:
                url, headers = await self._owner.dial(self._expired)
                code = await self._over_one_socket(url, headers)
            except InvalidStatus as refused:
                status = refused.response.status_code
                if status == 401 and not renewed and self._owner.can_renew():
                    renewed = self._expired = True
                    continue
                reason = problem(status, refused.response.body or b"", refused.response.headers.get("Retry-After"))
                if status == 404 and self._owner.gone():
                    continue
                if not (reason.retryable or status >= 500):
                    return Closed(_CODE_OF_STATUS.get(status, 4000), f"{reason.code}: {reason.message}")
                self._pause = reason.retry_in
                why, soon = str(reason), False
            except InvalidURI as error:
                return Unreachable(str(error))
            except (OSError, EOFError, asyncio.TimeoutError, InvalidHandshake, Refused, Unreachable) as error:
                why, soon = str(error) or type(error).__name__, True
            else:
                after = after_close(code)
                if self._welcomed_at is not None:
                    since, renewed = time.monotonic(), False
                    self._backoff.lasted(since - self._welcomed_at)
                if after is After.OVER and not (code == 4004 and self._owner.gone()):
                    return Closed(code, meaning(code))
                if after is After.WITHOUT and not self._owner.frame_refused(code):
                    return Closed(code, meaning(code))
                self._expired = code == EXPIRED
                if self._expired and not self._owner.can_renew():
                    return Closed(code, "the token has ended")
                why, soon = f"{meaning(code)} ({code})", after is not After.LATER
            delay = self._backoff.next(soon=soon)
            if self._pause is not None:
                # What the gateway names is told to each client on its own, or is a whole number of seconds.
                delay = self._pause + (0.0 if self.leaving else self._chance())
            self._pause, self.leaving = None, False
            if time.monotonic() + delay - since > self._patience:
                return Unreachable(f"no connection for {self._patience:g} s: {why}")
            await asyncio.sleep(delay)

    @property
    def is_open(self) -> bool:
        """The gateway has greeted, and can be spoken to."""
        return self._socket is not None and self._welcomed_at is not None

    async def send(self, text: str) -> None:
        """Puts a frame on the socket, if there is one; waits until there is room."""
        if self._socket is not None:
            await self._socket.send(text)

    def welcomed(self, heartbeat_s: float) -> None:
        """The gateway has greeted: now the connection counts."""
        self._welcomed_at = time.monotonic()
        self._heartbeat_s = heartbeat_s
        self._expired = False

    def go_away(self, seconds: float) -> None:
        self._pause, self.leaving = seconds, True

    def cut(self) -> None:
        """Breaks the socket as a failing network would: to see that it heals."""
        if self._socket is not None:
            self._socket.transport.abort()

    async def _over_one_socket(self, url: str, headers: dict[str, str]) -> int:
        """Gives the code that it was closed with."""
        self._welcomed_at = None
        self._heartbeat_s = CONNECT_LIMIT_S
        async with _Connect(
            url,
            additional_headers=headers,
            subprotocols=["chat.v1"],  # type: ignore[list-item]
            open_timeout=CONNECT_LIMIT_S,
            close_timeout=2,
            ping_interval=None,  # The gateway pings, and its silence is watched.
            max_size=FRAME_LIMIT_BYTES,
            compression=None,
        ) as socket:
            self._socket = socket
            self._heard_at = time.monotonic()
            watch = asyncio.create_task(self._watch(socket))
            try:
                while True:
                    text = await socket.recv()
                    self._heard_at = time.monotonic()
                    self._owner.received(text)
            except ConnectionClosed as closed:
                return closed.rcvd.code if closed.rcvd else 1006
            finally:
                watch.cancel()
                self._socket = None
                self._owner.lost()

    async def _watch(self, socket: ClientConnection) -> None:
        """A network that is gone says nothing."""
        while True:
            left = self._heard_at + self._heartbeat_s * PATIENCE - time.monotonic()
            if left <= 0:
                socket.transport.abort()
                return
            await asyncio.sleep(left)
