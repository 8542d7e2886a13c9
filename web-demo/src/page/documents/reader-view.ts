/** A document that is being read, or a passage of it that an answer cites. */

import type { SourceItem } from "@rivulet/client";
import type { DocumentsApi } from "../../documents/api";
import { OpenedDocument } from "../../documents/opened";
import { Problem, problemText } from "../../documents/problem";
import { factsText, placeText } from "../../documents/words";
import { byId, make } from "../element";
import { throwLater } from "../faults";
import { documentText, loneText } from "./document-text";

/** What is to be shown of a document. */
export interface Wanted {
  readonly document: string;
  readonly title: string;
  /** The passage that is cited, and for what. */
  readonly source?: SourceItem;
  readonly claim?: string;
}

const MOVED =
  "The document has changed since this answer: the passage is not in it any more. This is what was read then.";
const NO_DOCUMENT = "The document is not there any more. This is what was read then.";

export class ReaderView {
  readonly #api: DocumentsApi;
  readonly #download: (document: string, version: number) => Promise<void>;
  readonly #root = byId("reader");
  readonly #about = make("p", { className: "reader-about", dir: "auto" });
  readonly #claim = make("p", { className: "reader-claim", dir: "auto" });
  readonly #note = make("p", { className: "shelf-note", hidden: true });
  readonly #again = button("button", "Try again");
  readonly #save = button("copy", "Download the original");
  readonly #earlier = button("button", "Show what comes before");
  readonly #later = button("button", "Show what follows");
  readonly #text = make("div", { className: "reader-text" });
  #wanted: Wanted | null = null;
  #opened: OpenedDocument | null = null;

  constructor(api: DocumentsApi, download: (document: string, version: number) => Promise<void>) {
    this.#api = api;
    this.#download = download;
    this.#again.addEventListener("click", () => this.#wanted && void this.show(this.#wanted));
    this.#save.addEventListener("click", () => void this.#saveOriginal());
    this.#earlier.addEventListener("click", () => void this.#extend((opened) => opened.earlier()));
    this.#later.addEventListener("click", () => void this.#extend((opened) => opened.later()));
    this.#note.setAttribute("role", "status");
    this.#root.append(this.#about, this.#claim, this.#save, this.#note, this.#again);
    this.#root.append(this.#earlier, this.#text, this.#later);
  }

  /** What is known already is shown at once. */
  async show(wanted: Wanted): Promise<void> {
    this.#wanted = wanted;
    this.#opened = null;
    const { source, claim = "" } = wanted;
    this.#about.textContent = source ? aboutSource(source) : "";
    this.#claim.textContent = claim === "" ? "" : `Cited for: ${claim}`;
    this.#text.replaceChildren(...(source ? [loneText(source.snippet, claim)] : []));
    this.#arrange("Loading…");
    this.#root.scrollTop = 0;
    try {
      const opened = await OpenedDocument.open(this.#api, wanted.document, source);
      if (wanted !== this.#wanted) return;
      this.#opened = opened;
      if (!source) this.#about.textContent = factsText(opened.info);
      const moved = source !== undefined && opened.target === null;
      if (!moved) this.#paint();
      this.#arrange(moved ? MOVED : "");
      if (!moved) this.#toPassage();
    } catch (error) {
      if (wanted === this.#wanted) this.#failed(error);
    }
  }

  /** Lets go of the document. */
  leave(): void {
    this.#wanted = null;
    this.#opened = null;
    this.#text.replaceChildren();
  }

  #paint(): void {
    if (this.#opened)
      this.#text.replaceChildren(documentText(this.#opened, this.#wanted?.claim ?? ""));
  }

  #arrange(note: string, again = false): void {
    this.#about.hidden = this.#about.textContent === "";
    this.#claim.hidden = this.#claim.textContent === "";
    this.#note.hidden = note === "";
    this.#note.textContent = note;
    this.#again.hidden = !again;
    const shown = this.#opened !== null && note !== MOVED;
    this.#save.hidden = this.#opened === null;
    this.#earlier.hidden = !shown || this.#opened?.hasEarlier !== true;
    this.#later.hidden = !shown || this.#opened?.hasLater !== true;
  }

  #failed(error: unknown): void {
    if (!(error instanceof Problem)) throwLater(error);
    const gone = error instanceof Problem && error.status === 404;
    this.#arrange(gone ? NO_DOCUMENT : problemText(error), !gone);
  }

  #toPassage(): void {
    const mark = this.#text.querySelector("mark") ?? this.#text.querySelector(".passage");
    mark?.scrollIntoView({ block: "center" });
  }

  /** What was in sight stays there when something is put above it. */
  async #extend(step: (opened: OpenedDocument) => Promise<void>): Promise<void> {
    const opened = this.#opened;
    if (!opened) return;
    try {
      const first = opened.passages[0]?.chunk;
      await step(opened);
      if (opened !== this.#opened) return;
      const above = opened.passages[0]?.chunk !== first;
      const before = this.#root.scrollHeight - this.#root.scrollTop;
      this.#paint();
      this.#arrange("");
      if (above) this.#root.scrollTop = this.#root.scrollHeight - before;
      // A button that is gone must not take the focus along.
      if (document.activeElement === document.body)
        byId("side-title").focus({ preventScroll: true });
    } catch (error) {
      if (opened === this.#opened) this.#failed(error);
    }
  }

  async #saveOriginal(): Promise<void> {
    const info = this.#opened?.info;
    if (!info) return;
    try {
      await this.#download(info.document, info.version);
    } catch (error) {
      this.#arrange(problemText(error));
    }
  }
}

/** Which source it is, and where in its document. */
function aboutSource({ n, heading, ...source }: SourceItem): string {
  return [`Source ${n}`, heading, placeText(source)].filter(Boolean).join(" · ");
}

function button(className: string, textContent: string): HTMLButtonElement {
  return make("button", { type: "button", className, textContent, hidden: true });
}
