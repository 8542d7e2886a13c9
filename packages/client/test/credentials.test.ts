import { NotSignedIn } from "@rivulet/client";
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

describe("a token", () => {
  it("is said first, with the cursor, and never stands in the address", async () => {
    gateway.token = "secret";
    const token = vi.fn(() => "secret");
    const client = await connected(newClient({ token }));
    const answer = await ask(client);
    answer.write("Bec");
    await until(client, () => answerOf(client)?.text);
    const cursor = client.cursor;
    gateway.cut();
    await next(client, "welcome");
    const hellos = gateway.heard.filter(({ type }) => type === "hello");
    expect(hellos).toEqual([
      { type: "hello", token: "secret" },
      { type: "hello", token: "secret", resume: cursor },
    ]);
    expect(token.mock.calls).toEqual([[false], [false]]);
    expect(gateway.upgrades.map(({ href }) => href).join()).not.toContain("secret");
    answer.write("ause");
    answer.done();
    expect(await checkedAnswer(client)).toMatchObject({ text: "Because", verified: true });
  });

  it("does no harm where none is asked for", async () => {
    const client = await connected(newClient({ token: () => "secret" }));
    const answer = await ask(client);
    answer.write("Bec");
    await until(client, () => answerOf(client)?.text);
    gateway.cut();
    answer.write("ause");
    answer.done();
    expect(await checkedAnswer(client)).toMatchObject({ text: "Because", verified: true });
    expect(client.conversation.messages).toHaveLength(2);
  });

  it("that has expired is replaced before the next attempt", async () => {
    gateway.token = "first";
    const token = vi.fn(async (expired: boolean) => (expired ? "second" : "first"));
    const client = await connected(newClient({ token }));
    gateway.token = "second";
    gateway.closeAll(4204);
    await next(client, "welcome");
    expect(token.mock.calls).toEqual([[false], [true]]);
    gateway.cut();
    gateway.token = "first";
    await next(client, "welcome");
    expect(token.mock.calls.at(-1)).toEqual([false]);
  });

  it("that is refused ends it", async () => {
    gateway.token = "other";
    const client = newClient({ token: () => "secret" });
    client.connect();
    const state = await until(client, () => client.state.name === "closed" && client.state);
    expect(state).toMatchObject({ code: 4001, why: "Not signed in" });
    expect(gateway.upgrades).toHaveLength(1);
  });

  it("that does not come is waited for 10 s, and asked for again", async () => {
    vi.spyOn(AbortSignal, "timeout").mockImplementation(shortTimeout);
    const token = vi.fn<() => Promise<string>>(() => new Promise(() => {}));
    token.mockImplementationOnce(() => new Promise(() => {})).mockResolvedValue("secret");
    const client = newClient({ token });
    client.connect();
    const state = await until(client, () => client.state.name === "reconnecting" && client.state);
    expect(state.why).toContain("timeout");
    expect(AbortSignal.timeout).toHaveBeenCalledWith(10_000);
    await until(client, () => client.state.name === "connected");
  });

  it("that nobody has ends it, as a refusal would", async () => {
    const signedIn = vi.fn((): string => {
      throw new NotSignedIn();
    });
    const client = newClient({ token: signedIn });
    client.connect();
    const state = await until(client, () => client.state.name === "closed" && client.state);
    expect(state).toMatchObject({ code: 4001, why: "Not signed in" });
    expect(gateway.upgrades).toHaveLength(0);
    // Signed in at last, it is the same conversation.
    gateway.token = "secret";
    signedIn.mockReturnValue("secret");
    client.connect();
    await until(client, () => client.state.name === "connected");
  });

  it("that is over, and nobody has another, ends it as that", async () => {
    gateway.token = "first";
    const client = await connected(
      newClient({
        token: (expired) => {
          if (expired) throw new NotSignedIn();
          return "first";
        },
      }),
    );
    gateway.closeAll(4204);
    const state = await until(client, () => client.state.name === "closed" && client.state);
    expect(state).toMatchObject({ code: 4204, why: "Sign-in expired" });
  });

  it("is left out by who is nobody in particular", async () => {
    const client = await connected(newClient({ token: () => null }));
    expect(gateway.heard).toEqual([]);
    expect(await client.endpoint.headers()).toEqual({});
  });

  it("can be renewed on the live socket", async () => {
    gateway.token = "first";
    const client = await connected(newClient({ token: (expired) => (expired ? "new" : "first") }));
    const acked = next(client, "ack");
    await client.renewToken();
    await acked;
    expect(gateway.heard.at(-1)).toMatchObject({ type: "auth", token: "new" });
    expect(gateway.upgrades).toHaveLength(1);
  });
});

describe("a ticket", () => {
  it("is fetched for every attempt", async () => {
    gateway.tickets = new Set(["t1", "t3"]);
    let fetched = 0;
    const ticket = async () => `t${++fetched}`;
    const client = await connected(newClient({ ticket }));
    gateway.cut();
    // The second is not taken; that a plain request has no ticket either means nothing.
    await next(client, "welcome");
    const used = gateway.upgrades.map(({ searchParams }) => searchParams.get("ticket"));
    expect(used).toEqual(["t1", "t3"]);
    expect(gateway.heard).toEqual([]);
  });

  it("gives way to the token when there is none left", async () => {
    gateway.tickets = new Set(["t1"]);
    const tickets = ["t1"];
    const ticket = () => tickets.pop() ?? null;
    const client = await connected(newClient({ ticket, token: () => "secret" }));
    expect(gateway.heard).toEqual([]);
    gateway.tickets = null;
    gateway.token = "secret";
    gateway.cut();
    await next(client, "welcome");
    expect(gateway.upgrades.at(-1)?.searchParams.get("ticket")).toBeNull();
    expect(gateway.heard[0]).toMatchObject({ type: "hello", token: "secret" });
  });
});
