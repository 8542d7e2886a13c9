// @vitest-environment jsdom
/** The cards of tools in an answer. */

import type { RivuletClient, ToolCall } from "@rivulet/client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Gateway } from "../../packages/client/test/gateway.js";
import type { Answer } from "../../packages/client/test/gateway-session.js";
import { Announcer } from "../src/page/announcer";
import { valueView } from "../src/page/value-view";
import { openPage } from "./page-answer";

const MARKUP = "<img src=x onerror=alert(1)>";

let gateway: Gateway;
let client: RivuletClient;
let answer: Answer;
let close: () => Promise<void>;

beforeEach(async () => {
  const page = await openPage("How much?", {
    parts: (client) => {
      new Announcer(client);
      return [];
    },
  });
  ({ gateway, client, answer, close } = page);
});

afterEach(async () => {
  await close();
});

const all = (selector: string) => [...document.querySelectorAll<HTMLElement>(selector)];
const one = (selector: string) => all(selector)[0] as HTMLElement;
const card = (at = 0) => all(".tool")[at] as HTMLDetailsElement;
const line = (at = 0) => card(at)?.querySelector("summary")?.textContent;
const shown = (look: () => unknown) => vi.waitFor(() => expect(look()).toBeTruthy());
const said = () => one("#announcer").textContent ?? "";

/** Between the blocks of a text there are breaks of lines. */
const textOf = (part: Element | null | undefined) => part?.textContent?.trim().replace(/\n+/g, " ");

/** What stands in the answer, in order: its texts, and its cards in brackets. */
const body = () =>
  all(".answer-body > *").flatMap((part) => {
    if (part.className !== "tools") return part.textContent ? [textOf(part)] : [];
    return [...part.children].map(({ textContent }) => `[${textContent}]`);
  });

async function open(at = 0): Promise<HTMLElement> {
  card(at).querySelector("summary")?.click();
  const more = card(at).querySelector(".tool-more") as HTMLElement;
  await shown(() => more.childElementCount > 0);
  return more;
}

describe("a card", () => {
  it("stands where the tool was called, and says how that goes", async () => {
    answer.write("Let me see.");
    answer.call("c_1", { args: { months: 36 } });
    await shown(() => card());
    expect(body()).toEqual(["Let me see.", "[Monthly instalmentRunning]"]);
    expect(card().dataset.status).toBe("running");
    const first = card();
    answer.result("c_1", "ok", { summary: "16,251.22 a month", ms: 1_530 });
    answer.write("It is **16,251.22**.");
    answer.done();
    await shown(() => client.conversation.messages.at(-1)?.verified);
    const ended = "[Monthly instalmentDone16,251.22 a month1.5 s]";
    expect(body()).toEqual(["Let me see.", ended, "It is 16,251.22."]);
    expect(one(".answer-body strong").textContent).toBe("16,251.22");
    expect(card(), "it is the same card").toBe(first);
  });

  it("says how it ended in words, also those that are not known here", async () => {
    for (const status of ["error", "invalid", "timeout", "cancelled", "deferred"]) {
      answer.call(status);
      answer.result(status, status, { summary: "Why" });
    }
    await shown(() => card(4)?.dataset.status === "deferred");
    expect(all(".tool-status").map(({ textContent }) => textContent)).toEqual([
      "Failed",
      "Asked wrongly",
      "Took too long",
      "Cancelled",
      "deferred",
    ]);
    expect(all(".tools"), "one list for one place").toHaveLength(1);
  });

  it("is cancelled when its answer ends without a result", async () => {
    answer.call("c_1", { title: "" });
    await shown(() => card());
    answer.done("stopped");
    await shown(() => card().dataset.status === "cancelled");
    expect(line()).toBe("emiCancelled");
    expect(one(".note").textContent).toContain("What was written is kept.");
  });

  it("shows on demand what was asked and what came back, as text", async () => {
    const args = { [MARKUP]: MARKUP, months: 36, off: null };
    answer.call("c_1", { title: MARKUP, args });
    answer.result("c_1", "ok", { summary: MARKUP, data: [{ month: 1, [MARKUP]: MARKUP }] });
    await shown(() => card()?.dataset.status === "ok");
    expect(one(".tool-more").childElementCount).toBe(0);
    const more = await open();
    const [asked, back] = more.querySelectorAll(".value");
    expect([...(asked?.querySelectorAll("tr") ?? [])].map((row) => row.textContent)).toEqual([
      MARKUP + MARKUP,
      "months36",
      "offnull",
    ]);
    expect([...(back?.querySelectorAll("th") ?? [])].map((name) => name.textContent)).toEqual([
      "month",
      MARKUP,
    ]);
    expect(more.textContent).toContain("Tool emi");
    expect(all("img")).toHaveLength(0);
    expect(line()).toContain(MARKUP);
    card().querySelector("summary")?.click();
    expect(more.childElementCount).toBe(0);
  });

  it("that is open takes in what comes", async () => {
    answer.call("c_1", { args: { months: 36 } });
    await shown(() => card());
    const more = await open();
    expect(more.textContent).not.toContain("Result");
    answer.result("c_1", "ok", { data: "Fine" });
    await shown(() => more.textContent?.includes("Fine"));
    expect(card().open).toBe(true);
  });

  it("is the same when the conversation is read again", async () => {
    answer.write("Let me see. ");
    answer.call("c_1");
    answer.result("c_1", "ok", { summary: "Fine" });
    answer.write("So.");
    answer.done();
    await shown(() => client.conversation.messages.at(-1)?.verified);
    const before = body();
    const session = gateway.sessions.get(client.session ?? "");
    if (session) session.epoch = "restarted";
    const again = new Promise((resolve) => client.on("snapshot", resolve));
    gateway.cut();
    await again;
    expect(body()).toEqual(before);
  });
});

describe("text around cards", () => {
  const item = (n: number) => ({ n, document: "d", title: `T${n}`, score: 1, snippet: "…" });

  it("cites its sources on both sides", async () => {
    answer.sources([item(1), item(2)]);
    answer.write("Before [1].");
    answer.call("c_1");
    answer.write("After [2].");
    answer.done();
    await shown(() => all("a.citation").length === 2);
    expect(all("a.citation").map((link) => textOf(link.closest(".markdown")))).toEqual([
      "Before 1.",
      "After 2.",
    ]);
    expect(one(".more-sources").hidden, "both are cited").toBe(true);
  });

  it("keeps its markup, whatever a card lies in", async () => {
    answer.write("So:\n\n```js\nlet a;\n");
    answer.call("c_1");
    answer.write("let b;\n```\n\n1. *one*\n");
    answer.call("c_2");
    answer.write("2. *two*\n\nDone.");
    answer.done();
    await shown(() => client.conversation.messages.at(-1)?.verified);
    expect(all("pre > code").map(({ textContent }) => textContent?.trim())).toEqual([
      "let a;",
      "let b;",
    ]);
    expect(all("em").map(({ textContent }) => textContent)).toEqual(["one", "two"]);
    expect(all("ol[start='2'] li").map(({ textContent }) => textContent)).toEqual(["two"]);
  });

  it("is what is copied, and only that", async () => {
    const written: string[] = [];
    vi.stubGlobal("navigator", {
      clipboard: { writeText: async (text: string) => written.push(text) },
    });
    answer.write("Let me see.");
    answer.call("c_1", { title: "Instalment" });
    answer.result("c_1", "ok", { summary: "Fine" });
    answer.write("It is *so*.");
    answer.done();
    await shown(() => client.conversation.messages.at(-1)?.verified);
    all(".actions .copy")
      .find(({ textContent }) => textContent === "Copy answer")
      ?.click();
    expect(written).toEqual(["Let me see.\n\nIt is *so*."]);
    vi.unstubAllGlobals();
  });

  it("is one text as ever where no tool was called", async () => {
    answer.write("One.\n\nTwo.");
    await shown(() => all(".markdown > div").length === 2);
    const [first] = all(".markdown > div > p");
    answer.write(" Three.");
    await shown(() => one(".markdown").textContent?.includes("Three"));
    expect(all(".markdown > div > p")[0], "what did not change stays").toBe(first);
    expect(body()).toEqual(["One. Two. Three."]);
  });
});

describe("the line below", () => {
  const phase = () => (one(".phase").hidden ? "" : one(".phase").textContent);

  it("says which tool is at work, and what comes after it", async () => {
    answer.write("Let me see.");
    await shown(() => body().length === 1);
    expect(phase()).toBe("");
    answer.phase("tool");
    answer.call("c_1");
    await shown(() => phase() === "Using Monthly instalment");
    answer.call("c_2", { title: "Time" });
    await shown(() => phase() === "Using Monthly instalment and 1 more");
    answer.result("c_1");
    await shown(() => phase() === "Using Time");
    answer.result("c_2");
    answer.phase("waiting");
    await shown(() => phase() === "Waiting for the model");
    answer.write("It is.");
    await shown(() => phase() === "");
  });
});

describe("those who listen", () => {
  it("hear once of each tool that has ended, and of those that end together in one go", async () => {
    const heard: string[] = [];
    new MutationObserver(() => heard.push(said())).observe(one("#announcer"), { childList: true });
    answer.write("Let me see.");
    answer.call("c_1", { title: "Time" });
    answer.call("c_2");
    await shown(() => card(1));
    answer.result("c_1", "ok", { summary: "Noon" });
    answer.result("c_2", "timeout");
    await shown(() => heard.length === 2);
    answer.call("c_3");
    await shown(() => card(2));
    answer.result("c_3");
    answer.write("So.");
    answer.done();
    await shown(() => client.conversation.messages.at(-1)?.verified);
    await shown(() => heard.length === 3);
    expect(heard.map((text) => text.trim())).toEqual([
      "The answer is being written.",
      "Time: Noon. Monthly instalment: Took too long.",
      "Monthly instalment: Done. Answer: Let me see.\n\nSo.",
    ]);
  });
});

describe("a value", () => {
  const texts = (value: unknown) =>
    [...valueView(value, "Result").querySelectorAll("tr")].map((row) =>
      [...row.children].map(({ textContent }) => textContent).join("|"),
    );

  it("with names is a table, and so is a list of such", () => {
    expect(texts({ a: 1, b: [true, null], c: {} })).toEqual(["a|1", "b|[true,null]", "c|{}"]);
    const rows = [{ a: 1 }, { b: "x", a: { deep: 1 } }];
    expect(texts(rows)).toEqual(["a|b", "1|", "deep1|x", "deep|1"]);
  });

  it("of any other kind is text", () => {
    for (const [value, text] of [
      ["x", "x"],
      [0.5, "0.5"],
      [null, "null"],
      [[], "[]"],
      [{}, "{}"],
      [[1, "a"], '[\n  1,\n  "a"\n]'],
    ])
      expect(valueView(value, "Result").textContent).toBe(text);
  });

  it("has a bound, however large and deep it is", () => {
    const wide = Array.from({ length: 5_000 }, (_, row) =>
      Object.fromEntries(Array.from({ length: 40 }, (_, at) => [`n${at}`, row])),
    );
    const view = valueView(wide, "Result");
    expect(view.querySelectorAll("td").length).toBeLessThanOrEqual(1_000);
    expect(view.textContent).toContain("28 more");
    expect(view.textContent).toContain("… 4950 more");
    const nested = valueView({ a: wide, b: wide, c: wide }, "Result");
    expect(nested.querySelectorAll("td").length).toBeLessThanOrEqual(1_100);
    expect(valueView("x".repeat(9_000), "Result").textContent).toMatch(/^x{4000}… 5000 char/);
    let deep: unknown = 1;
    for (let at = 0; at < 50_000; at++) deep = [deep];
    expect(valueView({ deep }, "Result").textContent).toBe("deep…");
  });

  it("has a name, and can be reached", () => {
    const view = valueView({ a: 1 } satisfies ToolCall["args"], "Arguments");
    expect(view.getAttribute("aria-label")).toBe("Arguments");
    expect(view.tabIndex).toBe(0);
  });
});
