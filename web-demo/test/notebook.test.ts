/** The list of what is remembered, and what of it is gone. */

import { Endpoint, type MemoryItem } from "@rivulet/client";
import { describe, expect, it, vi } from "vitest";
import { Problem } from "../src/documents/problem";
import { MemoriesApi, PAGE } from "../src/memories/api";
import { Forgetting, type Tabs } from "../src/memories/forgetting";
import { Notebook } from "../src/memories/notebook";
import { dayText, memoryProblem, originText, shortName, spoken } from "../src/memories/words";
import { fact, MemoryRoutes } from "./memories";

const ids = (items: readonly MemoryItem[]) => items.map(({ id }) => id);

function opened() {
  const routes = new MemoryRoutes();
  vi.stubGlobal("fetch", routes.fetch);
  const api = new MemoriesApi(new Endpoint("http://gateway/"));
  const changed = vi.fn();
  return { routes, api, changed, book: new Notebook(api, changed) };
}

describe("a notebook", () => {
  it("has the newest of both kinds, and older ones page by page", async () => {
    const { routes, book } = opened();
    for (let at = 0; at < PAGE + 3; at++) routes.add(fact({ id: `mem_${at}`, kind: "episode" }));
    routes.add(fact({ id: "mem_fact" }));
    await book.open("companion");
    expect(book.enabled).toBe(true);
    expect(ids(book.part("fact").items)).toEqual(["mem_fact"]);
    expect(book.part("episode").items.length).toBe(PAGE);
    expect(book.part("episode").more).toBe(true);
    await book.more("episode");
    expect(ids(book.part("episode").items).at(-1)).toBe("mem_0");
    expect(book.part("episode")).toMatchObject({ more: false });
    // What is new comes in front, and the list is as long as before.
    routes.add(fact({ id: "mem_new", kind: "episode" }));
    await book.open("companion");
    expect(book.part("episode").items.length).toBe(PAGE + 4);
    expect(book.part("episode").items[0]?.id).toBe("mem_new");
    // What has gone with something else is not shown any longer, however old it is.
    routes.items = routes.items.filter(({ id }) => id !== "mem_1");
    book.drop((id) => id === "mem_new");
    expect(book.part("episode").items.length).toBe(PAGE + 3);
    await book.open("companion");
    expect(ids(book.part("episode").items)).not.toContain("mem_1");
    expect(book.part("episode").items.length).toBe(PAGE + 3);
  });

  it("is another one for another assistant, and nothing once it is closed", async () => {
    const { routes, book } = opened();
    routes.add(fact({ id: "mem_1" }));
    routes.add(fact({ id: "mem_2", assistant: "books" }));
    const slow = book.open("companion");
    await book.open("books");
    await slow;
    expect(ids(book.part("fact").items)).toEqual(["mem_2"]);
    const late = book.open("books");
    book.close();
    await late;
    expect([book.assistant, book.enabled, book.part("fact").items.length]).toEqual([null, null, 0]);
  });

  it("says why it cannot be had, and has what was there before", async () => {
    const { routes, book } = opened();
    routes.add(fact({ id: "mem_1" }));
    await book.open("companion");
    routes.fail = { status: 503, code: "storage_unavailable" };
    await book.open("companion");
    expect(memoryProblem(book.problem)).toBe("The gateway cannot store anything at the moment.");
    expect(ids(book.part("fact").items)).toEqual(["mem_1"]);
    routes.fail = null;
    await book.open("companion");
    expect(book.problem).toBeNull();
  });

  it("changes as the gateway says, and not when it refuses", async () => {
    const { routes, book } = opened();
    routes.add(fact({ id: "mem_1", text: "I like tea" }));
    await book.open("companion");
    await book.edit("mem_1", "I like coffee");
    expect(book.part("fact").items[0]?.text).toBe("I like coffee");
    await book.add("I have a dog");
    expect(routes.items[0]).toMatchObject({ text: "I have a dog", assistant: "companion" });
    expect(book.part("fact").items[0]?.text).toBe("I have a dog");
    routes.fail = { status: 422, code: "sensitive" };
    await expect(book.edit("mem_1", "4111 1111 1111 1111")).rejects.toThrow(Problem);
    await expect(book.enable(false)).rejects.toThrow(Problem);
    expect(book.enabled).toBe(true);
    routes.fail = null;
    await book.enable(false);
    expect([book.enabled, routes.enabled]).toEqual([false, false]);
    expect(await book.forgetAll()).toEqual(["mem_new_1", "mem_1"]);
    expect([routes.items, book.part("fact").items]).toEqual([[], []]);
  });
});

describe("what is gone", () => {
  /** Two ends of a line. */
  function line(): [Tabs, Tabs] {
    const ends: [Tabs, Tabs] = [
      { onmessage: null, postMessage: (data) => ends[1].onmessage?.({ data } as MessageEvent) },
      { onmessage: null, postMessage: (data) => ends[0].onmessage?.({ data } as MessageEvent) },
    ];
    return ends;
  }

  it("is known in the other tabs as well", async () => {
    const [here, there] = line();
    const done = { undo: async () => {}, forget: async () => {} };
    const one = new Forgetting(done, here);
    const other = new Forgetting(done, there);
    const told = vi.fn();
    other.watch(told);
    await one.undo("mem_1");
    await one.forget("mem_2");
    expect([other.fate("mem_1"), other.fate("mem_2")]).toEqual(["undone", "forgotten"]);
    expect(other.fate("mem_3")).toBeUndefined();
    expect(told).toHaveBeenCalledTimes(2);
    for (const odd of [null, 7, "x", {}, { ids: "mem_3" }, { ids: [7, null] }])
      here.postMessage(odd);
    expect(other.fate("mem_3")).toBeUndefined();
  });

  it("is what was gone before, and not what could not be reached", async () => {
    let refusal = new Problem(404, "not_found", "there is none");
    const refuse = () => Promise.reject(refusal);
    const forgetting = new Forgetting({ undo: refuse, forget: refuse });
    await forgetting.undo("mem_1");
    expect(forgetting.fate("mem_1")).toBe("undone");
    refusal = new Problem(503, "storage_unavailable", "not now");
    await expect(forgetting.forget("mem_2")).rejects.toBe(refusal);
    // A gateway without these routes has forgotten nothing.
    refusal = new Problem(404, "not_found", "there is no such address");
    await expect(forgetting.undo("mem_2")).rejects.toBe(refusal);
    expect(forgetting.fate("mem_2")).toBeUndefined();
  });

  it("is not kept without end", () => {
    const forgetting = new Forgetting({ undo: async () => {}, forget: async () => {} });
    for (let at = 0; at < 3_000; at++) forgetting.tell([`mem_${at}`]);
    expect([forgetting.fate("mem_0"), forgetting.fate("mem_2999")]).toEqual([
      undefined,
      "forgotten",
    ]);
  });
});

describe("words", () => {
  it("say when, and from where", () => {
    const now = new Date("2026-11-28T12:00:00");
    expect(dayText("2026-11-12T10:00:00", now)).not.toContain("2026");
    expect(dayText("2025-11-12T10:00:00", now)).toContain("2025");
    expect(dayText("soon", now)).toBe("");
    const day = dayText(fact().said_at);
    expect(originText(fact())).toBe(`you said on ${day}`);
    expect(originText(fact({ origin: "explicit" }))).toBe(`you asked to remember it on ${day}`);
    const { session, ...alone } = fact({ origin: "explicit" });
    expect(originText(alone)).toBe(`you wrote it down on ${day}`);
    expect(originText(fact({ kind: "episode", origin: "turn" }))).toBe(`you asked on ${day}`);
  });

  it("are few for those who listen", () => {
    const noted = [
      { id: "mem_1", text: "allergic to nuts" },
      { id: "mem_2", text: "place: Lisbon" },
    ];
    const recalled = [{ id: "mem_3", kind: "fact" as const, text: "x", said_at: "" }];
    expect(spoken({ noted, recalled })).toBe(
      "Noted: allergic to nuts; place: Lisbon. Remembered 1 thing.",
    );
    expect(spoken({ unavailable: true })).toBe("Memory is not available at the moment.");
    expect(spoken({})).toBe("");
    expect([...shortName("🥜".repeat(100))].length).toBe(60);
  });

  it("say what is wrong", () => {
    const said = (status: number, code: string, detail: string) =>
      memoryProblem(new Problem(status, code, detail));
    expect(said(409, "full", "")).toBe("There is no more room. Forget something first.");
    expect(said(422, "sensitive", "")).toContain("Such is not kept.");
    expect(said(404, "not_found", "there is nothing at this address")).toBe(
      "This gateway remembers nothing.",
    );
    expect(said(404, "not_found", "there is no such memory")).toBe("There is no such memory.");
  });
});
