/** Who is to answer: as it is asked for, remembered, and given up. */

import type { Assistant, RivuletClient } from "@rivulet/client";
import { beforeEach, describe, expect, it } from "vitest";
import { AssistantChoice } from "../src/assistant-choice.js";
import type { Endpoint } from "../src/endpoint.js";
import { Memory } from "../src/memory.js";
import { ask, checkedAnswer, connected, gateway, newClient, until } from "./client-at-gateway.js";
import { assistant } from "./gateway.js";
import { memory } from "./memory.js";

beforeEach(() => {
  gateway.assistants = [assistant("default", { default: true }), assistant("books")];
});

/** Who was asked for at each socket. */
const wanted = () => gateway.upgrades.map(({ searchParams }) => searchParams.get("assistant"));

/** The client, as soon as this one answers. */
async function answeredBy(client: RivuletClient, name: string): Promise<RivuletClient> {
  await until(client, () => client.conversation.assistant === name);
  return client;
}

async function answered(client: RivuletClient): Promise<void> {
  const answer = await ask(client);
  answer.write("Because");
  answer.done();
  await checkedAnswer(client);
}

describe("an assistant", () => {
  it("is asked for where a conversation begins, and is said to be the one", async () => {
    const client = newClient({ assistant: "books" });
    expect(client.assistant).toBe("books");
    await connected(client);
    expect(client.conversation.assistant).toBe("books");
    expect(wanted()).toEqual(["books"]);
    expect(await client.endpoint.assistants()).toEqual(gateway.assistants);
  });

  it("is left to the gateway by those who ask for nobody", async () => {
    const client = await connected(newClient());
    expect(client.assistant).toBe("default");
    expect(wanted()).toEqual([null]);
  });

  it("is not asked for in a conversation that there is", async () => {
    const first = await connected(newClient());
    await answered(first);
    const other = newClient({ session: first.session ?? "", assistant: "books" });
    expect(other.assistant).toBeNull();
    await connected(other);
    expect(other.assistant).toBe("default");
    gateway.cut();
    await until(other, () => other.state.name === "connected" && gateway.sockets.size > 0);
    expect(wanted().every((name) => name === null)).toBe(true);
  });

  it("stays the same over further sockets and a snapshot", async () => {
    const client = await connected(newClient({ assistant: "books" }));
    await answered(client);
    const session = gateway.sessions.get(client.session ?? "");
    if (session) session.epoch = "another";
    gateway.cut();
    await until(client, () => client.conversation.epoch === "another");
    expect(client.assistant).toBe("books");
  });

  it("that is chosen is remembered, and answers from then on", async () => {
    const storage = memory();
    const client = await connected(newClient({ storage }));
    client.newSession("books");
    await answeredBy(client, "books");
    client.newSession();
    expect(client.assistant).toBe("books");
    await answeredBy(client, "books");
    client.close();
    const later = await connected(newClient({ storage }));
    expect(later.assistant).toBe("books");
    later.newSession(null);
    await answeredBy(later, "default");
    expect(storage.getItem("rivulet.assistant")).toBeNull();
  });
});

describe("an assistant that is not on offer any more", () => {
  it("gives way to the default one, and is forgotten", async () => {
    const storage = memory();
    storage.setItem("rivulet.assistant", "gone");
    const errors: string[] = [];
    const client = newClient({ storage });
    client.on("error", ({ code }) => errors.push(code));
    const id = client.send("Why?");
    await connected(client);
    await until(client, () => client.conversation.messages.some((message) => message.id === id));
    expect(client.assistant).toBe("default");
    expect(storage.getItem("rivulet.assistant")).toBeNull();
    expect(errors).toEqual([]);
  });

  it("does so as well where it is refused behind the token", async () => {
    gateway.token = "secret";
    const client = newClient({ assistant: "gone", token: () => "secret" });
    const id = client.send("Why?");
    await connected(client);
    await until(client, () => client.conversation.messages.some((message) => message.id === id));
    expect(client.assistant).toBe("default");
  });

  it("gives way to the first one where the default one is not shown", async () => {
    gateway.assistants = [assistant("books"), assistant("maps")];
    const client = await connected(newClient({ assistant: "gone" }));
    expect(client.assistant).toBe("books");
    expect((await connected(newClient())).assistant).toBe("books");
  });

  it("ends the connection where there is nobody at all", async () => {
    gateway.assistants = [];
    gateway.token = "secret";
    const client = newClient({ token: () => "secret" });
    const refused: string[] = [];
    client.on("refused", ({ error }) => refused.push(error.code));
    client.send("Why?");
    client.connect();
    await until(client, () => client.state.name === "closed" && refused.length > 0);
    expect(refused).toEqual(["not_found"]);
  });

  it("is asked for again when the gateway was only busy", async () => {
    gateway.refusals = 2;
    const client = await connected(newClient({ assistant: "books" }));
    expect(client.assistant).toBe("books");
  });

  it("does not undo a choice that was made meanwhile", async () => {
    let tell: (offered: Assistant[]) => void = () => {};
    const offered = new Promise<Assistant[]>((resolve) => {
      tell = resolve;
    });
    const endpoint = { assistants: () => offered } as Endpoint;
    const choice = new AssistantChoice(endpoint, new Memory(null, "assistant"), "gone");
    const another = choice.another();
    choice.choose("books");
    tell(gateway.assistants);
    expect(await another).toBe(false);
    expect(choice.name).toBe("books");
  });
});
