import { crc32 } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  applyFrame,
  type Conversation,
  cursorOf,
  EMPTY_CONVERSATION,
  liveRun,
  withOlder,
} from "../src/conversation.js";
import type { ClientFrame, RunDoneFrame, ServerFrame, SnapshotFrame } from "../src/frames.js";

const WELCOME: ServerFrame = {
  type: "welcome",
  protocol: "chat.v1",
  session: "s1",
  epoch: "e1",
  seq: 0,
  recovered: "new",
};

const QUESTION: ServerFrame = {
  type: "message",
  seq: 1,
  message: { id: "m1", role: "user", text: "Why?", status: "complete", run: "r1" },
};

const START: ServerFrame = {
  type: "run.start",
  seq: 2,
  run: "r1",
  message: "a1",
  for: "m1",
  model: "small",
};

const delta = (off: number, text: string): ServerFrame => ({ type: "delta", run: "r1", off, text });

function done(text: string, more: Partial<RunDoneFrame> = {}): RunDoneFrame {
  const sum = crc32(text).toString(16).padStart(8, "0");
  const ends = {
    run: "r1",
    message: "a1",
    status: "complete",
    len: text.length,
    crc32: sum,
  } as const;
  return { type: "run.done", seq: 3, ...ends, ...more };
}

function play(frames: ServerFrame[], from: Conversation = EMPTY_CONVERSATION) {
  let state = from;
  const replies: ClientFrame[] = [];
  for (const frame of frames) {
    const step = applyFrame(state, frame);
    state = step.state;
    replies.push(...step.replies);
  }
  return { state, replies };
}

const started = play([WELCOME, QUESTION, START]).state;
const answerOf = (state: Conversation) => state.messages.find(({ id }) => id === "a1");

describe("a whole answer", () => {
  it("is put together and checked", () => {
    const item = { n: 1, document: "d", title: "T", score: 1, snippet: "…" };
    const { state, replies } = play(
      [
        { type: "run.phase", run: "r1", phase: "retrieving" },
        { type: "sources", seq: 3, run: "r1", items: [item] },
        delta(0, "Be"),
        delta(2, "cause 🌊"),
        done("Because 🌊", { seq: 4 }),
      ],
      started,
    );
    expect(answerOf(state)).toMatchObject({
      text: "Because 🌊",
      status: "complete",
      model: "small",
      verified: true,
      sources: [item],
    });
    expect(state.messages.map(({ id }) => id)).toEqual(["m1", "a1"]);
    expect(replies).toEqual([]);
    expect(liveRun(state)).toBeNull();
  });

  it("may be empty", () => {
    expect(answerOf(play([done("", { status: "filtered" })], started).state)).toMatchObject({
      status: "filtered",
      verified: true,
    });
  });

  it("loses its withdrawn part at a failover and takes the other model's name", () => {
    const { state } = play(
      [
        delta(0, "Beware"),
        { type: "failover", run: "r1", keep: 2, to: "large" },
        delta(2, "cause"),
        done("Because"),
      ],
      started,
    );
    expect(answerOf(state)).toMatchObject({ text: "Because", model: "large", verified: true });
  });

  it("is the same when every frame comes twice", () => {
    const frames = [WELCOME, QUESTION, START, delta(0, "Be"), delta(2, "cause"), done("Because")];
    const twice = frames.flatMap((frame) => [frame, frame]);
    expect(play(twice.slice(1)).state).toEqual(play(frames).state);
  });

  it("is the same when all of it is told again afterwards", () => {
    const frames = [QUESTION, START, delta(0, "Because"), done("Because")];
    const once = play([WELCOME, ...frames]);
    expect(play(frames, once.state)).toEqual(once);
    expect(play([START], once.state).state).toBe(once.state);
  });
});

describe("a gap", () => {
  it("asks once for the missing part, and again only after it was filled", () => {
    const first = play([delta(0, "Be"), delta(4, "use"), delta(7, "!")], started);
    expect(first.replies).toEqual([{ type: "sync", id: "sync:r1", run: "r1", off: 2 }]);
    const second = play([delta(2, "cause!"), delta(20, "?")], first.state);
    expect(second.replies).toEqual([{ type: "sync", id: "sync:r1", run: "r1", off: 8 }]);
  });
});

describe("a wrong text", () => {
  const wrong = play([delta(0, "Bezause"), done("Because")], started);

  it("is asked for again from the start, and replaced by the reply", () => {
    expect(wrong.replies).toEqual([{ type: "sync", id: "sync:r1", run: "r1", off: 0 }]);
    expect(answerOf(wrong.state)).toMatchObject({ status: "complete", text: "Bezause" });
    const { state, replies } = play([delta(0, "Bec"), delta(3, "ause")], wrong.state);
    expect(answerOf(state)).toMatchObject({ text: "Because", verified: true });
    expect(replies).toEqual([]);
  });

  it("is not patched with pieces from the middle meanwhile", () => {
    const { state } = play([delta(3, "????"), delta(0, "Because")], wrong.state);
    expect(answerOf(state)).toMatchObject({ text: "Because", verified: true });
    expect(answerOf(play([delta(3, "????")], wrong.state).state)?.text).toBe("Bezause");
  });

  it("is not asked for without end", () => {
    const stubborn = play(
      Array.from({ length: 20 }, () => delta(0, "Bezause")),
      wrong.state,
    );
    expect(stubborn.replies.length).toBeLessThan(5);
    expect(answerOf(stubborn.state)?.verified).toBe(false);
    expect(stubborn.state.runs.size).toBe(0);
  });

  it("stays as it is, marked, when the server refuses", () => {
    const error = {
      type: "error",
      re: "sync:r1",
      code: "not_found",
      message: "No longer kept",
    } as const;
    const { state } = play([error], wrong.state);
    expect(answerOf(state)).toMatchObject({ text: "Bezause", verified: false });
  });

  it("is asked for again after a reconnect", () => {
    const { replies } = play([{ ...WELCOME, recovered: "full", seq: 3 }], wrong.state);
    expect(replies).toEqual([{ type: "sync", id: "sync:r1", run: "r1", off: 0 }]);
  });
});

describe("a snapshot", () => {
  const announced = { ...WELCOME, epoch: "e2", seq: 9, recovered: "snapshot" } as const;
  const snapshot: SnapshotFrame = {
    type: "snapshot",
    seq: 8,
    messages: [
      { id: "m5", role: "user", text: "And now?", status: "complete", run: "r5" },
      { id: "m6", role: "user", text: "Waiting", status: "complete" },
    ],
    runs: [{ run: "r5", message: "a5", off: 0, text: "Half an", phase: "streaming" }],
  };

  it("replaces everything, with the live answer behind its question", () => {
    const { state } = play([announced, snapshot], play([delta(0, "old")], started).state);
    expect(state.messages.map(({ id }) => id)).toEqual(["m5", "a5", "m6"]);
    expect(cursorOf(state)).toBe("e2:8:r5:7");
  });

  it("may lag one event behind the welcome: the end of the run follows", () => {
    const { state } = play(
      [
        announced,
        snapshot,
        { type: "delta", run: "r5", off: 7, text: " answer" },
        done("Half an answer", { seq: 9, run: "r5", message: "a5", status: "interrupted" }),
      ],
      started,
    );
    expect(state.messages[1]).toMatchObject({
      text: "Half an answer",
      status: "interrupted",
      verified: true,
    });
  });

  it("brings the model and the sources of every answer, also of the one being written", () => {
    const item = { n: 1, document: "d", title: "T", score: 1, snippet: "…" };
    const told = { model: "small", sources: [item] };
    const { state } = play([
      announced,
      {
        ...snapshot,
        messages: [
          { id: "m1", role: "user", text: "Why?", status: "complete", run: "r1" },
          { id: "a1", role: "assistant", text: "So [1].", status: "complete", run: "r1", ...told },
          ...snapshot.messages,
        ],
        runs: snapshot.runs.map((run) => ({ ...run, ...told })),
      },
    ]);
    expect(state.messages.find(({ id }) => id === "a1")).toMatchObject(told);
    expect(state.messages.find(({ id }) => id === "a5")).toMatchObject(told);
    const ended = done("Half an", { seq: 9, run: "r5", message: "a5" });
    expect(play([ended], state).state.messages.find(({ id }) => id === "a5")).toMatchObject(told);
  });

  it("leaves no cursor while it is announced but not here", () => {
    expect(cursorOf(play([announced], started).state)).toBeNull();
  });
});

describe("a page of the history", () => {
  const old = { id: "m0", role: "user", text: "Before", status: "complete" } as const;

  it("comes before what is there, and says whether that is all", () => {
    const state = withOlder({ ...started, older: true }, "s1", "m1", {
      messages: [old],
      more: true,
    });
    expect(state.messages.map(({ id }) => id)).toEqual(["m0", "m1", "a1"]);
    expect(state.older).toBe(true);
    expect(withOlder(state, "s1", "m0", { messages: [], more: false }).older).toBe(false);
  });

  it("is dropped when the messages it belongs to are no longer there", () => {
    const page = { messages: [old], more: false };
    expect(withOlder(started, "s1", "m9", page)).toBe(started);
    expect(withOlder(started, "s2", "m1", page)).toBe(started);
  });
});

describe("the cursor", () => {
  it("holds the offset only while an answer is being written", () => {
    expect(cursorOf(EMPTY_CONVERSATION)).toBeNull();
    expect(cursorOf(play([delta(0, "Be")], started).state)).toBe("e1:2:r1:2");
    expect(cursorOf(play([delta(0, "Be"), done("Be")], started).state)).toBe("e1:3");
  });
});

describe("messages", () => {
  it("with a known id are replaced, never doubled", () => {
    const edited = { ...QUESTION, seq: 3, message: { ...QUESTION.message, text: "How?" } };
    const { state } = play([QUESTION, edited], started);
    expect(state.messages.filter(({ id }) => id === "m1")).toMatchObject([{ text: "How?" }]);
  });
});

describe("what takes the place of something else", () => {
  const user = (seq: number, id: string, replaces?: string): ServerFrame => ({
    type: "message",
    seq,
    message: { id, role: "user", text: id, status: "complete", ...(replaces && { replaces }) },
  });
  const again: ServerFrame = { ...START, seq: 5, run: "r2", message: "a2", replaces: "a1" };
  const ids = (state: Conversation) => state.messages.map(({ id }) => id);
  const finished = play([delta(0, "Because"), done("Because"), user(4, "m2")], started).state;

  it("removes it and all after it", () => {
    expect(ids(finished)).toEqual(["m1", "a1", "m2"]);
    expect(ids(play([again], finished).state)).toEqual(["m1", "a2"]);
    expect(ids(play([user(5, "m3", "m1")], finished).state)).toEqual(["m3"]);
    expect(ids(play([user(5, "m3", "m2")], finished).state)).toEqual(["m1", "a1", "m3"]);
  });

  it("forgets the text that was still being checked", () => {
    const wrong = play([delta(0, "Bezause"), done("Because")], started).state;
    expect(wrong.runs.size).toBe(1);
    expect([...play([again], wrong).state.runs.keys()]).toEqual(["r2"]);
  });

  it("does so once, however often it is told", () => {
    const frames = [again, user(6, "m3", "a2"), user(7, "m4")];
    const once = play(frames, finished);
    expect(ids(once.state)).toEqual(["m1", "m3", "m4"]);
    expect(play([QUESTION, START, done("Because"), user(4, "m2"), ...frames], once.state)).toEqual({
      state: once.state,
      replies: [],
    });
  });

  it("begins with a snapshot when it lies before what was loaded", () => {
    const { replies } = play([user(5, "m3", "m-1")], { ...finished, older: true });
    expect(replies).toEqual([{ type: "hello" }]);
    expect(play([user(5, "m3", "m-1")], finished).replies).toEqual([]);
  });

  it("is in the snapshot already where the log repeats it", () => {
    const snapshot: SnapshotFrame = {
      type: "snapshot",
      seq: 4,
      messages: [{ id: "m1", role: "user", text: "Why?", status: "complete", run: "r2" }],
      runs: [{ run: "r2", message: "a2", off: 0, text: "So", phase: "streaming" }],
      more: "m1",
    };
    const { state, replies } = play([snapshot, again], finished);
    expect(ids(state)).toEqual(["m1", "a2"]);
    expect(replies).toEqual([]);
  });
});

describe("frames of unknown type", () => {
  it("change nothing", () => {
    const odd = { type: "weather", sky: "blue" } as unknown as ServerFrame;
    expect(play([odd], started).state).toBe(started);
  });
});

describe("whatever a resuming server sends", () => {
  /** Any slices of the text, in any order, repeated and overlapping, until the run is done. */
  const story = fc.string({ unit: "grapheme", minLength: 1, maxLength: 80 }).chain((text) =>
    fc.record({
      text: fc.constant(text),
      slices: fc.array(fc.tuple(fc.nat({ max: text.length }), fc.nat({ max: text.length })), {
        maxLength: 40,
      }),
      damage: fc.boolean(),
    }),
  );

  it("the text ends up equal to the server's", () => {
    fc.assert(
      fc.property(story, ({ text, slices, damage }) => {
        let state = started;
        const waiting: ServerFrame[] = slices.map(([from, to]) =>
          delta(from, text.slice(from, Math.max(from, to))),
        );
        if (damage) waiting.push(delta(0, "\u0000".repeat(text.length)));
        waiting.push(done(text));
        for (let frame = waiting.shift(); frame; frame = waiting.shift()) {
          const step = applyFrame(state, frame);
          state = step.state;
          for (const reply of step.replies) {
            // The server answers in two pieces, before anything newer.
            if (reply.type !== "sync") continue;
            const middle = reply.off + Math.ceil((text.length - reply.off) / 2);
            waiting.unshift(
              delta(reply.off, text.slice(reply.off, middle)),
              delta(middle, text.slice(middle)),
            );
          }
        }
        expect(answerOf(state)).toMatchObject({ text, verified: true });
        expect(state.runs.size).toBe(0);
      }),
      { numRuns: 500 },
    );
  });

  it("needs no repair where only overlaps and repeats occur", () => {
    const steps = fc.array(fc.tuple(fc.nat({ max: 9 }), fc.nat({ max: 9 })), { maxLength: 40 });
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 80 }), steps, (text, pairs) => {
        let state = started;
        let end = 0;
        for (const [back, ahead] of pairs) {
          const from = Math.max(0, end - back);
          end = Math.max(end, Math.min(text.length, from + ahead));
          const step = applyFrame(state, delta(from, text.slice(from, end)));
          expect(step.replies).toEqual([]);
          state = step.state;
          expect(answerOf(state)?.text).toBe(text.slice(0, end));
        }
        const { state: over, replies } = play([delta(end, text.slice(end)), done(text)], state);
        expect(replies).toEqual([]);
        expect(answerOf(over)).toMatchObject({ text, verified: true });
      }),
    );
  });
});
