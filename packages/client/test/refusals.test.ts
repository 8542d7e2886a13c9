import { describe, expect, it, vi } from "vitest";
import {
  ask,
  checkedAnswer,
  connected,
  gateway,
  newClient,
  next,
  shortTimeout,
  until,
} from "./client-at-gateway.js";

describe("a message with more bytes than a frame may have", () => {
  // As many characters as any text may have, but four bytes each.
  const huge = "🌊".repeat(16_384);

  it("is given back, and the connection holds", async () => {
    const client = await connected(newClient());
    const errors: string[] = [];
    client.on("error", ({ code }) => errors.push(code));
    const refused = next(client, "refused");
    client.send(huge);
    expect(await refused).toMatchObject({ frame: { text: huge }, error: { code: "too_large" } });
    expect(errors).toEqual(["too_large"]);
    expect(client.outgoing).toEqual([]);
    (await ask(client)).done();
    await checkedAnswer(client);
    expect(gateway.upgrades).toHaveLength(1);
  });

  it("is given back as soon as the limit is known", async () => {
    const client = newClient();
    client.send(huge);
    const refused = next(client, "refused");
    await connected(client);
    expect(await refused).toMatchObject({ frame: { text: huge }, error: { code: "too_large" } });
    (await ask(client)).done();
    await checkedAnswer(client);
    expect(gateway.upgrades).toHaveLength(1);
  });
});

describe("a refused upgrade", () => {
  it("is asked about at first, then after every fourth", async () => {
    const client = await connected(newClient());
    gateway.refusals = 9;
    gateway.cut();
    await next(client, "welcome");
    expect(gateway.requests).toHaveLength(3);
  });

  it("is given up asking about after 10 s", async () => {
    const client = await connected(newClient());
    gateway.refusals = 1;
    gateway.silent = true;
    vi.spyOn(AbortSignal, "timeout").mockImplementation(shortTimeout);
    gateway.cut();
    await next(client, "welcome");
    expect(AbortSignal.timeout).toHaveBeenCalledWith(10_000);
  });
});

describe("a close by the server", () => {
  it("for good is shown and not argued with", async () => {
    const client = await connected(newClient());
    gateway.closeAll(4010);
    const state = await until(client, () => client.state.name === "closed" && client.state);
    expect(state).toEqual({ name: "closed", code: 4010, why: "Access was revoked" });
    expect(gateway.upgrades).toHaveLength(1);
  });

  it("after an announcement is waited for as announced", async () => {
    const client = await connected(newClient());
    const goaway = { type: "goaway", reason: "drain", retry_in_ms: 60_000, deadline_ms: 90_000 };
    gateway.sessions.get(client.session ?? "")?.broadcast(goaway);
    await next(client, "goaway");
    gateway.closeAll(1001);
    const state = await until(client, () => client.state.name === "reconnecting" && client.state);
    expect(state.retryAt - Date.now()).toBeGreaterThan(50_000);
  });

  it("long after an announcement is waited for as announced, too", async () => {
    const client = await connected(newClient());
    const answer = await ask(client);
    const session = gateway.sessions.get(client.session ?? "");
    const goaway = { type: "goaway", reason: "drain", retry_in_ms: 200, deadline_ms: 90_000 };
    session?.broadcast(goaway);
    await until(client, () => client.state.name === "connected" && client.state.leaving);
    // Longer than the announced time: an answer that is being written is waited for.
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(gateway.upgrades).toHaveLength(1);
    answer.write("Because");
    answer.done();
    gateway.closeAll(1001);
    const state = await until(client, () => client.state.name === "reconnecting" && client.state);
    expect(state).toMatchObject({ announced: true });
    expect(state.retryAt - Date.now()).toBeGreaterThan(100);
    expect(await checkedAnswer(client)).toMatchObject({ text: "Because", verified: true });
  });

  it("of a session that was deleted keeps the messages on the screen", async () => {
    const client = await connected(newClient());
    (await ask(client)).done();
    await checkedAnswer(client);
    gateway.sessions.clear();
    gateway.cut();
    const state = await until(client, () => client.state.name === "closed" && client.state);
    expect(state.code).toBe(4004);
    expect(client.conversation.messages).toHaveLength(2);
    client.newSession();
    await until(client, () => client.state.name === "connected");
    expect(client.conversation.messages).toEqual([]);
  });
});

describe("a message for which the budget does not last", () => {
  const spent = (re: string | undefined) =>
    JSON.stringify({
      type: "error",
      re,
      code: "budget_exhausted",
      message: "spent",
      retryable: true,
      retry_in_ms: 60_000,
    });
  const sent = () => gateway.heard.filter(({ type }) => type === "send");

  it("is given back with its time, and not sent again before anybody asks for it", async () => {
    const client = await connected(newClient());
    gateway.intercept = (frame, socket) => {
      if (frame.type === "send") socket.send(spent(frame.id));
      return frame.type === "send";
    };
    const refused = next(client, "refused");
    client.send("Why?");
    expect(await refused).toMatchObject({
      frame: { type: "send", text: "Why?" },
      error: { code: "budget_exhausted", retry_in_ms: 60_000 },
    });
    expect(client.outgoing).toEqual([]);
    gateway.cut();
    await next(client, "welcome");
    gateway.intercept = () => false;
    (await ask(client)).done();
    await checkedAnswer(client);
    expect(sent()).toHaveLength(2);
  });

  it("is given back by a gateway on its way out, too", async () => {
    const client = await connected(newClient());
    gateway.intercept = (frame, socket) => {
      if (frame.type !== "send") return false;
      const goaway = { type: "goaway", reason: "drain", retry_in_ms: 0, deadline_ms: 1000 };
      socket.send(JSON.stringify(goaway));
      socket.send(spent(frame.id));
      socket.close(1001);
      return true;
    };
    const refused = next(client, "refused");
    const back = next(client, "welcome");
    client.send("Why?");
    expect(await refused).toMatchObject({ frame: { text: "Why?" } });
    await back;
    expect(client.outgoing).toEqual([]);
    expect(sent()).toHaveLength(1);
  });
});

describe("a message that a gateway on its way out refuses", () => {
  it("is sent again to the next one", async () => {
    const client = await connected(newClient());
    gateway.intercept = (frame, socket) => {
      if (frame.type !== "send") return false;
      gateway.intercept = () => false;
      const goaway = { type: "goaway", reason: "drain", retry_in_ms: 0, deadline_ms: 1000 };
      const busy = { type: "error", re: frame.id, code: "busy", message: "going", retryable: true };
      socket.send(JSON.stringify(goaway));
      socket.send(JSON.stringify(busy));
      socket.close(1001);
      return true;
    };
    const refused = vi.fn();
    client.on("refused", refused);
    (await ask(client)).done();
    await checkedAnswer(client);
    expect(refused).not.toHaveBeenCalled();
    expect(gateway.upgrades).toHaveLength(2);
  });
});
