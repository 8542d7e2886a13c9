/** What the client knows of what is remembered. */

import type { RivuletClient } from "@rivulet/client";
import { afterEach, describe, expect, it, vi } from "vitest";
import {
  answerOf,
  ask,
  checkedAnswer,
  connected,
  gateway,
  newClient,
  until,
} from "./client-at-gateway.js";
import { memory } from "./memory.js";

const NOTED = [{ id: "mem_1", text: "I'm allergic to nuts", attribute: "allergy:nuts" }];
const RECALLED = [
  {
    id: "mem_2",
    kind: "fact" as const,
    text: "I live in Lisbon",
    said_at: "2026-11-12T10:00:00Z",
    session: "s_1",
  },
];

const memoryOf = (client: RivuletClient) => answerOf(client)?.memory;

describe("what was remembered for an answer", () => {
  it("is there in every client that sees the answer begin, and stays when it ends", async () => {
    const client = await connected(newClient());
    const answer = await ask(client, "I'm allergic to nuts");
    const other = await connected(newClient({ session: client.session ?? "" }));
    answer.remember({ noted: NOTED, recalled: RECALLED });
    for (const one of [client, other]) await until(one, () => memoryOf(one));
    answer.write("I see.");
    answer.done();
    for (const one of [client, other]) {
      await checkedAnswer(one);
      expect(memoryOf(one)).toEqual({ noted: NOTED, recalled: RECALLED });
    }
  });

  it("outlives a lost connection, and is not told to those who come later", async () => {
    const client = await connected(newClient());
    const answer = await ask(client);
    answer.remember({ unavailable: true });
    await until(client, () => memoryOf(client));
    gateway.cut();
    await until(client, () => client.state.name !== "connected");
    await until(client, () => client.state.name === "connected");
    answer.write("Yes.");
    answer.done();
    await checkedAnswer(client);
    expect(memoryOf(client)).toEqual({ unavailable: true });
    const later = await connected(newClient({ session: client.session ?? "" }));
    await until(later, () => answerOf(later));
    expect(memoryOf(later)).toBeUndefined();
  });

  it("of an answer that is gone, or not known, changes nothing", async () => {
    const client = await connected(newClient());
    const answer = await ask(client);
    answer.done();
    await checkedAnswer(client);
    const before = client.conversation.messages;
    answer.remember({ noted: NOTED });
    await until(
      client,
      () => client.conversation.seq === gateway.sessions.get(client.session ?? "")?.log.length,
    );
    expect(client.conversation.messages).toBe(before);
  });
});

describe("a temporary conversation", () => {
  it("is asked for where it begins, and the next one is none", async () => {
    const client = await connected(newClient());
    expect(client.temporary).toBe(false);
    client.newSession(undefined, { temporary: true });
    expect(client.temporary).toBe(true);
    await until(client, () => client.session !== null);
    expect(gateway.upgrades.at(-1)?.searchParams.get("temporary")).toBe("true");
    expect(client.conversation.temporary).toBe(true);
    await ask(client).then((answer) => answer.done());
    await checkedAnswer(client);
    gateway.cut();
    await until(client, () => client.state.name !== "connected");
    await until(client, () => client.state.name === "connected");
    expect(gateway.upgrades.at(-1)?.searchParams.has("temporary")).toBe(false);
    expect(client.temporary).toBe(true);
    client.newSession();
    expect(client.temporary).toBe(false);
    await until(client, () => client.session !== null);
    expect(gateway.upgrades.at(-1)?.searchParams.has("temporary")).toBe(false);
  });

  it("is what the gateway says of one that is opened", async () => {
    const client = await connected(newClient());
    await ask(client).then((answer) => answer.done());
    const first = client.session ?? "";
    const other = gateway.newSession("default", true);
    client.openSession(other.id);
    await until(client, () => client.conversation.session === other.id);
    expect(client.temporary).toBe(true);
    client.openSession(first);
    await until(client, () => client.conversation.messages.length === 2);
    expect([client.session, client.temporary]).toEqual([first, false]);
  });
});

describe("a conversation that is opened", () => {
  it("gives way to an empty one when it is gone", async () => {
    const client = await connected(newClient());
    const lost = new Promise((resolve) => client.on("sessionLost", resolve));
    client.openSession("s_gone");
    expect(await lost).toEqual({ session: "s_gone", known: false });
    await until(client, () => client.session !== null && client.state.name === "connected");
    expect(client.session).not.toBe("s_gone");
  });
});

describe("where nothing is given to remember in", () => {
  afterEach(() => vi.unstubAllGlobals());

  async function asked(): Promise<RivuletClient> {
    const client = await connected(newClient({ storage: undefined }));
    const answer = await ask(client);
    answer.done();
    await checkedAnswer(client);
    return client;
  }

  it("a page takes what the browser has, as far as it is there", async () => {
    for (const name of ["document", "window"]) vi.stubGlobal(name, new EventTarget());
    vi.stubGlobal("sessionStorage", {});
    vi.stubGlobal("localStorage", memory());
    const { session } = await asked();
    expect(newClient({ storage: undefined }).session).toBe(session);
  });

  it("a program takes nothing, though it has storages: they are those of the whole process", async () => {
    for (const name of ["sessionStorage", "localStorage"]) vi.stubGlobal(name, memory());
    await asked();
    expect(newClient({ storage: undefined }).session).toBeNull();
  });
});
