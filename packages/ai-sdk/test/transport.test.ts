import { Chat } from "@ai-sdk/react";
import { RivuletChatTransport } from "@rivulet/ai-sdk";
import type { RivuletError } from "@rivulet/client";
import {
  lastAssistantMessageIsCompleteWithApprovalResponses as allDecided,
  type UIMessage,
} from "ai";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { WebSocket } from "ws";
import { Gateway } from "../../client/test/gateway.js";
import type { Answer } from "../../client/test/gateway-session.js";
import { memory } from "../../client/test/memory.js";

let gateway: Gateway;
let transports: RivuletChatTransport[];
/** Outlives transports, as a browser's storage outlives pages. */
let storage: ReturnType<typeof memory>;

beforeEach(async () => {
  gateway = await new Gateway().start();
  transports = [];
  storage = memory();
});
afterEach(async () => {
  vi.unstubAllGlobals();
  for (const transport of transports) transport.close();
  await gateway.stop();
});

function chatWith(options: object = {}, about: object = {}): Chat<UIMessage> {
  const { url } = gateway;
  const common = { url, storage, webSocket: WebSocket, random: () => 0 };
  const transport = new RivuletChatTransport({ ...common, ...options });
  transports.push(transport);
  return new Chat({ id: "chat-1", transport, ...about });
}

const finish = (answer: Answer, text: string): void => {
  answer.write(text);
  answer.done();
};
const textOf = (message: UIMessage | undefined): string =>
  message?.parts.map((part) => (part.type === "text" ? part.text : "")).join("") ?? "";
const texts = (chat: Chat<UIMessage>): string[] => chat.messages.map(textOf);
const session = () => [...gateway.sessions.values()][0];

/** Resolves when it holds; looked at after whatever happens. */
async function until(holds: () => unknown): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}

/** The answer to the next question, to be written by the test. */
const asked = (): Promise<Answer> =>
  new Promise((resolve) => {
    gateway.onQuestion = resolve;
  });

describe("useChat's chat over chat.v1", () => {
  it("streams an answer with its sources, and says how it ended", async () => {
    gateway.onQuestion = (answer) => {
      const about = { document: "d", title: "Guide", score: 1, snippet: "Tents: 30 days" };
      answer.sources([
        { n: 1, ...about },
        { n: 2, ...about, uri: "https://shop.example/tents" },
      ]);
      answer.write("30 days ");
      finish(answer, "[1].");
    };
    const chat = chatWith();
    await chat.sendMessage({ text: "How long?" });
    expect(chat.status).toBe("ready");
    expect(texts(chat)).toEqual(["How long?", "30 days [1]."]);
    expect(chat.messages[1]?.parts).toMatchObject([
      { type: "source-document", sourceId: "d#1", title: "Guide" },
      { type: "source-url", sourceId: "d#2", url: "https://shop.example/tents" },
      { type: "step-start" },
      { type: "text", text: "30 days [1].", state: "done" },
    ]);
    expect(chat.messages[1]?.metadata).toMatchObject({ status: "complete", verified: true });
    expect(session()?.messages.map(({ id }) => id)).toEqual(chat.messages.map(({ id }) => id));
  });

  it("does not notice that sockets break, again and again", async () => {
    const words = Array.from({ length: 40 }, (_, n) => `word ${n} 🌊 `);
    const answer = asked();
    const chat = chatWith();
    const over = chat.sendMessage({ text: "Much" });
    const written = await answer;
    for (const word of words) {
      await until(() => gateway.sockets.size === 1);
      written.write(word);
      gateway.cut();
      await until(() => textOf(chat.messages[1]).endsWith(word));
    }
    written.done();
    await over;
    expect(textOf(chat.messages[1])).toBe(words.join(""));
    expect(chat.status).toBe("ready");
    expect(gateway.upgrades.length).toBeGreaterThan(30);
  });

  it("withdraws what another model writes anew, and not the tools before it", async () => {
    gateway.onQuestion = (answer) => {
      answer.write("Let me see. ");
      answer.call("c_1", { args: { a: 1 } });
      answer.result("c_1", "ok", { data: { b: 2 } });
      answer.write("Wrong ans");
      answer.withdraw("Let me see. ".length);
      finish(answer, "The right answer.");
    };
    const chat = chatWith();
    await chat.sendMessage({ text: "?" });
    expect(texts(chat)[1]).toBe("Let me see. The right answer.");
    const tools = chat.messages[1]?.parts.filter(({ type }) => type === "dynamic-tool");
    expect(tools).toMatchObject([
      { toolCallId: "c_1", state: "output-available", input: { a: 1 }, output: { b: 2 } },
    ]);
  });

  it.each(["", "Let me see. "])(
    "withdraws all behind %j of an answer that is stopped then",
    async (kept) => {
      gateway.onQuestion = (answer) => {
        if (kept) answer.write(kept);
        if (kept) answer.call("c_1");
        if (kept) answer.result("c_1");
        answer.write("Wrong ans");
        answer.withdraw(kept.length);
        answer.done("stopped");
      };
      const chat = chatWith();
      await chat.sendMessage({ text: "?" });
      expect(texts(chat)[1]).toBe(kept);
    },
  );

  it("tells that a tool has failed", async () => {
    gateway.onQuestion = (answer) => {
      answer.call("c_1");
      answer.result("c_1", "timeout", { summary: "It took too long" });
      finish(answer, "No luck.");
    };
    const chat = chatWith();
    await chat.sendMessage({ text: "?" });
    expect(chat.messages[1]?.parts).toContainEqual(
      expect.objectContaining({ state: "output-error", errorText: "It took too long" }),
    );
  });

  it("asks for approval, and goes on in the same message", async () => {
    gateway.onQuestion = (answer) => {
      answer.call("c_1", { args: { amount: 5 } });
      answer.wait("c_1");
      answer.done("awaiting_approval");
    };
    gateway.onDecided = (answer) => {
      answer.call("c_2");
      answer.result("c_2");
      finish(answer, "Paid.");
    };
    const chat = chatWith({}, { sendAutomaticallyWhen: allDecided });
    await chat.sendMessage({ text: "Pay" });
    const part = chat.messages[1]?.parts.find(({ type }) => type === "dynamic-tool");
    if (part?.type !== "dynamic-tool" || part.state !== "approval-requested")
      throw new Error(`${JSON.stringify(part)} asks for nothing`);
    await chat.addToolApprovalResponse({ id: part.approval.id, approved: true });
    await until(() => chat.status === "ready" && texts(chat)[1] === "Paid.");
    expect(chat.messages).toHaveLength(2);
    expect(gateway.heard.filter(({ type }) => type === "approve")).toHaveLength(1);
  });

  it("says that there is nothing left to decide where another view has asked on", async () => {
    gateway.onQuestion = (answer) => {
      answer.call("c_1");
      answer.wait("c_1");
      answer.done("awaiting_approval");
    };
    const before = chatWith();
    await before.sendMessage({ text: "Pay" });
    transports[0]?.close();
    gateway.onQuestion = (answer) => finish(answer, "As you like.");
    const other = chatWith({}, { messages: before.messages });
    await other.sendMessage({ text: "Never mind" });
    const chat = chatWith({}, { messages: before.messages, sendAutomaticallyWhen: allDecided });
    const part = chat.messages[1]?.parts.find(({ type }) => type === "dynamic-tool");
    if (part?.type !== "dynamic-tool" || part.state !== "approval-requested")
      throw new Error(`${JSON.stringify(part)} asks for nothing`);
    await chat.addToolApprovalResponse({ id: part.approval.id, approved: true });
    await until(() => chat.status === "error");
    expect(chat.error as RivuletError).toMatchObject({ code: "gone" });
    expect(gateway.heard.filter(({ type }) => type === "approve")).toEqual([]);
  });

  it("stops, and is usable again at once", async () => {
    const answer = asked();
    const chat = chatWith();
    const over = chat.sendMessage({ text: "Much" });
    (await answer).write("endless");
    await until(() => texts(chat)[1] === "endless");
    await chat.stop();
    await over;
    expect(chat.status).toBe("ready");
    gateway.onQuestion = (answer) => finish(answer, "yes");
    await chat.sendMessage({ text: "Still there?" });
    expect(texts(chat)).toEqual(["Much", "endless", "Still there?", "yes"]);
    expect(session()?.messages.map(({ status }) => status)).toContain("stopped");
  });

  it("stops a second after nobody listens, and lets it be with `detach`", async () => {
    const first = asked();
    const chat = chatWith();
    void chat.sendMessage({ text: "Much" });
    await first;
    await chat.stop();
    await until(() => gateway.heard.some(({ type }) => type === "stop"));
    const second = asked();
    const other = chatWith({ onAbort: "detach", storage: memory() }, { id: "chat-2" });
    void other.sendMessage({ text: "Much" });
    const kept = await second;
    await other.stop();
    finish(kept, "to its end");
    const again = chatWith({ storage: memory() });
    gateway.onQuestion = (answer) => finish(answer, "x");
    await again.sendMessage({ text: "y" });
    expect(gateway.heard.filter(({ type }) => type === "stop")).toHaveLength(1);
  });

  it("says that the connection has ended for good in the middle of an answer, and goes on when asked", async () => {
    const first = asked();
    const chat = chatWith();
    const over = chat.sendMessage({ text: "Much" });
    const cut = await first;
    cut.write("One, ");
    await until(() => texts(chat)[1] === "One, ");
    gateway.closeAll(4010);
    await over;
    expect([chat.status, texts(chat)[1]]).toEqual(["error", "One, "]);
    expect(chat.error as RivuletError).toMatchObject({ code: "closed" });
    cut.done();
    const second = asked();
    void chat.sendMessage({ text: "More" });
    await second;
    // Nobody is thought to listen still, so that this is a wish to stop.
    await chat.stop();
    await until(() => gateway.heard.some(({ type }) => type === "stop"));
  });

  it("says so as well when it is closed here", async () => {
    const answer = asked();
    const chat = chatWith();
    const over = chat.sendMessage({ text: "Much" });
    (await answer).write("One, ");
    await until(() => texts(chat)[1] === "One, ");
    transports[0]?.close();
    await over;
    expect(chat.status).toBe("error");
  });

  it("writes anew and edits", async () => {
    gateway.onQuestion = (answer, text) => finish(answer, `first: ${text}`);
    const chat = chatWith();
    await chat.sendMessage({ text: "one" });
    gateway.onQuestion = (answer) => finish(answer, "second");
    await chat.regenerate();
    expect(texts(chat)).toEqual(["one", "second"]);
    gateway.onQuestion = (answer, text) => finish(answer, `third: ${text}`);
    const messageId = chat.messages[0]?.id ?? "";
    await chat.sendMessage({ text: "two", messageId });
    await chat.sendMessage({ text: "three", messageId });
    expect(texts(chat)).toEqual(["three", "third: three"]);
    expect(session()?.messages.map(({ text }) => text)).toEqual(["three", "third: three"]);
  });

  it("says why a question was refused, and asks again what was never taken", async () => {
    gateway.intercept = (frame, socket) => {
      if (frame.type !== "send") return false;
      const error = { type: "error", re: frame.id, code: "budget_exhausted", message: "Enough" };
      socket.send(JSON.stringify({ ...error, retry_in_ms: 60_000 }));
      return true;
    };
    const chat = chatWith();
    await chat.sendMessage({ text: "one" });
    expect(chat.status).toBe("error");
    expect(chat.error as RivuletError).toMatchObject({
      code: "budget_exhausted",
      retryInMs: 60_000,
    });
    gateway.intercept = () => false;
    gateway.onQuestion = (answer) => finish(answer, "now");
    await chat.regenerate();
    expect(texts(chat)).toEqual(["one", "now"]);
  });

  it("goes on after a reload in the middle of an answer, and has nothing to resume after it", async () => {
    const answer = asked();
    const before = chatWith();
    void before.sendMessage({ text: "Long?" });
    const written = await answer;
    written.write("One, ");
    await until(() => texts(before)[1] === "One, ");
    // The page is gone, with all it had in memory.
    transports.pop()?.close();
    const after = chatWith({}, { messages: before.messages });
    const over = after.resumeStream();
    await until(() => after.status === "streaming");
    finish(written, "two.");
    await over;
    expect(texts(after)).toEqual(["Long?", "One, two."]);
    await after.resumeStream();
    expect(after.status).toBe("ready");
    const fresh = chatWith({}, { id: "chat-3" });
    await fresh.resumeStream();
    expect(gateway.sessions.size).toBe(1);
  });

  it("keeps what chats are to itself in a program, though that has a storage, and in a page without one", async () => {
    gateway.onQuestion = (answer, text) => finish(answer, text);
    const kept = memory();
    vi.stubGlobal("localStorage", kept);
    const before = chatWith({ storage: undefined });
    await before.sendMessage({ text: "of one user" });
    const after = chatWith({ storage: undefined });
    await after.sendMessage({ text: "of another" });
    expect(gateway.sessions.size).toBe(2);
    for (const name of ["document", "window"]) vi.stubGlobal(name, new EventTarget());
    vi.stubGlobal("localStorage", {});
    const bare = chatWith({ storage: undefined });
    await bare.sendMessage({ text: "without" });
    expect(texts(bare)).toEqual(["without", "without"]);
  });

  it("keeps few connections, however many chats there are", async () => {
    gateway.onQuestion = (answer, text) => finish(answer, text);
    const chat = chatWith();
    const [transport] = transports;
    await chat.sendMessage({ text: "first" });
    for (let n = 2; n < 14; n++)
      await new Chat({ id: `chat-${n}`, transport }).sendMessage({ text: `${n}` });
    await until(() => gateway.sockets.size <= 8);
    await chat.sendMessage({ text: "again" });
    expect(texts(chat)).toEqual(["first", "first", "again", "again"]);
    expect(session()?.messages).toHaveLength(4);
  });
});
