// @vitest-environment jsdom
/** Parts of the page with a client at work, against the small gateway of these tests. */
import { readFileSync } from "node:fs";
import { RivuletClient, type WebSocketClass } from "@rivulet/client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { WebSocket } from "ws";
import { Gateway } from "../../packages/client/test/gateway.js";
import type { Answer } from "../../packages/client/test/gateway-session.js";
import { Announcer } from "../src/page/announcer";
import { Composer } from "../src/page/composer";
import { ConnectionPill } from "../src/page/connection-pill";
import { StatusVoice } from "../src/page/status-voice";
import { Transcript } from "../src/page/transcript";

let gateway: Gateway;
let client: RivuletClient;

beforeEach(async () => {
  gateway = await new Gateway().start();
  sessionStorage.clear();
  localStorage.clear();
  document.documentElement.innerHTML = readFileSync("index.html", "utf8");
  client = newClient();
});

afterEach(async () => {
  client.close();
  await gateway.stop();
});

function newClient(): RivuletClient {
  const webSocket = WebSocket as unknown as WebSocketClass;
  return new RivuletClient({ random: () => 0, webSocket, url: gateway.url });
}

/** Resolves when `look` finds something, looked for now and after every change. */
function until<Result>(look: () => Result | undefined | false): Promise<Result> {
  return new Promise((resolve) => {
    const check = (): void => {
      const result = look();
      if (result) resolve(result);
    };
    client.on("change", check);
    client.on("state", check);
    check();
  });
}

const connected = () => until(() => client.state.name === "connected");

const box = () => document.getElementById("composer-text") as HTMLTextAreaElement;

function type(text: string): void {
  box().value = text;
  box().dispatchEvent(new Event("input"));
}

function submit(text: string): void {
  type(text);
  document.getElementById("composer")?.dispatchEvent(new Event("submit", { cancelable: true }));
}

describe("the message box", () => {
  beforeEach(() => {
    const composer = new Composer(client, () => {});
    client.on("refused", ({ frame }) => {
      if (frame.type === "send") composer.restore(frame.text);
    });
  });

  it("loses nothing that was written without a connection", async () => {
    gateway.onQuestion = (answer, text) => {
      // Not before the others are there: they have to wait for their turn.
      setTimeout(() => {
        answer.write(`About ${text}`);
        answer.done();
      }, 20);
    };
    for (const text of ["one", "two", "three"]) submit(text);
    expect(client.outgoing).toHaveLength(3);
    client.connect();
    const answers = await until(() => {
      const all = client.conversation.messages.filter(({ verified }) => verified);
      return all.length === 3 && all.map(({ text }) => text);
    });
    expect(answers).toEqual(["About one", "About two", "About three"]);
    expect(box().value).toBe("");
  });

  it("gets a refused text back below what was typed meanwhile", async () => {
    gateway.intercept = (frame) => {
      if (frame.type !== "send") return false;
      type("Something new");
      const error = { type: "error", re: frame.id, code: "queue_full", message: "Full" };
      gateway.sessions.get(client.session ?? "")?.broadcast(error);
      return true;
    };
    client.connect();
    await connected();
    submit("Refused");
    await until(() => client.outgoing.length === 0);
    expect(box().value).toBe("Something new\nRefused");
  });

  it("gets a text back that was refused at once", async () => {
    client.connect();
    await connected();
    const huge = "🌊".repeat(16_384);
    submit(huge);
    expect(box().value).toBe(huge);
  });
});

describe("the announcer", () => {
  const announced = () => document.getElementById("announcer")?.textContent ?? "";

  async function ask(): Promise<Answer> {
    const question = new Promise<Answer>((resolve) => {
      gateway.onQuestion = resolve;
    });
    client.send("Why?");
    const answer = await question;
    answer.write("Bec");
    await until(() => client.conversation.messages.at(-1)?.text === "Bec");
    return answer;
  }

  beforeEach(async () => {
    new Announcer(client);
    client.connect();
    await connected();
  });

  it("tells a finished answer", async () => {
    const answer = await ask();
    expect(announced()).toBe("The answer is being written.");
    answer.write("ause");
    answer.done();
    await until(() => client.conversation.messages.at(-1)?.verified);
    expect(announced()).toContain("Because");
  });

  it("tells an answer that ended without a connection and comes back in a snapshot", async () => {
    const answer = await ask();
    const session = gateway.sessions.get(client.session ?? "");
    if (session) session.epoch = "restarted";
    gateway.cut();
    answer.write("ause");
    answer.done();
    await until(() => client.conversation.messages.at(-1)?.text === "Because");
    expect(announced()).toContain("Because");
  });
});

describe("the transcript", () => {
  let transcript: Transcript;
  let homeless: string[];

  beforeEach(async () => {
    homeless = [];
    transcript = new Transcript(client, {
      asked: () => {},
      homeless: (text) => homeless.push(text),
      openSource: () => {},
    });
    client.on("change", () => transcript.paint());
    gateway.onQuestion = (answer) => {
      answer.write("Because");
      answer.done();
    };
    client.connect();
    await connected();
    client.send("Why?");
    await until(() => client.conversation.messages.at(-1)?.verified);
  });

  const button = (name: string) =>
    [...document.querySelectorAll("#messages button")].find(
      ({ textContent }) => textContent === name,
    ) as HTMLButtonElement;
  const editor = () => document.querySelector<HTMLTextAreaElement>(".question-editor textarea");

  function press(key: string): void {
    editor()?.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  }

  it("opens the editor again, with what was written, when an edit is refused", async () => {
    client.on("refused", ({ frame }) => {
      if (frame.type === "edit") transcript.edit(frame.message, frame.text);
    });
    gateway.intercept = (frame, socket) => {
      if (frame.type !== "edit") return false;
      const error = { type: "error", re: frame.id, code: "busy", message: "Still answering" };
      socket.send(JSON.stringify(error));
      return true;
    };
    button("Edit").click();
    const field = editor();
    if (field) field.value = "How?";
    press("Enter");
    expect(editor()).toBeNull();
    expect(document.querySelector(".question-text")?.textContent).toBe("How?");
    expect(document.querySelector(".answer")?.hasAttribute("data-outdated")).toBe(true);
    await until(() => editor()?.value === "How?");
    press("Escape");
    expect(document.querySelector(".question-text")?.textContent).toBe("Why?");
    expect(document.querySelector(".answer")?.hasAttribute("data-outdated")).toBe(false);
  });

  it("gives away what was being written when the message is replaced elsewhere", async () => {
    button("Edit").click();
    const field = editor();
    if (field) field.value = "Half a thou";
    const other = newClient();
    other.connect();
    other.edit(client.conversation.messages[0]?.id ?? "", "How?");
    await until(() => client.conversation.messages[0]?.text === "How?");
    expect(homeless).toEqual(["Half a thou"]);
    expect(editor()).toBeNull();
    other.close();
  });

  it("offers nothing that the gateway would refuse while an answer is written", async () => {
    gateway.onQuestion = (answer) => answer.write("Bec");
    button("Try again").click();
    await until(() => client.conversation.messages.at(-1)?.text === "Bec");
    expect(button("Edit").disabled).toBe(true);
    expect(button("Try again").hidden).toBe(true);
    client.stop();
    await until(() => client.conversation.messages.at(-1)?.verified);
    expect(button("Edit").disabled).toBe(false);
    expect(button("Try again").hidden).toBe(false);
  });
});

describe("the status for screen readers", () => {
  const said = () => document.getElementById("status")?.textContent ?? "";

  it("is told when it lasts, and the same thing not twice in half a minute", () => {
    vi.useFakeTimers();
    const voice = new StatusVoice();
    voice.say("connection", "Gone.");
    vi.advanceTimersByTime(999);
    voice.takeBack("connection");
    vi.advanceTimersByTime(5_000);
    expect(said()).toBe("");
    for (const text of ["Gone.", "Back.", "Gone."]) {
      voice.say("connection", text);
      vi.advanceTimersByTime(1_000);
      expect(said()).toBe(text);
    }
    voice.say("typing", "Someone is typing.");
    vi.advanceTimersByTime(1_000);
    voice.say("connection", "Gone.");
    vi.advanceTimersByTime(1_000);
    expect(said()).toBe("Someone is typing.");
    vi.useRealTimers();
  });

  it("has no word for a connection that was back within a second", async () => {
    const voice = new StatusVoice();
    new ConnectionPill(client, voice);
    client.connect();
    await connected();
    const spoken = vi.spyOn(voice, "say");
    const takenBack = vi.spyOn(voice, "takeBack");
    gateway.cut();
    await until(() => client.state.name === "reconnecting");
    await connected();
    expect(spoken.mock.calls).toEqual([["connection", "Connection lost. Reconnecting."]]);
    expect(takenBack).toHaveBeenLastCalledWith("connection");
    expect(document.getElementById("connection")?.dataset.state).toBe("resumed");
  });
});

describe("a page that returns", () => {
  it("does not wait for the reason of a refusal that never comes", async () => {
    client.connect();
    await connected();
    gateway.refusals = 1;
    gateway.silent = true;
    const asked = new Promise((resolve) => gateway.server.once("request", resolve));
    gateway.cut();
    await asked;
    expect(client.state.name).toBe("connecting");
    window.dispatchEvent(new Event("online"));
    await connected();
  });
});

describe("a gateway that has said when to come back", () => {
  it("is not called before that because the page is looked at", async () => {
    client.connect();
    await connected();
    const goaway = { type: "goaway", reason: "drain", retry_in_ms: 60_000, deadline_ms: 90_000 };
    gateway.sessions.get(client.session ?? "")?.broadcast(goaway);
    await until(() => client.state.name === "connected" && client.state.leaving);
    gateway.closeAll(1001);
    const state = await until(() => client.state.name === "reconnecting" && client.state);
    expect(state.announced).toBe(true);
    window.dispatchEvent(new Event("online"));
    expect(client.state).toBe(state);
    client.connect();
    await connected();
    expect(client.state).toEqual({ name: "connected", leaving: false });
  });
});

describe("two tabs", () => {
  it("keep their own conversations over a reload, and a new tab takes the last one", async () => {
    gateway.onQuestion = (answer) => answer.done();
    client.connect();
    client.send("Why?");
    await until(() => client.conversation.messages.at(-1)?.verified);
    const mine = client.session;
    // What another tab does to the storage that both share.
    localStorage.setItem("rivulet.session", "of-the-other-tab");
    expect(newClient().session).toBe(mine);
    sessionStorage.clear();
    expect(newClient().session).toBe("of-the-other-tab");
  });

  it("remember no conversation in which nothing was said", async () => {
    client.connect();
    await connected();
    expect(newClient().session).toBeNull();
  });
});
