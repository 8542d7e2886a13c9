/**
 * Tokens of Markdown → elements. Nothing is ever parsed as HTML, so a text can only become what is made here: words,
 * and a short list of elements with attributes of this page's choice.
 */
import type { Token, Tokens } from "marked";
import { make } from "./element";
import { decoded } from "./entities";

const SAFE_PROTOCOLS = new Set(["http:", "https:", "mailto:"]);

/** What can be read as a citation, with or without its brackets. */
const CITATION = /^\s*\[?\s*(\d{1,2}(?:\s*,\s*\d{1,2})*)\s*\]?\s*$/;

type Parts = readonly (Node | string)[];
/** Behind what stands on lines of its own, as whoever reads the text without its elements finds it. */
const END = "\n";

/** Throws for a token of a kind that is not known. */
export function markup(tokens: readonly Token[]): DocumentFragment {
  const fragment = document.createDocumentFragment();
  fragment.append(...partsOf(tokens));
  // A mark like `[1]` may have come in pieces.
  fragment.normalize();
  return fragment;
}

/** The address when it is one that may be followed; relative and active addresses are not. */
export function safeHref(href: string): string | null {
  try {
    const url = new URL(href);
    return SAFE_PROTOCOLS.has(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

const partsOf = (tokens: readonly Token[] = []): Parts => tokens.flatMap((token) => part(token));

function part(token: Token): Parts {
  const within = (): Parts => partsOf("tokens" in token ? token.tokens : []);
  switch (token.type) {
    case "space":
    case "def":
      return [];
    case "paragraph":
      return [make("p", {}, ...within()), END];
    case "text":
      return token.tokens ? within() : [decoded(token.text)];
    // Markup of the text itself is shown, not followed.
    case "html":
    case "escape":
      return [token.text];
    case "strong":
    case "em":
    case "del":
      return [make(token.type, {}, ...within())];
    case "blockquote":
      return [make("blockquote", {}, ...within()), END];
    case "codespan":
      return [make("code", {}, token.text)];
    case "br":
      return [make("br")];
    case "hr":
      return [make("hr"), END];
    case "checkbox":
      return [token.checked ? "☑ " : "☐ "];
    case "link":
      return anchor(token.href, within());
    // An image would be fetched at once and tell its server who reads what: a link leaves the choice.
    case "image":
      return anchor(token.href, [token.text || "image"]);
    case "heading":
      return [heading(token.depth, within()), END];
    case "code":
      return [code(token as Tokens.Code), END];
    case "list":
      return [list(token as Tokens.List), END];
    case "table":
      return [table(token as Tokens.Table), END];
    // Breaks of lines count in a formula, and a number in brackets is no citation: see the style sheet.
    case "math":
      return [make("span", {}, token.raw)];
    case "mathBlock":
      return [make("p", {}, make("span", {}, token.raw.trim()))];
    default:
      throw new Error(`no such part of a text: ${token.type}`);
  }
}

function anchor(href: string, label: Parts): Parts {
  const address = safeHref(href);
  if (address === null) return label;
  const rel = "noopener noreferrer nofollow";
  const link = make("a", { href: address, rel, target: "_blank" }, ...label);
  // A number stands for a source of the gateway, never for an address that the text came with.
  const numbers = CITATION.exec(link.textContent ?? "")?.[1];
  return [numbers === undefined ? link : `[${numbers}]`];
}

function heading(depth: number, words: Parts): HTMLElement {
  // The page's own headings end at level 3.
  const level = Math.min(6, depth + 3) as 4 | 5 | 6;
  return make(`h${level}`, {}, ...words);
}

function code({ text, lang = "" }: Tokens.Code): HTMLElement {
  const lines = text === "" ? "" : `${text.replace(/\n$/, "")}\n`;
  const block = make("pre", {}, make("code", {}, lines));
  block.dataset.language = /^\S*/.exec(lang)?.[0] ?? "";
  return block;
}

function list({ ordered, start, items }: Tokens.List): HTMLElement {
  const entries = items.flatMap(({ tokens }) => [make("li", {}, ...partsOf(tokens)), END]);
  if (!ordered) return make("ul", {}, ...entries);
  return make("ol", start === 1 || start === "" ? {} : { start }, ...entries);
}

function table({ header, rows }: Tokens.Table): HTMLElement {
  const row = (tag: "th" | "td", cells: readonly Tokens.TableCell[]): HTMLElement =>
    make(
      "tr",
      {},
      ...cells.map(({ align, tokens }) => make(tag, align ? { align } : {}, ...partsOf(tokens))),
    );
  const whole = make("table", {}, make("thead", {}, row("th", header)));
  if (rows.length > 0) whole.append(make("tbody", {}, ...rows.map((cells) => row("td", cells))));
  return whole;
}
