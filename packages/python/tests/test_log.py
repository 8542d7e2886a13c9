"""What a client holds of a log is the log, wherever its sockets break. A gateway is played: one that says all that the
protocol lets it say, and some that it does not."""

from __future__ import annotations

import random
import unittest
import zlib
from typing import Any

from rivulet_client import Delta, Event, RunDone, Sources, Started, ToolCall, ToolResult, Withdrawn
from rivulet_client.log import Log

PIECES = ["A ", "rivulet ", "🌧️ ", "runs, ", "ü", "𝄞", "雨 ", "\n", "e\u0301", "👩‍👩‍👧 "]
ROUNDS = 3000


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def from_unit(text: str, off: int) -> str:
    return text.encode("utf-16-le")[2 * off :].decode("utf-16-le")


class Gateway:
    """One session of one answer, and the events of it."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.text = ""
        self.epoch = "e1"
        self.events: list[dict[str, Any]] = []
        self.failover: dict[str, Any] | None = None
        self.fixed = 0
        self.done: dict[str, Any] | None = None
        self.log({"type": "message", "message": {"id": "q", "role": "user", "text": "?", "status": "complete"}})
        self.log({"type": "run.start", "run": "r", "message": "a", "for": "q"})

    def log(self, frame: dict[str, Any]) -> None:
        self.events.append({**frame, "seq": len(self.events) + 1})

    def advance(self) -> list[dict[str, Any]]:
        """Something happens. What a socket that is not behind is told of it."""
        what = self.chance.random()
        if what < 0.04 and self.text:
            boundaries = [0]
            for one in self.text:
                boundaries.append(boundaries[-1] + units(one))
            keep = self.chance.choice([one for one in boundaries if one >= self.fixed])
            self.text = self.text.encode("utf-16-le")[: 2 * keep].decode("utf-16-le")
            self.failover = {"type": "failover", "run": "r", "keep": keep, "from": "x", "to": "y", "reason": "cut"}
            return [self.failover]
        if what < 0.08:
            call = f"c{len(self.events)}"
            self.fixed = units(self.text)
            self.log({"type": "tool.call", "run": "r", "call": call, "tool": "t", "title": "T", "off": self.fixed})
            self.log({"type": "tool.result", "run": "r", "call": call, "status": "ok", "ms": 1})
            return self.events[-2:]
        piece = "".join(self.chance.choice(PIECES) for _ in range(self.chance.randint(1, 4)))
        off = units(self.text)
        self.text += piece
        return [{"type": "delta", "run": "r", "off": off, "text": piece, "later": "field"}, {"type": "weather", "seq": 999}][:1]

    def end(self) -> list[dict[str, Any]]:
        crc = f"{zlib.crc32(self.text.encode()):08x}"
        status = self.chance.choice(["complete", "stopped", "length"])
        self.log({"type": "run.done", "run": "r", "message": "a", "status": status, "len": units(self.text), "crc32": crc})
        self.done = self.events[-1]
        return [self.done]

    def connect(self, cursor: str | None) -> list[dict[str, Any]]:
        """What a socket with that cursor is told first."""
        restarted = self.chance.random() < 0.1
        if restarted:
            self.epoch = f"e{self.chance.random()}"
        welcome = {"type": "welcome", "session": "s", "epoch": self.epoch, "seq": len(self.events)}
        parts = (cursor or "").split(":")
        if parts[0] != self.epoch:
            return [{**welcome, "recovered": "snapshot"}, self.snapshot()]
        seq, off = int(parts[1]), int(parts[3]) if len(parts) > 3 else 0
        if self.failover:
            off = min(off, self.failover["keep"])
        frames: list[dict[str, Any]] = [{**welcome, "recovered": "full"}]
        if self.failover and not any(one["type"] == "run.done" for one in self.events[:seq]):
            frames.append(self.failover)
        missed = [one for one in self.events if one["seq"] > seq]
        # The text that stands before a call comes before it, and all of it before the end.
        for event in missed:
            stop = event.get("off", units(self.text)) if event["type"] in ("tool.call", "run.done") else off
            if stop > off and not (event["type"] == "run.start"):
                text = self.text.encode("utf-16-le")[2 * off : 2 * stop].decode("utf-16-le")
                frames.append({"type": "delta", "run": "r", "off": off, "text": text})
                off = stop
            frames.append(event)
        if self.done is None and off < units(self.text):
            frames.append({"type": "delta", "run": "r", "off": off, "text": from_unit(self.text, off)})
        return frames

    def snapshot(self) -> dict[str, Any]:
        question = self.events[0]["message"]
        tools = [
            {"call": one["call"], "tool": "t", "title": "T", "off": one["off"], "status": "ok", "ms": 1}
            for one in self.events if one["type"] == "tool.call"
        ]  # fmt: skip
        answer = {"text": self.text, "run": "r", "for": "q", "tools": tools}
        frame: dict[str, Any] = {"type": "snapshot", "seq": len(self.events), "messages": [question], "runs": []}
        if self.done:
            frame["messages"].append({**answer, "id": "a", "role": "assistant", "status": self.done["status"]})
        else:
            frame["runs"].append({**answer, "message": "a", "off": 0, "phase": "streaming"})
        return frame

    def answer(self, frame: dict[str, Any]) -> list[dict[str, Any]]:
        assert frame["type"] == "sync", frame
        return [{"type": "delta", "run": "r", "off": frame["off"], "text": from_unit(self.text, frame["off"])}]


class Reader:
    """What a caller makes of the events, by the simplest rules."""

    def __init__(self) -> None:
        self.text = ""
        self.calls: list[str] = []
        self.results: list[str] = []
        self.starts = 0
        self.done: RunDone | None = None

    def take(self, events: list[Event]) -> None:
        for event in events:
            if self.done is not None and getattr(event, "run", None) == "r":
                raise AssertionError(f"{event} after the end")
            if isinstance(event, Delta):
                assert event.at == len(self.text), (event, self.text)
                self.text += event.text
            elif isinstance(event, Withdrawn):
                assert event.keep <= len(self.text), (event, self.text)
                self.text = self.text[: event.keep]
            elif isinstance(event, ToolCall):
                self.calls.append(event.call)
            elif isinstance(event, ToolResult):
                self.results.append(event.call)
            elif isinstance(event, Started):
                self.starts += 1
            elif isinstance(event, RunDone):
                self.done = event


def play(seed: int, broken: float) -> tuple[Gateway, Reader]:
    """An answer over sockets that break anywhere. `broken`: how often a frame is altered, doubled or lost."""
    chance = random.Random(seed)
    gateway, log, reader = Gateway(chance), Log(), Reader()
    left = chance.randint(3, 30)
    pending = gateway.connect(log.cursor)
    while reader.done is None:
        if not pending:
            if left > 0:
                pending = gateway.advance()
                left -= 1
            elif gateway.done is None:
                pending = gateway.end()
            else:
                pending = gateway.connect(log.cursor)  # Nothing more would come.
        if chance.random() < 0.1:
            # The socket breaks; meanwhile the answer goes on.
            for _ in range(chance.randint(0, 5)):
                if left > 0:
                    gateway.advance()
                    left -= 1
            if left == 0 and gateway.done is None and chance.random() < 0.5:
                gateway.end()
            pending = gateway.connect(log.cursor)
        frame = pending.pop(0)
        if frame["type"] == "delta" and chance.random() < broken:
            fate = chance.random()
            if fate < 0.3:
                continue
            if fate < 0.6:
                frame = {**frame, "text": frame["text"].swapcase()}
            else:
                pending.insert(0, frame)
        step = log.take(frame)
        reader.take(step.events)
        if frame["type"] == "snapshot" and reader.starts == 0 and frame["messages"][1:]:
            reader.take(log.finished(frame["messages"][1]))  # It was over before anything of it was seen.
        for reply in step.replies:
            pending += gateway.answer(reply)
        assert len(log.runs) <= 1
    return gateway, reader


class Cuts(unittest.TestCase):
    def test_no_cut_loses_or_doubles_anything(self) -> None:
        for seed in range(ROUNDS):
            with self.subTest(seed=seed):
                gateway, reader = play(seed, broken=0)
                assert reader.done is not None and gateway.done is not None
                self.assertEqual(reader.text, gateway.text)
                self.assertEqual(reader.done.text, gateway.text)
                self.assertEqual(reader.done.status, gateway.done["status"])
                self.assertTrue(reader.done.proven)
                self.assertEqual(reader.starts, 1)
                calls = [one["call"] for one in gateway.events if one["type"] == "tool.call"]
                self.assertEqual((reader.calls, reader.results), (calls, calls))

    def test_what_is_altered_on_the_way_is_asked_for_again(self) -> None:
        for seed in range(ROUNDS):
            with self.subTest(seed=seed):
                gateway, reader = play(seed, broken=0.2)
                assert reader.done is not None
                self.assertEqual(reader.done.text, reader.text)
                if reader.done.proven:
                    self.assertEqual(reader.text, gateway.text)

    def test_a_gateway_that_never_gives_the_right_text_is_not_asked_for_ever(self) -> None:
        log = Log()
        log.take({"type": "welcome", "session": "s", "epoch": "e", "seq": 0, "recovered": "new"})
        log.take({"type": "run.start", "seq": 1, "run": "r", "message": "a"})
        step = log.take({"type": "run.done", "seq": 2, "run": "r", "message": "a", "status": "complete", "len": 2, "crc32": "0"})
        asked = 0
        while step.replies:
            asked += 1
            step = log.take({"type": "delta", "run": "r", "off": 0, "text": "no"})
        done = step.events[-1]
        assert isinstance(done, RunDone)
        self.assertEqual((asked, done.proven, log.runs), (4, False, {}))


class Frames(unittest.TestCase):
    def setUp(self) -> None:
        self.log = Log()
        self.take(type="welcome", session="s", epoch="e", seq=0, recovered="new", assistant="loan")
        self.take(type="run.start", seq=1, run="r", message="a", **{"for": "q"})

    def take(self, **frame: Any) -> list[Event]:
        return self.log.take(frame).events

    def test_positions_are_told_in_characters(self) -> None:
        self.take(type="delta", run="r", off=0, text="🌧️ rain")
        [call] = self.take(type="tool.call", seq=2, run="r", call="c", tool="t", title="T", args={"x": 1}, off=4)
        assert isinstance(call, ToolCall)
        self.assertEqual((call.at, call.args), (3, {"x": 1}))
        crc = f"{zlib.crc32('🌧️ rain'.encode()):08x}"
        cites = [{"n": 1, "start": 4, "end": 8}]
        [done] = self.take(type="run.done", seq=3, run="r", message="a", status="complete", len=8, crc32=crc, citations=cites)
        assert isinstance(done, RunDone)
        [cited] = done.citations
        self.assertEqual(done.text[cited.start : cited.end], "rain")

    def test_what_was_seen_comes_once_and_what_is_not_known_is_passed_over(self) -> None:
        items = [{"n": 1, "title": "T", "score": 0.5, "colour": "blue"}]
        [sources] = self.take(type="sources", seq=2, run="r", items=items)
        assert isinstance(sources, Sources)
        self.assertEqual(sources.items[0].raw["colour"], "blue")
        self.assertEqual(self.take(type="sources", seq=2, run="r", items=items), [])
        self.assertEqual(self.take(type="weather", seq=3, rain=True), [])
        self.assertEqual(self.log.cursor, "e:3:r:0")
        self.assertEqual(self.take(type="delta", run="r", off="x", text=None), [])
        self.assertEqual(self.take(type="delta"), [])

    def test_without_the_snapshot_there_is_no_cursor(self) -> None:
        self.take(type="welcome", session="s", epoch="f", seq=9, recovered="snapshot")
        self.assertIsNone(self.log.cursor)
        self.take(type="snapshot", seq=9, messages=[], runs=[])
        self.assertEqual(self.log.cursor, "f:9")
        self.assertEqual(self.log.runs, {})

    def test_what_was_asked_for_over_a_lost_socket_is_asked_for_again(self) -> None:
        self.take(type="delta", run="r", off=0, text="wrong")
        crc = f"{zlib.crc32(b'right'):08x}"
        ended = {"type": "run.done", "seq": 2, "run": "r", "message": "a", "status": "complete", "len": 5, "crc32": crc}
        self.assertEqual([one["off"] for one in self.log.take(ended).replies], [0])
        step = self.log.take({"type": "welcome", "session": "s", "epoch": "e", "seq": 2, "recovered": "full"})
        self.assertEqual([(one["type"], one["run"], one["off"]) for one in step.replies], [("sync", "r", 0)])
        self.assertEqual(self.log.cursor, "e:2")
        # A long text comes in several pieces.
        self.assertEqual(self.take(type="delta", run="r", off=0, text="ri"), [])
        withdrawn, delta, done = self.take(type="delta", run="r", off=2, text="ght")
        assert isinstance(withdrawn, Withdrawn) and isinstance(delta, Delta) and isinstance(done, RunDone)
        self.assertEqual((withdrawn.keep, delta.text, done.text, done.proven), (0, "right", "right", True))

    def test_an_old_failover_takes_nothing_back(self) -> None:
        self.take(type="delta", run="r", off=0, text="abc")
        self.take(type="tool.call", seq=2, run="r", call="c", tool="t", title="T", off=2)
        [withdrawn] = self.take(type="failover", run="r", keep=0, reason="cut")
        assert isinstance(withdrawn, Withdrawn)
        self.assertEqual(withdrawn.keep, 2)
        self.take(type="run.done", seq=3, run="r", message="a", status="complete", len=9, crc32="0")
        self.assertEqual(self.take(type="failover", run="r", keep=0, reason="cut"), [])


if __name__ == "__main__":
    unittest.main()
