// @vitest-environment jsdom
/** What was remembered for an answer, at its beginning, and conversations of which nothing is. */

import { type Assistant, Endpoint, type RivuletClient } from "@rivulet/client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { assistant, type Gateway } from "../../packages/client/test/gateway.js";
import type { Answer } from "../../packages/client/test/gateway-session.js";
import { MemoriesApi } from "../src/memories/api";
import { Forgetting } from "../src/memories/forgetting";
import { Farewell } from "../src/page/farewell";
import { tellMemory } from "../src/page/memory/memory-voice";
import { Temporary } from "../src/page/memory/temporary";
import { StatusVoice } from "../src/page/status-voice";
import { fact, MemoryRoutes } from "./memories";
import { openPage } from "./page-answer";

const MARKUP = "<img src=x onerror=alert(1)>";
const NUTS = { id: "mem_1", text: "I'm allergic to nuts" };
const PLACE = { id: "mem_2", text: `I live in ${MARKUP}` };

let routes: MemoryRoutes;
let forgetting: Forgetting;
let gateway: Gateway;
let client: RivuletClient;
let answer: Answer;
let close: () => Promise<void>;
let opened: string[];
let begun: boolean[];
let deleted: number;
let who: Assistant;

beforeEach(async () => {
  routes = new MemoryRoutes();
  vi.stubGlobal("fetch", routes.fetch);
  // This environment has dialogs, and does not show them.
  HTMLDialogElement.prototype.showModal ??= function show(this: HTMLDialogElement) {
    this.open = true;
  };
  HTMLDialogElement.prototype.close ??= function hide(this: HTMLDialogElement) {
    this.open = false;
  };
  const api = new MemoriesApi(new Endpoint("http://gateway/"));
  forgetting = new Forgetting(api);
  opened = [];
  begun = [];
  deleted = 0;
  who = assistant("companion", { memory: true });
  const current = () => who;
  const page = await openPage("I'm allergic to nuts", {
    forgetting,
    events: { openSession: (session) => opened.push(session) },
    parts: (made) => {
      tellMemory(made, new StatusVoice());
      const temporary = new Temporary(made, current, api, {
        begin: (wanted) => begun.push(wanted),
        changed: () => temporary.paint(),
      });
      const farewell = new Farewell(made, { api, current, deleted: () => deleted++ });
      return [() => temporary.paint(), () => farewell.paint()];
    },
  });
  ({ gateway, client, answer, close } = page);
});

afterEach(async () => {
  await close();
  vi.unstubAllGlobals();
});

const one = (selector: string) => document.querySelector(selector) as HTMLElement;
const all = (selector: string) => [...document.querySelectorAll<HTMLElement>(selector)];
const shown = (look: () => unknown) => vi.waitFor(() => expect(look()).toBeTruthy());
const noted = () => all(".noted li").map(({ textContent }) => textContent);
const undo = (at = 0) => all(".noted button")[at] as HTMLElement;

describe("what was noted", () => {
  it("stands at the beginning of the answer, and is taken back", async () => {
    routes.add(fact());
    answer.remember({ noted: [NUTS, PLACE] });
    await shown(() => noted().length === 2);
    expect(noted()).toEqual([`${NUTS.text} Undo`, `${PLACE.text} Undo`]);
    expect(document.querySelector(".answer img")).toBeNull();
    expect(one(".answer").firstElementChild?.className).toBe("remembered");
    answer.write("I see.");
    answer.done();
    await shown(() => one(".answer .markdown").textContent?.includes("I see."));
    expect(undo().ariaLabel).toBe("Undo: I'm allergic to nuts");
    undo().focus();
    undo().click();
    await shown(() => noted()[0] === `${NUTS.text} Taken back`);
    expect(document.activeElement?.textContent).toBe("Taken back");
    expect(noted()[1]).toBe(`${PLACE.text} Undo`);
    expect(routes.asked).toEqual(["DELETE memories/mem_1?undo=true"]);
    expect(routes.items).toEqual([]);
  });

  it("says why it could not be taken back, and lets one try again", async () => {
    routes.add(fact());
    answer.remember({ noted: [NUTS] });
    await shown(() => undo());
    routes.fail = { status: 503, code: "storage_unavailable" };
    undo().focus();
    undo().click();
    undo().click();
    await shown(() => !one(".noted-problem").hidden);
    expect(one(".noted-problem").textContent).toContain("cannot store anything");
    expect(one(".noted-problem").getAttribute("role")).toBe("alert");
    expect(document.activeElement).toBe(undo());
    expect(routes.asked.length).toBe(1);
    routes.fail = null;
    undo().click();
    await shown(() => noted()[0]?.endsWith("Taken back"));
    expect(one(".noted-problem").hidden).toBe(true);
  });

  it("is not to be read any more once it was forgotten elsewhere", async () => {
    answer.remember({ noted: [NUTS], recalled: [{ ...fact({ id: "mem_3" }) }] });
    await shown(() => undo());
    await forgetting.forget("mem_1");
    forgetting.tell(["mem_3"]);
    await shown(() => noted()[0] === "Forgotten");
    expect(one(".recalled-list").textContent).toBe("Forgotten");
    expect(one(".remembered").textContent).not.toContain("nuts");
  });

  it("is told once to those who listen", async () => {
    const said: string[] = [];
    const watcher = new MutationObserver(() => said.push(one("#status").textContent ?? ""));
    watcher.observe(one("#status"), { childList: true, characterData: true, subtree: true });
    answer.remember({ noted: [NUTS], recalled: [fact({ id: "mem_3" })] });
    await vi.waitFor(() => expect(said.length).toBe(1), { timeout: 5_000 });
    const again = new Promise((resolve) => client.on("welcome", resolve));
    gateway.cut();
    await again;
    answer.write("I see.");
    answer.done();
    await shown(() => client.conversation.messages.at(-1)?.verified);
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    expect(said).toEqual(["Noted: I'm allergic to nuts. Remembered 1 thing."]);
    watcher.disconnect();
  });
});

describe("what was recalled", () => {
  it("is listed on demand, with its day and the way to where it was said", async () => {
    const here = client.session ?? "";
    answer.remember({
      recalled: [
        { ...fact({ text: MARKUP }) },
        { ...fact({ id: "mem_2", kind: "episode", text: "How far is it?", session: here }) },
        { id: "mem_3", kind: "fact", text: "‮backwards", said_at: "once" },
      ],
    });
    await shown(() => one(".remembered")?.hidden === false);
    expect(one(".recalled summary").textContent).toBe("Remembered 3 things");
    expect((one(".recalled") as HTMLDetailsElement).open).toBe(false);
    expect(one(".noted").hidden).toBe(true);
    expect(document.querySelector(".answer img")).toBeNull();
    const items = all(".recalled-list li");
    expect(items[0]?.textContent).toMatch(/^<img src=x onerror=alert\(1\)> you said on .*12/);
    expect(items[1]?.textContent).toMatch(/you asked on /);
    expect(all(".recalled a").length).toBe(1);
    const link = one(".recalled a") as HTMLAnchorElement;
    expect(link.getAttribute("href")).toBe("?session=s_elsewhere");
    link.click();
    expect(opened).toEqual(["s_elsewhere"]);
  });

  it("says that memory is not available", async () => {
    answer.remember({ unavailable: true });
    await shown(() => one(".remembered")?.hidden === false);
    const texts = all(".remembered > :not([hidden])").map(({ textContent }) => textContent);
    expect(texts).toEqual(["Memory is not available at the moment."]);
  });

  it("is nothing where nothing was", async () => {
    answer.remember({});
    answer.write("Yes.");
    answer.done();
    await shown(() => client.conversation.messages.at(-1)?.verified);
    expect(one(".remembered").hidden).toBe(true);
  });
});

describe("a temporary conversation", () => {
  it("is offered where the assistant has a memory, and says what it is", async () => {
    expect(one("#temporary-choice").hidden).toBe(false);
    expect(one("#temporary-badge").hidden).toBe(true);
    const box = one("#temporary") as HTMLInputElement;
    box.click();
    expect(begun).toEqual([true]);
    client.newSession(undefined, { temporary: true });
    await shown(() => client.state.name === "connected");
    expect([box.checked, one("#temporary-badge").hidden]).toEqual([true, false]);
    who = assistant("companion");
    client.newSession();
    await shown(() => client.state.name === "connected");
    expect(one("#temporary-choice").hidden).toBe(true);
    expect(one("#temporary-badge").hidden).toBe(true);
  });

  it("is one after a reload, too, as the session says", async () => {
    answer.done();
    await shown(() => client.conversation.messages.at(-1)?.verified);
    const { session } = client;
    client.newSession();
    await shown(() => client.state.name === "connected" && client.session !== session);
    routes.temporary.add(session ?? "");
    client.openSession(session ?? "");
    await shown(() => !one("#temporary-badge").hidden);
  });
});

describe("deleting a conversation", () => {
  const yes = () => one("#farewell-yes");

  it("asks first, and whether what was said is to be forgotten", async () => {
    await shown(() => !one("#delete-conversation").hidden);
    one("#delete-conversation").click();
    expect(document.activeElement).toBe(one("#farewell-no"));
    expect(one("#farewell-memory").hidden).toBe(false);
    one("#farewell-no").click();
    expect((one("#farewell") as HTMLDialogElement).open).toBe(false);
    one("#delete-conversation").click();
    one("#farewell-facts").click();
    routes.fail = { status: 503, code: "storage_unavailable" };
    yes().click();
    await shown(() => !one("#farewell-problem").hidden);
    routes.fail = null;
    yes().click();
    await shown(() => deleted === 1);
    const path = `DELETE sessions/${client.session}?memories=true`;
    expect(routes.asked).toEqual([path, path]);
    expect((one("#farewell") as HTMLDialogElement).open).toBe(false);
  });

  it("asks nothing of memory where there is none", async () => {
    who = assistant("companion");
    one("#delete-conversation").click();
    expect(one("#farewell-memory").hidden).toBe(true);
    yes().click();
    await shown(() => deleted === 1);
    expect(routes.asked).toEqual([`DELETE sessions/${client.session}`]);
  });
});
