import { answered, answersTo, RivuletError } from "@rivulet/client";
import { describe, expect, it } from "vitest";
import { connected, gateway, newClient, until } from "./client-at-gateway.js";
import type { Answer } from "./gateway-session.js";

/** Every question gets its own text as the answer, at once. */
const echo = (answer: Answer, text: string): void => {
  answer.write(`You said: ${text}`);
  answer.done();
};

describe("the answer to a question", () => {
  it("comes when it is over and checked, also to what was asked before there was a connection", async () => {
    gateway.onQuestion = echo;
    const client = newClient();
    const answer = answered(client, client.send("hello"));
    client.connect();
    expect(await answer).toMatchObject({ text: "You said: hello", verified: true });
  });

  it("is found over sockets that break in the middle of it", async () => {
    gateway.onQuestion = (answer) => {
      answer.write("One, ");
      gateway.cut();
      answer.write("two.");
      answer.done();
    };
    const client = await connected(newClient());
    expect(await answered(client, client.send("count"))).toMatchObject({ text: "One, two." });
  });

  it("is that of its own question, and the new one where it is written anew", async () => {
    gateway.onQuestion = echo;
    const client = await connected(newClient());
    const first = client.send("first");
    await answered(client, first);
    const second = client.send("second");
    await answered(client, second);
    expect(answersTo(client.conversation, first).map(({ text }) => text)).toEqual([
      "You said: first",
    ]);
    gateway.onQuestion = (answer) => echo(answer, "again");
    const id = client.regenerate();
    expect(await answered(client, id)).toMatchObject({ id, text: "You said: again" });
  });

  it("does not come when the gateway refuses: the error has its code", async () => {
    gateway.onQuestion = (answer) => void answer.write("still at it");
    const client = await connected(newClient());
    client.send("first");
    await until(client, () => client.conversation.messages[1]?.text);
    const error = await answered(client, client.send("second")).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(RivuletError);
    expect(error).toMatchObject({ code: "busy", retryable: false });
  });

  it("does not come when the question is replaced, when the client is closed, or without a wish for it", async () => {
    gateway.onQuestion = (answer) => void answer.write("slowly");
    const client = await connected(newClient());
    const replaced = client.send("first");
    const lost = answered(client, replaced);
    await until(client, () => client.conversation.messages[1]?.text);
    client.newSession();
    await expect(lost).rejects.toMatchObject({ code: "gone" });
    const abort = new AbortController();
    const unwanted = answered(client, client.send("second"), { signal: abort.signal });
    abort.abort(new Error("enough"));
    await expect(unwanted).rejects.toThrow("enough");
    const closed = answered(client, client.send("third"));
    client.close();
    await expect(closed).rejects.toMatchObject({ code: "closed" });
  });
});
