// @vitest-environment jsdom
/** Answers that would break a page: their markup costs no more than themselves. */
import { readFileSync } from "node:fs";
import { describe, expect, it, vi } from "vitest";
import {
  connected,
  gateway,
  newClient,
  until,
} from "../../packages/client/test/client-at-gateway.js";
import * as faults from "../src/page/faults";
import * as markdown from "../src/page/markdown";
import { MarkdownView } from "../src/page/markdown-view";
import { Transcript } from "../src/page/transcript";
import { dangers } from "./dangers";

const noSources = new Map<number, string>();

function view(...growing: string[]): HTMLElement {
  const text = new MarkdownView();
  for (const part of growing) expect(text.show(part, noSources, String)).toBe(true);
  return text.root;
}

const plain = (root: ParentNode) =>
  [...root.querySelectorAll(".as-written")].map(({ textContent }) => textContent);

/** Each took seconds, or threw for want of stack. */
const NASTY: readonly [string, string][] = [
  ["quotes in quotes", ">".repeat(15_000)],
  ["quotes in quotes, with spaces", "> ".repeat(15_000)],
  ["lists in lists", `${"- ".repeat(600)}a`],
  ["numbered lists in lists", "1. ".repeat(10_000)],
  ["many deep lists", `${"- ".repeat(50)}a\n`.repeat(290)],
  ["lists that step in", Array.from({ length: 600 }, (_, n) => `${"  ".repeat(n)}- a`).join("\n")],
  ["quotes in lists", "> - ".repeat(3_000)],
  ["a list without end", "- a\n".repeat(30_000)],
  ["a table without end", `| a | b |\n|---|---|\n${"| 1 | 2 |\n".repeat(10_000)}`],
  ["emphasis that never ends", "x**".repeat(20_000)],
  ["emphasis in emphasis", `${"*a **b ".repeat(300)}${"** c* ".repeat(300)}`],
  ["brackets in brackets", `${"[".repeat(20_000)}${"](x)".repeat(9_000)}`],
  ["formulas that never end", "\\(a $b ".repeat(15_000)],
  ["formulas that never end, line by line", "\\[x\n".repeat(15_000)],
  ["lines that a deep list may go on with", `${"- ".repeat(15_000)}${"[\n".repeat(15_000)}`],
  ["labels that never end", "[\n".repeat(30_000)],
  ["exclamations", "!".repeat(60_000)],
  ["a line without end", "word ".repeat(40_000)],
];

describe("a block that is too much", () => {
  it.each(NASTY)("of %s is shown as it was written, and soon", (_, nasty) => {
    const begun = performance.now();
    const root = view(`*Before*\n\n${nasty}\n\n*After*`);
    expect(performance.now() - begun).toBeLessThan(10_000);
    expect([...root.querySelectorAll("em")].map(({ textContent }) => textContent)).toEqual(
      expect.arrayContaining(["Before", "After"]),
    );
    expect(root.children).toHaveLength(3);
    // Not compared as texts: nobody wants to read the difference.
    expect(plain(root).map((text) => text?.trim() === nasty.trim())).toEqual([true]);
  });

  it("is not tried again while it grows", () => {
    const render = vi.spyOn(markdown, "renderBlock");
    const growing = Array.from({ length: 100 }, (_, n) => `*Before*\n\n${">".repeat(n)}`);
    expect(plain(view(...growing))).toEqual([">".repeat(99)]);
    expect(render.mock.calls.length).toBeLessThan(30);
  });

  it("has its markup again when its text was withdrawn", () => {
    const root = view(">".repeat(99), "> a");
    expect(plain(root)).toEqual([]);
    expect(root.querySelector("blockquote")?.textContent?.trim()).toBe("a");
  });

  it("is any over which the renderer breaks, and the fault is seen", () => {
    const fault = new Error("a fault");
    const real = markdown.renderBlock;
    vi.spyOn(markdown, "renderBlock").mockImplementation((text, links) => {
      if (text.includes("trap")) throw fault;
      return real(text, links);
    });
    const seen = vi.spyOn(faults, "throwLater").mockImplementation(() => {});
    const root = view("*a*\n\n*trap*\n\n*b*");
    expect(plain(root)).toEqual(["*trap*"]);
    expect(root.querySelectorAll("em")).toHaveLength(2);
    expect(seen).toHaveBeenCalledExactlyOnceWith(fault);
  });
});

describe("what cannot be rendered in time", () => {
  it("is shown as it was written, and rendered later", () => {
    const text = new MarkdownView();
    const past = performance.now() - 1;
    expect(text.show("*a*\n\n*b*", noSources, String, past)).toBe(false);
    expect(plain(text.root)).toEqual(["*a*", "*b*"]);
    expect(text.show("*a*\n\n*b*", noSources, String)).toBe(true);
    expect(plain(text.root)).toEqual([]);
    expect(text.show("*a*\n\n*b* c", noSources, String, past)).toBe(false);
    expect(text.root.textContent?.replace(/\s/g, "")).toBe("ab");
    expect(text.show("*a*\n\n*b* c", noSources, String)).toBe(true);
    expect(text.root.querySelectorAll("em")).toHaveLength(2);
  });
});

const FENCES = 4;
const LONG = `# Heading with ![x](https://evil.example/?q=1) and <img src=https://evil.example/2>

Words with **bold, [a link][l], ![by reference][e], <style>@import "https://evil.example/3"</style>
and [script](javascript:alert(1)), <javascript:alert(1)>, \\(a_1 * b_1\\) and a citation [1] here.

| a | **b | \`c\` |
|---|---|---|
| ![x][e] | <script src=https://evil.example/4></script> | [1] |
| **half | [half]( | \`half

- one ~~two~~ *three
  - four \`a[1]\`

    \`\`\`html
    <iframe src=https://evil.example/5></iframe>

    **[1]**
    \`\`\`
- [ ] five

> quote **with
> > ![deeper](https://evil.example/6)

\`\`\`js
const a = b[1]; // ![x](https://evil.example/7)

- **no list**
\`\`\`
~~~
\`\`\`
half a fence
~~~

$$
a_1
- b_1 [1]
$$

[e]: https://evil.example/8.png
[l]: https://example.com/

\`\`\`\`md
\`\`\`
the end, without one`;

describe("a long answer", () => {
  it("is safe and whole at each of its letters", () => {
    const text = new MarkdownView();
    const known = new Map([[1, "Source 1: <b>Huts</b>"]]);
    for (let end = 1; end <= LONG.length; end++) {
      expect(text.show(LONG.slice(0, end), known, (n) => `source-${n}`)).toBe(true);
      const found = dangers(text.root).filter(
        (what) => what !== "#source-1" && what !== "a without rel",
      );
      expect(found).toEqual([]);
    }
    expect(text.root.querySelectorAll("pre")).toHaveLength(FENCES);
    expect(plain(text.root)).toEqual([]);
    expect(text.root.innerHTML).toBe(
      (() => {
        const whole = new MarkdownView();
        whole.show(LONG, known, (n) => `source-${n}`);
        return whole.root.innerHTML;
      })(),
    );
    const cited = [...text.root.querySelectorAll("a.citation")];
    expect(cited.map((link) => link.closest("p, td")?.localName)).toEqual(["p", "td"]);
  }, 240_000);
});

describe("a conversation with a nasty answer", () => {
  it("shows what comes after it, live and after a reload", async () => {
    document.documentElement.innerHTML = readFileSync("index.html", "utf8");
    gateway.onQuestion = (answer, text) => {
      answer.write(text === "Nasty?" ? ">".repeat(15_000) : "*Fine*");
      answer.done();
    };
    const ask = async (text: string): Promise<void> => {
      client.send(text);
      await until(client, () => client.outgoing.length === 0);
      await until(client, () => client.conversation.messages.at(-1)?.verified);
    };
    let client = await page();
    for (const text of ["Nasty?", "Fine?", "Nasty?"]) await ask(text);
    const { session } = client;
    expect(answers()).toEqual([">".repeat(15_000), "Fine", ">".repeat(15_000)]);

    document.documentElement.innerHTML = readFileSync("index.html", "utf8");
    client = await page(session ?? "");
    await until(client, () => client.conversation.messages.length === 6);
    expect(answers()).toEqual([">".repeat(15_000), "Fine", ">".repeat(15_000)]);
    await ask("Fine?");
    expect(answers().at(-1)).toBe("Fine");
  });

  const answers = () =>
    [...document.querySelectorAll(".answer .markdown")].map((text) => text.textContent?.trim());

  async function page(session?: string) {
    const client = newClient({ session });
    const transcript = new Transcript(client, {
      asked: () => {},
      homeless: () => {},
      openSource: () => {},
    });
    client.on("change", () => {
      while (transcript.paint());
    });
    return connected(client);
  }
});
