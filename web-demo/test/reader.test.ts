// @vitest-environment jsdom
/** A document that is read, and the passage of it that is cited. */
import { readFileSync } from "node:fs";
import type { SourceItem } from "@rivulet/client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { OpenedDocument } from "../src/documents/opened";
import { ReaderView } from "../src/page/documents/reader-view";
import { dangers } from "./dangers";
import { Library, problem } from "./library";

const MANY = Array.from(
  { length: 40 },
  (_, at) => `Größe ${at} 🌊: the hut of number ${at} has ${at + 3} beds. It is open in winter.`,
);

let library: Library;

beforeEach(() => {
  library = new Library();
  document.documentElement.innerHTML = readFileSync("index.html", "utf8");
  Element.prototype.scrollIntoView = () => {};
});

afterEach(() => {
  vi.unstubAllGlobals();
});

function source(given: Partial<SourceItem>): SourceItem {
  return { n: 2, document: "d_1", title: "Huts", score: 1, snippet: "", ...given };
}

describe("an opened document", () => {
  const asked = () => library.asked.filter((request) => request.includes("passages")).length;

  it("begins at its beginning and goes on to its end", async () => {
    library.put({}, MANY);
    const opened = await OpenedDocument.open(library.api, "d_1");
    expect(opened.hasEarlier).toBe(false);
    expect(opened.text.startsWith(MANY[0] ?? "")).toBe(true);
    for (let step = 0; opened.hasLater && step < 40; step++) await opened.later();
    expect(opened.text).toBe(MANY.join("\n\n"));
    expect(asked()).toBe(MANY.length);
  });

  it("is opened at a passage, by its number", async () => {
    library.put({}, MANY);
    const opened = await OpenedDocument.open(
      library.api,
      "d_1",
      source({ chunk: 20, snippet: `${MANY[20]?.slice(0, 30)}…` }),
    );
    expect(opened.target?.chunk).toBe(20);
    const { start = 0, end = 0 } = opened.target ?? {};
    expect(opened.text.slice(opened.offsetOf(start), opened.offsetOf(end))).toBe(MANY[20]);
    expect(asked()).toBe(8);
    await opened.earlier();
    expect(opened.passages[0]?.chunk).toBe(9);
    expect(opened.text.slice(opened.offsetOf(start), opened.offsetOf(end))).toBe(MANY[20]);
  });

  it("finds a passage that has moved, or whose number is not known", async () => {
    library.put({}, ["Something new.", ...MANY]);
    for (const chunk of [20, undefined, 4_000]) {
      const found = source({ snippet: MANY[20] ?? "", ...(chunk !== undefined && { chunk }) });
      const opened = await OpenedDocument.open(library.api, "d_1", found);
      expect(opened.target?.chunk).toBe(21);
    }
  });

  it("does not mix two versions", async () => {
    library.put({}, MANY, [{}, { version: 2 }]);
    await expect(OpenedDocument.open(library.api, "d_1")).rejects.toThrow("was replaced");
  });
});

describe("the reader", () => {
  const text = (selector: string) => document.querySelector(selector)?.textContent ?? "";
  const view = () => new ReaderView(library.api, async () => {});
  const shown = (name: string) =>
    [...document.querySelectorAll("#reader button")].some(
      (button) => button.textContent === name && !(button as HTMLElement).hidden,
    );

  it("marks the passage, the sentence that supports the claim, and the pages", async () => {
    const places = [{ page: 1 }, { page: 1 }, { page: 2, page_end: 3 }];
    library.put(
      { media_type: "application/pdf" },
      ["# Huts", "Bring a lamp.", "The key hangs there. It is heavy."],
      places,
    );
    const found = source({
      chunk: 2,
      snippet: "The key hangs there. It is heavy.",
      page: 2,
      page_end: 3,
    });
    await view().show({
      document: "d_1",
      title: "Huts",
      source: found,
      claim: "The key hangs there",
    });
    expect(text(".reader-about")).toBe("Source 2 · pages 2–3");
    expect(text(".reader-claim")).toBe("Cited for: The key hangs there");
    expect(text(".reader-text mark")).toBe("The key hangs there.");
    expect(text(".reader-text .passage").trim()).toBe("It is heavy.");
    const lines = [...document.querySelectorAll(".reader-text > *")].map(
      (line) => line.textContent,
    );
    expect(lines).toEqual([
      "Page 1",
      "Huts",
      "Bring a lamp.",
      "Pages 2–3",
      "The key hangs there. It is heavy.",
    ]);
    expect(document.querySelector(".reader-text h3")?.textContent).toBe("Huts");
  });

  it("marks a sentence of the next passage where it has more of the words", async () => {
    library.put({}, ["The hut is old.", "The hut has twelve beds.", "The hut is closed."]);
    const found = source({ chunk: 0, snippet: "The hut is old." });
    await view().show({
      document: "d_1",
      title: "Huts",
      source: found,
      claim: "The hut has twelve beds",
    });
    expect(text(".reader-text mark")).toBe("The hut has twelve beds.");
    const passage = [...document.querySelectorAll(".passage")].map(
      ({ textContent }) => textContent,
    );
    expect(passage).toEqual(["The hut is old."]);
  });

  it("shows what was read then, where the passage or the document is gone", async () => {
    library.put({}, MANY);
    const gone = source({ chunk: 3, snippet: "The tower had four bells. Now it has none." });
    const reader = view();
    await reader.show({
      document: "d_1",
      title: "Huts",
      source: gone,
      claim: "The tower had four bells",
    });
    expect(text("#reader .shelf-note")).toContain("has changed since");
    expect(text(".reader-text mark")).toBe("The tower had four bells.");

    const elsewhere = { ...gone, document: "d_2" };
    await reader.show({ document: "d_2", title: "Huts", source: elsewhere, claim: "" });
    expect(text("#reader .shelf-note")).toContain("is not there any more");
    expect(shown("Try again")).toBe(false);
  });

  it("says what went wrong and can be asked again", async () => {
    library.put({}, MANY);
    library.instead = () =>
      problem(503, "knowledge_unavailable", "the gateway has no knowledge base");
    const reader = view();
    await reader.show({ document: "d_1", title: "Huts" });
    expect(text("#reader .shelf-note")).toBe("The gateway has no knowledge base.");
    expect(shown("Try again")).toBe(true);
    library.instead = () => Promise.reject(new TypeError("failed"));
    await reader.show({ document: "d_1", title: "Huts" });
    expect(text("#reader .shelf-note")).toBe("The gateway cannot be reached.");
  });

  it("shows markup in a document as text", async () => {
    const nasty = "<img src=x onerror=alert(1)> [x](javascript:alert(1)) <script>alert(1)</script>";
    const place = { place: "sheet <b>“x”</b>", heading: nasty };
    library.put(
      { title: nasty, name: nasty },
      [`# ${nasty}`, nasty, `| ${nasty} |\n| --- |\n| ${nasty} |`],
      [place, place, place],
    );
    const found = source({ chunk: 1, snippet: nasty, title: nasty, heading: nasty, place: nasty });
    await view().show({ document: "d_1", title: nasty, source: found, claim: nasty });
    const root = document.querySelector<HTMLElement>(".reader-text");
    expect(root && dangers(root)).toEqual([]);
    expect(root?.querySelectorAll("b, img")).toHaveLength(0);
    expect(text(".reader-text h3")).toBe(nasty);
    expect(text(".reader-about")).toContain(nasty);
  });
});
