// @vitest-environment jsdom
/** The list of conversations, where it stands, the address, and the settings, as the page shows them. */
import { readFileSync } from "node:fs";
import { Endpoint, type RivuletClient } from "@rivulet/client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Address } from "../src/conversations/address";
import { type ConversationInfo, ConversationsApi } from "../src/conversations/api";
import { Catalogue } from "../src/conversations/catalogue";
import { Drawer } from "../src/conversations/drawer";
import { ConversationList } from "../src/conversations/list";
import { ofTheGateway } from "../src/conversations/source";
import { Composer } from "../src/page/composer";
import { SettingsDialog } from "../src/settings/dialog";
import { Preferences } from "../src/settings/preferences";
import { SessionRoutes, session } from "./sessions";

const MARKUP = "<img src=x onerror=alert(1)>";

let routes: SessionRoutes;
let catalogue: Catalogue;
let list: ConversationList;
let current: string | null;
let opened: string[];
let removed: ConversationInfo[];
let said: string[];
let wide: boolean;
let resized: () => void;

beforeEach(async () => {
  document.documentElement.innerHTML = readFileSync("index.html", "utf8");
  localStorage.clear();
  HTMLDialogElement.prototype.showModal = function show(this: HTMLDialogElement) {
    this.open = true;
  };
  HTMLDialogElement.prototype.close = function hide(this: HTMLDialogElement) {
    this.open = false;
    this.dispatchEvent(new Event("close"));
  };
  wide = true;
  vi.stubGlobal("matchMedia", () => ({
    get matches() {
      return wide;
    },
    addEventListener: (_: string, listener: () => void) => {
      resized = listener;
    },
  }));
  routes = new SessionRoutes();
  vi.stubGlobal("fetch", routes.fetch);
  routes.add(session("s_1", { title: MARKUP }));
  routes.add(session("s_2"));
  [current, opened, removed, said] = ["s_1", [], [], []];
  const api = new ConversationsApi(new Endpoint("http://gateway/"));
  catalogue = new Catalogue(api, () => list.paint());
  list = new ConversationList(catalogue, {
    current: () => current,
    address: (id) => `?session=${id}`,
    open: (id) => opened.push(id),
    begin: () => opened.push("new"),
    remove: (conversation) => removed.push(conversation),
    say: (text) => said.push(text),
    note: () => null,
  });
  await catalogue.from(ofTheGateway(api));
});

afterEach(() => vi.unstubAllGlobals());

const one = <Of extends HTMLElement>(selector: string) => document.querySelector(selector) as Of;
const all = (selector: string) => [...document.querySelectorAll<HTMLElement>(selector)];
const press = (target: HTMLElement, key: string, more: KeyboardEventInit = {}) =>
  target.dispatchEvent(
    new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more }),
  );
const row = (at: number) => all(".conversation")[at] as HTMLElement;
const tool = (at: number, name: string) =>
  row(at).querySelector(`[title="${name}"]`) as HTMLElement;
const links = () => all(".conversation-link");
const submit = (at: number, text: string) => {
  const form = row(at).querySelector("form") as HTMLFormElement;
  (form.querySelector("input") as HTMLInputElement).value = text;
  form.dispatchEvent(new Event("submit", { cancelable: true }));
};

describe("the list", () => {
  it("shows titles as text, and which one is open", () => {
    expect(all(".conversation-title").map(({ textContent }) => textContent)).toEqual([
      "Title of s_2",
      MARKUP,
    ]);
    expect(one("#conversations img")).toBeNull();
    expect(links().map((link) => link.getAttribute("aria-current"))).toEqual([null, "page"]);
    current = "s_2";
    list.paint();
    expect(links().map((link) => link.getAttribute("aria-current"))).toEqual(["page", null]);
  });

  it("opens within the page, and in another tab for who wants one", () => {
    const click = (init: MouseEventInit) =>
      links()[0]?.dispatchEvent(new MouseEvent("click", { cancelable: true, ...init }));
    expect(click({ ctrlKey: true })).toBe(true);
    expect(opened).toEqual([]);
    expect(click({})).toBe(false);
    expect(opened).toEqual(["s_2"]);
    expect(links()[0]?.getAttribute("href")).toBe("?session=s_2");
    one("#conversations-new").click();
    expect(opened).toEqual(["s_2", "new"]);
  });

  it("renames in place; what is refused says why and is still there", async () => {
    tool(0, "Rename").click();
    expect((document.activeElement as HTMLInputElement).value).toBe("Title of s_2");
    submit(0, "   ");
    expect(routes.asked.filter((asked) => asked.startsWith("PATCH"))).toEqual([]);
    routes.fail = { status: 400, code: "invalid_field", detail: "`title` must be shorter" };
    submit(0, "Tents");
    await vi.waitFor(() =>
      expect(row(0).querySelector("[role=alert]")?.textContent).toContain("must"),
    );
    expect((document.activeElement as HTMLInputElement).value).toBe("Tents");
    routes.fail = null;
    submit(0, " Tents ");
    await vi.waitFor(() => expect(links()[0]?.textContent).toContain("Tents"));
    expect(document.activeElement).toBe(tool(0, "Rename"));
    expect(tool(0, "Delete").getAttribute("aria-label")).toBe("Delete: Tents");
    expect(said).toEqual(["Renamed."]);
  });

  it("keeps what is being written while it is painted, and gives it up with Escape", async () => {
    tool(1, "Rename").click();
    const box = document.activeElement as HTMLInputElement;
    box.value = "Half a ti";
    routes.add(session("s_3"));
    await catalogue.refresh();
    expect(document.activeElement).toBe(box);
    expect(box.value).toBe("Half a ti");
    const escaped = vi.fn();
    document.addEventListener("keydown", escaped);
    press(box, "Escape");
    document.removeEventListener("keydown", escaped);
    expect(escaped).not.toHaveBeenCalled();
    expect(document.activeElement).toBe(tool(2, "Rename"));
  });

  it("asks before it deletes, and the focus goes to the next one", () => {
    tool(0, "Delete").click();
    expect(removed.map(({ session_id: id }) => id)).toEqual(["s_2"]);
    list.focusAfter("s_2");
    catalogue.drop("s_2");
    expect(document.activeElement).toBe(links()[0]);
    list.focusAfter("s_1");
    catalogue.drop("s_1");
    expect(document.activeElement).toBe(one("#conversations-title"));
    expect(one("#conversations-note").hidden).toBe(false);
  });

  it("says why it is not there, and tries again when it is told to", async () => {
    routes.fail = { status: 503, code: "storage_unavailable", detail: "down" };
    await catalogue.refresh();
    expect(one("#conversations-problem").textContent).toContain("cannot store");
    one("#conversations-scroll").dispatchEvent(new Event("scroll"));
    const before = routes.asked.length;
    routes.fail = null;
    one("#conversations-again").click();
    await vi.waitFor(() => expect(routes.asked).toHaveLength(before + 1));
    await vi.waitFor(() => expect(one("#conversations-scroll").ariaBusy).toBe("false"));
    expect(one("#conversations-again").hidden).toBe(true);
  });
});

describe("where the list stands", () => {
  const around = (change: () => void) => change();
  const toggle = () => one("#conversations-toggle");

  it("beside the conversation where there is room, until it is closed for good", () => {
    new Drawer(localStorage, around);
    expect(one("#conversations").hidden).toBe(false);
    expect(document.body.hasAttribute("data-list")).toBe(true);
    expect(toggle().getAttribute("aria-expanded")).toBe("true");
    one("#conversations-close").click();
    expect([one("#conversations").hidden, document.activeElement]).toEqual([true, toggle()]);
    const next = new Drawer(localStorage, around);
    expect(next.isOpen).toBe(false);
    next.open();
    expect(document.activeElement).toBe(one("#conversations-title"));
  });

  it("in a drawer where there is none, closed at first", () => {
    wide = false;
    const drawer = new Drawer(null, around);
    const looked = vi.fn();
    drawer.onOpen = looked;
    expect(one("#drawer").contains(one("#conversations"))).toBe(true);
    expect([drawer.isOpen, document.body.hasAttribute("data-list")]).toEqual([false, false]);
    toggle().click();
    expect([drawer.isOpen, looked.mock.calls.length]).toEqual([true, 1]);
    expect(toggle().getAttribute("aria-expanded")).toBe("true");
    drawer.makeWay();
    expect(toggle().getAttribute("aria-expanded")).toBe("false");
    wide = true;
    resized();
    expect(one("#drawer").contains(one("#conversations"))).toBe(false);
    expect(drawer.isOpen).toBe(true);
  });
});

it("the address names what is open once something was said, and leads back", () => {
  const client = { session: "s_1", conversation: { messages: [] as object[] } };
  const travelled: (string | null)[] = [];
  const here = location.href;
  const address = new Address(client as unknown as RivuletClient, here, (id) => travelled.push(id));
  address.paint();
  expect(location.href).toBe(here);
  client.conversation.messages.push({});
  address.paint();
  expect(location.search).toBe("?session=s_1");
  const steps = history.length;
  address.leadTo("s_/2");
  expect([location.search, history.length]).toEqual(["?session=s_%2F2", steps + 1]);
  window.dispatchEvent(new PopStateEvent("popstate"));
  expect(travelled).toEqual(["s_/2"]);
  address.forget();
  expect(location.href).toBe(here);
});

describe("settings", () => {
  const choose = (value: string) => {
    const radio = one<HTMLInputElement>(`#settings input[value="${value}"]`);
    radio.checked = true;
    radio.dispatchEvent(new Event("change", { bubbles: true }));
  };
  const parts = { current: () => undefined, openMemories: () => {} };

  it("hold in this browser, and what is usual leaves nothing behind", () => {
    localStorage.setItem("rivulet.theme", "purple");
    const preferences = new Preferences(localStorage);
    new SettingsDialog(preferences, parts);
    expect(document.documentElement.dataset.theme).toBeUndefined();
    one("#settings-open").click();
    expect(one<HTMLInputElement>("#settings input[value=system]").checked).toBe(true);
    choose("dark");
    choose("ctrl-enter");
    expect(document.documentElement.dataset.theme).toBe("dark");
    expect([one("#hint-enter").hidden, one("#hint-ctrl-enter").hidden]).toEqual([true, false]);
    const later = new Preferences(localStorage);
    expect([later.theme, later.sendKey]).toEqual(["dark", "ctrl-enter"]);
    choose("system");
    choose("enter");
    expect([...Array(localStorage.length).keys()].map((n) => localStorage.key(n))).toEqual([]);
    expect(document.documentElement.dataset.theme).toBeUndefined();
  });

  it.each([
    ["enter", {}, true],
    ["enter", { shiftKey: true }, false],
    ["ctrl-enter", {}, false],
    ["ctrl-enter", { ctrlKey: true }, true],
    ["ctrl-enter", { metaKey: true }, true],
    ["ctrl-enter", { ctrlKey: true, isComposing: true }, false],
  ] as const)("%s with %j sends: %s", (key, modifiers, sends) => {
    const sent: string[] = [];
    const client = {
      on: () => {},
      typing: () => {},
      send: (text: string) => sent.push(text),
      state: { name: "connected" },
      conversation: { messages: [], runs: new Map() },
      outgoing: [],
    };
    new Composer(
      client as unknown as RivuletClient,
      () => {},
      () => key,
    );
    const box = one<HTMLTextAreaElement>("#composer-text");
    box.value = "Why?";
    press(box, "Enter", modifiers);
    expect(sent).toEqual(sends ? ["Why?"] : []);
  });
});
