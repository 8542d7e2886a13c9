import { answered, type RivuletClient } from "@rivulet/client";
import { describe, expect, it, vi } from "vitest";
import {
  answerOf,
  ask,
  checkedAnswer,
  connected,
  gateway,
  newClient,
  next,
  shortTimeout,
  until,
} from "./client-at-gateway.js";
import { memory } from "./memory.js";

const TEXT = "Because 🌊 water finds its way, — always. ".repeat(20);

describe("a conversation", () => {
  it("is answered", async () => {
    const client = await connected(newClient());
    const answer = await ask(client);
    answer.write(TEXT);
    answer.done();
    expect(await checkedAnswer(client)).toMatchObject({
      text: TEXT,
      status: "complete",
      verified: true,
    });
    expect(client.conversation.messages.map(({ role }) => role)).toEqual(["user", "assistant"]);
    expect(client.outgoing).toEqual([]);
  });

  it("takes a message before there is a connection", async () => {
    const client = newClient();
    const question = ask(client);
    expect(client.outgoing).toHaveLength(1);
    client.connect();
    (await question).done();
    await checkedAnswer(client);
  });

  it("can be stopped, and keeps what was written", async () => {
    const client = await connected(newClient());
    const answer = await ask(client);
    answer.write("Bec");
    await until(client, () => answerOf(client)?.text);
    client.stop();
    expect(await checkedAnswer(client)).toMatchObject({ text: "Bec", status: "stopped" });
  });

  it("answers pings with what they carried", async () => {
    const client = await connected(newClient());
    const pong = new Promise((resolve) => {
      gateway.intercept = (frame) => {
        resolve(frame);
        return true;
      };
    });
    gateway.sessions.get(client.session ?? "")?.broadcast({ type: "ping", t: 17 });
    expect(await pong).toEqual({ type: "pong", t: 17 });
  });

  it("gives a refused message back", async () => {
    const client = await connected(newClient());
    await ask(client);
    const refused = next(client, "refused");
    client.send("Me too");
    expect(await refused).toMatchObject({ frame: { text: "Me too" }, error: { code: "busy" } });
    expect(client.outgoing).toEqual([]);
  });
});

describe("a lost connection", () => {
  it("in the middle of an answer loses and doubles nothing, however often", async () => {
    const client = await connected(newClient());
    const answer = await ask(client);
    const letters = [...TEXT];
    while (letters.length > 0) {
      answer.write(letters.splice(0, 40).join(""));
      // Cut when some of it has arrived and more is on its way.
      await until(client, () => (answerOf(client)?.text.length ?? 0) > 0);
      answer.write(letters.splice(0, 7).join(""));
      gateway.cut();
      answer.write(letters.splice(0, 9).join(""));
      await next(client, "welcome");
    }
    answer.done();
    expect(await checkedAnswer(client)).toMatchObject({ text: TEXT, verified: true });
    const resumes = gateway.upgrades.slice(1).map(({ searchParams }) => searchParams.get("resume"));
    expect(resumes.every((cursor) => /^[^:]+:\d+:r_\w+:\d+$/.test(cursor ?? ""))).toBe(true);
  });

  it("while the answer ends brings its end afterwards", async () => {
    const client = await connected(newClient());
    const answer = await ask(client);
    answer.write("Beca");
    await until(client, () => answerOf(client)?.text);
    gateway.cut();
    answer.write("use");
    answer.done();
    expect(await checkedAnswer(client)).toMatchObject({ text: "Because", verified: true });
  });

  it("before the acknowledgement repeats the message with the same id", async () => {
    const client = await connected(newClient());
    let asked = 0;
    gateway.intercept = (frame, socket) => {
      if (frame.type !== "send" || asked++ > 0) return false;
      socket.terminate();
      return true;
    };
    (await ask(client)).done();
    await checkedAnswer(client);
    const ids = gateway.heard.filter(({ type }) => type === "send").map(({ id }) => id);
    expect(ids).toHaveLength(2);
    expect(new Set(ids).size).toBe(1);
    expect(client.conversation.messages).toHaveLength(2);
  });

  it("does not swallow a stop", async () => {
    const client = await connected(newClient());
    const answer = await ask(client);
    answer.write("Bec");
    await until(client, () => answerOf(client)?.text);
    gateway.cut();
    await until(client, () => client.state.name === "reconnecting");
    client.stop();
    expect(await checkedAnswer(client)).toMatchObject({ status: "stopped" });
  });

  it("that nobody reports is noticed by the silence", async () => {
    gateway.heartbeatSeconds = 0.05;
    const client = await connected(newClient());
    const lost = await until(client, () => client.state.name === "reconnecting" && client.state);
    expect(lost.why).toBe("No sign of life");
    gateway.heartbeatSeconds = 25;
    await until(client, () => client.state.name === "connected");
  });
});

describe("a damaged text", () => {
  it("is fetched again", async () => {
    const client = await connected(newClient());
    const answer = await ask(client);
    const session = gateway.sessions.get(client.session ?? "");
    session?.broadcast({ type: "delta", run: answer.run, off: 0, text: "XXX" });
    answer.write("Because");
    answer.done();
    expect(await checkedAnswer(client)).toMatchObject({ text: "Because", verified: true });
    expect(gateway.heard.at(-1)).toMatchObject({ type: "sync", off: 0 });
  });
});

describe("a reload", () => {
  it("comes back to the conversation, and to the answer that is being written", async () => {
    const storage = memory();
    const before = await connected(newClient({ storage }));
    const answer = await ask(before);
    answer.write("Bec");
    await until(before, () => answerOf(before)?.text);
    before.close();
    const after = await connected(newClient({ storage }));
    expect(after.session).toBe(before.session);
    answer.write("ause");
    answer.done();
    expect(await checkedAnswer(after)).toMatchObject({ text: "Because", verified: true });
    expect(after.conversation.messages.map(({ role }) => role)).toEqual(["user", "assistant"]);
  });

  it("of a session that is gone starts a new one", async () => {
    const client = newClient({ session: "long-gone" });
    const lost = next(client, "sessionLost");
    await connected(client);
    expect(await lost).toEqual({ session: "long-gone", known: false });
    expect(gateway.sessions.has(client.session ?? "")).toBe(true);
  });

  it("does so as well where it is told behind the token, and what was asked is answered", async () => {
    gateway.token = "secret";
    gateway.onQuestion = (answer) => {
      answer.write("Because");
      answer.done();
    };
    const storage = memory();
    storage.setItem("rivulet.session", "long-gone");
    const client = newClient({ storage, token: () => "secret" });
    const states: string[] = [];
    client.on("state", ({ name }) => states.push(name));
    const lost = next(client, "sessionLost");
    const answer = answered(client, client.send("Why?"));
    client.connect();
    expect(await answer).toMatchObject({ text: "Because" });
    expect(await lost).toEqual({ session: "long-gone", known: false });
    expect(states).toEqual(["connecting", "connecting", "connected"]);
  });

  it("is left alone where the program closes at the news", async () => {
    gateway.token = "secret";
    const client = newClient({ session: "long-gone", token: () => "secret" });
    client.on("sessionLost", () => client.close());
    const states: string[] = [];
    client.on("state", ({ name }) => states.push(name));
    client.connect();
    await until(client, () => client.state.name === "closed");
    await new Promise((resolve) => setImmediate(resolve));
    expect(states).toEqual(["connecting", "closed"]);
  });
});

describe("a long conversation", () => {
  /** A client of a conversation with so many messages. */
  async function reader(count: number): Promise<RivuletClient> {
    const session = gateway.newSession();
    const part = { role: "user", status: "complete", run: "r_0" };
    for (let n = 0; n < count; n++) session.messages.push({ ...part, id: `m_${n}`, text: `${n}` });
    session.record({ type: "message", message: session.messages.at(-1) });
    const client = await connected(newClient({ session: session.id }));
    await until(client, () => client.conversation.messages.length > 0);
    return client;
  }

  const texts = (client: RivuletClient) => client.conversation.messages.map(({ text }) => text);
  const numbers = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, n) => String(from + n));

  it("is fetched page by page, each once", async () => {
    const client = await reader(130);
    expect(texts(client)).toEqual(numbers(80, 130));
    await Promise.all([client.loadOlder(), client.loadOlder()]);
    expect(texts(client)).toEqual(numbers(30, 130));
    expect(client.conversation.older).toBe(true);
    await client.loadOlder();
    await client.loadOlder();
    expect(texts(client)).toEqual(numbers(0, 130));
    expect(client.conversation.older).toBe(false);
  });

  it("whose earlier part does not come says so, and can be asked again", async () => {
    const client = await reader(60);
    gateway.silent = true;
    vi.spyOn(AbortSignal, "timeout").mockImplementation(shortTimeout);
    await expect(client.loadOlder()).rejects.toThrow("timeout");
    gateway.silent = false;
    vi.restoreAllMocks();
    await client.loadOlder();
    expect(texts(client)).toEqual(numbers(0, 60));
  });

  it("whose earlier part cannot be had says so, and can be asked again", async () => {
    const client = await reader(60);
    const sessions = new Map(gateway.sessions);
    gateway.sessions.clear();
    await expect(client.loadOlder()).rejects.toThrow("404");
    for (const [id, session] of sessions) gateway.sessions.set(id, session);
    await client.loadOlder();
    expect(texts(client)).toEqual(numbers(0, 60));
  });
});

describe("a new epoch", () => {
  it("replaces what was there by a snapshot", async () => {
    const client = await connected(newClient());
    const answer = await ask(client);
    answer.write("Because");
    answer.done();
    await checkedAnswer(client);
    const session = gateway.sessions.get(client.session ?? "");
    if (session) session.epoch = "restarted";
    gateway.cut();
    const snapshot = await next(client, "snapshot");
    expect(snapshot.messages).toHaveLength(2);
    expect(client.cursor).toBe(`restarted:${snapshot.seq}`);
    expect(answerOf(client)).toMatchObject({ text: "Because", status: "complete" });
  });
});

describe("a second tab", () => {
  it("sees the same conversation live", async () => {
    const first = await connected(newClient());
    const second = await connected(newClient({ session: first.session ?? "" }));
    const answer = await ask(first);
    answer.write("Because");
    answer.done();
    const both = await Promise.all([checkedAnswer(first), checkedAnswer(second)]);
    expect(both.map(({ text }) => text)).toEqual(["Because", "Because"]);
  });
});
