/** The AI SDK, unchanged, over both of its transports, against the real gateway: nothing of ours runs in these pages. */
import { crc32 } from "node:zlib";
import { Chat, useChat } from "@ai-sdk/react";
import {
  lastAssistantMessageIsCompleteWithApprovalResponses as allDecided,
  type ChatInit,
  type ChatTransport,
  DefaultChatTransport,
  type UIMessage,
  WebSocketChatTransport,
} from "ai";
import { JSDOM } from "jsdom";
import { act, createElement, StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { WebSocket } from "ws";
import { LiveGateway } from "./gateway.js";

interface About {
  session: string;
  status: string;
  len: number;
  crc32: string;
  failover?: { from: string; to: string };
}

let steady: LiveGateway;
let failing: LiveGateway;
beforeAll(async () => {
  steady = await LiveGateway.start(["--rate", "30", "--tokens", "60"]);
  failing = await LiveGateway.start(["--fault", "cut:5"], ["--rate", "200", "--tokens", "30"]);
});
afterAll(async () => {
  await Promise.all([steady?.stop(), failing?.stop()]);
});

const TRANSPORTS: Record<
  string,
  (gateway: LiveGateway, assistant?: string) => ChatTransport<UIMessage>
> = {
  DefaultChatTransport: ({ url }, assistant) =>
    new DefaultChatTransport({
      api: `${url}/api/v1/ai-sdk/chat`,
      body: assistant ? { assistant } : {},
    }),
  WebSocketChatTransport: ({ url }, assistant) =>
    new WebSocketChatTransport({
      url: `${url}/api/v1/ai-sdk/ws`,
      webSocket: WebSocket as never,
      body: assistant ? { assistant } : {},
    }),
};

let chats = 0;
function chatWith(
  transport: ChatTransport<UIMessage>,
  init: ChatInit<UIMessage> = {},
): Chat<UIMessage> {
  return new Chat({ id: `chat ${++chats}/ü`, transport, ...init });
}

const textOf = (message: UIMessage | undefined): string =>
  (message?.parts ?? []).map((part) => (part.type === "text" ? part.text : "")).join("");
const aboutOf = (message: UIMessage | undefined): About => message?.metadata as About;
const until = (holds: () => unknown): Promise<void> =>
  vi.waitFor(() => expect(holds()).toBeTruthy(), { timeout: 20_000, interval: 10 });

/** The last message is whole: its text is the one that the gateway vouches for, and has. */
async function isWhole(gateway: LiveGateway, chat: { messages: UIMessage[] }, status = "complete") {
  const answer = chat.messages.at(-1);
  const { session, len, crc32: crc, status: ended } = aboutOf(answer);
  const text = textOf(answer);
  expect([ended, len, Number.parseInt(crc, 16)]).toEqual([status, text.length, crc32(text)]);
  const stored = await gateway.messages(session);
  expect(stored.at(-1)).toMatchObject({ text, status });
  return stored;
}

describe.each(Object.entries(TRANSPORTS))("over %s", (name, transportTo) => {
  it("asks, and is answered", async () => {
    const chat = chatWith(transportTo(steady));
    await chat.sendMessage({ text: "Why?" });
    expect([chat.status, chat.error]).toEqual(["ready", undefined]);
    const stored = await isWhole(steady, chat);
    expect(stored[0]).toMatchObject({ id: chat.messages[0]?.id, text: "Why?" });
    expect(chat.messages).toHaveLength(2);
  });

  it("shows the text of the model that took over, and nothing of the other", async () => {
    const chat = chatWith(transportTo(failing));
    await chat.sendMessage({ text: "Why?" });
    const [answer] = chat.messages.slice(-1);
    expect(aboutOf(answer).failover).toMatchObject({ from: "m0", to: "m1" });
    await isWhole(failing, chat);
  });

  it("edits, edits again, and has answers written anew", async () => {
    const chat = chatWith(transportTo(steady));
    await chat.sendMessage({ text: "one" });
    const messageId = chat.messages[0]?.id ?? "";
    await chat.sendMessage({ text: "two", messageId });
    await chat.sendMessage({ text: "three", messageId });
    const before = chat.messages[1]?.id;
    await chat.regenerate();
    expect(chat.error).toBeUndefined();
    const stored = await isWhole(steady, chat);
    expect(stored.map(({ text }) => text)[0]).toBe("three");
    expect([stored.length, chat.messages.length]).toEqual([2, 2]);
    expect(chat.messages[1]?.id).not.toBe(before);
  });

  it("is refused while an answer is written, and usable behind it", async () => {
    const id = `busy ${name}`;
    const first = chatWith(transportTo(steady), { id });
    const over = first.sendMessage({ text: "Long?" });
    await until(() => textOf(first.messages[1]) !== "");
    const second = chatWith(transportTo(steady), { id });
    await second.sendMessage({ text: "Me too" });
    expect([second.status, second.error?.message]).toEqual([
      "error",
      expect.stringContaining("being written"),
    ]);
    await over;
    await second.regenerate();
    expect(second.status).toBe("ready");
    expect((await isWhole(steady, second)).map(({ role }) => role)).toEqual([
      "user",
      "assistant",
      "user",
      "assistant",
    ]);
  });

  it("goes on behind a connection that is lost, at any place, with nothing doubled", async () => {
    const chat = chatWith(transportTo(steady));
    void chat.sendMessage({ text: "Long?" });
    for (const least of [1, 30, 90]) {
      await until(() => textOf(chat.messages[1]).length > least);
      steady.cut();
      await until(() => chat.status === "error");
      await Promise.race([chat.resumeStream(), until(() => chat.status === "streaming")]);
    }
    await until(() => chat.status === "ready");
    await isWhole(steady, chat);
    expect(chat.messages).toHaveLength(2);
  });

  it("goes on in a page that was loaded anew, and finds nothing to resume behind the end", async () => {
    const transport = transportTo(steady);
    const before = chatWith(transport);
    void before.sendMessage({ text: "Long?" });
    await until(() => textOf(before.messages[1]) !== "");
    const after = chatWith(transportTo(steady), {
      id: before.id,
      messages: before.messages.slice(0, 1),
    });
    await after.resumeStream();
    await isWhole(steady, after);
    expect(after.messages.map(({ id }) => id)).toEqual(before.messages.map(({ id }) => id));
    await after.resumeStream();
    await chatWith(transportTo(steady)).resumeStream();
    expect([after.status, after.messages.length]).toEqual(["ready", 2]);
    await until(() => before.status === "ready");
  });

  it("calls what is allowed in the message that asked, and not what is denied", async () => {
    for (const approved of [true, false]) {
      const written = steady.letters.length;
      const chat = chatWith(transportTo(steady, "loan"), { sendAutomaticallyWhen: allDecided });
      await chat.sendMessage({
        text: `say "I can." and call letter {"name":"Asha"} then say "Done."`,
      });
      const part = chat.messages[1]?.parts.find(({ type }) => type === "dynamic-tool");
      if (part?.type !== "dynamic-tool" || part.state !== "approval-requested")
        throw new Error(
          `${JSON.stringify(chat.messages[1]?.parts)} asks for nothing: ${chat.error}`,
        );
      await chat.addToolApprovalResponse({ id: part.approval.id, approved, reason: "so" });
      await until(() => chat.status === "ready" && aboutOf(chat.messages[1]).status === "complete");
      expect(chat.error).toBeUndefined();
      expect(chat.messages).toHaveLength(2);
      const tools = chat.messages[1]?.parts.filter((one) => one.type === "dynamic-tool") ?? [];
      expect(tools[0]?.state).toBe(approved ? "output-available" : "output-denied");
      expect(steady.letters.length - written).toBe(approved ? 1 : 0);
    }
  });

  it("says which part of a message is a file", async () => {
    const chat = chatWith(transportTo(steady));
    const file = { type: "file" as const, mediaType: "text/plain", url: "data:text/plain,x" };
    await chat.sendMessage({ text: "see", files: [file] });
    expect([chat.status, chat.error?.message]).toEqual([
      "error",
      expect.stringContaining("messages.0.parts.0"),
    ]);
  });
});

describe("over WebSocketChatTransport alone", () => {
  const transportTo = TRANSPORTS.WebSocketChatTransport as (
    gateway: LiveGateway,
  ) => ChatTransport<UIMessage>;

  it("stops a second later, and makes room at once for another question", async () => {
    const transport = transportTo(steady);
    const chat = chatWith(transport);
    void chat.sendMessage({ text: "Long?" });
    await until(() => textOf(chat.messages[1]) !== "");
    const { session } = aboutOf(chat.messages[1]);
    await chat.stop();
    await until(() => chat.status === "ready");
    await vi.waitFor(
      async () => expect((await steady.messages(session)).at(-1)?.status).toBe("stopped"),
      {
        timeout: 10_000,
      },
    );
    void chat.sendMessage({ text: "And?" });
    await until(() => chat.messages.length === 4 && textOf(chat.messages[3]) !== "");
    await chat.stop();
    await chat.sendMessage({ text: "Now?" });
    await isWhole(steady, chat);
    expect((await steady.messages(session)).map(({ status }) => status)).toEqual([
      "complete",
      "stopped",
      "complete",
      "stopped",
      "complete",
      "complete",
    ]);
  });

  it("carries several chats at once on one socket", async () => {
    const transport = transportTo(steady);
    const several = Array.from({ length: 5 }, () => chatWith(transport));
    await Promise.all(several.map((chat) => chat.sendMessage({ text: "Why?" })));
    for (const chat of several) await isWhole(steady, chat);
  });

  it("resumes in a view that is mounted twice, taken away and mounted again, and stops nothing", async () => {
    const { window } = new JSDOM("<main></main>", { url: "http://page.test" });
    vi.stubGlobal("window", window);
    vi.stubGlobal("document", window.document);
    vi.stubGlobal("IS_REACT_ACT_ENVIRONMENT", true);
    const transport = transportTo(steady);
    let chat: ReturnType<typeof useChat> | undefined;
    const View = () => {
      chat = useChat({ id: "hook", transport, resume: true });
      return null;
    };
    const main = window.document.querySelector("main") as unknown as Element;
    const mount = async () => {
      const root = createRoot(main);
      await act(() => root.render(createElement(StrictMode, null, createElement(View))));
      return root;
    };
    const shown = (holds: () => unknown) =>
      vi.waitFor(async () => {
        await act(() => new Promise((resolve) => setTimeout(resolve, 5)));
        expect(holds()).toBeTruthy();
      }, 20_000);
    const text = () => textOf(chat?.messages.at(-1));
    const root = await mount();
    await shown(() => chat?.status === "ready");
    await act(() => void chat?.sendMessage({ text: "Long?" }));
    await shown(() => chat?.messages.length === 2 && text() !== "");
    await act(() => root.unmount());
    const again = await mount();
    await shown(() => text() !== "");
    await shown(() => chat?.status === "ready");
    await isWhole(steady, { messages: chat?.messages ?? [] });
    await act(() => again.unmount());
    vi.unstubAllGlobals();
  });
});
