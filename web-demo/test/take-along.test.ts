/** A conversation as a file. */
import type { WireMessage } from "@rivulet/client";
import { marked } from "marked";
import { describe, expect, it } from "vitest";
import type { WholeConversation } from "../src/conversations/api";
import { asJson, asMarkdown } from "../src/conversations/take-along";

const AT = "2026-11-28T09:05:30.123Z";

function message(given: Partial<WireMessage>): WireMessage {
  return { id: "m_1", role: "user", text: "Why?", status: "complete", created_at: AT, ...given };
}

function whole(messages: WireMessage[], given: Partial<WholeConversation> = {}): WholeConversation {
  return {
    session_id: "s_1",
    assistant: "default",
    title: "Tents *and* <bags>",
    message_count: messages.length,
    created_at: AT,
    updated_at: AT,
    messages,
    more: false,
    ...given,
  };
}

const source = (given: object) => ({
  n: 1,
  document: "d",
  title: "Tents",
  score: 1,
  snippet: "",
  ...given,
});
const answer = (given: Partial<WireMessage>) => message({ id: "m_2", role: "assistant", ...given });

describe("Markdown", () => {
  it("has questions, answers, times and sources", () => {
    const sources = [
      source({ page: 3, page_end: 4, heading: "Returns [new]", uri: "https://shop.example/a_b" }),
      source({ n: 2, title: "Prices", place: "Sheet 2" }),
    ];
    const text = asMarkdown(
      whole([message({}), answer({ text: "Because. [1]", model: "qwen_3", sources })]),
    );
    expect(text).toBe(
      [
        "# Tents \\*and\\* \\<bags\\>",
        "Begun on 2026-11-28 09:05 UTC.",
        "## Question (2026-11-28 09:05 UTC)",
        "> Why?",
        "## Answer (2026-11-28 09:05 UTC, qwen\\_3)",
        "Because. [1]",
        "### Sources",
        "- \\[1\\] Tents, pages 3 to 4, Returns \\[new\\] <https://shop.example/a_b>\n- \\[2\\] Prices, Sheet 2\n",
      ].join("\n\n"),
    );
  });

  it("keeps what was typed within its question", () => {
    const text = asMarkdown(whole([message({ text: "# Not a title\n\n```\ncode" })]));
    const headings = marked.lexer(text).filter((token) => token.type === "heading");
    expect(headings).toHaveLength(2);
    expect(text).toContain("> # Not a title\n>\n> ```\n> code");
  });

  it.each([
    ["```js\nlet a", "```"],
    ["~~~~\n~~~\n```", "~~~~"],
    ["````\n```", "````"],
    ["- a\n\n  ```\n  code", "  ```"],
    ["<!-- so\n\n```", "-->"],
    ["<script>\nlet a;\n\nlet b;", "</script>"],
    ["  <PRE class=a\n```", "</pre>"],
    ["<![CDATA[ a", "]]>"],
    ["<?php\n\n", "?>"],
  ])("closes code that broke off: %j", (text, end) => {
    const written = asMarkdown(whole([answer({ text, status: "stopped" }), message({})]));
    expect(written).toContain(`${text}\n${end}\n\n*It was stopped.*\n\n## Question`);
    const headings = marked.lexer(written).filter((token) => token.type === "heading");
    expect(headings).toHaveLength(3);
  });

  it.each([
    "```let a``` is code within a line.",
    "<!-- a -->\nb",
    "<script>a</script>",
    "<pre>\n```\n</pre>",
    "```\n<!-- a\n```",
    "<scripture> a",
    "<!-- a\n\n--> b",
  ])("adds nothing to what is not open: %j", (text) => {
    const written = asMarkdown(whole([answer({ text, status: "stopped" }), message({})]));
    expect(written).toContain(`${text}\n\n*It was stopped.*`);
    const headings = marked.lexer(written).filter((token) => token.type === "heading");
    expect(headings).toHaveLength(3);
  });

  it("adds no end to code that has one", () => {
    const text = "```\na\n```\nb";
    expect(asMarkdown(whole([answer({ text })]))).toContain(`${text}\n`);
    expect(asMarkdown(whole([answer({ text })])).match(/```/g)).toHaveLength(2);
  });

  it("links to nowhere that a browser would run", () => {
    const sources = [source({ uri: "javascript:alert(1)" }), source({ uri: "https://a b" })];
    const text = asMarkdown(whole([answer({ sources })]));
    expect(text).not.toContain("<javascript");
    expect(text).not.toContain("<https");
    expect(text).toContain("javascript:alert(1)");
  });

  it("says what is not in it, and how an answer ended", () => {
    const text = asMarkdown(
      whole([answer({ text: "", status: "error", created_at: undefined })], {
        more: true,
        title: undefined,
      }),
    );
    expect(text).toContain("# Untitled");
    expect(text).toContain("*What was said before this is not in this file.*");
    expect(text).toContain("*The model failed before it could finish.*");
    expect(text).toContain("(at an unknown time)");
  });
});

it("JSON is what the gateway has told", () => {
  const told = whole([message({ text: '"\u2028' })]);
  expect(JSON.parse(asJson(told))).toEqual(told);
});
