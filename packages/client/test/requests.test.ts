import type { ClientFrame, RivuletClient } from "@rivulet/client";
import { describe, expect, it, vi } from "vitest";
import {
  answerOf,
  ask,
  checkedAnswer,
  connected,
  gateway,
  newClient,
  next,
  until,
} from "./client-at-gateway.js";
import type { Answer } from "./gateway-session.js";

/** A client with one finished answer. */
async function answered(text = "Because"): Promise<RivuletClient> {
  const client = await connected(newClient());
  await finish(await ask(client), client, text);
  return client;
}

async function finish(answer: Answer, client: RivuletClient, text: string): Promise<void> {
  answer.write(text);
  answer.done();
  await until(client, () => client.conversation.messages.at(-1)?.verified);
}

/** What a request does, and the answer that comes of it. */
function answerTo(request: () => void): Promise<Answer> {
  return new Promise((resolve) => {
    gateway.onQuestion = resolve;
    request();
  });
}

const texts = (client: RivuletClient) => client.conversation.messages.map(({ text }) => text);

const heard = (type: ClientFrame["type"]) => gateway.heard.filter((frame) => frame.type === type);

/** The next frame of that type is acted upon, but its answers are lost together with the socket. */
function loseAnswerTo(type: ClientFrame["type"]): void {
  gateway.intercept = (frame, socket) => {
    if (frame.type !== type) return false;
    gateway.intercept = () => false;
    socket.send = () => {};
    setImmediate(() => socket.terminate());
    return false;
  };
}

describe("an answer that is asked for again", () => {
  it("takes the place of the old one, here and elsewhere", async () => {
    const client = await answered();
    const other = await connected(newClient({ session: client.session ?? "" }));
    await until(other, () => other.conversation.messages.length === 2);
    let id = "";
    const again = await answerTo(() => {
      id = client.regenerate();
    });
    expect(again.id).toBe(id);
    await Promise.all([finish(again, client, "So"), until(other, () => texts(other)[1] === "So")]);
    expect(texts(client)).toEqual(["Why?", "So"]);
    expect(texts(other)).toEqual(["Why?", "So"]);
    expect(client.outgoing).toEqual([]);
  });

  it("is written once, also when the acknowledgement was lost", async () => {
    const client = await answered();
    loseAnswerTo("regenerate");
    const again = await answerTo(() => client.regenerate(answerOf(client)?.id));
    await finish(again, client, "So");
    await until(client, () => client.outgoing.length === 0);
    expect(texts(client)).toEqual(["Why?", "So"]);
    await vi.waitFor(() => expect(heard("regenerate")).toHaveLength(2));
    expect(new Set(heard("regenerate").map(({ id }) => id)).size).toBe(1);
  });

  it("can be stopped before it has begun", async () => {
    const client = await answered();
    const question = client.conversation.messages[0]?.id;
    gateway.intercept = ({ type }) => type === "regenerate";
    client.regenerate();
    client.stop();
    await until(client, () => client.outgoing.length === 1);
    expect(heard("stop")).toMatchObject([{ for: question }]);
  });
});

describe("an edited message", () => {
  it("replaces the old one and all after it, here and elsewhere", async () => {
    const client = await answered();
    const first = client.conversation.messages[0]?.id ?? "";
    await finish(await ask(client, "And?"), client, "Nothing");
    const other = await connected(newClient({ session: client.session ?? "" }));
    await until(other, () => other.conversation.messages.length === 4);
    const answer = await answerTo(() => client.edit(first, "How?"));
    await Promise.all([
      finish(answer, client, "Thus"),
      until(other, () => texts(other)[1] === "Thus"),
    ]);
    expect(texts(client)).toEqual(["How?", "Thus"]);
    expect(texts(other)).toEqual(["How?", "Thus"]);
  });

  it("is stored once, also when the acknowledgement was lost", async () => {
    const client = await answered();
    loseAnswerTo("edit");
    const first = client.conversation.messages[0]?.id ?? "";
    const answer = await answerTo(() => client.edit(first, "How?"));
    await finish(answer, client, "Thus");
    await until(client, () => client.outgoing.length === 0);
    expect(texts(client)).toEqual(["How?", "Thus"]);
    await vi.waitFor(() => expect(heard("edit")).toHaveLength(2));
    expect(client.conversation.messages).toHaveLength(2);
  });

  it("that is refused is given back, and nothing has changed", async () => {
    const client = await answered();
    const refused = next(client, "refused");
    client.edit("nobody's", "How?");
    expect(await refused).toMatchObject({
      error: { code: "not_found" },
      frame: { type: "edit", message: "nobody's", text: "How?" },
    });
    expect(texts(client)).toEqual(["Why?", "Because"]);
    expect(client.outgoing).toEqual([]);
  });
});

describe("feedback", () => {
  it("is kept with the message, here and after a reload", async () => {
    const client = await answered();
    const { id } = await checkedAnswer(client);
    client.feedback(id, -1, "Too short");
    await until(client, () => answerOf(client)?.feedback);
    expect(answerOf(client)?.feedback).toEqual({ value: -1, comment: "Too short" });
    const reloaded = await connected(newClient({ session: client.session ?? "" }));
    await until(reloaded, () => answerOf(reloaded));
    expect(answerOf(reloaded)?.feedback).toEqual({ value: -1, comment: "Too short" });
  });

  it("without a connection waits for one, and only the last word counts", async () => {
    const client = await answered();
    const { id } = await checkedAnswer(client);
    gateway.cut();
    await until(client, () => client.state.name === "reconnecting");
    client.feedback(id, -1);
    client.feedback(id, 1, "After all");
    await until(client, () => answerOf(client)?.feedback);
    expect(heard("feedback")).toMatchObject([{ value: 1, comment: "After all" }]);
  });
});

describe("a stop", () => {
  it("that was not answered is said again on the next socket", async () => {
    const client = await connected(newClient());
    const answer = await ask(client);
    answer.write("Bec");
    await until(client, () => answerOf(client)?.text);
    gateway.intercept = ({ type }, socket) => {
      if (type !== "stop") return false;
      gateway.intercept = () => false;
      socket.terminate();
      return true;
    };
    client.stop();
    expect(await checkedAnswer(client)).toMatchObject({ text: "Bec", status: "stopped" });
    await until(client, () => client.outgoing.length === 0);
    expect(new Set(heard("stop").map(({ id }) => id)).size).toBe(1);
  });
});

describe("an acknowledged message that a snapshot does not have", () => {
  it("is no longer waited for", async () => {
    const client = await answered();
    const session = gateway.sessions.get(client.session ?? "");
    gateway.intercept = (frame) => {
      if (frame.type !== "send") return false;
      session?.broadcast({ type: "ack", re: frame.id, message: frame.id, duplicate: false });
      return true;
    };
    client.send("Lost to an edit elsewhere");
    await until(client, () => client.outgoing[0]?.acked);
    if (session) session.epoch = "restarted";
    gateway.cut();
    await next(client, "snapshot");
    expect(client.outgoing).toEqual([]);
  });
});
