// @vitest-environment jsdom
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { linkCitations } from "../src/page/citations";
import { MarkdownView } from "../src/page/markdown-view";
import { dangers } from "./dangers";

const noSources = new Map<number, string>();

function view(...growing: string[]): HTMLElement {
  const markdown = new MarkdownView();
  for (const text of growing) markdown.show(text, noSources, String);
  return markdown.root;
}

const ATTACKS = [
  "<script>alert(1)</script>",
  "<img src=x onerror=alert(1)>",
  "<svg/onload=alert(1)>",
  "<svg><script>alert(1)</script></svg>",
  "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
  "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
  "<details open ontoggle=alert(1)>",
  "<a href='javascript:alert(1)'>x</a>",
  "<form action=https://evil.example><input name=password></form>",
  "<style>*{background:url(https://evil.example)}</style>",
  "<base href=https://evil.example/>",
  '<meta http-equiv="refresh" content="0;url=https://evil.example">',
  '<p id="composer" name="rivulet" style="position:fixed">over</p>',
  "<noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>",
  "[x](javascript:alert(1))",
  "[x](JaVaScRiPt:alert(1))",
  "[x](java\nscript:alert(1))",
  "[x](java&#x0A;script:alert(1))",
  "[x](&#106;avascript:alert(1))",
  "[x](\u0001javascript:alert(1))",
  "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
  "[x](vbscript:msgbox(1))",
  "[x](file:///etc/passwd)",
  "[x](blob:https://evil.example/1)",
  "[x](//evil.example)",
  "[x](/api/v1/admin/drain)",
  "[x]\n\n[x]: javascript:alert(1)",
  "[x][y]\n\n[y]: data:text/html,<script>alert(1)</script> 'title'",
  "<javascript:alert(1)>",
  "![x](https://evil.example/pixel.png)",
  "![x][y]\n\n[y]: https://evil.example/pixel.png",
  "![x](javascript:alert(1))",
  "![x](data:image/svg+xml;base64,PHN2Zy8+)",
  '![x"onerror="alert(1)](https://evil.example/a)',
  '[x](https://evil.example/"onmouseover="alert(1))',
  "```html\n<script>alert(1)</script>\n```",
  '```"><img src=x onerror=alert(1)>\ncode\n```',
  "| a |\n|---|\n| <img src=x onerror=alert(1)> |",
  "# <img src=x onerror=alert(1)>",
  "- [ ] <input onfocus=alert(1) autofocus>",
  "`<img src=x onerror=alert(1)>`",
  "<!-- <img src=x onerror=alert(1)> -->",
  "<![CDATA[<script>alert(1)</script>]]>",
  "<x/onpointerover=alert(1)>text",
];

describe("lists and tables", () => {
  it("count and align as they were written", () => {
    const root = view("4. four\n5. five\n\n| a | b |\n|--:|---|\n| 1 | 2 |");
    expect(root.querySelector("ol")?.start).toBe(4);
    expect([...root.querySelectorAll("td")].map(({ align }) => align)).toEqual(["right", ""]);
  });
});

describe("hostile text", () => {
  it.each(ATTACKS)("%j does nothing", (attack) => {
    expect(dangers(view(attack))).toEqual([]);
  });

  it.each(ATTACKS)("%j does nothing when it arrives letter by letter", (attack) => {
    const markdown = new MarkdownView();
    for (let end = 1; end <= attack.length; end++) {
      markdown.show(attack.slice(0, end), noSources, String);
      expect(dangers(markdown.root)).toEqual([]);
    }
  });

  it("does nothing in any mixture", () => {
    const piece = fc.oneof(
      fc.constantFrom(...ATTACKS),
      fc.constantFrom("\n", "\n\n", "> ", "- ", "`", "**", "[", "](", ")"),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 6 }), (pieces) => {
        expect(dangers(view(pieces.join("")))).toEqual([]);
      }),
    );
  });

  it("is shown as text where it is markup", () => {
    expect(view("Use <b>care</b>").textContent).toContain("Use <b>care</b>");
  });
});

describe("links and images", () => {
  it("open elsewhere without telling where they come from", () => {
    const link = view("[docs](https://example.com/a?b=1&c=2)").querySelector("a");
    expect(link?.href).toBe("https://example.com/a?b=1&c=2");
    expect(link?.target).toBe("_blank");
    expect(link?.rel).toBe("noopener noreferrer nofollow");
  });

  it("keep the words of a link that must not be followed", () => {
    const root = view("see [the *page*](javascript:alert(1)) [here](/api/v1/admin/drain)");
    expect(root.textContent?.trim()).toBe("see the page here");
    expect(root.querySelector("a")).toBeNull();
  });

  it("make an image a link with its description", () => {
    const root = view("![A tent](https://example.com/tent.png)");
    expect(root.querySelector("a")?.textContent).toBe("A tent");
  });
});

describe("a growing answer", () => {
  it("looks in the end as if it had come at once", () => {
    const text =
      "# Title\n\nSome **bold** and [a link][l].\n\n- one\n- two\n\n```js\nlet a = 1;\n```\n\n[l]: https://example.com\n";
    const steps = Array.from({ length: text.length }, (_, end) => text.slice(0, end + 1));
    expect(view(...steps).innerHTML).toBe(view(text).innerHTML);
  });

  it("leaves finished blocks alone", () => {
    const markdown = new MarkdownView();
    markdown.show("First.\n\nSec", noSources, String);
    const first = markdown.root.firstElementChild?.firstElementChild;
    markdown.show("First.\n\nSecond.", noSources, String);
    expect(markdown.root.firstElementChild?.firstElementChild).toBe(first);
  });

  it("shrinks when text was withdrawn", () => {
    expect(view("One.\n\nTwo.\n\nThree.", "One.\n\nTw").children).toHaveLength(2);
  });

  it("names the language of code", () => {
    expect(view("```rust\nfn a() {}\n```").querySelector("pre")?.dataset.language).toBe("rust");
  });
});

describe("citations", () => {
  const named = (...known: number[]) => new Map(known.map((n) => [n, `Source ${n}: Huts`]));

  function cited(html: string, ...known: number[]): HTMLElement {
    const root = document.createElement("div");
    root.innerHTML = html;
    linkCitations(root, named(...known), (n) => `source-${n}`);
    return root;
  }

  it("link to listed sources, several in one bracket too", () => {
    const links = [...cited("<p>Yes [1], no [2, 3].</p>", 1, 2, 3).querySelectorAll("a")];
    expect(links.map((link) => link.getAttribute("href"))).toEqual([
      "#source-1",
      "#source-2",
      "#source-3",
    ]);
    expect(links[0]?.getAttribute("aria-label")).toBe("Source 1: Huts");
  });

  it("stay text where there is no such source, in code and in links", () => {
    const html = '<p>a[0] [7] <code>[1]</code> <a href="https://example.com">[1]</a></p>';
    expect(cited(html, 1).innerHTML).toBe(html);
  });

  it.each([
    "As said [1], [2] and [1, 2].\n\n[1]: https://evil.example\n[1, 2]: https://evil.example\n[ 2 ]: https://evil.example",
    "As said [1](https://evil.example), [2][x] and [**1**, 2][x].\n\n[x]: https://evil.example",
    "As said [&#49;](https://evil.example), ![2](https://evil.example) and [[1, 2]](https://evil.example).",
  ])("lead to the sources whatever the text wants them to lead to: %j", (text) => {
    const markdown = new MarkdownView();
    markdown.show(text, named(1, 2), (n) => `source-${n}`);
    const first = markdown.root.querySelector("p");
    const links = [...(first?.querySelectorAll("a") ?? [])];
    expect(links.map((link) => link.getAttribute("href"))).toEqual([
      "#source-1",
      "#source-2",
      "#source-1",
      "#source-2",
    ]);
  });

  it("leave other link definitions alone, also with a number in their label", () => {
    const root = view("See [2024 report].\n\n[2024 report]: https://example.com/");
    expect(root.querySelector("a")?.href).toBe("https://example.com/");
  });
});
