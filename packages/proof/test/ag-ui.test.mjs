/** The client of AG-UI as it is published, against a real gateway: `RIVULET_BINARY` names it. */
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HttpAgent } from "@ag-ui/client";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { OwnGateway } from "../../../web-demo/e2e/own-gateway.mjs";

const LETTER = `say "I can write it." and call letter {"name":"Asha Rao"} then say "Here it is."`;
const SUM = `say "Let me see." and call calc {"expression":"6*7"} and call calc {"expression":"6*8"} then say "Done."`;

/** How the models of the gateways answer. */
const MODELS = {
  good: ["--rate", "0"],
  slow: ["--rate", "30", "--tokens", "200"],
  broken: ["--rate", "50", "--tokens", "20", "--fault", "cut:6,none"],
  gone: ["--rate", "0", "--fault", "status:401"],
};

let folder;
let office;
/** What was written there. */
const letters = [];
const gateways = {};

beforeAll(async () => {
  if (!process.env.RIVULET_BINARY) return;
  office = createServer((request, response) => {
    request.resume().once("end", () => {
      letters.push(request.url);
      response.setHeader("content-type", "application/json").end('{"letter":"L-1"}');
    });
  }).listen(0, "127.0.0.1");
  await once(office, "listening");
  folder = await mkdtemp(join(tmpdir(), "assistants-"));
  const url = `http://127.0.0.1:${office.address().port}/letters`;
  await writeFile(
    join(folder, "loan.toml"),
    `[knowledge]\nmode = "off"\n[tools]\nuse = ["calc", "letter"]\n[[tool]]\nname = "letter"\ntitle = "Sanction letter"
kind = "http"\nmethod = "POST"\neffect = "write"\ndescription = "Writes it."\nurl = "${url}"
private_hosts = ["127.0.0.1"]\ninput.name = { type = "string" }\n`,
  );
  const start = async ([name, mock]) => {
    // One that breaks off is followed by another.
    const targets = (url) =>
      ["first", "second"].map((target) => ({ name: target, base_url: url, model: "qwen3" }));
    const settings = (url) => ({
      RIVULET_ASSISTANTS_DIR: folder,
      RIVULET_LLM_TARGETS: JSON.stringify(targets(url)),
    });
    gateways[name] = await OwnGateway.start(settings, mock);
  };
  await Promise.all(Object.entries(MODELS).map(start));
});

afterAll(async () => {
  await Promise.all(Object.values(gateways).map((gateway) => gateway.stop()));
  office?.close();
  if (folder) await rm(folder, { recursive: true });
});

afterEach(() => {
  vi.restoreAllMocks();
});

/** A client of a user, what it heard, and what it was warned of. */
function client(gateway, { user = "ann", ...options } = {}) {
  const warn = vi.spyOn(console, "warn");
  const headers = { authorization: `Bearer ${gateways[gateway].token(user)}` };
  const url = new URL("api/v1/ag-ui/loan", gateways[gateway].url).href;
  const agent = new HttpAgent({ url, headers, ...options });
  const events = [];
  agent.subscribe({ onEvent: ({ event }) => void events.push(event) });
  let number = 0;
  const ask = (content, parameters) => {
    if (content !== undefined) agent.addMessage({ id: `u${++number}`, role: "user", content });
    return agent.runAgent(parameters);
  };
  const request = (path, body) =>
    gateways[gateway].request(path, headers.authorization.slice(7), body);
  return { agent, events, ask, request, warn };
}

const last = (events) => events.at(-1);
const of = (events, type) => events.filter((event) => event.type === type);
const said = ({ messages }) =>
  messages
    .filter(({ role }) => role === "assistant")
    .map(({ content }) => content ?? "")
    .join("");

/** The newest answer as it is stored. */
async function stored({ events, request }) {
  const { session } = of(events, "RUN_STARTED").at(-1).metadata.rivulet;
  const { messages } = await (await request(`api/v1/sessions/${session}`)).json();
  return messages.at(-1);
}

describe.skipIf(!process.env.RIVULET_BINARY)("@ag-ui/client, at a real gateway", () => {
  it("holds what the gateway has stored, over several questions", async () => {
    const one = client("good");
    await one.ask("What is a rivulet?");
    expect(last(one.events)).toMatchObject({ type: "RUN_FINISHED", outcome: { type: "success" } });
    const answer = await stored(one);
    expect(answer.text.length).toBeGreaterThan(20);
    expect(one.agent.messages.at(-1)).toMatchObject({ id: answer.id, content: answer.text });
    expect(last(one.events).usage[0].outputTokens).toBeGreaterThan(0);
    await one.ask("And a river?");
    expect(one.agent.messages.map(({ role }) => role)).toEqual([
      "user",
      "assistant",
      "user",
      "assistant",
    ]);
    expect(one.agent.messages.at(-1).id).toBe((await stored(one)).id);
    expect(one.warn).not.toHaveBeenCalled();
  });

  it("shows the text of the model that took over, and none of the other's", async () => {
    const one = client("broken");
    await one.ask("What is a rivulet?");
    expect(of(one.events, "MESSAGES_SNAPSHOT").length).toBe(1);
    const answer = await stored(one);
    expect(answer.status).toBe("complete");
    expect(said(one.agent)).toBe(answer.text);
    expect(one.agent.messages.length).toBe(2);
    expect(one.warn).not.toHaveBeenCalled();
  });

  it("has calls between the texts, with their results", async () => {
    const one = client("good");
    await one.ask(SUM);
    const [, first, ...rest] = one.agent.messages;
    expect(first.content).toBe("Let me see.");
    expect(
      first.toolCalls.map(({ function: call }) => JSON.parse(call.arguments).expression),
    ).toEqual(["6*7", "6*8"]);
    expect(rest.map(({ role }) => role)).toEqual(["tool", "tool", "assistant"]);
    expect(rest[0].content).toContain("42");
    expect(rest[2].content.trim()).toBe("Done.");
    expect(said(one.agent)).toBe((await stored(one)).text);
    expect(one.warn).not.toHaveBeenCalled();
  });

  for (const [word, status, payload] of [
    ["yes", "resolved", { approved: true }],
    ["no", "resolved", { approved: false, comment: "not now" }],
    ["nothing", "cancelled", undefined],
  ])
    it(`waits at an interrupt, and goes on when it is told ${word}`, async () => {
      const before = letters.length;
      const one = client("good");
      await one.ask(LETTER);
      const [interrupt] = one.agent.pendingInterrupts;
      expect(interrupt).toMatchObject({ reason: "tool_call", message: "Sanction letter" });
      expect(one.agent.messages.at(-1).toolCalls[0].id).toBe(interrupt.toolCallId);
      expect(letters.length).toBe(before);
      // A run that does not say what becomes of it is none to the client.
      await expect(one.ask()).rejects.toThrow("pending interrupt");
      const entry = { interruptId: interrupt.id, status, ...(payload && { payload }) };
      await one.ask(undefined, { resume: [entry] });
      expect(last(one.events)).toMatchObject({
        type: "RUN_FINISHED",
        outcome: { type: "success" },
      });
      expect(one.agent.pendingInterrupts).toEqual([]);
      expect(letters.length).toBe(before + (word === "yes" ? 1 : 0));
      const result = one.agent.messages.find(
        ({ toolCallId }) => toolCallId === interrupt.toolCallId,
      );
      expect(result.content).toContain(word === "yes" ? "L-1" : "denied");
      expect(one.agent.messages.at(-1)).toMatchObject({ role: "assistant" });
      expect(one.warn).not.toHaveBeenCalled();
    });

  it("goes on without the call when something else is said", async () => {
    const one = client("good");
    await one.ask(LETTER);
    const [{ id: interruptId, toolCallId }] = one.agent.pendingInterrupts;
    await one.ask("What is a rivulet?", { resume: [{ interruptId, status: "cancelled" }] });
    expect(last(one.events)).toMatchObject({ type: "RUN_FINISHED", outcome: { type: "success" } });
    const result = one.agent.messages.find((message) => message.toolCallId === toolCallId);
    expect(result.content).toContain("superseded");
  });

  it("hears why there is no answer", async () => {
    const one = client("gone");
    await one.ask("What is a rivulet?");
    expect(last(one.events)).toMatchObject({ type: "RUN_ERROR", code: "upstream_rejected" });
    // What is refused has a status.
    const other = client("good", { threadId: "x".repeat(200) });
    await expect(other.ask("Hello?")).rejects.toThrow(/HTTP 400.*threadId/s);
  });

  it("is told the same answer again after it was cut off, and the gateway writes it once", async () => {
    const one = client("slow");
    const cut = new Promise((resolve) => {
      const { unsubscribe } = one.agent.subscribe({
        onTextMessageContentEvent: ({ textMessageBuffer }) => {
          if (textMessageBuffer.length < 30) return;
          unsubscribe();
          resolve();
          one.agent.abortRun();
        },
      });
    });
    await Promise.all([one.ask("What is a rivulet?"), cut]);
    const part = said(one.agent);
    expect(part.length).toBeGreaterThan(0);
    await one.ask();
    const answer = await stored(one);
    expect(answer.text.startsWith(part)).toBe(true);
    expect(said(one.agent)).toBe(answer.text);
    expect(one.agent.messages.length).toBe(2);
    expect(
      new Set(of(one.events, "RUN_STARTED").map(({ metadata }) => metadata.rivulet.run)).size,
    ).toBe(1);
    expect(last(one.events)).toMatchObject({ outcome: { type: "success" } });
  });

  it("is told that it was stopped", async () => {
    const one = client("slow");
    const stop = one.agent.subscribe({
      onTextMessageContentEvent: async () => {
        stop.unsubscribe();
        const { session, run } = of(one.events, "RUN_STARTED")[0].metadata.rivulet;
        await one.request(`api/v1/sessions/${session}/runs/${run}/stop`, {});
      },
    });
    await one.ask("What is a rivulet?");
    expect(last(one.events)).toMatchObject({
      type: "RUN_FINISHED",
      outcome: { type: "cancelled" },
    });
    expect(said(one.agent)).toBe((await stored(one)).text);
  });

  it("has a conversation of its own, whatever others call theirs", async () => {
    const [ann, bob] = ["ann", "bob"].map((user) => client("good", { user, threadId: "ours" }));
    await ann.ask("Mine.");
    await bob.ask("His.");
    const sessions = [ann, bob].map(({ events }) => events[0].metadata.rivulet.session);
    expect(sessions[0]).not.toBe(sessions[1]);
    expect((await bob.request(`api/v1/sessions/${sessions[0]}`)).status).toBe(404);
  });
});
