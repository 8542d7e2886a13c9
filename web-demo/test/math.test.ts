// @vitest-environment jsdom
import { describe, expect, it } from "vitest";
import { MarkdownView } from "../src/page/markdown-view";

const SOURCES = new Map([1, 2].map((n) => [n, `Source ${n}`]));

function view(text: string): HTMLElement {
  const markdown = new MarkdownView();
  markdown.show(text, SOURCES, (n) => `source-${n}`);
  return markdown.root;
}

const shown = (text: string): string => view(text).textContent?.trim() ?? "";

const FORMULAS = [
  "\\(a_1 * b_1 * c_1\\)",
  "\\(a_{1}_ + _{2}\\)",
  "\\[ x = \\frac{-b \\pm \\sqrt{b^2-4ac}}{2a} \\]",
  "\\[\nx_1\n= y_1\n+ z\n- w \\\\\n\\]",
  "$$\nE\n=\nm c^2 \\\\\n\\{1\\}\n$$",
  "$$a_1 * b * c$$",
  "$a_1*b*c_1$",
  "$\\{x \\mid x > 0\\}$",
  "\\begin{align}\na &= b \\\\\n- c &= *d*\n\\end{align}",
  "\\(\\text{<b>&amp;`}\\)",
];

describe("formulas", () => {
  it.each(FORMULAS)("%j stay as they were written", (formula) => {
    expect(shown(formula)).toBe(formula);
  });

  // Two dollars may end a formula as well as begin one: over several lines they stand at the beginning.
  it.each(FORMULAS.filter((formula) => !/^\$\$\n/.test(formula)))(
    "%j stay so between other words",
    (formula) => {
      const root = view(`So *much* is ${formula} and **that** is all.`);
      expect(root.textContent).toContain(formula);
      expect([...root.querySelectorAll("em, strong")].map((e) => e.textContent)).toEqual([
        "much",
        "that",
      ]);
    },
  );

  it("stand in lists, tables, quotes, headings and emphasis as well", () => {
    const root = view(
      "# \\(a_1\\)\n\n- \\(b_1\\)\n  \\[\n  - c\n  \\]\n\n> $d_1*d*$\n\n| \\(e_1\\) |\n|---|\n| **x \\(f*f*f\\) y** |",
    );
    for (const formula of ["\\(a_1\\)", "\\(b_1\\)", "\\[\n- c\n\\]", "$d_1*d*$", "\\(e_1\\)"])
      expect(root.textContent).toContain(formula);
    expect(root.querySelector("strong")?.textContent).toBe("x \\(f*f*f\\) y");
    expect(root.querySelectorAll("li")).toHaveLength(1);
  });

  it("may begin right behind a line of words, and end before one", () => {
    const root = view("The sum:\n\\[\na\n+ b\n\\]\nis *small*.");
    expect(root.textContent?.trim()).toBe("The sum:\n\\[\na\n+ b\n\\]is small.");
    expect(root.querySelector("em")?.textContent).toBe("small");
  });

  it("that are not finished yet keep their signs", () => {
    for (const part of ["\\[\na\n+ b", "$$\nx\n- y", "\\(a"]) expect(shown(part)).toBe(part);
  });

  it("are none in code, where money is meant, and behind a backslash", () => {
    expect(view("`\\(a\\)` *b* `\\(c\\)`").querySelector("em")?.textContent).toBe("b");
    expect(shown("From $5 to *$6* or **$HOME** and **$PATH**")).toBe(
      "From $5 to $6 or $HOME and $PATH",
    );
    expect(shown("US$5 *or* US$6, \\$7 *or* 8\\$")).toBe("US$5 or US$6, $7 or 8$");
  });
});

describe("brackets that are no citations", () => {
  const cited = (text: string): string[] =>
    [...view(text).querySelectorAll("a.citation")].map(({ textContent }) => textContent ?? "");

  it.each([
    "\\[1\\]",
    "so \\[1\\] it is",
    "\\[1]",
    "\\(a[1]\\)",
    "$a[1]$",
    "\\[\na[1]\n\\]",
    "`a[1]`",
    "``` \na[1]\n```",
    "    a[1]",
    "```\na[1]",
  ])("%j", (text) => {
    expect(cited(text)).toEqual([]);
    expect(shown(text).replace(/^`|`$/g, "")).toContain("[1");
  });

  it("do not hide those that are", () => {
    expect(cited("`[1]` and [2], \\(x\\) [1].")).toEqual(["2", "1"]);
  });
});
