// @vitest-environment jsdom
/** What a citation is called, and for which sentence it stands. */
import { describe, expect, it } from "vitest";
import { claimOf, sourceName } from "../src/page/citations";
import { MarkdownView } from "../src/page/markdown-view";

const known = new Map([
  [1, "Source 1"],
  [2, "Source 2"],
]);

function claims(text: string): string[] {
  const markdown = new MarkdownView();
  markdown.show(text, known, (n) => `source-${n}`);
  return [...markdown.root.querySelectorAll("a.citation")].map(claimOf);
}

describe("a citation", () => {
  const source = { n: 2, document: "d", title: "Handbook of huts", score: 1, snippet: "" };

  it("is called by its document and the place in it", () => {
    expect(sourceName(source)).toBe("Source 2: Handbook of huts");
    expect(sourceName({ ...source, page: 4 })).toBe("Source 2: Handbook of huts, page 4");
    expect(sourceName({ ...source, page: 4, page_end: 5 })).toMatch(/, pages 4–5$/);
    expect(sourceName({ ...source, place: "sheet “Prices”, rows 2–9" })).toMatch(
      /, sheet “Prices”/,
    );
  });

  it("stands for the sentence before it", () => {
    expect(claims("Huts are open. The key hangs there [1]. It costs 5 [2].")).toEqual([
      "The key hangs there",
      "It costs 5",
    ]);
    expect(claims("The key **hangs** there. [1][2]")).toEqual([
      "The key hangs there.",
      "The key hangs there.",
    ]);
  });

  it("does not reach beyond its item or its row", () => {
    expect(claims("Intro.\n\n- The first one [1]\n- The other one [2]")).toEqual([
      "The first one",
      "The other one",
    ]);
    expect(claims("| Hut | Beds |\n|---|---|\n| Larchwood | twelve [1] |")).toHaveLength(1);
    expect(claims("[1] comes first")).toEqual([""]);
  });
});
