// @vitest-environment jsdom
import fc from "fast-check";
import { expect, it } from "vitest";
import { decoded } from "../src/page/entities";
import { MarkdownView } from "../src/page/markdown-view";

it.each([
  ["&amp;lt; &lt;b&gt; &quot;a&quot; &nbsp;.", '&lt; <b> "a" \u00a0.'],
  ["a&Tab;b&NewLine;c", "a\tb\nc"],
  ["&#8377;&#x20B9; &#x1F600;", "₹₹ 😀"],
  ["3&nbsp;&times;&nbsp;4 &le; 12&hellip;", "3\u00a0×\u00a04 ≤ 12…"],
])("%j becomes characters", (text, shown) => {
  expect(decoded(text)).toBe(shown);
});

it.each([
  "&#0;",
  "&#xD800;",
  "&#xDFFF;",
  "&#x110000;",
  "&#9999999;",
  "&constructor;",
  "&so;",
  "&amp",
])("%s stays as it is written", (text) => {
  expect(decoded(text)).toBe(text);
});

it("names mean what browsers take them for", () => {
  for (const name of ["euro", "frac12", "rarr", "asymp", "minus", "bdquo", "middot", "Tab"]) {
    const area = document.createElement("textarea");
    area.innerHTML = `&${name};`;
    expect(decoded(`&${name};`), name).toBe(area.value);
  }
});

it("every number that is a character becomes it", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", minLength: 1, maxLength: 1 }), (character) => {
      const number = character.codePointAt(0) ?? 0;
      fc.pre(number > 0);
      expect(decoded(`&#${number};&#x${number.toString(16)};`)).toBe(character + character);
    }),
  );
});

it("an answer has them without any parser of the browser", () => {
  const parser = globalThis.DOMParser;
  Reflect.deleteProperty(globalThis, "DOMParser");
  try {
    const view = new MarkdownView();
    view.show("Tom &amp; Ann: `&amp;` &lt;script&gt;", new Map(), String);
    expect(view.root.textContent?.trim()).toBe("Tom & Ann: &amp; <script>");
    expect(view.root.querySelector("script")).toBeNull();
  } finally {
    globalThis.DOMParser = parser;
  }
});
