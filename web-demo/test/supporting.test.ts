/** Which sentence of a passage supports a claim. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sentencesIn, supportingSentence } from "../src/documents/supporting";

const PASSAGE =
  "Keys are given out by the warden. The key of the Larchwood hut hangs behind the beam. Bring it back.";

function marked(passage: string, claim: string): string | null {
  const span = supportingSentence(passage, claim);
  return span && passage.slice(span.start, span.end);
}

describe("the supporting sentence", () => {
  it("is the one with most words of the claim", () => {
    expect(marked(PASSAGE, "At Larchwood, the key hangs behind a beam.")).toBe(
      "The key of the Larchwood hut hangs behind the beam.",
    );
    expect(marked(PASSAGE, "THE WARDEN gives out keys")).toBe("Keys are given out by the warden.");
  });

  it("is the shorter one of two with as many", () => {
    const passage = "Tents cost 40 euros in summer and in winter too. Tents cost 40 euros.";
    expect(marked(passage, "Tents cost 40 euros")).toBe("Tents cost 40 euros.");
  });

  it("is none where no more than a word is common", () => {
    expect(marked(PASSAGE, "Nothing whatever about these")).toBeNull();
    expect(marked(PASSAGE, "the unrelated claim entirely otherwise")).toBeNull();
    expect(marked(PASSAGE, "")).toBeNull();
    expect(marked("", "key")).toBeNull();
  });

  it("is found in lines, also wrapped ones, and in other scripts", () => {
    const rows = "Hut: Larchwood; Beds: 12\nHut: Pinewood; Beds: 8\nHut: Alder; Beds: 3";
    expect(marked(rows, "Pinewood has 8 beds")).toBe("Hut: Pinewood; Beds: 8");
    const wrapped = "The stove is\nlit by the warden every evening. Wood lies outside.";
    expect(marked(wrapped, "The warden lights the stove every evening")).toBe(
      "The stove is\nlit by the warden every evening.",
    );
    const chinese = "钥匙挂在横梁后面。炉子在晚上点燃。";
    expect(marked(chinese, "晚上点燃炉子")).toBe("炉子在晚上点燃。");
  });

  it("lies within the passage and is one of its sentences, whatever both are", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.string({ unit: "grapheme" }), (a, b) => {
        const span = supportingSentence(a, b);
        const spans = sentencesIn(a);
        for (const { start, end } of spans) expect(a.slice(start, end).trim()).not.toBe("");
        if (span) expect(spans).toContainEqual({ start: span.start, end: span.end });
      }),
    );
  });
});
