/**
 * What stands beside the conversation, or over it where there is no room beside: the documents, one that is being read,
 * or what is remembered. The focus goes there and comes back.
 */
import { byId } from "../element";

export type SideView = "shelf" | "reader" | "memories";

/** Below this width the panel takes the place of the conversation; the style sheet has the same. */
const OVER = "(max-width: 60rem)";
const VIEWS: readonly SideView[] = ["shelf", "reader", "memories"];

export class SidePanel {
  readonly #panel = byId("side");
  readonly #title = byId("side-title");
  readonly #back = byId("side-back");
  readonly #documents = byId("documents-toggle");
  readonly #memories = byId("memories-toggle");
  readonly #over = matchMedia(OVER);
  /** Lets the conversation keep its place while its width changes. */
  readonly #around: (change: () => void) => void;
  #opener: HTMLElement | null = null;
  /** What to do when the documents are about to be shown. */
  onShelf: () => void = () => {};
  /** What to do when what is remembered is about to be shown. */
  onMemories: () => void = () => {};
  /** What to do when nothing is read any more. */
  onLeft: () => void = () => {};

  constructor(around: (change: () => void) => void) {
    this.#around = around;
    this.#over.addEventListener("change", () => this.#cover());
    this.#documents.addEventListener("click", () => this.toggle());
    this.#back.addEventListener("click", () => this.showShelf());
    byId("side-close").addEventListener("click", () => this.close());
    this.#panel.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || event.isComposing) return;
      // It must not stop an answer as well.
      event.stopPropagation();
      this.close();
    });
    document.addEventListener("keydown", (event) => {
      // By the place of the key: with Alt it writes another character on some keyboards.
      if (event.code !== "KeyD" || !event.altKey || !event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.toggle();
    });
  }

  get isOpen(): boolean {
    return !this.#panel.hidden;
  }

  /** `null`: it is closed. */
  get shows(): SideView | null {
    return (this.isOpen && VIEWS.find((view) => !byId(view).hidden)) || null;
  }

  /** Opens or closes the documents. */
  toggle(): void {
    if (this.shows === "shelf") this.close();
    else this.showShelf();
  }

  toggleMemories(): void {
    if (this.shows === "memories") this.close();
    else this.showMemories();
  }

  showMemories(): void {
    this.#show("memories", "What it remembers");
    this.onMemories();
  }

  showShelf(): void {
    this.#show("shelf", "Documents");
    this.onShelf();
  }

  /** `title`: of the document. */
  showReader(title: string): void {
    this.#show("reader", title);
  }

  close(): void {
    if (!this.isOpen) return;
    const opener = this.#opener;
    this.#opener = null;
    this.#around(() => {
      this.#panel.hidden = true;
      this.#tell(null);
      this.#cover();
    });
    this.onLeft();
    // What opened it may be gone meanwhile, as a message is that was replaced.
    const there = opener?.isConnected ? opener : byId("composer-text");
    there.focus({ preventScroll: true });
  }

  #show(view: SideView, title: string): void {
    const { activeElement } = document;
    const outside = activeElement instanceof HTMLElement && !this.#panel.contains(activeElement);
    if (outside)
      this.#opener = activeElement === document.body ? this.#toggleOf(view) : activeElement;
    this.#around(() => {
      this.#panel.hidden = false;
      for (const other of VIEWS) byId(other).hidden = other !== view;
      this.#tell(view);
      this.#back.hidden = view !== "reader";
      this.#cover();
    });
    this.#title.textContent = title;
    // The keys that scroll are to scroll what is read.
    (view === "reader" ? byId("reader") : this.#title).focus({ preventScroll: true });
    if (view !== "reader") this.onLeft();
  }

  #toggleOf(view: SideView): HTMLElement {
    return view === "memories" ? this.#memories : this.#documents;
  }

  /** Whoever listens to the buttons knows what is open. */
  #tell(view: SideView | null): void {
    for (const toggle of [this.#documents, this.#memories]) {
      const expanded = view !== null && this.#toggleOf(view) === toggle;
      toggle.setAttribute("aria-expanded", String(expanded));
    }
  }

  /** What the panel lies over can neither be seen nor reached. */
  #cover(): void {
    const covered = this.isOpen && this.#over.matches;
    document.body.toggleAttribute("data-side", this.isOpen);
    for (const below of document.querySelectorAll("main, .composer, .foot"))
      below.toggleAttribute("inert", covered);
  }
}
