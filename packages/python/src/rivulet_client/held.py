"""The text of one answer as far as it is held. Every piece says where it belongs; this is the whole rule. Pure.

The protocol counts in UTF-16 code units, so that is how the text is held. What a caller sees is counted in characters of
a Python text.
"""

from __future__ import annotations

import zlib

_CODING = "utf-16-le"


def _units(text: str) -> bytes:
    # Half a pair is nothing that the gateway sends; should it come, it must not break the client.
    return text.encode(_CODING, "surrogatepass")


def _text(units: bytes | bytearray) -> str:
    return units.decode(_CODING, "surrogatepass")


class HeldText:
    """Text, its length as the protocol counts, and what they say of it is checked against."""

    def __init__(self, text: str = "") -> None:
        self._held = bytearray(_units(text))
        self._chars = len(text)

    @property
    def text(self) -> str:
        return _text(self._held)

    @property
    def units(self) -> int:
        """The length in UTF-16 code units."""
        return len(self._held) // 2

    @property
    def chars(self) -> int:
        """The length in characters: `len(text)`, without making the text."""
        return self._chars

    def place(self, off: int, text: str) -> str | None:
        """Puts a piece where it belongs, and gives what is new of it. `None`: something is missing before it."""
        overlap = self.units - off
        if overlap < 0 or off < 0:
            return None
        fresh = _units(text)[2 * overlap :]
        if not fresh:
            return ""
        self._held += fresh
        new = _text(fresh)
        self._chars += len(new)
        return new

    def cut(self, keep: int) -> bool:
        """Takes back what stands behind `keep` code units. Says whether there was any."""
        if keep >= self.units:
            return False
        del self._held[2 * max(0, keep) :]
        self._chars = len(self.text)
        return True

    def become(self, text: str) -> tuple[int, str]:
        """Puts another text in the place of this one. Gives how many characters stay, and what follows them."""
        old = self.text
        limit = min(len(old), len(text))
        if old[:limit] == text[:limit]:
            same = limit
        else:
            same = next(at for at in range(limit) if old[at] != text[at])
        self._held = bytearray(_units(text))
        self._chars = len(text)
        return same, text[same:]

    def chars_at(self, off: int) -> int:
        """Which character stands at `off` code units."""
        if self._chars == self.units:
            return max(0, min(off, self._chars))
        return len(_text(self._held[: 2 * max(0, off)]))

    def is_proven(self, length: int, crc32: str) -> bool:
        """Whether this is the very text that the gateway has written."""
        if self.units != length:
            return False
        return f"{zlib.crc32(self.text.encode('utf-8', 'surrogatepass')):08x}" == crc32.lower()
