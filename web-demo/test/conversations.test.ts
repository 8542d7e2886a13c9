/** The list of conversations without a page: where it comes from, its pages, what becomes of its entries. */
import { Endpoint } from "@rivulet/client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ConversationsApi, PAGE } from "../src/conversations/api";
import { Catalogue } from "../src/conversations/catalogue";
import { MOST_KEPT, Opened } from "../src/conversations/opened";
import { ofTheGateway, ofThisBrowser, type Source } from "../src/conversations/source";
import { lastSaid } from "../src/conversations/words";
import { SessionRoutes, session } from "./sessions";

let routes: SessionRoutes;
let api: ConversationsApi;
let kept: Map<string, string>;
let opened: Opened;

beforeEach(() => {
  routes = new SessionRoutes();
  vi.stubGlobal("fetch", routes.fetch);
  api = new ConversationsApi(new Endpoint("http://gateway/"));
  kept = new Map();
  opened = new Opened({
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => void kept.set(key, value),
    removeItem: (key) => void kept.delete(key),
  });
});

afterEach(() => vi.unstubAllGlobals());

const titles = (catalogue: Catalogue) => catalogue.items.map(({ title }) => title);

async function listed(source: Source): Promise<Catalogue> {
  const catalogue = new Catalogue(api, () => {});
  await catalogue.from(source);
  return catalogue;
}

describe("what this browser has been in", () => {
  it("is kept by id, newest first, and within a bound", () => {
    for (let n = 0; n <= MOST_KEPT; n++) opened.add(`s_${n}`);
    opened.add("s_7");
    expect(opened.ids).toHaveLength(MOST_KEPT);
    expect(opened.ids[0]).toBe(`s_${MOST_KEPT}`);
    expect(opened.ids).not.toContain("s_0");
    expect(opened.ids.at(-1)).toBe("s_1");
    opened.drop("s_1");
    expect(opened.ids).not.toContain("s_1");
  });

  it.each(["{", '"s"', "7"])("is nothing where %j stands", (text) => {
    kept.set("rivulet.conversations", text);
    expect(opened.ids).toEqual([]);
  });

  it("is lost where nothing can be kept, and nothing else is", () => {
    const refuse = () => {
      throw new Error("blocked");
    };
    const blocked = new Opened({ getItem: refuse, setItem: refuse, removeItem: refuse });
    blocked.add("s_1");
    expect(blocked.ids).toEqual([]);
    expect(new Opened(null).ids).toEqual([]);
  });

  it("is all that is listed, and ids of what is gone are forgotten", async () => {
    for (const id of ["s_1", "s_2", "s_others"]) routes.add(session(id));
    for (const id of ["s_1", "s_gone", "s_2"]) opened.add(id);
    const catalogue = await listed(ofThisBrowser(api, opened));
    expect(titles(catalogue)).toEqual(["Title of s_2", "Title of s_1"]);
    expect(opened.ids).toEqual(["s_2", "s_1"]);
    expect(routes.asked.some((asked) => asked.startsWith("GET sessions?"))).toBe(false);
  });

  it("is looked through to its end", async () => {
    for (let n = 0; n < 70; n++) {
      routes.add(session(`s_${n}`, { title: n % 30 === 1 ? `TENT ${n}` : `Bag ${n}` }));
      opened.add(`s_${n}`);
    }
    const catalogue = await listed(ofThisBrowser(api, opened));
    expect([catalogue.items.length, catalogue.more]).toEqual([PAGE, true]);
    await catalogue.next();
    await catalogue.next();
    expect([catalogue.items.length, catalogue.more]).toEqual([70, false]);
    await catalogue.search("tent");
    expect(titles(catalogue)).toEqual(["TENT 61", "TENT 31", "TENT 1"]);
    expect(catalogue.more).toBe(false);
  });
});

describe("a list that is asked for again", () => {
  it("keeps what was loaded of this browser, whenever it was begun", async () => {
    // Those that were begun last were opened first: in the list they are at the end.
    for (let n = 0; n < PAGE + 5; n++) routes.add(session(`s_${n}`));
    for (let n = PAGE + 4; n >= 0; n--) opened.add(`s_${n}`);
    const catalogue = await listed(ofThisBrowser(api, opened));
    await catalogue.next();
    const before = titles(catalogue);
    expect(before).toHaveLength(PAGE + 5);
    await catalogue.refresh();
    expect(titles(catalogue)).toEqual(before);
    expect(catalogue.more).toBe(false);
  });

  it("leaves nothing out between what is new and what was loaded", async () => {
    for (let n = 0; n < PAGE + 5; n++) routes.add(session(`s_${n}`));
    const catalogue = await listed(ofTheGateway(api));
    await catalogue.next();
    for (let n = 0; n < PAGE + 5; n++) routes.add(session(`t_${n}`));
    await catalogue.refresh();
    expect([catalogue.items.length, catalogue.more]).toEqual([PAGE, true]);
    await catalogue.next();
    await catalogue.next();
    expect(titles(catalogue)).toEqual(routes.sessions.map(({ title }) => title));
  });
});

describe("the list of the gateway", () => {
  beforeEach(() => {
    for (let n = 0; n < PAGE + 5; n++) routes.add(session(`s_${n}`));
  });

  it("comes by pages, and what is new comes to its top", async () => {
    const catalogue = await listed(ofTheGateway(api));
    expect([catalogue.items.length, catalogue.more]).toEqual([PAGE, true]);
    await Promise.all([catalogue.next(), catalogue.next()]);
    expect([catalogue.items.length, catalogue.more]).toEqual([PAGE + 5, false]);
    routes.add(session("s_new"));
    await catalogue.refresh();
    expect(catalogue.items).toHaveLength(PAGE + 6);
    expect(catalogue.items[0]?.session_id).toBe("s_new");
    expect(new Set(catalogue.items.map(({ session_id: id }) => id)).size).toBe(PAGE + 6);
    expect(catalogue.more).toBe(false);
  });

  it("is searched by the gateway", async () => {
    const catalogue = await listed(ofTheGateway(api));
    await catalogue.search("  of S_33 ");
    expect(titles(catalogue)).toEqual(["Title of s_33"]);
    expect(routes.asked.at(-1)).toBe(`GET sessions?limit=${PAGE}&q=of+S_33`);
  });

  it("has no late answer to what was asked before", async () => {
    const catalogue = await listed(ofTheGateway(api));
    const release = routes.hold();
    const slow = catalogue.search("s_2");
    await catalogue.search("s_33");
    release();
    await slow;
    expect(titles(catalogue)).toEqual(["Title of s_33"]);
    expect(catalogue.loading).toBe(false);
  });

  it("says why it is not there, and comes when it is asked for again", async () => {
    routes.fail = { status: 503, code: "storage_unavailable", detail: "down" };
    const catalogue = await listed(ofTheGateway(api));
    expect(catalogue.problem).toMatchObject({ code: "storage_unavailable" });
    routes.fail = null;
    await catalogue.refresh();
    expect([catalogue.problem, catalogue.items.length]).toEqual([null, PAGE]);
  });

  it("shows another title once the gateway has taken it", async () => {
    const catalogue = await listed(ofTheGateway(api));
    const { session_id: id } = catalogue.items[2] ?? session("none");
    await catalogue.rename(id, "Another");
    expect(catalogue.items[2]?.title).toBe("Another");
    routes.fail = { status: 400, code: "invalid_field", detail: "`title` must" };
    await expect(catalogue.rename(id, "x")).rejects.toMatchObject({ code: "invalid_field" });
    expect(catalogue.items[2]?.title).toBe("Another");
    catalogue.drop(id);
    expect(catalogue.items.some(({ session_id }) => session_id === id)).toBe(false);
  });
});

it("all messages are fetched, however many of them are shown", async () => {
  routes.add(session("s_long"));
  routes.messages = Array.from({ length: 450 }, (_, n) => `m_${n}`);
  const whole = await api.whole("s_long");
  expect(whole.messages.map(({ id }) => id)).toEqual(routes.messages);
  expect([whole.title, whole.more]).toEqual(["Title of s_long", false]);
});

it("a conversation has the time of today and the day of before", () => {
  const now = new Date("2026-11-28T12:00:00Z");
  const today = lastSaid(session("s", { updated_at: "2026-11-28T11:30:00Z" }), now);
  expect(today).toMatch(/\d\d?[:.]30/);
  expect(lastSaid(session("s", { updated_at: "2026-11-20T11:30:00Z" }), now)).not.toMatch(/30/);
  expect(lastSaid(session("s", { updated_at: "soon" }), now)).toBe("");
});
