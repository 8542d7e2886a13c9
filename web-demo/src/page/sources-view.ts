/** The passages an answer rests on, each to be opened where it stands. */

import type { SourceItem } from "@rivulet/client";
import { placeText } from "../documents/words";
import { make } from "./element";
import { safeHref } from "./markup";

export function sourceId(message: string, n: number): string {
  return `source-${message}-${n}`;
}

/** Shows a passage where it stands. */
export type OpenSource = (source: SourceItem) => void;

/** The cited passages stand below the answer; those that were only read are folded away. */
export class SourcesView {
  readonly root = make("section", { className: "sources", hidden: true });
  readonly #message: string;
  readonly #open: OpenSource;
  #sources: readonly SourceItem[] = [];
  #cards: { n: number; item: HTMLElement }[] = [];
  readonly #title = make("h4", { className: "sources-title", textContent: "Sources" });
  readonly #cited = make("ol", { className: "source-list" });
  readonly #others = make("ol", { className: "source-list" });
  readonly #count = make("summary");
  readonly #fold = make("details", { className: "more-sources" }, this.#count, this.#others);

  constructor(message: string, open: OpenSource) {
    this.#message = message;
    this.#open = open;
    this.#title.id = `sources-${message}`;
    this.root.setAttribute("aria-labelledby", this.#title.id);
    this.root.append(this.#title, this.#cited, this.#fold);
  }

  show(sources: readonly SourceItem[], cited: ReadonlySet<number>): void {
    if (sources !== this.#sources) {
      this.#sources = sources;
      this.#cards = sources.map((source) => {
        return { n: source.n, item: make("li", {}, card(this.#message, source, this.#open)) };
      });
    }
    const items = (wanted: boolean): HTMLElement[] =>
      this.#cards.flatMap(({ n, item }) => (cited.has(n) === wanted ? [item] : []));
    const others = items(false);
    fill(this.#cited, items(true));
    fill(this.#others, others);
    this.root.hidden = sources.length === 0;
    this.#cited.hidden = others.length === sources.length;
    this.#fold.hidden = others.length === 0;
    this.#count.textContent = countText(others.length, sources.length);
  }
}

function countText(others: number, all: number): string {
  if (others < all) return `${others} more, not cited`;
  return `${all} ${all === 1 ? "passage" : "passages"} found`;
}

/** Leaves a list alone that is right already: moving an element takes the focus from it. */
function fill(list: HTMLElement, items: readonly HTMLElement[]): void {
  const right = items.length === list.childElementCount;
  if (!right || items.some((item, at) => item !== list.children[at]))
    list.replaceChildren(...items);
}

function card(message: string, source: SourceItem, open: OpenSource): HTMLElement {
  const where = [source.heading, placeText(source)].filter(Boolean).join(", ");
  const summary = make(
    "summary",
    {},
    make("span", { className: "source-number", textContent: String(source.n) }),
    make("span", { className: "source-title", textContent: source.title, dir: "auto" }),
    make("span", { className: "source-heading", textContent: where, dir: "auto" }),
    make("span", { className: "source-score", textContent: `score ${scoreText(source.score)}` }),
  );
  const details = make(
    "details",
    { id: sourceId(message, source.n), className: "fold source" },
    summary,
  );
  details.append(make("blockquote", { textContent: source.snippet, dir: "auto" }));
  const show = make("button", {
    type: "button",
    className: "copy",
    textContent: "Show in the document",
  });
  show.setAttribute("aria-label", `Show in the document: ${source.title}`);
  show.addEventListener("click", () => open(source));
  details.append(show);
  const href = source.uri === undefined ? null : safeHref(source.uri);
  if (href !== null) {
    const rel = "noopener noreferrer nofollow";
    details.append(make("a", { href, rel, target: "_blank", textContent: "Open document" }));
  }
  return details;
}

/** Scores of different rankings differ by magnitudes, so the leading digits count. */
function scoreText(score: number): string {
  return Number.isFinite(score) ? String(Number(score.toPrecision(2))) : "–";
}
