/**
 * Where the list of conversations stands: beside the conversation where there is room for both, and else in a drawer
 * over it, which takes the keyboard until it is closed.
 */
import type { SessionStorageLike } from "@rivulet/client";
import { byId } from "../page/element";

/** From this width on it stands beside; the style sheet has the same. */
const BESIDE = "(min-width: 75rem)";
const KEY = "rivulet.list";

export class Drawer {
  readonly #list = byId("conversations");
  readonly #dialog = byId<HTMLDialogElement>("drawer");
  readonly #toggle = byId("conversations-toggle");
  readonly #beside = matchMedia(BESIDE);
  readonly #storage: SessionStorageLike | null;
  readonly #around: (change: () => void) => void;
  /** What to do when it is about to be seen. */
  onOpen: () => void = () => {};

  /** `around` changes the width of the conversation, and keeps its place. */
  constructor(storage: SessionStorageLike | null, around: (change: () => void) => void) {
    this.#storage = storage;
    this.#around = around;
    this.#beside.addEventListener("change", () => this.#place());
    this.#toggle.addEventListener("click", () => (this.isOpen ? this.close() : this.open()));
    byId("conversations-close").addEventListener("click", () => this.close());
    this.#dialog.addEventListener("close", () => this.#tell());
    this.#dialog.addEventListener("click", (event) => {
      // Beside it: whatever is within has elements of its own, up to the edge.
      if (event.target === this.#dialog) this.#dialog.close();
    });
    // Escape closes it, and must not stop an answer as well.
    this.#dialog.addEventListener("keydown", (event) => event.stopPropagation());
    this.#place();
  }

  get isOpen(): boolean {
    return this.#beside.matches ? !this.#list.hidden : this.#dialog.open;
  }

  open(): void {
    if (this.#beside.matches) this.#keep(true);
    else this.#dialog.showModal();
    this.#tell();
    byId("conversations-title").focus();
    this.onOpen();
  }

  close(): void {
    if (this.#beside.matches) {
      this.#keep(false);
      this.#toggle.focus();
    } else this.#dialog.close();
    this.#tell();
  }

  /** A conversation was chosen: what lay over it is in the way. */
  makeWay(): void {
    if (this.#dialog.open) this.#dialog.close();
  }

  #place(): void {
    const isBeside = this.#beside.matches;
    if (this.#dialog.open) this.#dialog.close();
    if (isBeside) this.#dialog.before(this.#list);
    else this.#dialog.append(this.#list);
    this.#show(!isBeside || this.#read() !== "closed");
    this.#tell();
  }

  #keep(open: boolean): void {
    this.#show(open);
    try {
      this.#storage?.setItem(KEY, open ? "open" : "closed");
    } catch {
      // Site data is blocked: it stands until the page is left.
    }
  }

  #show(visible: boolean): void {
    this.#around(() => {
      this.#list.hidden = !visible;
      document.body.toggleAttribute("data-list", visible && this.#beside.matches);
    });
  }

  #tell(): void {
    this.#toggle.setAttribute("aria-expanded", String(this.isOpen));
  }

  #read(): string | null {
    try {
      return this.#storage?.getItem(KEY) ?? null;
    } catch {
      return null;
    }
  }
}
