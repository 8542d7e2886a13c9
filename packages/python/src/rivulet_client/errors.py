"""What a caller may have to catch. All of it is a `RivuletError`."""

from __future__ import annotations

from typing import Any


class RivuletError(Exception):
    """The base of all errors of this package."""


class Refused(RivuletError):
    """The gateway does not do what it was asked. The conversation goes on, and nothing was changed by it.

    `code` is for programs, the message is for people. `retryable` says whether the same may succeed later, `retry_in` after
    how many seconds, where that is known. `status` is the HTTP status, 0 for what was asked over a socket.
    """

    def __init__(
        self, code: str, message: str, *, retryable: bool = False, retry_in: float | None = None, status: int = 0
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.retryable = retryable
        self.retry_in = retry_in
        self.status = status

    @classmethod
    def from_frame(cls, frame: dict[str, Any]) -> Refused:
        wait = frame.get("retry_in_ms")
        return cls(
            str(frame.get("code", "internal")),
            str(frame.get("message", "")),
            retryable=frame.get("retryable") is True,
            retry_in=wait / 1000 if isinstance(wait, (int, float)) else None,
        )


class Closed(RivuletError):
    """The session is over, for good: `code` is the close code, or that which the refused handshake stands for."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{message} ({code})")
        self.code = code
        self.message = message


class Unreachable(RivuletError):
    """For as long as the caller has patience, no connection could be had."""


class Unanswered(RivuletError):
    """The conversation went on another way, and what was asked is no part of it any more."""


class Lagging(RivuletError):
    """Whoever follows a session took its events too slowly, and some are lost. The session itself is none the worse."""
