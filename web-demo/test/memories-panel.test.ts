// @vitest-environment jsdom
/** What the assistant remembers, beside the conversation. */
import { readFileSync } from "node:fs";
import { type Assistant, Endpoint, RivuletClient, type WebSocketClass } from "@rivulet/client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { WebSocket } from "ws";
import { assistant } from "../../packages/client/test/gateway.js";
import { MemoriesApi } from "../src/memories/api";
import { Forgetting } from "../src/memories/forgetting";
import { SidePanel } from "../src/page/documents/side-panel";
import { MemoriesPanel } from "../src/page/memory/memories-panel";
import { StatusVoice } from "../src/page/status-voice";
import { fact, MemoryRoutes } from "./memories";

const MARKUP = "<img src=x onerror=alert(1)>";

let routes: MemoryRoutes;
let forgetting: Forgetting;
let panel: MemoriesPanel;
let side: SidePanel;
let who: Assistant | undefined;
let opened: string[];
let saved: string[];

beforeEach(() => {
  routes = new MemoryRoutes();
  vi.stubGlobal("fetch", routes.fetch);
  vi.stubGlobal("matchMedia", () => new EventTarget());
  document.documentElement.innerHTML = readFileSync("index.html", "utf8");
  opened = [];
  saved = [];
  URL.createObjectURL = () => "blob:1";
  vi.spyOn(HTMLAnchorElement.prototype, "click").mockImplementation(function click(this: unknown) {
    saved.push((this as HTMLAnchorElement).download);
  });
  who = assistant("companion", { title: `Companion ${MARKUP}`, memory: true });
  const webSocket = WebSocket as unknown as WebSocketClass;
  const client = new RivuletClient({ webSocket, url: "http://gateway/", storage: null });
  const api = new MemoriesApi(new Endpoint("http://gateway/"));
  forgetting = new Forgetting(api);
  side = new SidePanel((change) => change());
  panel = new MemoriesPanel(client, {
    api,
    forgetting,
    panel: side,
    voice: new StatusVoice(),
    conversations: { current: "s_here", open: (session) => opened.push(session) },
    current: () => who,
  });
  panel.paint();
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

const one = (selector: string) => document.querySelector(selector) as HTMLElement;
const all = (selector: string) => [...document.querySelectorAll<HTMLElement>(selector)];
const shown = (look: () => unknown) => vi.waitFor(() => expect(look()).toBeTruthy());
const texts = (list: string) => all(`#${list} .memory-text`).map(({ textContent }) => textContent);
const button = (label: string) =>
  all("#memories button").find(
    (one) => (one.ariaLabel ?? one.textContent) === label,
  ) as HTMLElement;
const open = async () => {
  one("#memories-toggle").click();
  await shown(() => one("#memories").ariaBusy === "false");
};

describe("the list of what is remembered", () => {
  it("is there for assistants that remember, alone", async () => {
    expect(one("#memories-toggle").hidden).toBe(false);
    who = assistant("companion");
    panel.paint();
    expect(one("#memories-toggle").hidden).toBe(true);
    who = assistant("companion", { memory: true });
    panel.paint();
    one("#memories-toggle").focus();
    await open();
    expect(one("#side-title").textContent).toBe("What it remembers");
    expect(one("#memories-toggle").ariaExpanded).toBe("true");
    expect(one("#documents-toggle").ariaExpanded).toBe("false");
    expect(document.activeElement).toBe(one("#side-title"));
    expect(one("#memories-empty").hidden).toBe(false);
    expect(one("#memories-forget-all").hidden).toBe(true);
    one("#side").dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" }));
    expect(one("#side").hidden).toBe(true);
    expect(document.activeElement).toBe(one("#memories-toggle"));
    await open();
    // Another one answers now, who remembers nothing.
    who = assistant("books");
    panel.paint();
    expect(one("#side").hidden).toBe(true);
  });

  it("has what holds, what has held, and what was talked about, as text", async () => {
    routes.add(fact({ id: "mem_1", text: MARKUP }));
    routes.add(fact({ id: "mem_2", text: "I lived in Porto", ended_at: "2026-11-20T10:00:00Z" }));
    routes.add(fact({ id: "mem_3", text: "I have a dog", session: "s_here" }));
    const episode = { kind: "episode", origin: "turn" } as const;
    routes.add(fact({ ...episode, id: "mem_4", text: `The tent ${MARKUP}` }));
    await open();
    await shown(() => texts("memories-facts").length === 2);
    expect(texts("memories-facts")).toEqual(["I have a dog", MARKUP]);
    expect(texts("memories-earlier-list")).toEqual(["I lived in Porto"]);
    expect(one("#memories-earlier-title").textContent).toBe("Earlier (1)");
    expect(one("#memories-earlier-list").textContent).toContain("held until");
    expect(texts("memories-episodes")).toEqual([`The tent ${MARKUP}`]);
    expect(one("#memories-whose").textContent).toContain(`Companion ${MARKUP} remembers of you`);
    expect(document.querySelector("#memories img")).toBeNull();
    // What was said here needs no way there.
    expect(all("#memories-facts a").length).toBe(1);
    (one("#memories-facts a") as HTMLAnchorElement).dispatchEvent(
      new MouseEvent("click", { cancelable: true, bubbles: true }),
    );
    expect(opened).toEqual(["s_elsewhere"]);
    const names = all("#memories .memory button:not([hidden])").map(({ ariaLabel }) => ariaLabel);
    expect(names).toEqual([
      "Edit: I have a dog",
      "Forget: I have a dog",
      `Edit: ${MARKUP}`,
      `Forget: ${MARKUP}`,
      "Forget: I lived in Porto",
      `Forget: The tent ${MARKUP}`,
    ]);
  });

  it("is put right, and keeps what is being written when others come", async () => {
    routes.add(fact({ text: "I like tea" }));
    await open();
    await shown(() => button("Edit: I like tea"));
    button("Edit: I like tea").click();
    const field = one(".memory-form input") as HTMLInputElement;
    expect(document.activeElement).toBe(field);
    field.value = "I like coffee";
    routes.add(fact({ id: "mem_9", text: "I have a dog" }));
    forgetting.tell([]);
    await shown(() => texts("memories-facts").length === 2);
    expect(field.isConnected && field.value).toBe("I like coffee");
    const submit = () =>
      one(".memory-form").dispatchEvent(new Event("submit", { cancelable: true }));
    routes.fail = { status: 422, code: "sensitive" };
    submit();
    await shown(() =>
      all(".memory-fault").some(({ textContent }) => textContent?.includes("secret")),
    );
    expect(field.isConnected).toBe(true);
    routes.fail = null;
    submit();
    await shown(() => texts("memories-facts").includes("I like coffee"));
    expect(one(".memory-form")).toBeNull();
    expect(document.activeElement).toBe(button("Edit: I like coffee"));
    button("Edit: I like coffee").click();
    one(".memory-form").dispatchEvent(
      new KeyboardEvent("keydown", { key: "Escape", bubbles: true }),
    );
    expect([one(".memory-form"), one("#side").hidden]).toEqual([null, false]);
  });

  it("loses what is to be forgotten, after a question, and the focus goes on", async () => {
    routes.add(fact({ id: "mem_1", text: "One" }));
    routes.add(fact({ id: "mem_2", text: "Two" }));
    await open();
    await shown(() => button("Forget: Two"));
    button("Forget: Two").click();
    expect(document.activeElement?.textContent).toBe("Keep it");
    button("Keep it").click();
    expect(document.activeElement).toBe(button("Forget: Two"));
    button("Forget: Two").click();
    button("Forget it").click();
    await shown(() => texts("memories-facts").length === 1);
    expect(document.activeElement).toBe(button("Forget: One"));
    button("Forget: One").click();
    button("Forget it").click();
    await shown(() => !one("#memories-empty").hidden);
    expect(document.activeElement).toBe(one("#side-title"));
    expect(routes.asked).toEqual(["DELETE memories/mem_2", "DELETE memories/mem_1"]);
  });

  it("is written to, saved as a file, switched off, and emptied", async () => {
    await open();
    const text = one("#memories-text") as HTMLInputElement;
    text.value = "  I have a dog ";
    one("#memories-form").dispatchEvent(new Event("submit", { cancelable: true }));
    await shown(() => texts("memories-facts").join() === "I have a dog");
    expect(text.value).toBe("");
    button("Export").click();
    await shown(() => saved.length === 1);
    expect(saved).toEqual(["memories.json"]);
    const enabled = one("#memories-enabled") as HTMLInputElement;
    expect(enabled.checked).toBe(true);
    routes.fail = { status: 503, code: "storage_unavailable" };
    enabled.click();
    await shown(() => !one("#memories-problem").hidden);
    expect(enabled.checked).toBe(true);
    routes.fail = null;
    enabled.click();
    await shown(() => !routes.enabled);
    await shown(() => !enabled.checked && one("#memories-problem").hidden);
    button("Forget everything").click();
    expect(document.activeElement?.textContent).toBe("Keep it");
    all("#memories-ask button").at(-1)?.click();
    await shown(() => !one("#memories-empty").hidden);
    expect(routes.asked.at(-1)).toBe("DELETE memories?confirm=true&assistant=companion");
    expect(texts("memories-facts")).toEqual([]);
  });

  it("says why it cannot be had, and tries again", async () => {
    routes.add(fact({ assistant: "companion" }));
    routes.fail = { status: 503, code: "storage_unavailable" };
    await open();
    expect(one("#memories-problem").textContent).toContain("cannot store anything");
    expect(one("#memories-empty").hidden).toBe(true);
    routes.fail = null;
    one("#memories-again").click();
    await shown(() => texts("memories-facts").length === 1);
    expect(one("#memories-again").hidden).toBe(true);
  });
});

it("who wants to see what is remembered sees it, also where it is in sight already", () => {
  for (const _ of [1, 2]) {
    side.showMemories();
    expect(side.shows).toBe("memories");
  }
  side.toggleMemories();
  expect(side.shows).toBeNull();
});
