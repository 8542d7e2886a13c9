import { RivuletClient } from "@rivulet/client";
import {
  Approvals,
  Composer,
  MessageView,
  type Rivulet,
  RivuletProvider,
  type ShownMessage,
  Thread,
  useRivulet,
} from "@rivulet/react";
import { act, StrictMode, startTransition, use, useEffect, useState } from "react";
import { renderToString } from "react-dom/server";
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { Answer } from "../../client/test/gateway-session.js";
import { click, find, gateway, main, options, render, shown, sockets, write } from "./stage.js";

/** The conversation as it was shown last. */
let chat: Rivulet;
function Spy() {
  chat = useRivulet();
  return null;
}

beforeEach(() => {
  chat = { connection: { name: "idle" }, status: "ready", messages: [] as unknown } as Rivulet;
});

const App = ({ children }: { children?: React.ReactNode }) => (
  <StrictMode>
    <RivuletProvider options={options()}>
      <Spy />
      <Thread />
      <Composer />
      {children}
    </RivuletProvider>
  </StrictMode>
);

const finish = (answer: Answer, text: string): void => {
  answer.write(text);
  answer.done();
};
const texts = (): (string | null)[] =>
  [...main().querySelectorAll("li p")].map((p) => p.textContent);
const heard = (type: string) => gateway.heard.filter((frame) => frame.type === type);

describe("a chat in React", () => {
  it("shows what was asked at once, the answer as it is written, and how far it is", async () => {
    let answer: Answer | undefined;
    gateway.onQuestion = (begun) => {
      answer = begun;
    };
    await render(<App />);
    await write("Why?");
    await act(() => chat.send("Why?"));
    expect(texts()).toEqual(["Why?"]);
    expect(chat.status).toBe("submitted");
    (await shown(() => answer)).write("Bec");
    await shown(() => texts()[1] === "Bec");
    expect(chat.status).toBe("streaming");
    expect(find("ol[role=log]")?.getAttribute("aria-busy")).toBe("true");
    answer?.write("ause.");
    answer?.done();
    await shown(() => chat.status === "ready");
    expect(texts()).toEqual(["Why?", "Because."]);
    expect(find("ol[role=log]")?.getAttribute("aria-busy")).toBe("false");
    expect(chat.connection).toEqual({ name: "connected", leaving: false });
  });

  it("renders a finished message no more while another is written", async () => {
    const seen: string[] = [];
    const look = ({ text }: ShownMessage) => {
      seen.push(text);
      return text;
    };
    gateway.onQuestion = (answer) => finish(answer, "one");
    await render(
      <App>{<Thread>{(it) => <MessageView message={it}>{look}</MessageView>}</Thread>}</App>,
    );
    await act(() => chat.send("first"));
    await shown(() => chat.status === "ready" && chat.messages.length === 2);
    seen.length = 0;
    let answer: Answer | undefined;
    gateway.onQuestion = (begun) => {
      answer = begun;
    };
    await act(() => chat.send("second"));
    (await shown(() => answer)).write("t");
    await shown(() => chat.run?.held.text === "t");
    answer?.write("wo");
    answer?.done();
    await shown(() => chat.status === "ready" && chat.messages.length === 4);
    expect(seen).not.toContain("first");
    expect(seen).not.toContain("one");
  });

  it("has one socket in StrictMode, and none when it is gone", async () => {
    await render(<App />);
    await shown(() => chat.connection.name === "connected");
    expect(gateway.upgrades).toHaveLength(1);
    expect(sockets.filter(({ readyState }) => readyState === 1)).toHaveLength(1);
    await render(null);
    await shown(() => gateway.sockets.size === 0);
    expect(sockets.every(({ readyState }) => readyState >= 2)).toBe(true);
  });

  it("asks once what an effect asks twice under one id", async () => {
    gateway.onQuestion = (answer) => finish(answer, "hi");
    function Greeter() {
      const { send } = useRivulet();
      useEffect(() => void send("hello", { id: "greeting" }), [send]);
      return null;
    }
    await render(<App>{<Greeter />}</App>);
    await shown(() => texts().length === 2 && chat.status === "ready");
    expect(texts()).toEqual(["hello", "hi"]);
    expect([...gateway.sessions.values()].flatMap(({ messages }) => messages)).toHaveLength(2);
  });

  it("shows once what is asked again under one id, and not answered yet", async () => {
    gateway.onQuestion = (answer) => finish(answer, "hi");
    await render(<App />);
    await act(() => chat.send("hello", { id: "greeting" }));
    await shown(() => texts().length === 2 && chat.status === "ready");
    gateway.intercept = ({ type }) => type === "send";
    await act(() => chat.send("hello", { id: "greeting" }));
    expect(chat.client.outgoing).toHaveLength(1);
    expect(texts()).toEqual(["hello", "hi"]);
  });

  it("goes on over a socket that breaks", async () => {
    gateway.onQuestion = (answer) => {
      answer.write("One, ");
      gateway.cut();
      finish(answer, "two.");
    };
    await render(<App />);
    await act(() => chat.send("count"));
    await shown(() => texts()[1] === "One, two." && chat.status === "ready");
  });

  it("stops, writes anew, edits and rates", async () => {
    gateway.onQuestion = (answer) => void answer.write("endless");
    await render(<App />);
    await write("first");
    await click("button[type=submit]");
    await shown(() => texts()[1] === "endless");
    await click("button[type=button]");
    await shown(() => chat.status === "ready" && chat.messages[1]?.status === "stopped");
    gateway.onQuestion = (answer, text) => finish(answer, `to ${text || "the same"}`);
    await act(() => chat.regenerate());
    await shown(() => texts()[1] === "to the same" && chat.status === "ready");
    const [question, answer] = chat.messages;
    await act(() => chat.feedback(answer?.id ?? "", 1, "good"));
    await shown(() => chat.messages[1]?.feedback?.value === 1);
    await act(() => chat.edit(question?.id ?? "", "second"));
    expect(texts()).toEqual(["second"]);
    await shown(() => texts()[1] === "to second" && chat.status === "ready");
    expect(chat.messages).toHaveLength(2);
  });

  it("gives back what was refused, with the reason", async () => {
    gateway.intercept = (frame, socket) => {
      if (frame.type !== "send") return false;
      const error = { type: "error", re: frame.id, code: "budget_exhausted", message: "Enough" };
      socket.send(JSON.stringify({ ...error, retryable: true, retry_in_ms: 60_000 }));
      return true;
    };
    await render(<App />);
    const box = await write("too much");
    await click("button[type=submit]");
    expect(box.value).toBe("");
    await shown(() => box.value === "too much");
    expect(chat.status).toBe("error");
    expect(chat.error).toMatchObject({ code: "budget_exhausted", retryInMs: 60_000 });
    expect(texts()).toEqual([]);
  });

  it("gives back what is refused at once, each time", async () => {
    await render(<App />);
    await shown(() => chat.connection.name === "connected");
    const long = "x".repeat(70_000);
    const box = await write(long);
    for (const _ of ["once", "again"]) {
      const before = chat.error;
      await click("button[type=submit]");
      await shown(() => chat.error !== before);
      expect(chat.error).toMatchObject({ code: "too_large" });
      expect(box.value === long).toBe(true);
    }
    expect(heard("send")).toEqual([]);
  });

  it("asks whether a call is to be carried out", async () => {
    gateway.onQuestion = (answer) => {
      answer.call("c_1", { args: { amount: 5 } });
      answer.wait("c_1");
      answer.done("awaiting_approval");
    };
    gateway.onDecided = (answer) => finish(answer, "done");
    await render(<App>{<Approvals />}</App>);
    await act(() => chat.send("pay"));
    await click("fieldset button");
    await shown(() => texts().at(-1) === "done" && chat.status === "ready");
    expect(heard("approve")).toMatchObject([{ decision: "approved" }]);
    expect(find("fieldset")).toBeNull();
  });

  it("takes the conversation of a client that is somebody else's, and leaves it open", async () => {
    const client = new RivuletClient(options());
    client.connect();
    await render(
      <RivuletProvider client={client}>
        <Spy />
      </RivuletProvider>,
    );
    await shown(() => chat.connection.name === "connected");
    await render(null);
    expect(client.state.name).toBe("connected");
    client.close();
  });

  it("knows a client of another copy of its library", async () => {
    vi.resetModules();
    const { RivuletClient: Other } = await import("@rivulet/client");
    expect(Other).not.toBe(RivuletClient);
    const client = new Other(options());
    client.connect();
    await render(
      <RivuletProvider client={client}>
        <Spy />
      </RivuletProvider>,
    );
    await shown(() => chat.connection.name === "connected");
    expect(chat.client).toBe(client);
    await render(null);
    expect(client.state.name).toBe("connected");
    client.close();
  });

  it("gives no gateway the token of another one that was rendered and not shown", async () => {
    const asked: string[] = [];
    gateway.token = "t";
    const never = new Promise<void>(() => {});
    let leave: (to: string) => void = () => {};
    const One = () => {
      const [url, go] = useState(gateway.url);
      leave = go;
      const token = () => {
        asked.push(url);
        return "t";
      };
      const now = useRivulet({ ...options(), url, token });
      if (url !== gateway.url) use(never);
      chat = now;
      return null;
    };
    await render(<One />);
    await shown(() => chat.connection.name === "connected");
    await act(() => startTransition(() => leave("http://other.test")));
    await act(() => chat.client.renewToken());
    expect(asked).toEqual([gateway.url, gateway.url]);
  });

  it("is another conversation with another session, and asks the callbacks of now", async () => {
    const asked: string[] = [];
    gateway.token = "t";
    const One = ({ session, who }: { session?: string; who: string }) => {
      const token = () => {
        asked.push(who);
        return "t";
      };
      chat = useRivulet({ ...options(), session, token });
      return null;
    };
    await render(<One who="a" />);
    const first = await shown(() => chat.session);
    await render(<One who="b" />);
    gateway.cut();
    await shown(() => asked.includes("b") && chat.connection.name === "connected");
    expect(chat.session).toBe(first);
    const other = gateway.newSession().id;
    await render(<One who="c" session={other} />);
    await shown(() => chat.session === other && gateway.sockets.size === 1);
  });
});

describe("on a server", () => {
  it("renders without a page or a socket, and the page takes it over as it is", async () => {
    const kept = [globalThis.window, globalThis.document];
    Object.assign(globalThis, { window: undefined, document: undefined });
    const html = renderToString(<App />);
    Object.assign(globalThis, { window: kept[0], document: kept[1] });
    expect(html).toContain('<ol role="log" aria-busy="false"></ol>');
    expect(gateway.upgrades).toHaveLength(0);
    const container = document.body.appendChild(document.createElement("div"));
    container.innerHTML = html;
    const { hydrateRoot } = await import("react-dom/client");
    const faults: unknown[] = [];
    const root = await act(() =>
      hydrateRoot(container, <App />, { onRecoverableError: (fault) => faults.push(fault) }),
    );
    await shown(() => chat.connection.name === "connected");
    expect(faults).toEqual([]);
    await act(() => root.unmount());
  });
});
