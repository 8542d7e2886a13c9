/** What the conversation knows of an answer beyond its text: its place in line, and who wrote it. */
import { crc32 } from "node:zlib";
import { describe, expect, it } from "vitest";
import { applyFrame, type Conversation, EMPTY_CONVERSATION, liveRun } from "../src/conversation.js";
import type { RunDoneFrame, RunPhaseFrame, ServerFrame } from "../src/frames.js";

const TEXT = "Because";

const BEGINNING: ServerFrame[] = [
  {
    type: "welcome",
    protocol: "chat.v1",
    session: "s1",
    epoch: "e1",
    seq: 0,
    recovered: "new",
  },
  {
    type: "message",
    seq: 1,
    message: { id: "m1", role: "user", text: "Why?", status: "complete", run: "r1" },
  },
  { type: "run.start", seq: 2, run: "r1", message: "a1", for: "m1", model: "small" },
];

const WRITTEN: ServerFrame = { type: "delta", run: "r1", off: 0, text: TEXT };

function play(frames: ServerFrame[], from?: Conversation): Conversation {
  const start = from ?? play(BEGINNING, EMPTY_CONVERSATION);
  return frames.reduce((state, frame) => applyFrame(state, frame).state, start);
}

function done(more: Partial<RunDoneFrame> = {}): RunDoneFrame {
  const sum = crc32(TEXT).toString(16).padStart(8, "0");
  const ends = { run: "r1", message: "a1", status: "complete", len: TEXT.length } as const;
  return { type: "run.done", seq: 3, ...ends, crc32: sum, ...more };
}

function queued(position?: number): RunPhaseFrame {
  return { type: "run.phase", run: "r1", phase: "queued", ...(position && { position }) };
}

const answer = (state: Conversation) => state.messages.find(({ id }) => id === "a1");

describe("the place in line", () => {
  it("is the newest one that was told", () => {
    expect(liveRun(play([queued(3)]))).toMatchObject({ phase: "queued", position: 3 });
    expect(liveRun(play([queued(3), queued(1)]))).toMatchObject({ phase: "queued", position: 1 });
  });

  it("may be unknown", () => {
    const run = liveRun(play([queued(3), queued()]));
    expect(run?.phase).toBe("queued");
    expect(run?.position).toBeUndefined();
  });

  it("is gone with the next phase, and with text of which no phase was told", () => {
    const working: ServerFrame = { type: "run.phase", run: "r1", phase: "retrieving" };
    for (const [next, phase] of [
      [working, "retrieving"],
      [WRITTEN, "streaming"],
    ] as const) {
      const run = liveRun(play([queued(3), next]));
      expect(run?.phase).toBe(phase);
      expect(run?.position).toBeUndefined();
    }
  });

  it("comes with a snapshot", () => {
    const runs = [
      { run: "r1", message: "a1", off: 0, text: "", phase: "queued", position: 2 } as const,
    ];
    const snapshot: ServerFrame = { type: "snapshot", seq: 2, messages: [], runs };
    expect(liveRun(play([snapshot]))).toMatchObject({ phase: "queued", position: 2 });
  });
});

describe("who wrote an answer", () => {
  const failover: ServerFrame = { type: "failover", run: "r1", keep: 0, to: "second-target" };

  it("is who its end names, whoever was named before", () => {
    const ended = done({ model: "large" });
    expect(answer(play([WRITTEN, ended]))?.model).toBe("large");
    expect(answer(play([failover, WRITTEN, ended]))?.model).toBe("large");
  });

  it("stays who it was when the end names nobody", () => {
    expect(answer(play([WRITTEN, done()]))?.model).toBe("small");
    expect(answer(play([failover, WRITTEN, done()]))?.model).toBe("second-target");
  });

  it("is not changed by a failover that comes again while the text is being mended", () => {
    const lost: ServerFrame = { ...WRITTEN, text: "Bezause" };
    const mended = play([lost, done({ model: "large" }), failover, WRITTEN]);
    expect(answer(mended)).toMatchObject({ text: TEXT, model: "large", verified: true });
  });

  it("is the cache only where the server says so", () => {
    const kept = play([WRITTEN, done({ model: "large", cached: true })]);
    expect(answer(kept)).toMatchObject({ model: "large", cached: true, verified: true });
    expect(answer(play([WRITTEN, done({ model: "large" })]))?.cached).toBeUndefined();
    expect(answer(play([WRITTEN, done({ cached: false })]))?.cached).toBeUndefined();
  });
});
