/** The passages an answer rests on, each to be opened where it stands. */
import type { SourceItem } from "../rivulet-client";
import { make } from "./element";
import { safeHref } from "./markdown";

export function sourceId(message: string, n: number): string {
  return `source-${message}-${n}`;
}

export function sourcesView(message: string, sources: readonly SourceItem[]): HTMLElement {
  const titleId = `sources-${message}`;
  const list = make("ol", { className: "source-list" });
  list.append(...sources.map((source) => make("li", {}, card(message, source))));
  const section = make(
    "section",
    { className: "sources" },
    make("h4", { id: titleId, className: "sources-title", textContent: "Sources" }),
    list,
  );
  section.setAttribute("aria-labelledby", titleId);
  return section;
}

/** Opens the source that a citation leads to, and moves there. */
export function openSource(id: string): boolean {
  const card = document.getElementById(id);
  if (!(card instanceof HTMLDetailsElement)) return false;
  card.open = true;
  card.querySelector("summary")?.focus({ preventScroll: true });
  card.scrollIntoView({ block: "nearest" });
  return true;
}

function card(message: string, source: SourceItem): HTMLElement {
  const place = [source.heading, source.page === undefined ? "" : `page ${source.page}`];
  const where = place.filter(Boolean).join(", ");
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
    { id: sourceId(message, source.n), className: "source" },
    summary,
  );
  details.append(make("blockquote", { textContent: source.snippet, dir: "auto" }));
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
