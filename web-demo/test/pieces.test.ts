import type { ToolCall } from "@rivulet/client";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { reopened, splitBlocks } from "../src/page/blocks";
import { piecesOf, textAlone } from "../src/page/pieces";

const at = (off: number, call = `c_${off}`): ToolCall => {
  return { call, tool: "emi", title: "Instalment", off, status: "ok" };
};

/** The pieces, with the calls behind them. */
const cut = (text: string, ...offs: number[]) =>
  piecesOf(
    text,
    offs.map((off) => at(off)),
  ).flatMap(({ text, calls }) => [text, ...calls.map(({ off }) => off)]);

describe("the pieces of an answer", () => {
  it("are one without calls", () => {
    expect(cut("Because")).toEqual(["Because"]);
  });

  it("end where tools were called", () => {
    expect(cut("Let me see. It is.", 12)).toEqual(["Let me see. ", 12, "It is."]);
    expect(cut("It is.", 0)).toEqual(["", 0, "It is."]);
    expect(cut("One. Two. ", 5, 5, 10)).toEqual(["One. ", 5, 5, "Two. ", 10, ""]);
  });

  it("have all of the text where more was announced than is here", () => {
    expect(cut("One", 5, 9)).toEqual(["One", 5, "", 9, ""]);
    expect(cut("One. Two", 5, 9)).toEqual(["One. ", 5, "Two", 9, ""]);
  });

  it("tear no character apart, and follow in the order of the calls", () => {
    expect(cut("🌊🌊", 1)).toEqual(["🌊", 1, "🌊"]);
    expect(cut("One. Two.", 5, 2)).toEqual(["One. ", 5, 2, "Two."]);
    expect(cut("One", -1)).toEqual(["", -1, "One"]);
  });

  it("are all of the text and all of the calls, wherever these stand", () => {
    const texts = fc.string({ unit: "grapheme", maxLength: 40 });
    fc.assert(
      fc.property(texts, fc.array(fc.integer({ min: -2, max: 60 })), (text, offs) => {
        const tools = offs.map((off, n) => at(off, `c_${n}`));
        const pieces = piecesOf(text, tools);
        expect(pieces.map((piece) => piece.text).join("")).toBe(text);
        expect(pieces.flatMap(({ calls }) => calls)).toEqual(tools);
        for (const piece of pieces) expect(piece.text).not.toMatch(/\p{Surrogate}/u);
      }),
    );
  });
});

describe("the text alone", () => {
  it("is as it was written without calls", () => {
    expect(textAlone("  One\n\n", [])).toBe("  One\n\n");
  });

  it("has a paragraph's end in the place of a card", () => {
    expect(textAlone("Let me see.It is.", [at(11)])).toBe("Let me see.\n\nIt is.");
    expect(textAlone("Let me see.\n\nIt is.", [at(13)])).toBe("Let me see.\n\nIt is.");
    expect(textAlone("It is.", [at(0), at(6)])).toBe("It is.");
  });
});

describe("what follows a card", () => {
  it("is by itself", () => {
    expect(reopened("One", "two")).toBe("two");
    expect(reopened("```\none\n```", "two")).toBe("two");
  });

  it("goes on with code that is open there, and ends with it", () => {
    const after = reopened("So:\n\n~~~js\nlet a;\n", "let b;\n~~~\n\nDone.");
    expect(splitBlocks(after)).toEqual(["~~~js\nlet b;\n~~~", "Done."]);
    expect(reopened("```js\nlet a;\n", "\n ")).toBe("\n ");
  });
});
