/** What the client knows of calls that wait for somebody's word. */

import type { Approval, RivuletClient, ServerFrame } from "@rivulet/client";
import { describe, expect, it } from "vitest";
import { applyFrame, type Conversation, EMPTY_CONVERSATION } from "../src/conversation.js";
import { ask, connected, gateway, newClient, next, until } from "./client-at-gateway.js";
import type { Answer } from "./gateway-session.js";

const tools = (client: RivuletClient) =>
  client.conversation.messages.flatMap((message) =>
    message.tools.map(({ call, status }) => `${message.status}: ${call} ${status}`),
  );

/** A client whose answer waits for an approval. */
async function waiting(about: Partial<Approval> = {}) {
  const client = await connected(newClient());
  const answer = await ask(client);
  answer.write("I can do that.");
  answer.call("c_1", { args: { name: "Asha" } });
  const approval = answer.wait("c_1", about);
  answer.done("awaiting_approval");
  await until(client, () => client.conversation.messages.at(-1)?.verified);
  return { client, approval };
}

const continued = (act: () => void): Promise<Answer> =>
  new Promise((resolve) => {
    gateway.onDecided = resolve;
    act();
  });

describe("a call that waits for an approval", () => {
  it("goes on in the next answer when it is approved, here and elsewhere", async () => {
    const { client, approval } = await waiting();
    expect(tools(client)).toEqual(["awaiting_approval: c_1 waiting"]);
    const other = await connected(newClient({ session: client.session ?? "" }));
    await until(other, () => other.conversation.messages.at(-1)?.tools.length);
    const same = client.conversation.messages.at(-1)?.tools[0];
    expect(other.conversation.messages.at(-1)?.tools[0]).toEqual({ ...same, ms: 0 });
    const answer = await continued(() => other.decide(approval, "approved", "Fine"));
    answer.call("c_2");
    answer.result("c_2");
    answer.write("Done.");
    answer.done();
    for (const one of [client, other]) {
      await until(one, () => one.conversation.messages.at(-1)?.text === "Done.");
      await until(one, () => one.conversation.messages.at(-1)?.verified);
      expect(tools(one)).toEqual(["awaiting_approval: c_1 approved", "complete: c_2 ok"]);
      expect(one.conversation.messages.map(({ role }) => role)).toEqual([
        "user",
        "assistant",
        "assistant",
      ]);
      const [decided] = one.conversation.messages[1]?.tools ?? [];
      expect(decided?.approval).toEqual({ ...approval, by: "alice", comment: "Fine" });
      expect(one.outgoing).toEqual([]);
    }
    expect(gateway.heard.findLast(({ type }) => type === "approve")).toMatchObject({
      approval: approval.id,
      digest: approval.digest,
      decision: "approved",
      comment: "Fine",
    });
  });

  it("is decided once, however often the connection breaks", async () => {
    const { client, approval } = await waiting();
    gateway.intercept = (frame, socket) => {
      if (frame.type !== "approve") return false;
      gateway.intercept = () => false;
      socket.send = () => {};
      setImmediate(() => socket.terminate());
      return false;
    };
    const refused = next(client, "refused");
    await continued(() => client.decide(approval, "denied"));
    // The gateway was told twice: it has done it once, and says so.
    expect((await refused).error.code).toBe("already_decided");
    await until(client, () => tools(client)[0] === "awaiting_approval: c_1 denied");
    expect(client.outgoing).toEqual([]);
  });

  it("that is refused comes back with the reason", async () => {
    const { client, approval } = await waiting();
    for (const [what, code] of [
      [{ ...approval, id: "a_other" }, "not_found"],
      [{ ...approval, digest: "e".repeat(64) }, "digest_mismatch"],
    ] as const) {
      const refused = next(client, "refused");
      const id = client.decide(what, "approved");
      const { error, frame } = await refused;
      expect([frame.id, frame.type, error.code]).toEqual([id, "approve", code]);
    }
    expect(tools(client)).toEqual(["awaiting_approval: c_1 waiting"]);
  });

  it("is set aside when something else is asked", async () => {
    const { client } = await waiting();
    const answer = await ask(client, "Something else");
    answer.done();
    await until(client, () => client.conversation.messages.length === 4);
    expect(tools(client)).toEqual(["awaiting_approval: c_1 superseded"]);
  });

  it("is the same in a page of the history", async () => {
    const { client, approval } = await waiting();
    const later = newClient({ session: client.session ?? "" });
    later.connect();
    const snapshot = await next(later, "snapshot");
    expect(snapshot.messages.at(-1)?.tools?.[0]).toMatchObject({ status: "waiting", approval });
    expect(tools(later)).toEqual(tools(client));
  });
});

describe("events of approvals", () => {
  const approval = { id: "a_1", digest: "d", approver: "user", expires_at: "2100-01-01T00:00:00Z" };
  const about = { message: "m_1", call: "c_1", approval: "a_1" };
  const resolved: ServerFrame = { type: "approval.resolved", seq: 5, ...about, decision: "denied" };
  const play = (frames: readonly ServerFrame[], from: Conversation) =>
    frames.reduce((state, frame) => applyFrame(state, frame).state, from);
  const waits = play(
    [
      {
        type: "welcome",
        protocol: "chat.v1",
        session: "s",
        epoch: "e",
        seq: 0,
        recovered: "new",
      },
      { type: "run.start", seq: 1, run: "r_1", message: "m_1" },
      { type: "tool.call", seq: 2, run: "r_1", call: "c_1", tool: "t", title: "T", off: 0 },
      { type: "approval.request", seq: 3, run: "r_1", call: "c_1", approval },
    ],
    EMPTY_CONVERSATION,
  );
  /** Its text is not there yet, so it is still being checked. */
  const unchecked: ServerFrame = {
    type: "run.done",
    seq: 4,
    run: "r_1",
    message: "m_1",
    status: "awaiting_approval",
    len: 2,
    crc32: "d8932aac",
  };
  const status = (state: Conversation) => state.messages.at(-1)?.tools[0]?.status;

  it("are kept by an answer whose text is still being checked", () => {
    const state = play([unchecked, resolved], waits);
    expect(state.runs.size).toBe(1);
    expect(status(state)).toBe("denied");
    const whole = play([{ type: "delta", run: "r_1", off: 0, text: "hi" }], state);
    expect([whole.runs.size, whole.messages.at(-1)?.verified]).toEqual([0, true]);
    expect(status(whole)).toBe("denied");
  });

  it("count once, and only for the approval that they name", () => {
    const done = play([unchecked], waits);
    const elsewhere = { ...resolved, approval: "a_2" } as ServerFrame;
    expect(status(play([elsewhere], done))).toBe("waiting");
    expect(status(play([{ ...resolved, message: "m_2" } as ServerFrame], done))).toBe("waiting");
    const once = play([resolved], done);
    const twice = play([{ ...resolved, decision: "approved" } as ServerFrame], once);
    expect(twice).toBe(once);
    const later = { ...resolved, seq: 6, decision: "approved" } as ServerFrame;
    expect(status(play([later], once))).toBe("denied");
  });
});
