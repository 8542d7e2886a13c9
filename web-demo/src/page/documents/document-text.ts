/** The text of a document, as far as it is loaded: as text, never as markup, with pages and what was cited marked. */
import { blocksOf, cut, type PageMark, type TextBlock } from "../../documents/blocks";
import type { OpenedDocument } from "../../documents/opened";
import {
  lastSentence,
  type Span,
  type Support,
  supportingSentence,
} from "../../documents/supporting";
import type { Passage } from "../../documents/wire";
import { placeText } from "../../documents/words";
import { make } from "../element";

/** What is read of these has headings marked by `#`: of all others the sign is the writer's own. */
const WITHOUT_HEADINGS = new Set(["text/plain", "text/csv", "application/json"]);

/** So many passages behind the one that is named are looked at. */
const NEIGHBOURS = 3;

/** `claim`: what the passage that was looked for is to support. */
export function documentText(opened: OpenedDocument, claim: string): DocumentFragment {
  const { text, info, target } = opened;
  const markdown = !WITHOUT_HEADINGS.has(info.media_type.split(";")[0] ?? "");
  const ranges = target ? citedIn(opened, text, target, claim) : [];
  const fragment = document.createDocumentFragment();
  for (const block of blocksOf(text, pagesOf(opened), markdown))
    fragment.append(blockElement(text, block, ranges));
  return fragment;
}

/** A passage alone, where there is no document around it. */
export function loneText(text: string, claim: string): HTMLElement {
  const span = { start: 0, end: text.length };
  const sentence = sentenceIn(text, span, claim);
  return paragraph("p", text, span, sentence === null ? [] : [{ start: 0, end: 0 }, sentence]);
}

/**
 * The passage, and the sentence of it that supports the claim. What was found may go on behind the passage that it
 * begins with, for neighbours are given to a model as one: so a sentence there counts when it has more of the words.
 */
function citedIn(opened: OpenedDocument, text: string, target: Passage, claim: string): Span[] {
  const from = opened.offsetOf(target.start);
  const upTo = (passage: Passage): Span => ({ start: from, end: opened.offsetOf(passage.end) });
  let cited = upTo(target);
  let sentence = sentenceIn(text, cited, claim);
  for (const passage of opened.passages.filter(({ chunk }) => chunk > target.chunk)) {
    if (passage.chunk > target.chunk + NEIGHBOURS) break;
    const further = sentenceIn(text, upTo(passage), claim);
    if (further === null || further.common <= (sentence?.common ?? 0)) continue;
    cited = upTo(passage);
    sentence = further;
  }
  return sentence === null ? [cited] : [cited, sentence];
}

function sentenceIn(text: string, passage: Span, claim: string): Support | null {
  const found = supportingSentence(text.slice(passage.start, passage.end), lastSentence(claim));
  if (found === null) return null;
  const { start, end, common } = found;
  return { start: start + passage.start, end: end + passage.start, common };
}

/** A page begins where the passage before it ends: headings between them are the page's own. */
function pagesOf(opened: OpenedDocument): PageMark[] {
  const marks: PageMark[] = [];
  let last = "";
  opened.passages.forEach((passage, at) => {
    const label = placeText(passage);
    const before = opened.passages[at - 1]?.end ?? 0;
    if (label !== "" && label !== last)
      marks.push({ at: opened.offsetOf(Math.min(passage.start, before)), label });
    last = label;
  });
  return marks;
}

function blockElement(text: string, block: TextBlock, ranges: readonly Span[]): HTMLElement {
  if (block.kind === "page") {
    const label = block.label.charAt(0).toUpperCase() + block.label.slice(1);
    return make("p", { className: "page-mark", textContent: label, dir: "auto" });
  }
  if (block.kind === "table") {
    const rows = block.rows.map((cells, row) => {
      const tag = row === 0 && block.named ? "th" : "td";
      return make("tr", {}, ...cells.map((cell) => paragraph(tag, text, cell, ranges)));
    });
    return make("table", { tabIndex: 0 }, make("tbody", {}, ...rows));
  }
  // The panel's own heading is of level 2.
  const tag = block.level === 0 ? "p" : (`h${Math.min(6, block.level + 2)}` as "h3");
  return paragraph(tag, text, block.span, ranges);
}

/** `ranges`: the passage, and the sentence in it. */
function paragraph(
  tag: "p" | "h3" | "th" | "td",
  text: string,
  span: Span,
  ranges: readonly Span[],
): HTMLElement {
  const element = make(tag, { dir: "auto" });
  for (const { span: piece, within } of cut(span, ranges)) {
    const words = text.slice(piece.start, piece.end);
    if (within.includes(1)) element.append(make("mark", { textContent: words }));
    else if (within.includes(0))
      element.append(make("span", { className: "passage", textContent: words }));
    else element.append(words);
  }
  return element;
}
