"""How long to wait before the next attempt, and which close codes leave any hope of one. Pure."""

from __future__ import annotations

import enum
import random
from collections.abc import Callable

CAP_S = 30.0
CALM_S = 60.0


class After(enum.Enum):
    """What a close code asks of a client."""

    OVER = "over"
    """Another attempt would end the same way."""
    WITHOUT = "without"
    """A frame of this side could not be taken."""
    SOON = "soon"
    LATER = "later"
    """There is too much to do there: stay away for longer each time."""


_EXACT = {
    1000: After.OVER,
    1001: After.SOON,
    1002: After.OVER,
    1003: After.OVER,
    1005: After.SOON,
    1006: After.SOON,
    1007: After.WITHOUT,
    1009: After.WITHOUT,
    1012: After.SOON,
}

_MEANING = {
    1000: "the gateway ended the connection",
    1002: "protocol error",
    1003: "the gateway does not take this kind of frame",
    1007: "the gateway could not read a message",
    1009: "a message was too large",
    4001: "not signed in",
    4003: "not allowed",
    4004: "this conversation does not exist",
    4010: "access was taken back",
}


def after_close(code: int) -> After:
    """The hundreds tell, also for codes of later versions; what nobody has given a meaning is left alone for longer."""
    if code in _EXACT:
        return _EXACT[code]
    if 4000 <= code < 4100:
        return After.OVER
    return After.SOON if 4200 <= code < 4300 else After.LATER


def meaning(code: int, reason: str = "") -> str:
    return _MEANING.get(code) or reason or "the connection was closed"


class Backoff:
    """Full jitter: after a restart all clients come back at once, and a fixed part would only move the crowd."""

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        self._chance = chance
        self._attempt = 0

    def next(self, *, soon: bool) -> float:
        """Seconds to wait. Without `soon`, the first attempt counts as a failed one already."""
        attempt = self._attempt if soon else max(1, self._attempt)
        self._attempt = attempt + 1
        # Beyond the cap the power is of no interest, and would grow without end.
        return self._chance() * min(CAP_S, 2.0 ** min(attempt, 5))

    def lasted(self, seconds: float) -> None:
        """How long the last connection held. Only a calm minute forgives: one that drops at once is not hammered."""
        if seconds >= CALM_S:
            self._attempt = 0
