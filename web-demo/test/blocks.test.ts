// @vitest-environment jsdom
import fc from "fast-check";
import { marked } from "marked";
import { describe, expect, it } from "vitest";
import { splitBlocks } from "../src/page/blocks";

describe("the pieces of a text", () => {
  it.each<[string, string[]]>([
    ["", []],
    [" \n\n", []],
    ["One.\n\nTwo.", ["One.", "Two."]],
    ["\n\nOne.\r\n\r\n\r\nTwo.\r\n", ["One.", "Two."]],
    ["# Title\nText\n\nMore", ["# Title\nText", "More"]],
    ["> a\n> b\n\n> c", ["> a\n> b", "> c"]],
    ["- a\n\n- b\n\n  c\n\n1. d\n\ne", ["- a\n\n- b\n\n  c\n\n1. d", "e"]],
    ["a\n\n- b", ["a", "- b"]],
    ["    a\n\n    b\n\nc", ["    a\n\n    b", "c"]],
    ["```\na\n\nb\n```\n\nc", ["```\na\n\nb\n```", "c"]],
    ["~~~~\n~~~\n\n```\n\n~~~~\n\nc", ["~~~~\n~~~\n\n```\n\n~~~~", "c"]],
    ["```\na\n\nb", ["```\na\n\nb"]],
    ["- a\n  ```\n  b\n\n  c\n  ```\n\nd", ["- a\n  ```\n  b\n\n  c\n  ```", "d"]],
    ["- a\n  ```\n  b\n\nd\n\ne", ["- a\n  ```\n  b", "d", "e"]],
    ["```a`b\n\nc", ["```a`b", "c"]],
  ])("%j are %j", (text, pieces) => {
    expect(splitBlocks(text)).toEqual(pieces);
  });

  it("are all of the text but blank lines", () => {
    const unit = fc.constantFrom(
      "a",
      "\n",
      "\n\n",
      " ",
      "- ",
      "1. ",
      "> ",
      "```",
      "~~~",
      "#",
      "\r",
    );
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 60 }), (text) => {
        const lines = (all: string): string[] =>
          all.split(/\r\n|\r|\n/).filter((line) => line.trim() !== "");
        expect(splitBlocks(text).flatMap(lines)).toEqual(lines(text));
      }),
    );
  });

  it("mean alone what they mean together", () => {
    const block = fc.constantFrom(
      "Words and *words*.",
      "Two\nlines",
      "# Title\nText",
      "- one\n- two\n\n  more\n- three",
      "- one\n\n  ```js\n  let a;\n\n  let b;\n  ```\n\n- two",
      "1. one\n   - deep\n\n   text\n2. two",
      "```\ncode\n\n- code\n```",
      "~~~\n```\n\n~~~",
      "| a | b |\n|---|---|\n| 1 | 2 |",
      "> quote\nlazy\n> - list",
      "Title\n=====",
      "***",
      "    code\n\n    code",
      "<b>html</b>",
    );
    const html = (text: string) => marked.parse(text, { async: false }).replace(/\n+/g, "\n");
    fc.assert(
      fc.property(fc.array(block, { maxLength: 6 }), (blocks) => {
        const text = blocks.join("\n\n");
        expect(splitBlocks(text).map(html).join("")).toBe(html(text));
      }),
    );
  });
});
