// @vitest-environment jsdom
/** What the page shows of assistants: the start of a conversation, and who answers. */
import { readFileSync } from "node:fs";
import { type Assistant, RivuletClient, type WebSocketClass } from "@rivulet/client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { WebSocket } from "ws";
import { assistant, Gateway } from "../../packages/client/test/gateway.js";
import { Answering } from "../src/page/answering";
import { Assistants, choiceOf } from "../src/page/assistants";
import { Start } from "../src/page/start";

const MARKUP = "<img src=x onerror=alert(1)>";

let gateway: Gateway;
let client: RivuletClient;
let assistants: Assistants;
let asked: string[];

beforeEach(async () => {
  gateway = await new Gateway().start();
  sessionStorage.clear();
  localStorage.clear();
  document.documentElement.innerHTML = readFileSync("index.html", "utf8");
  // This environment's own would not ask another address.
  vi.stubGlobal("fetch", async (url: URL) => {
    if (!url.pathname.endsWith("/assistants")) return new Response("{}", { status: 404 });
    return Response.json({ assistants: gateway.assistants });
  });
  const webSocket = WebSocket as unknown as WebSocketClass;
  client = new RivuletClient({ random: () => 0, webSocket, url: gateway.url });
  asked = [];
  const pick = (one: Assistant) => client.newSession(choiceOf(one));
  assistants = new Assistants(
    client,
    () => client.endpoint.assistants(),
    () => paint(),
  );
  const start = new Start(assistants, { pick, ask: (text) => asked.push(text) });
  const answering = new Answering(client, assistants, pick);
  const paint = (): void => {
    start.paint();
    answering.paint();
  };
  client.on("change", paint);
});

afterEach(async () => {
  client.close();
  await gateway.stop();
  vi.unstubAllGlobals();
});

/** Connects, and waits until this is so. */
async function shown(look: () => boolean): Promise<void> {
  if (client.state.name === "idle") client.connect();
  await vi.waitFor(() => expect(look()).toBe(true));
}

const byId = (id: string) => document.getElementById(id) as HTMLElement;
const cards = () => [...byId("start-assistants").querySelectorAll("button")];
const pressed = () =>
  cards()
    .filter((card) => card.getAttribute("aria-pressed") === "true")
    .map((card) => card.querySelector(".assistant-title")?.textContent);
const suggestions = () => [...byId("suggestions").querySelectorAll("button")];
const texts = () => suggestions().map(({ textContent }) => textContent);

describe("one assistant", () => {
  it("leaves the page as it is", async () => {
    expect(texts()).toEqual([]);
    await shown(() => texts().includes("How long can I return a tent?"));
    expect(byId("start-assistants").hidden).toBe(true);
    expect(byId("answering").hidden).toBe(true);
    expect(byId("greeting").hidden).toBe(true);
    expect(byId("welcome-text").hidden).toBe(false);
  });

  it("says something first, and suggests what to ask", async () => {
    const about = { greeting: "Which book?", suggestions: ["What is new?"], languages: ["en"] };
    gateway.assistants = [assistant("books", { default: true, title: "Books", ...about })];
    await shown(() => !byId("greeting").hidden);
    expect(byId("greeting").textContent).toMatch(/Books\s+Which book\?/);
    expect(byId("greeting").lang).toBe("en");
    expect(client.conversation.messages).toEqual([]);
    expect(texts()).toEqual(["What is new?"]);
    suggestions()[0]?.click();
    expect(asked).toEqual(["What is new?"]);
    expect(byId("answering").hidden).toBe(true);
  });

  it("has the page's own suggestions where nothing can be known of it", async () => {
    vi.stubGlobal("fetch", async () => new Response("{}", { status: 401 }));
    await shown(() => texts().includes("How long can I return a tent?"));
    expect(assistants.offered).toEqual([]);
    expect(byId("answering").hidden).toBe(true);
  });
});

describe("several assistants", () => {
  beforeEach(() => {
    gateway.assistants = [
      assistant("default", { default: true, title: "Everything" }),
      assistant("books", { title: "Books", description: "Our shelves", suggestions: ["New?"] }),
    ];
  });

  it("are cards, of which one is chosen", async () => {
    await shown(() => cards().length === 2);
    expect(cards().map(({ textContent }) => textContent)).toEqual([
      "Everything",
      "BooksOur shelves",
    ]);
    expect(pressed()).toEqual(["Everything"]);
    expect(byId("answering-title").textContent).toBe("Everything");
    expect(byId("welcome-text").hidden).toBe(true);
    const card = cards()[1];
    card?.focus();
    card?.click();
    expect(pressed(), "before the gateway has said so").toEqual(["Books"]);
    await shown(() => client.conversation.assistant === "books");
    expect(byId("answering-title").textContent).toBe("Books");
    expect(texts()).toEqual(["New?"]);
    expect(document.activeElement, "the card stays").toBe(card);
    cards()[0]?.click();
    await shown(() => client.conversation.assistant === "default");
    expect(texts()).not.toContain("New?");
    expect(localStorage.getItem("rivulet.assistant"), "whoever is the default").toBeNull();
  });

  it("are only text, whatever is written in them", async () => {
    const about = { title: MARKUP, description: MARKUP, greeting: MARKUP, suggestions: [MARKUP] };
    gateway.assistants[0] = assistant("default", { default: true, ...about });
    await shown(() => cards().length === 2);
    expect(document.querySelectorAll("img")).toHaveLength(0);
    for (const id of ["start-assistants", "greeting", "suggestions", "answering"])
      expect(byId(id).textContent).toContain(MARKUP);
  });

  it("name the one that answers also when it is not on offer any more", async () => {
    gateway.assistants.push(assistant("old"));
    client.newSession("old");
    await shown(() => client.conversation.assistant === "old");
    const question = new Promise<void>((resolve) => {
      gateway.onQuestion = (answer) => {
        answer.done();
        resolve();
      };
    });
    client.send("Why?");
    await question;
    gateway.assistants.pop();
    assistants.forget();
    gateway.cut();
    await shown(() => assistants.offered?.length === 2);
    expect(byId("answering-title").textContent).toBe("old");
    expect(byId("answering").hidden).toBe(false);
    expect(pressed()).toEqual([]);
  });

  it("give way to the default one where nothing was said yet and nobody would answer", async () => {
    gateway.assistants.push(assistant("old"));
    client.newSession("old");
    await shown(() => client.conversation.assistant === "old" && cards().length === 3);
    gateway.assistants.pop();
    gateway.intercept = (frame) => {
      if (frame.type !== "send") return false;
      const error = { type: "error", re: frame.id, code: "not_found", message: "Nobody" };
      gateway.sessions.get(client.session ?? "")?.broadcast(error);
      return true;
    };
    client.send("Why?");
    await shown(() => client.conversation.assistant === "default");
    expect(pressed()).toEqual(["Everything"]);
  });
});
