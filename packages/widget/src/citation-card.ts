/** The passage behind a citation, beside it: shown over everything, and gone when something else is pressed. */
import type { SourceItem } from "@rivulet/client";
import { safeHref } from "../../../web-demo/src/page/markup";
import type { Say } from "../../../web-demo/src/page/say";
import { make, part } from "./parts";

const GAP_PX = 6;
const MARGIN_PX = 8;

export class CitationCard {
  readonly root = part(make("div", { className: "citation-card", tabIndex: -1 }), "citation");
  readonly #say: Say;
  /** What it was opened from, and the focus goes back to. */
  #mark: HTMLElement | null = null;

  /** `log`: gets the focus where the mark is not there any more. */
  constructor(say: Say, log: HTMLElement) {
    this.#say = say;
    this.root.popover = "auto";
    this.root.setAttribute("role", "dialog");
    this.root.addEventListener("toggle", () => {
      if (this.isOpen || this.#mark === null) return;
      const back = this.#mark.isConnected ? this.#mark : log;
      this.#mark = null;
      if (this.#hasFocusOrNobody()) back.focus({ preventScroll: true });
    });
  }

  get isOpen(): boolean {
    return this.root.matches(":popover-open");
  }

  /** Whoever has pressed something else has the focus there, and keeps it. */
  #hasFocusOrNobody(): boolean {
    const root = this.root.getRootNode() as ShadowRoot;
    const { activeElement: focused } = root;
    if (focused !== null) return this.root.contains(focused);
    const outside = document.activeElement;
    return outside === null || outside === document.body || outside === root.host;
  }

  show(source: SourceItem, mark: HTMLElement): void {
    this.root.hidePopover();
    this.root.ariaLabel = this.#say("Source {0}", source.n);
    this.root.replaceChildren(...passage(source, this.#say));
    this.root.showPopover();
    this.#place(mark.getBoundingClientRect());
    this.root.focus({ preventScroll: true });
    this.#mark = mark;
  }

  hide(): void {
    this.#mark = null;
    this.root.hidePopover();
  }

  /** Above the mark, or below where there is no room; within the window. */
  #place(mark: DOMRect): void {
    const { offsetWidth: width, offsetHeight: height, style } = this.root;
    const left = Math.min(mark.left, document.documentElement.clientWidth - width - MARGIN_PX);
    const above = mark.top - height - GAP_PX;
    style.left = `${Math.max(MARGIN_PX, left)}px`;
    style.top = `${above >= MARGIN_PX ? above : mark.bottom + GAP_PX}px`;
  }
}

/** Its title, where it stands, what it says, and where all of it can be read. */
export function passage(source: SourceItem, say: Say): HTMLElement[] {
  const { n, title, snippet, uri, heading, page, place } = source;
  const where = [heading, place, page !== undefined && say("page {0}", page)].filter(Boolean);
  const name = make("p", {
    className: "passage-title",
    dir: "auto",
    textContent: `${n}. ${title}`,
  });
  const parts: HTMLElement[] = [name];
  if (where.length > 0)
    parts.push(make("p", { className: "passage-place", dir: "auto" }, where.join(", ")));
  parts.push(make("blockquote", { dir: "auto", textContent: snippet }));
  const href = uri === undefined ? null : safeHref(uri);
  if (href !== null) {
    const rel = "noopener noreferrer nofollow";
    parts.push(make("a", { href, rel, target: "_blank", textContent: say("Open document") }));
  }
  return parts;
}
