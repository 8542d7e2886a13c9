"""Reads what stands in frames into events. Pure; takes fields as they come, and leaves out what is not of its kind."""

from __future__ import annotations

import json
from typing import Any

from .events import Approval, Failure, Message, Source, ToolCall, ToolResult
from .held import HeldText

Frame = dict[str, Any]


def read_frame(text: str | bytes) -> Frame | None:
    """`None`: it is no frame, and is passed over."""
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return frame if isinstance(frame, dict) and isinstance(frame.get("type"), str) else None


def write_frame(frame: Frame) -> str:
    """One frame as text. What is not ASCII is not escaped: a frame has its bound, and that would take six times the room."""
    return whole(json.dumps(frame, ensure_ascii=False, separators=(",", ":")))


def whole(text: str) -> str:
    """Halves of surrogate pairs become U+FFFD, as the gateway would have it."""
    return "".join("\ufffd" if "\ud800" <= one <= "\udfff" else one for one in text) if _has_half(text) else text


def _has_half(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def maybe_text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def maybe_int(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def objects(value: object) -> list[Frame]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def source(item: Frame) -> Source:
    score = item.get("score")
    return Source(
        n=maybe_int(item.get("n")) or 0,
        title=str(item.get("title", "")),
        snippet=str(item.get("snippet", "")),
        document=maybe_text(item.get("document")),
        uri=maybe_text(item.get("uri")),
        heading=maybe_text(item.get("heading")),
        page=maybe_int(item.get("page")),
        score=float(score) if isinstance(score, (int, float)) else None,
        raw=item,
    )


def tool_call(run: str, frame: Frame, held: HeldText) -> ToolCall:
    return ToolCall(
        run=run,
        call=str(frame.get("call", "")),
        tool=str(frame.get("tool", "")),
        title=str(frame.get("title", "")),
        args=frame.get("args"),
        at=held.chars_at(maybe_int(frame.get("off")) or 0),
        changes=frame.get("changes") is True,
        raw=frame,
    )


def tool_result(run: str, frame: Frame) -> ToolResult:
    return ToolResult(
        run=run,
        call=str(frame.get("call", "")),
        status=str(frame.get("status", "")),
        ms=maybe_int(frame.get("ms")) or 0,
        summary=str(frame.get("summary", "")),
        data=frame.get("data"),
        artifacts=tuple(objects(frame.get("artifacts"))),
        raw=frame,
    )


def approval(run: tuple[str, str | None], call: str, asked: Frame, tool: ToolCall | None, raw: Frame) -> Approval:
    return Approval(
        run=run[0],
        question=run[1],
        id=str(asked.get("id", "")),
        digest=str(asked.get("digest", "")),
        call=call,
        approver=str(asked.get("approver", "user")),
        expires_at=maybe_text(asked.get("expires_at")),
        tool=tool,
        raw=raw,
    )


def message(wire: Frame) -> Message:
    return Message(
        id=str(wire.get("id", "")),
        role=str(wire.get("role", "")),
        text=str(wire.get("text", "")),
        status=str(wire.get("status", "")),
        run=maybe_text(wire.get("run")),
        question=maybe_text(wire.get("for")),
        created_at=maybe_text(wire.get("created_at")),
        raw=wire,
    )


def failure(value: object) -> Failure | None:
    if not isinstance(value, dict):
        return None
    wait = value.get("retry_in_ms")
    return Failure(
        code=str(value.get("code", "internal")),
        message=str(value.get("message", "")),
        retryable=value.get("retryable") is True,
        retry_in=wait / 1000 if isinstance(wait, (int, float)) else None,
    )
