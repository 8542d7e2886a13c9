"""The client of a Rivulet chat gateway.

    async with Client("http://127.0.0.1:8080") as client, client.session() as session:
        answer = await session.ask("How long can I return a tent?")
        print(answer.text)

A lost connection costs no character and doubles none; what was asked is asked once. `rivulet_client.sync` has the same
without `async`.
"""

from .client import Client
from .errors import Closed, Lagging, Refused, RivuletError, Unanswered, Unreachable
from .events import (
    Answer,
    Approval,
    ApprovalResolved,
    Citation,
    Delta,
    Error,
    Event,
    Failure,
    Memory,
    Message,
    OfRun,
    Phase,
    Presence,
    RunDone,
    Said,
    Snapshot,
    Source,
    Sources,
    Started,
    ToolCall,
    ToolResult,
    Welcome,
    Withdrawn,
)
from .session import Session
from .stream import Stream

__version__ = "0.1.0"

__all__ = [
    "Answer",
    "Approval",
    "ApprovalResolved",
    "Citation",
    "Client",
    "Closed",
    "Delta",
    "Error",
    "Event",
    "Failure",
    "Lagging",
    "Memory",
    "Message",
    "OfRun",
    "Phase",
    "Presence",
    "Refused",
    "RivuletError",
    "RunDone",
    "Said",
    "Session",
    "Snapshot",
    "Source",
    "Sources",
    "Started",
    "Stream",
    "ToolCall",
    "ToolResult",
    "Unanswered",
    "Unreachable",
    "Welcome",
    "Withdrawn",
]
