"""One answer in the making: from its start to the text that is proven. Pure: takes frames, gives events."""

from __future__ import annotations

from collections.abc import Iterator

from .events import Citation, Delta, Event, RunDone, Sources, Started, ToolCall, Withdrawn
from .held import HeldText
from .wire import Frame, approval, failure, maybe_int, maybe_text, objects, source, tool_call, tool_result

# A gateway that cannot give the right text after so many requests never will.
MAX_SYNCS = 4


class Run:
    """What is held of one answer."""

    def __init__(self, run: str, message: str, question: str | None) -> None:
        self.id = run
        self.message = message
        self.question = question
        self.held = HeldText()
        self.over = False
        """It has ended and its text is settled."""
        self.outcome: Frame | None = None
        self._seen: list[Event] = []  # What came beside the text; the gateway bounds it.
        self._calls: dict[str, ToolCall] = {}
        self._results: set[str] = set()
        self._fixed = 0  # So many code units stand for good: what a tool was called behind is not taken back.
        self._asked = False  # A missing part is on its way,
        self._fresh: HeldText | None = None  # or the whole text, once more.
        self._syncs = 0

    def text(self, frame: Frame) -> tuple[list[Event], Frame | None]:
        """Takes a piece of text. Gives what has to be said to the gateway, too, if anything."""
        off, text = maybe_int(frame.get("off")), maybe_text(frame.get("text"))
        if off is None or text is None:
            return [], None
        if self._fresh is not None:
            self._fresh.place(off, text)
            return self._settle()
        at = self.held.chars
        new = self.held.place(off, text)
        if new is None:
            # One request at a time: all that comes behind a gap would ask again.
            return [], None if self._asked else self._sync(self.held.units)
        self._asked = False
        # Asking helps, as it seems; so the count begins anew.
        self._syncs = self._syncs if self.outcome else 0
        events: list[Event] = [Delta(run=self.id, text=new, at=at, raw=frame)] if new else []
        settled, reply = self._settle()
        return events + settled, reply

    def withdraw(self, frame: Frame) -> list[Event]:
        keep = max(maybe_int(frame.get("keep")) or 0, self._fixed)
        # Once it has ended, this is an old frame that comes again.
        if self.outcome is not None or not self.held.cut(keep):
            return []
        return [Withdrawn(run=self.id, keep=self.held.chars, reason=str(frame.get("reason", "")), raw=frame)]

    def so_far(self) -> list[Event]:
        """All of it until now, for whoever comes later."""
        text = self.held.text
        return [*self._seen, *([Delta(run=self.id, text=text, at=0)] if text else [])]

    def sources(self, frame: Frame) -> list[Event]:
        items = tuple(source(one) for one in objects(frame.get("items")))
        self._seen = [one for one in self._seen if not isinstance(one, Sources)]
        return self._note(Sources(run=self.id, items=items, raw=frame))

    def call(self, frame: Frame) -> list[Event]:
        made = tool_call(self.id, frame, self.held)
        if made.call in self._calls:
            return []
        self._calls[made.call] = made
        self._fixed = max(self._fixed, maybe_int(frame.get("off")) or 0)
        return self._note(made)

    def result(self, frame: Frame) -> list[Event]:
        result = tool_result(self.id, frame)
        if result.call in self._results:
            return []
        self._results.add(result.call)
        return self._note(result)

    def ask_approval(self, call: str, asked: Frame, raw: Frame) -> list[Event]:
        return self._note(approval((self.id, self.question), call, asked, self._calls.get(call), raw))

    def end(self, frame: Frame) -> tuple[list[Event], Frame | None]:
        self.outcome = frame
        self._asked = False
        if self._is_proven(self.held):
            return self._over(proven=True), None
        return self._whole()

    def resumed(self) -> Frame | None:
        """Another socket: what was asked for over the last one will not come."""
        self._asked, self._syncs = False, 0
        if self.outcome is None:
            return None
        self._fresh = HeldText()
        return self._sync(0)

    def give_up(self) -> list[Event]:
        """The text cannot be had. What is there stays, and is not proven."""
        return self._over(proven=False) if self.outcome is not None else []

    def replay(self, shown: Frame) -> list[Event]:
        """Becomes what a snapshot shows of it; gives what is new."""
        events: list[Event] = []
        self._asked, self._fresh = False, None
        if shown.get("sources"):
            events += self.sources({"items": shown["sources"]})
        events += self._become(str(shown.get("text", "")))
        for one in objects(shown.get("tools")):
            events += self._known(one)
        return events

    def replay_end(self, message: Frame) -> list[Event]:
        """Becomes the finished message that a snapshot has in its place."""
        events = self.replay(message)
        self.outcome = {**message, **(self.outcome or {})}
        return events + self._over(proven=True)

    def started(self, frame: Frame) -> list[Event]:
        event = Started(
            run=self.id,
            message=self.message,
            question=self.question,
            model=maybe_text(frame.get("model")),
            version=maybe_text(frame.get("version")),
            variant=maybe_text(frame.get("variant")),
            raw=frame,
        )
        return self._note(event)

    def _known(self, tool: Frame) -> Iterator[Event]:
        """A call as a message has it, with what came of it."""
        yield from self.call(tool)
        call = str(tool.get("call", ""))
        status, asked = tool.get("status"), tool.get("approval")
        if status == "waiting" and isinstance(asked, dict):
            yield from self.ask_approval(call, asked, tool)
        elif status not in ("running", "waiting"):
            yield from self.result(tool)

    def _note(self, event: Event) -> list[Event]:
        self._seen.append(event)
        return [event]

    def _settle(self) -> tuple[list[Event], Frame | None]:
        """Whether the text is right, as soon as there is enough of it."""
        if self.outcome is None:
            return [], None
        text = self._fresh or self.held
        if text.units < (maybe_int(self.outcome.get("len")) or 0):
            return [], None
        if not self._is_proven(text):
            return self._whole()
        events: list[Event] = []
        if self._fresh is not None:
            events = self._become(self._fresh.text)
        return events + self._over(proven=True), None

    def _become(self, text: str) -> list[Event]:
        """Puts another text in the place of what is held: what they share stays."""
        had = self.held.chars
        same, new = self.held.become(text)
        events: list[Event] = []
        if same < had:
            events.append(Withdrawn(run=self.id, keep=same, reason="resync"))
        if new:
            events.append(Delta(run=self.id, text=new, at=same))
        return events

    def _is_proven(self, text: HeldText) -> bool:
        assert self.outcome is not None
        return text.is_proven(maybe_int(self.outcome.get("len")) or 0, str(self.outcome.get("crc32", "")))

    def _whole(self) -> tuple[list[Event], Frame | None]:
        self._fresh = HeldText()
        reply = self._sync(0)
        return ([], reply) if reply else (self.give_up(), None)

    def _sync(self, off: int) -> Frame | None:
        if self._syncs >= MAX_SYNCS:
            return None
        self._syncs += 1
        self._asked = True
        return {"type": "sync", "id": f"sync:{self.id}", "run": self.id, "off": off}

    def _over(self, *, proven: bool) -> list[Event]:
        outcome = self.outcome or {}
        self.over = True
        usage, timing = outcome.get("usage"), outcome.get("timing")
        return [
            RunDone(
                run=self.id,
                message=self.message,
                status=str(outcome.get("status", "")),
                text=self.held.text,
                proven=proven,
                model=maybe_text(outcome.get("model")),
                cached=outcome.get("cached") is True,
                citations=tuple(
                    Citation(
                        n=maybe_int(one.get("n")) or 0,
                        start=self.held.chars_at(maybe_int(one.get("start")) or 0),
                        end=self.held.chars_at(maybe_int(one.get("end")) or 0),
                    )
                    for one in objects(outcome.get("citations"))
                ),
                usage=usage if isinstance(usage, dict) else None,
                timing=timing if isinstance(timing, dict) else None,
                error=failure(outcome.get("error")),
                raw=outcome,
            )
        ]
