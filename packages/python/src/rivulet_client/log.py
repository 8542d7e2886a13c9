"""A session's log as a client reads it: which events were seen, which answers are being written, where to go on.

Pure: frames in; events, and what has to be said to the gateway, out. It holds the answers that are not over, and nothing
of the conversation behind them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .events import ApprovalResolved, Error, Event, Memory, Phase, Presence, Said, Snapshot, Welcome
from .run import Run
from .wire import Frame, maybe_int, maybe_text, message, objects


@dataclass
class Step:
    """What comes of a frame."""

    events: list[Event] = field(default_factory=list)
    replies: list[Frame] = field(default_factory=list)

    def add(self, events: list[Event], reply: Frame | None = None) -> None:
        self.events += events
        if reply is not None:
            self.replies.append(reply)


class Log:
    """A cursor, and the answers that are being written."""

    def __init__(self) -> None:
        self.session: str | None = None
        self.assistant: str | None = None
        self.runs: dict[str, Run] = {}
        self.seq = 0
        self._epoch: str | None = None
        self._next_epoch: str | None = None

    @property
    def cursor(self) -> str | None:
        """Where another socket goes on; `None`: with a snapshot."""
        if self._epoch is None:
            return None
        live = self.live
        return f"{self._epoch}:{self.seq}" + (f":{live.id}:{live.held.units}" if live else "")

    @property
    def live(self) -> Run | None:
        """The answer that is being written; there is one at most."""
        return next((run for run in self.runs.values() if run.outcome is None), None)

    def take(self, frame: Frame) -> Step:
        step = Step()
        kind = frame["type"]
        if kind == "welcome":
            self._welcome(frame, step)
        elif kind == "snapshot":
            self._snapshot(frame, step)
        elif kind == "presence":
            viewers = maybe_int(frame.get("viewers")) or 0
            step.add([Presence(viewers=viewers, typing=frame.get("typing") is True, raw=frame)])
        elif kind == "error":
            self._error(frame, step)
        elif kind in ("delta", "failover", "run.phase"):
            self._unnumbered(kind, frame, step)
        elif (seq := maybe_int(frame.get("seq"))) is not None and seq > self.seq:
            # An event with a number that was seen already is one that comes again.
            self.seq = seq
            self._numbered(kind, frame, step)
        self.runs = {id: run for id, run in self.runs.items() if not run.over}
        return step

    def finished(self, shown: Frame) -> list[Event]:
        """The whole of an answer that ended while nobody here saw it, as a snapshot has it."""
        run = Run(str(shown.get("run", "")), str(shown.get("id", "")), maybe_text(shown.get("for")))
        return [*run.started(shown), *run.replay_end(shown)]

    def _welcome(self, frame: Frame, step: Step) -> None:
        recovered = str(frame.get("recovered", "snapshot"))
        epoch = maybe_text(frame.get("epoch"))
        self.session = str(frame.get("session", ""))
        self.assistant = maybe_text(frame.get("assistant"))
        step.add([Welcome(session=self.session, recovered=recovered, assistant=self.assistant, raw=frame)])
        if recovered == "new":
            self.runs = {}
            self._epoch, self.seq = epoch, maybe_int(frame.get("seq")) or 0
        elif recovered == "full":
            self._epoch = epoch
            for run in self.runs.values():
                step.add([], run.resumed())
        else:
            # No cursor until the snapshot is here: should the socket break before, two logs would be mixed.
            self._epoch, self._next_epoch = None, epoch

    def _snapshot(self, frame: Frame, step: Step) -> None:
        self._epoch, self._next_epoch = self._next_epoch or self._epoch, None
        self.seq = maybe_int(frame.get("seq")) or 0
        shown = objects(frame.get("messages"))
        answers = {one.get("id"): one for one in shown if one.get("role") == "assistant"}
        before, self.runs = self.runs, {}
        for run in before.values():
            if run.message in answers:
                step.add(run.replay_end(answers[run.message]))
        for live in objects(frame.get("runs")):
            name = str(live.get("run", ""))
            known = before.get(name)
            run = known or Run(name, str(live.get("message", "")), maybe_text(live.get("for")))
            run.outcome = None
            self.runs[name] = run
            step.add([] if known else run.started(live))
            step.add(run.replay(live))
        messages = tuple(message(one) for one in shown)
        step.add([Snapshot(messages=messages, more="more" in frame, raw=frame)])

    def _error(self, frame: Frame, step: Step) -> None:
        re = frame.get("re")
        run = self.runs.get(re[len("sync:") :]) if isinstance(re, str) and re.startswith("sync:") else None
        if run is not None:
            step.add(run.give_up())
        else:
            code, words = str(frame.get("code", "")), str(frame.get("message", ""))
            step.add([Error(code=code, message=words, retryable=frame.get("retryable") is True, raw=frame)])

    def _unnumbered(self, kind: str, frame: Frame, step: Step) -> None:
        run = self.runs.get(str(frame.get("run")))
        if run is None:
            return
        if kind == "delta":
            step.add(*run.text(frame))
        elif kind == "failover":
            step.add(run.withdraw(frame))
        else:
            position = maybe_int(frame.get("position"))
            step.add([Phase(run=run.id, phase=str(frame.get("phase", "")), position=position, raw=frame)])

    def _numbered(self, kind: str, frame: Frame, step: Step) -> None:
        if kind == "message":
            said = frame.get("message")
            if isinstance(said, dict):
                step.add([Said(message=message(said), replaces=maybe_text(said.get("replaces")), raw=frame)])
            return
        if kind == "approval.resolved":
            step.add([_resolved(frame)])
            return
        name = str(frame.get("run"))
        if kind == "run.start":
            run = self.runs[name] = Run(name, str(frame.get("message", "")), maybe_text(frame.get("for")))
            step.add(run.started(frame))
            return
        known = self.runs.get(name)
        if known is None:
            return
        if kind == "sources":
            step.add(known.sources(frame))
        elif kind == "memory":
            step.add([_memory(name, frame)])
        elif kind == "tool.call":
            step.add(known.call(frame))
        elif kind == "tool.result":
            step.add(known.result(frame))
        elif kind == "approval.request":
            asked = frame.get("approval")
            if isinstance(asked, dict):
                step.add(known.ask_approval(str(frame.get("call", "")), asked, frame))
        elif kind == "run.done":
            step.add(*known.end(frame))


def _memory(run: str, frame: Frame) -> Memory:
    return Memory(
        run=run,
        noted=tuple(objects(frame.get("noted"))),
        recalled=tuple(objects(frame.get("recalled"))),
        unavailable=frame.get("unavailable") is True,
        raw=frame,
    )


def _resolved(frame: Frame) -> ApprovalResolved:
    return ApprovalResolved(
        message=str(frame.get("message", "")),
        call=str(frame.get("call", "")),
        approval=str(frame.get("approval", "")),
        decision=str(frame.get("decision", "")),
        by=maybe_text(frame.get("by")),
        comment=maybe_text(frame.get("comment")),
        raw=frame,
    )
