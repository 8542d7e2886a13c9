// @vitest-environment jsdom
/** Parts of the page with a client at work, against the small gateway of these tests. */
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { Announcer } from "../src/page/announcer";
import { Composer } from "../src/page/composer";
import { RivuletClient, type WebSocketClass } from "../src/rivulet-client";
import { Gateway } from "./gateway";
import type { Answer } from "./gateway-session";

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

describe("two tabs", () => {
  it("keep their own conversations over a reload, and a new tab takes the last one", async () => {
    client.connect();
    await connected();
    const mine = client.session;
    // What another tab does to the storage that both share.
    localStorage.setItem("rivulet.session", "of-the-other-tab");
    expect(newClient().session).toBe(mine);
    sessionStorage.clear();
    expect(newClient().session).toBe("of-the-other-tab");
  });
});
