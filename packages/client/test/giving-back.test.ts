/** Messages that the gateway can never take: they come back, once, and nothing waits for them. */

import type { RivuletClient } from "@rivulet/client";
import { describe, expect, it } from "vitest";
import type { WebSocket } from "ws";
import {
  ask,
  checkedAnswer,
  connected,
  gateway,
  newClient,
  next,
  until,
} from "./client-at-gateway.js";

const BAD = "bad";
const isBad = (text: string | undefined): boolean => text === BAD;
const sent = () => gateway.heard.filter(({ type }) => type === "send").map(({ text }) => text);
const texts = (client: RivuletClient) =>
  client.conversation.messages.filter(({ role }) => role === "user").map(({ text }) => text);

/** Every text that came back, with the code of its error. */
function returned(client: RivuletClient): string[] {
  const all: string[] = [];
  client.on("refused", ({ error, frame }) => {
    all.push(`${error.code}: ${frame.type === "send" ? frame.text : frame.type}`);
  });
  return all;
}

function answerAll(): void {
  gateway.onQuestion = (answer) => answer.done();
}

/** The gateway does `punish` instead of reading the bad message. */
function punishing(punish: (socket: WebSocket, id: string | undefined) => void): void {
  gateway.intercept = (frame, socket) => {
    if (!isBad(frame.text)) return false;
    punish(socket, frame.id);
    return true;
  };
}

const error = (code: string, re?: string): string =>
  JSON.stringify({ type: "error", re, code, message: code, retryable: false });

describe("a message that is refused by name", () => {
  it.each([
    "bad_json",
    "invalid_field",
    "empty_text",
    "text_too_long",
    "too_large",
    "idempotency_conflict",
  ])("with %s comes back, and is not said again", async (code) => {
    const client = await connected(newClient());
    const back = returned(client);
    punishing((socket, id) => socket.send(error(code, id)));
    client.send(BAD);
    await until(client, () => client.outgoing.length === 0);
    expect(back).toEqual([`${code}: bad`]);
    gateway.cut();
    await next(client, "welcome");
    (await ask(client)).done();
    await checkedAnswer(client);
    expect(sent()).toEqual([BAD, "Why?"]);
  });
});

describe("a message that is refused without a name", () => {
  it("is found out by saying it once more, and comes back", async () => {
    const client = await connected(newClient());
    const back = returned(client);
    const errors: (string | undefined)[] = [];
    client.on("error", ({ re }) => errors.push(re));
    punishing((socket) => socket.send(error("bad_json")));
    const id = client.send(BAD);
    await until(client, () => client.outgoing.length === 0);
    expect(back).toEqual(["bad_json: bad"]);
    expect(errors).toContain(id);
    gateway.cut();
    await next(client, "welcome");
    (await ask(client)).done();
    await checkedAnswer(client);
    expect(sent()).toEqual([BAD, BAD, "Why?"]);
  });

  it("among others comes back alone", async () => {
    const client = await connected(newClient());
    const back = returned(client);
    answerAll();
    punishing((socket) => socket.send(error("bad_json")));
    for (const text of ["one", BAD, "two", BAD, "three"]) client.send(text, { mode: "queue" });
    await until(client, () => client.outgoing.length === 0 && texts(client).length === 3);
    expect(back).toEqual(["bad_json: bad", "bad_json: bad"]);
    expect(texts(client)).toEqual(["one", "two", "three"]);
  });

  it("is not the one that waits for its answer when something else was refused", async () => {
    const client = await connected(newClient());
    const back = returned(client);
    let acknowledge = (): void => {};
    gateway.intercept = (frame, socket) => {
      if (frame.type === "typing") socket.send(error("invalid_field"));
      if (frame.type !== "send" || gateway.heard.filter(({ id }) => id === frame.id).length > 1)
        return false;
      // Its commit takes long.
      const ack = { type: "ack", re: frame.id, message: frame.id, run: "r_0" };
      acknowledge = () => socket.send(JSON.stringify(ack));
      return true;
    };
    client.send("slow", { mode: "queue" });
    client.typing();
    const second = client.send("quick", { mode: "queue" });
    await until(client, () => client.outgoing.every(({ frame }) => frame.id !== second));
    acknowledge();
    expect(back).toEqual([]);
    expect(client.outgoing.filter(({ acked }) => !acked)).toEqual([]);
  });
});

describe("a message over which the socket is closed", () => {
  it.each([
    [1009, "too_large"],
    [1007, "not_taken"],
  ])("with %i comes back, and the conversation goes on", async (code, reason) => {
    const client = await connected(newClient());
    const back = returned(client);
    punishing((socket) => socket.close(code));
    client.send(BAD);
    await until(client, () => client.outgoing.length === 0);
    expect(back).toEqual([`${reason}: bad`]);
    await until(client, () => client.state.name === "connected");
    (await ask(client)).done();
    await checkedAnswer(client);
    expect(sent()).toEqual([BAD, "Why?"]);
    expect(gateway.upgrades).toHaveLength(2);
  });

  it("among others comes back alone, and the others arrive", async () => {
    const client = await connected(newClient());
    const back = returned(client);
    answerAll();
    // Whatever is on its way together with it is lost.
    let dead: WebSocket | null = null;
    gateway.intercept = (frame, socket) => {
      if (socket !== dead && isBad(frame.text)) {
        socket.close(1009);
        dead = socket;
      }
      return socket === dead;
    };
    for (const text of [BAD, "one", "two", BAD, "three"]) client.send(text, { mode: "queue" });
    await until(client, () => client.outgoing.length === 0 && texts(client).length === 3);
    expect(back).toEqual(["too_large: bad", "too_large: bad"]);
    expect(texts(client)).toEqual(["one", "two", "three"]);
  });

  it("is none when nothing was said: that ends it", async () => {
    const client = await connected(newClient());
    gateway.closeAll(1009);
    const state = await until(client, () => client.state.name === "closed" && client.state);
    expect(state.code).toBe(1009);
    expect(gateway.upgrades).toHaveLength(1);
  });
});

describe("a message to a session", () => {
  it("that is deleted comes back", async () => {
    const client = await connected(newClient());
    (await ask(client)).done();
    await checkedAnswer(client);
    const back = returned(client);
    gateway.intercept = (frame, socket) => {
      if (frame.type === "send") socket.close(4004);
      return true;
    };
    client.send("Too late");
    await until(client, () => client.state.name === "closed");
    expect(back).toEqual(["not_found: Too late"]);
    expect(client.outgoing).toEqual([]);
  });

  it.each([
    ["is not there any more", () => gateway.cut()],
    ["is told to be gone", () => gateway.closeAll(4004)],
  ])("in which nothing was said yet, and which %s, goes to a new one", async (_, lose) => {
    const client = await connected(newClient());
    const { session } = client;
    const back = returned(client);
    const lost = next(client, "sessionLost");
    answerAll();
    gateway.sessions.clear();
    lose();
    await until(client, () => client.state.name !== "connected");
    client.send("Why?");
    expect(await lost).toEqual({ session, known: true });
    await checkedAnswer(client);
    expect(texts(client)).toEqual(["Why?"]);
    expect(client.session).not.toBe(session);
    expect(back).toEqual([]);
  });

  it("that has lost what it had acknowledged is said again", async () => {
    const client = await connected(newClient());
    answerAll();
    gateway.intercept = (frame, socket) => {
      if (frame.type !== "send") return false;
      gateway.intercept = () => false;
      const ack = { type: "ack", re: frame.id, message: frame.id, run: "r_0" };
      socket.send(JSON.stringify(ack));
      setImmediate(() => socket.terminate());
      // The gateway begins anew, and knows the session by its name only.
      const session = gateway.sessions.get(client.session ?? "");
      if (session) session.epoch = "restarted";
      return true;
    };
    client.send("Why?");
    await checkedAnswer(client);
    expect(sent()).toEqual(["Why?", "Why?"]);
    expect(texts(client)).toEqual(["Why?"]);
  });
});

describe("half an emoji", () => {
  const HALVES = "a\ud83d \udc4db \ud83d\udc4d";
  const WHOLE = "a\ufffd \ufffdb 👍";

  it("never leaves for the gateway", async () => {
    const client = await connected(newClient());
    gateway.onQuestion = (answer) => {
      answer.write("Because");
      answer.done();
    };
    client.send(HALVES);
    const { id } = await checkedAnswer(client);
    client.feedback(id, 1, HALVES);
    await until(client, () => client.outgoing.length === 0);
    client.edit(client.conversation.messages[0]?.id ?? "", HALVES);
    await until(client, () => client.outgoing.length === 0);
    const said = gateway.heard.map(({ text, comment }) => text ?? comment).filter(Boolean);
    expect(said).toEqual([WHOLE, WHOLE, WHOLE]);
    expect(texts(client)).toEqual([WHOLE]);
  });
});
