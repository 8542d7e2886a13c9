"""Events on their way to somebody who takes them at their own pace. Pieces of text that wait become one, so what waits is
bounded by the answer, not by how long it waits."""

from __future__ import annotations

import asyncio
from collections import deque

from .errors import Lagging
from .events import Delta, Event, Phase


class Feed:
    """`limit`: so many events may wait; of one answer, the gateway's own bounds are enough."""

    def __init__(self, limit: int | None = None) -> None:
        self._waiting: deque[Event] = deque()
        self._limit = limit
        self._ready = asyncio.Event()
        self._over = False
        self._error: BaseException | None = None

    @property
    def over(self) -> bool:
        """Nothing more is put in."""
        return self._over

    def put(self, event: Event) -> None:
        if self._over:
            return
        last = self._waiting[-1] if self._waiting else None
        if isinstance(last, Delta) and isinstance(event, Delta) and last.run == event.run:
            self._waiting[-1] = Delta(run=last.run, text=last.text + event.text, at=last.at, raw=last.raw)
        elif isinstance(last, Phase) and isinstance(event, Phase) and last.run == event.run:
            self._waiting[-1] = event
        elif self._limit is not None and len(self._waiting) >= self._limit:
            self.end(Lagging(f"more than {self._limit} events wait to be taken"))
        else:
            self._waiting.append(event)
        self._ready.set()

    def end(self, error: BaseException | None = None) -> None:
        """What waits is still given; then it is over, or `error` is raised."""
        if not self._over:
            self._over, self._error = True, error
            self._ready.set()

    async def get(self) -> Event | None:
        """The next event; `None` at the end."""
        while not self._waiting:
            if self._error is not None:
                raise self._error
            if self._over:
                return None
            self._ready.clear()
            await self._ready.wait()
        return self._waiting.popleft()
