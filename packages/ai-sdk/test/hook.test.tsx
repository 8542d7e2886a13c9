/** The hook itself, unchanged, in a document. */
import { useChat } from "@ai-sdk/react";
import { RivuletChatTransport } from "@rivulet/ai-sdk";
import { act, StrictMode } from "react";
import { afterEach, describe, expect, it } from "vitest";
import type { Answer } from "../../client/test/gateway-session.js";
import { memory } from "../../client/test/memory.js";
import { gateway, options, render, shown } from "../../react/test/stage.js";

let transport: RivuletChatTransport;
afterEach(() => transport.close());

function useRivuletChat() {
  return useChat({ id: "chat", transport, resume: true });
}
let chat: ReturnType<typeof useRivuletChat>;

function Chat() {
  chat = useRivuletChat();
  return null;
}

const view = (
  <StrictMode>
    <Chat />
  </StrictMode>
);
const newTransport = (storage: ReturnType<typeof memory>) =>
  new RivuletChatTransport({ ...options(), storage });
const texts = () =>
  chat.messages.map(({ parts }) =>
    parts.map((part) => (part.type === "text" ? part.text : "")).join(""),
  );

describe("useChat", () => {
  it("mounted twice, taken away and mounted again, resumes what it left and stops nothing", async () => {
    let answer: Answer | undefined;
    gateway.onQuestion = (begun) => {
      answer = begun;
    };
    const storage = memory();
    transport = newTransport(storage);
    await render(view);
    await act(() => void chat.sendMessage({ text: "Long?" }));
    (await shown(() => answer)).write("One, ");
    await shown(() => texts()[1] === "One, ");
    await render(null);
    await render(view);
    await shown(() => texts().at(-1) === "One, ");
    // As long as it takes until an answer that nobody wants is stopped.
    await act(() => new Promise((resolve) => setTimeout(resolve, 1_200)));
    expect(gateway.heard.filter(({ type }) => type === "stop")).toEqual([]);
    answer?.write("two.");
    answer?.done();
    await shown(() => chat.status === "ready" && texts().at(-1) === "One, two.");
    expect(texts().filter((text) => text.includes("One"))).toHaveLength(1);
    expect([...gateway.sessions.values()].flatMap(({ messages }) => messages)).toHaveLength(2);
  });
});
