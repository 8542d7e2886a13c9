/** What the client knows of the tools that an answer has called. */
import { crc32 } from "node:zlib";
import type { ServerFrame, ToolCall } from "@rivulet/client";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  applyFrame,
  type Conversation,
  cursorOf,
  EMPTY_CONVERSATION,
  withOlder,
} from "../src/conversation.js";
import {
  answerOf,
  ask,
  checkedAnswer,
  connected,
  gateway,
  newClient,
  until,
} from "./client-at-gateway.js";

const statuses = (tools: readonly ToolCall[] = []) =>
  tools.map(({ call, status }) => `${call} ${status}`);

describe("a call of a tool", () => {
  it("belongs to its answer, with what came of it", async () => {
    const client = await connected(newClient());
    const answer = await ask(client);
    answer.write("Let me see. ");
    answer.phase("tool");
    answer.call("c_1", { args: { months: 36 } });
    const call = await until(client, () => answerOf(client)?.tools[0]);
    expect(call).toEqual({
      call: "c_1",
      tool: "emi",
      title: "Monthly instalment",
      args: { months: 36 },
      off: 12,
      status: "running",
    });
    answer.result("c_1", "ok", { summary: "16,251.22 a month", data: { emi: 16_251.22 } });
    answer.write("It is 16,251.22.");
    answer.done();
    const { text, tools } = await checkedAnswer(client);
    expect(text).toBe("Let me see. It is 16,251.22.");
    const result = { status: "ok", ms: 3, summary: "16,251.22 a month", data: { emi: 16_251.22 } };
    expect(tools).toEqual([{ ...call, ...result }]);
  });

  it("tells how far it is while it runs, also to who comes back, and not afterwards", async () => {
    const client = await connected(newClient());
    const answer = await ask(client);
    answer.call("c_1");
    answer.progress("c_1", { progress: 0.4, message: "page 2 of 5" });
    const told = () => answerOf(client)?.tools[0]?.progress;
    expect(await until(client, told)).toEqual({ progress: 0.4, message: "page 2 of 5" });
    answer.progress("c_2", { progress: 1 });
    answer.progress("c_1", { message: "page 3" });
    await until(client, () => told()?.message === "page 3");
    expect(told()).toEqual({ message: "page 3" });
    answer.result("c_1", "ok", { summary: "5 pages" });
    answer.done();
    const { tools } = await checkedAnswer(client);
    expect(tools[0]).not.toHaveProperty("progress");
  });

  it("is there once, however often the connection breaks", async () => {
    const client = await connected(newClient());
    const answer = await ask(client);
    const cut = async (): Promise<void> => {
      gateway.cut();
      await until(client, () => client.state.name === "reconnecting");
      await until(client, () => client.state.name === "connected");
    };
    answer.write("Let me see. ");
    answer.call("c_1");
    await until(client, () => answerOf(client)?.tools.length === 1);
    await cut();
    answer.call("c_2", { title: "Time" });
    answer.result("c_1");
    await cut();
    answer.result("c_2", "timeout");
    await until(client, () => answerOf(client)?.tools[1]?.status === "timeout");
    await cut();
    answer.write("Here.");
    answer.done();
    const { tools, verified } = await checkedAnswer(client);
    expect(statuses(tools)).toEqual(["c_1 ok", "c_2 timeout"]);
    expect(verified).toBe(true);
    const seqs = gateway.sessions.get(client.session ?? "")?.log.map(({ seq }) => seq);
    expect(client.cursor?.endsWith(`:${seqs?.at(-1)}`)).toBe(true);
  });

  it("is the same in a snapshot, while the answer is written and afterwards", async () => {
    const client = await connected(newClient());
    const answer = await ask(client);
    answer.write("Let me see. ");
    answer.call("c_1", { args: [1, 2] });
    const session = client.session ?? "";
    const second = newClient({ session });
    second.connect();
    const live = await until(
      second,
      () => answerOf(second)?.tools.length === 1 && answerOf(second),
    );
    expect(live?.tools).toEqual(answer.tools);
    answer.result("c_1", "error", { summary: "No such product" });
    answer.done();
    const { tools } = await checkedAnswer(second);
    expect(statuses(tools)).toEqual(["c_1 error"]);
    const third = newClient({ session });
    third.connect();
    expect(await until(third, () => answerOf(third)?.tools)).toEqual(tools);
  });

  it("that has no result when its answer ends is cancelled", async () => {
    const client = await connected(newClient());
    const answer = await ask(client);
    answer.call("c_1");
    answer.call("c_2");
    answer.result("c_1");
    await until(client, () => answerOf(client)?.tools[0]?.status === "ok");
    client.stop();
    const { status, tools } = await checkedAnswer(client);
    expect(status).toBe("stopped");
    expect(statuses(tools)).toEqual(["c_1 ok", "c_2 cancelled"]);
  });
});

const call = (seq: number, id: string, off: number): ServerFrame => {
  return { type: "tool.call", seq, run: "r1", call: id, tool: "emi", title: "Instalment", off };
};
const result = (seq: number, id: string, status = "ok"): ServerFrame => {
  return { type: "tool.result", seq, run: "r1", call: id, status, ms: 3 };
};
const delta = (off: number, text: string): ServerFrame => ({ type: "delta", run: "r1", off, text });
const done = (seq: number, text: string): ServerFrame => {
  const about = { run: "r1", message: "a1", status: "complete", len: text.length } as const;
  const sum = crc32(text).toString(16).padStart(8, "0");
  return { type: "run.done", seq, ...about, crc32: sum };
};

function play(frames: ServerFrame[], from: Conversation = EMPTY_CONVERSATION) {
  let state = from;
  const replies: object[] = [];
  for (const frame of frames) {
    const step = applyFrame(state, frame);
    state = step.state;
    replies.push(...step.replies);
  }
  return { state, replies };
}

const WELCOME = {
  protocol: "chat.v1",
  session: "s1",
  epoch: "e1",
  seq: 0,
  recovered: "new",
} as const;
const started = play([
  { type: "welcome", ...WELCOME },
  { type: "run.start", seq: 1, run: "r1", message: "a1" },
]).state;
const last = ({ messages }: Conversation) => messages.at(-1);

describe("events of tools", () => {
  it("count like all others, and are taken once", () => {
    const { state } = play([delta(0, "So "), call(2, "c_1", 3), result(3, "c_1")], started);
    expect(cursorOf(state)).toBe("e1:3:r1:3");
    expect(play([call(2, "c_1", 3), result(3, "c_1", "error")], state).state).toBe(state);
    expect(statuses(last(state)?.tools)).toEqual(["c_1 ok"]);
  });

  it("with a status that is not known yet have it as it is", () => {
    const { state } = play([call(2, "c_1", 0), result(3, "c_1", "denied")], started);
    expect(statuses(last(state)?.tools)).toEqual(["c_1 denied"]);
  });

  it("about calls or runs that are not known change nothing", () => {
    const { state } = play([call(2, "c_1", 0), result(3, "c_9")], started);
    expect(statuses(last(state)?.tools)).toEqual(["c_1 running"]);
    const elsewhere = { ...call(4, "c_2", 0), run: "r9" } as ServerFrame;
    expect(last(play([elsewhere], state).state)).toBe(last(state));
  });

  it("keep what was written before the call from a failover", () => {
    const withdrawn: ServerFrame = { type: "failover", run: "r1", keep: 2, to: "large" };
    const { state } = play([delta(0, "So far. "), call(2, "c_1", 8), result(3, "c_1")], started);
    const failed = play([delta(8, "It w"), withdrawn], state);
    expect(last(failed.state)?.text).toBe("So far. ");
    const over = play([delta(8, "It is"), done(4, "So far. It is")], failed.state);
    expect(last(over.state)).toMatchObject({
      text: "So far. It is",
      verified: true,
      model: "large",
    });
    expect(over.replies).toEqual([]);
  });

  it("of stored messages are over, too", () => {
    const tools = [
      { call: "c_1", tool: "emi", title: "Instalment", off: 0, status: "ok", ms: 3 },
      { call: "c_2", tool: "emi", title: "Instalment", off: 0, status: "running" },
    ];
    const stored = { id: "a0", role: "assistant", text: "", status: "interrupted", tools } as const;
    const page = { messages: [{ ...stored, tools }], more: false };
    const state = withOlder({ ...started, older: true }, "s1", "a1", page);
    expect(statuses(state.messages[0]?.tools)).toEqual(["c_1 ok", "c_2 cancelled"]);
  });

  it("leave one entry for each call and an exact text, however they are repeated", () => {
    const story = fc.record({
      rounds: fc.array(
        fc.record({
          text: fc.string({ unit: "grapheme", maxLength: 12 }),
          calls: fc.integer({ min: 0, max: 3 }),
          answered: fc.boolean(),
        }),
        { maxLength: 5 },
      ),
      repeats: fc.array(fc.tuple(fc.nat(), fc.nat({ max: 6 })), { maxLength: 12 }),
    });
    fc.assert(
      fc.property(story, ({ rounds, repeats }) => {
        const frames: ServerFrame[] = [];
        const wanted: string[] = [];
        let text = "";
        let seq = 1;
        for (const round of rounds) {
          frames.push(delta(text.length, round.text));
          text += round.text;
          const ids = Array.from({ length: round.calls }, (_, at) => `c_${wanted.length + at}`);
          for (const id of ids) frames.push(call(++seq, id, text.length));
          if (round.answered) for (const id of ids) frames.push(result(++seq, id));
          wanted.push(...ids.map((id) => `${id} ${round.answered ? "ok" : "cancelled"}`));
        }
        // A resuming server goes back to some earlier frame, and on from there.
        const told = frames.flatMap((frame, at) => {
          const back = repeats.find(([where]) => where % frames.length === at)?.[1] ?? 0;
          return [...frames.slice(Math.max(0, at - back), at), frame];
        });
        const { state, replies } = play([...told, done(++seq, text)], started);
        expect(replies).toEqual([]);
        expect(last(state)).toMatchObject({ text, verified: true });
        expect(statuses(last(state)?.tools)).toEqual(wanted);
      }),
    );
  });
});
