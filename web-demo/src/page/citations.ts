/** Turns markers such as `[1]` or `[1, 3]` in a rendered answer into links to the listed sources. */

import type { SourceItem } from "@rivulet/client";
import { lastSentence } from "../documents/supporting";
import { placeText } from "../documents/words";

/** The sources that can be cited: what each is called, by its number. */
export type Known = ReadonlyMap<number, string>;

/** A backslash before it says that the bracket is meant as such. */
const MARKER = /(\\?)\[(\d{1,2}(?:\s*,\s*\d{1,2})*)\]/g;

/** What stands for one unit of meaning, so that a sentence does not go beyond it. */
const UNIT = "p, li, tr, h4, h5, h6, blockquote";

/** "Source 2: Handbook of huts, page 4". */
export function sourceName({ n, title, ...at }: SourceItem): string {
  const place = placeText(at);
  return `Source ${n}: ${place === "" ? title : `${title}, ${place}`}`;
}

/** Changes `root` in place. Only numbers in `known` are linked: any other bracket is just text. */
export function linkCitations(
  root: ParentNode & Node,
  known: Known,
  idOf: (n: number) => string,
): void {
  if (known.size === 0) return;
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  const texts: Text[] = [];
  while (walker.nextNode()) {
    const text = walker.currentNode as Text;
    // Brackets in code and formulas are their own, and a link inside a link would be invalid.
    if (!text.parentElement?.closest("code, pre, span, a")) texts.push(text);
  }
  for (const text of texts) {
    const parts = split(text.data, known, idOf);
    if (parts.length > 1) text.replaceWith(...parts);
  }
}

/** The numbers that the links in `root` lead to. */
export function citedNumbers(root: ParentNode): ReadonlySet<number> {
  return new Set(
    [...root.querySelectorAll("a.citation")].map(({ textContent }) => Number(textContent)),
  );
}

/** What a mark in a rendered answer stands behind: the sentence before it. */
export function claimOf(mark: Element): string {
  const unit = mark.closest(UNIT) ?? mark.parentElement;
  if (!unit) return "";
  const walker = document.createTreeWalker(unit, NodeFilter.SHOW_TEXT);
  let before = "";
  while (walker.nextNode() && !mark.contains(walker.currentNode)) {
    const text = walker.currentNode as Text;
    // The numbers of other marks are no words of the sentence.
    if (!text.parentElement?.closest("a.citation")) before += text.data;
  }
  return lastSentence(before.replace(/\s+/g, " ").replace(/ (?=[.,;:!?])/g, ""));
}

function split(text: string, known: Known, idOf: (n: number) => string): (string | HTMLElement)[] {
  const parts: (string | HTMLElement)[] = [];
  let end = 0;
  for (const match of text.matchAll(MARKER)) {
    const [, escaped, list = ""] = match;
    const numbers = list.split(",").map(Number);
    if (escaped || !numbers.every((n) => known.has(n))) continue;
    parts.push(
      text.slice(end, match.index),
      ...numbers.map((n) => citation(n, known.get(n) ?? "", idOf(n))),
    );
    end = match.index + match[0].length;
  }
  return [...parts, text.slice(end)];
}

function citation(n: number, name: string, id: string): HTMLElement {
  const link = document.createElement("a");
  link.className = "citation";
  link.href = `#${id}`;
  link.textContent = String(n);
  link.title = name;
  link.setAttribute("aria-label", name);
  return link;
}
