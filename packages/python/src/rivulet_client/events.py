"""What happens in a session, as a caller sees it.

Positions in texts are characters of a Python text, whatever the protocol counts in. `raw` of each is what came over the
wire, with the fields that this version does not know; there, positions are UTF-16 code units.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Raw = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Event:
    """The base of all events. Kinds may be added in later versions: pass over those that you do not know."""

    raw: Raw = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class OfRun(Event):
    """An event of one answer."""

    run: str


@dataclass(frozen=True, kw_only=True)
class Started(OfRun):
    """An answer begins. `message` is the id that it will have, `question` the message that it answers."""

    message: str
    question: str | None = None
    model: str | None = None
    version: str | None = None
    variant: str | None = None


@dataclass(frozen=True, kw_only=True)
class Phase(OfRun):
    """What is being done: `queued` (with a `position`, from 1), `retrieving`, `waiting`, `thinking`, `streaming`, `tool`."""

    phase: str
    position: int | None = None


@dataclass(frozen=True, kw_only=True)
class Delta(OfRun):
    """The next piece of text. Pieces come in order, without gaps, each once."""

    text: str
    at: int
    """Where it begins, in characters."""


@dataclass(frozen=True, kw_only=True)
class Withdrawn(OfRun):
    """The text behind the first `keep` characters is taken back: another model goes on, or it was not right."""

    keep: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Source:
    """A passage that the answer may rest on; the text cites it as `[n]`."""

    n: int
    title: str
    snippet: str = ""
    document: str | None = None
    uri: str | None = None
    heading: str | None = None
    page: int | None = None
    score: float | None = None
    raw: Raw = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class Sources(OfRun):
    """All sources of the answer. Where it comes once more, it has the whole list."""

    items: tuple[Source, ...]


@dataclass(frozen=True, kw_only=True)
class Memory(OfRun):
    """What an assistant with a memory has noted, and what it is told of earlier."""

    noted: tuple[Raw, ...] = ()
    recalled: tuple[Raw, ...] = ()
    unavailable: bool = False


@dataclass(frozen=True, kw_only=True)
class ToolCall(OfRun):
    """The model has called a tool. `args` is any JSON."""

    call: str
    tool: str
    title: str
    args: Any = None
    at: int = 0
    changes: bool = False


@dataclass(frozen=True, kw_only=True)
class ToolResult(OfRun):
    """What came of a call. Take a `status` that you do not know for one of a call that has ended."""

    call: str
    status: str
    ms: int = 0
    summary: str = ""
    data: Any = None
    artifacts: tuple[Raw, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Approval(OfRun):
    """A call has to be allowed: `Session.approve` says yes or no. `digest` stands for what was shown of the call."""

    id: str
    digest: str
    call: str
    question: str | None = None
    approver: str = "user"
    expires_at: str | None = None
    tool: ToolCall | None = None
    """The call that waits, as it came before."""


@dataclass(frozen=True, kw_only=True)
class ApprovalResolved(Event):
    """It was `approved`, `denied`, or `superseded` by another question."""

    message: str
    call: str
    approval: str
    decision: str
    by: str | None = None
    comment: str | None = None


@dataclass(frozen=True, kw_only=True)
class Citation:
    """`text[start:end]` rests on source `n`."""

    n: int
    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why an answer failed."""

    code: str
    message: str
    retryable: bool = False
    retry_in: float | None = None


@dataclass(frozen=True, kw_only=True)
class RunDone(OfRun):
    """The answer is over. `proven`: its length and checksum are those of the gateway."""

    message: str
    status: str
    text: str = field(repr=False)
    proven: bool = True
    model: str | None = None
    cached: bool = False
    citations: tuple[Citation, ...] = ()
    usage: Raw | None = None
    timing: Raw | None = None
    error: Failure | None = None


@dataclass(frozen=True, kw_only=True)
class Message:
    """What the user or the assistant said."""

    id: str
    role: str
    text: str
    status: str
    run: str | None = None
    question: str | None = None
    created_at: str | None = None
    raw: Raw = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class Said(Event):
    """A message of the user, from here or elsewhere. `replaces`: that message and all after it are no part of it now."""

    message: Message
    replaces: str | None = None


@dataclass(frozen=True, kw_only=True)
class Welcome(Event):
    """A socket is open. `recovered`: `new`, `full`, or `snapshot`."""

    session: str
    recovered: str
    assistant: str | None = None


@dataclass(frozen=True, kw_only=True)
class Snapshot(Event):
    """The conversation as it stands: its newest messages, oldest first. `more`: there are older ones."""

    messages: tuple[Message, ...]
    more: bool = False


@dataclass(frozen=True, kw_only=True)
class Presence(Event):
    """How many look at the session, and whether another one types."""

    viewers: int
    typing: bool


@dataclass(frozen=True, kw_only=True)
class Error(Event):
    """The gateway has refused something that nobody here waits for."""

    code: str
    message: str
    retryable: bool = False


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A whole answer. `status` is `complete` when nothing is missing; see `RunDone`."""

    text: str
    status: str
    message: str
    run: str
    proven: bool = True
    model: str | None = None
    cached: bool = False
    sources: tuple[Source, ...] = ()
    citations: tuple[Citation, ...] = ()
    tools: tuple[ToolCall, ...] = ()
    results: tuple[ToolResult, ...] = ()
    approvals: tuple[Approval, ...] = ()
    """What has to be allowed, when the status is `awaiting_approval`."""
    usage: Raw | None = None
    timing: Raw | None = None
    error: Failure | None = None

    def __str__(self) -> str:
        return self.text
