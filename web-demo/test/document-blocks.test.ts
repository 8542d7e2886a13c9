/** How the text of a document is cut into paragraphs, headings and pages. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { blocksOf, cut, type PageMark } from "../src/documents/blocks";

function shown(text: string, marks: PageMark[] = [], markdown = true): string[] {
  return blocksOf(text, marks, markdown).map((block) =>
    block.kind === "page"
      ? `(${block.label})`
      : block.kind === "table"
        ? block.rows
            .map((row) => row.map((cell) => text.slice(cell.start, cell.end)).join("/"))
            .join("; ")
        : "#".repeat(block.level) + text.slice(block.span.start, block.span.end),
  );
}

describe("the text of a document", () => {
  it("has paragraphs and headings", () => {
    expect(shown("# Huts\nFirst line\nsecond\n\n\n  Another \n## Keys\nHere")).toEqual([
      "#Huts",
      "First line\nsecond",
      "Another",
      "##Keys",
      "Here",
    ]);
  });

  it("has no headings in code, and none where a sign is only a sign", () => {
    expect(shown("```\n# a comment\n\nmore\n```\n#nine")).toEqual([
      "```\n# a comment\n\nmore\n```\n#nine",
    ]);
    expect(shown("# a comment", [], false)).toEqual(["# a comment"]);
  });

  it("has tables, of which nothing but the cells is shown", () => {
    const table = "| Hut | Beds |\n| --- | :-: |\n| Larch \\| Pine |  twelve |\n| Alder |  |";
    expect(shown(table)).toEqual(["Hut/Beds; Larch \\| Pine/twelve; Alder/"]);
    expect(shown(table, [], false)).toEqual([table]);
    expect(shown("| Birch | two |\n| Elm | one |")).toEqual(["Birch/two; Elm/one"]);
    expect(shown("| no\n| table")).toEqual(["| no\n| table"]);
    const pages = shown(table, [{ at: table.indexOf("| Alder"), label: "page 2" }]);
    expect(pages).toEqual(["Hut/Beds; Larch \\| Pine/twelve", "(page 2)", "Alder/"]);
  });

  it("shows a page where it begins, also within a paragraph", () => {
    const text = "One two\n\nthree four";
    const marks = [
      { at: 0, label: "page 1" },
      { at: text.indexOf("four"), label: "page 2" },
    ];
    expect(shown(text, marks)).toEqual(["(page 1)", "One two", "three", "(page 2)", "four"]);
    expect(shown(text, [{ at: 7, label: "page 2" }])).toEqual([
      "One two",
      "(page 2)",
      "three four",
    ]);
  });

  it("loses nothing but white space and signs, and keeps the order", () => {
    const text = fc
      .array(fc.constantFrom("a", "B ", "\n", "\n\n", "# ", "```", "🌊", " "))
      .map((all) => all.join(""));
    fc.assert(
      fc.property(text, fc.array(fc.nat(40)), (written, places) => {
        const marks = places.sort((a, b) => a - b).map((at) => ({ at, label: "p" }));
        const blocks = blocksOf(written, marks, true).filter((block) => block.kind === "text");
        const kept = blocks.map(({ span }) => written.slice(span.start, span.end)).join("");
        expect(kept.replace(/[\s#]/g, "")).toBe(written.replace(/[\s#]/g, ""));
      }),
    );
  });

  it("is cut at the edges of what is marked", () => {
    const pieces = cut({ start: 0, end: 10 }, [
      { start: 2, end: 8 },
      { start: 4, end: 6 },
    ]);
    expect(pieces.map(({ span, within }) => [span.start, span.end, ...within])).toEqual([
      [0, 2],
      [2, 4, 0],
      [4, 6, 0, 1],
      [6, 8, 0],
      [8, 10],
    ]);
  });
});
