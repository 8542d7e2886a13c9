/** A document in the list: how it stands, and what can be done with it. */

import { problemText } from "../../documents/problem";
import { type DocumentInfo, isOver, isShared, type VersionList } from "../../documents/wire";
import {
  counted,
  dateText,
  factsText,
  shareDone,
  stageText,
  standing,
} from "../../documents/words";
import { make } from "../element";
import { confirm } from "./confirmation";
import { versionsList } from "./versions-list";

export interface DocumentEvents {
  open(): void;
  replace(): void;
  /** What follows rejects with a `Problem`, which the row tells. */
  cancel(): Promise<void>;
  retry(): Promise<void>;
  release(): Promise<void>;
  remove(): Promise<void>;
  download(version: number): Promise<void>;
  versions(): Promise<VersionList>;
  rollBack(version: number): Promise<void>;
}

const action = (textContent: string) =>
  make("button", { type: "button", className: "copy", textContent });

export class DocumentRow {
  readonly root = make("li", { className: "document" });
  readonly #events: DocumentEvents;
  #document: DocumentInfo;
  #shown: DocumentInfo | null = null;
  readonly #title = make("button", { type: "button", className: "document-name", dir: "auto" });
  readonly #state = make("span", { className: "badge" });
  readonly #facts = make("p", { className: "document-facts", dir: "auto" });
  readonly #time = make("time");
  readonly #stage = make("p", { className: "document-stage" });
  readonly #bar = make("progress", { className: "document-progress", max: 1 });
  readonly #reason = make("p", { className: "document-reason", dir: "auto" });
  readonly #flags = make("ul", { className: "document-warnings" });
  readonly #fault = make("p", { className: "document-reason" });
  readonly #cancel = action("Cancel");
  readonly #retry = action("Try again");
  readonly #release = action("Release");
  readonly #urgent = make("div", { className: "document-actions" });
  readonly #warnings = make("ul", { className: "document-warnings" });
  readonly #remove = action("Delete");
  readonly #more = make("summary", { className: "document-more" });
  readonly #place = make("div");
  readonly #details: HTMLDetailsElement;

  constructor(document: DocumentInfo, events: DocumentEvents) {
    this.#document = document;
    this.#events = events;
    this.#title.addEventListener("click", () => events.open());
    this.#act(this.#cancel, () => events.cancel());
    this.#act(this.#retry, () => events.retry());
    this.#act(this.#release, () => events.release());
    this.#urgent.append(this.#cancel, this.#retry, this.#release);
    const head = make("div", { className: "document-head" }, this.#title, this.#state);
    this.#facts.append(make("span"), this.#time);
    this.#details = make("details", {}, this.#more, this.#warnings, this.#actions(), this.#place);
    this.root.append(head, this.#facts, this.#stage, this.#bar, this.#reason, this.#flags);
    this.root.append(this.#fault, this.#urgent, this.#details);
    this.#tell("");
  }

  show(document: DocumentInfo): void {
    // Each change comes as another object, and there may be thousands of rows.
    if (document === this.#shown) return;
    this.#shown = this.#document = document;
    const { label, mood, reason } = standing(document);
    const { title, job, warnings, flags = [], created_at: at, status } = document;
    const working = job !== undefined && !isOver(job) && status !== "ready";
    this.root.dataset.mood = mood;
    setText(this.#title, title);
    this.#title.disabled = document.indexed_version === null;
    setText(this.#state, label);
    setText(this.#facts.firstElementChild, `${factsText(document)} · `);
    this.#time.dateTime = at;
    setText(this.#time, dateText(at));
    this.#stage.hidden = this.#bar.hidden = !working;
    setText(this.#stage, working ? stageText(job) : "");
    this.#bar.value = working ? shareDone(job) : 0;
    this.#bar.setAttribute("aria-label", `Work on ${title}`);
    this.#reason.hidden = reason === "";
    setText(this.#reason, reason);
    fill(this.#flags, status === "quarantined" ? flags : []);
    this.#cancel.hidden = !working;
    this.#retry.hidden = working || (status !== "failed" && job?.state !== "cancelled");
    this.#release.hidden = status !== "quarantined";
    this.#urgent.hidden = [this.#cancel, this.#retry, this.#release].every(({ hidden }) => hidden);
    fill(this.#warnings, warnings);
    const remarks = warnings.length > 0 ? `, ${counted(warnings.length, "remark")}` : "";
    setText(this.#more, `More${remarks}`);
    this.#more.setAttribute("aria-label", `More${remarks}: ${title}`);
    // A name that is heard alone says of which document.
    for (const button of this.root.querySelectorAll(".document-actions button"))
      button.setAttribute("aria-label", `${button.textContent}: ${title}`);
  }

  focus(): void {
    (this.#title.disabled ? this.#more : this.#title).focus();
  }

  #actions(): HTMLElement {
    const download = action("Download");
    const versions = action("Versions");
    const replace = action("Replace");
    this.#act(download, () => this.#events.download(this.#document.version));
    this.#act(versions, () => this.#showVersions());
    replace.addEventListener("click", () => this.#events.replace());
    this.#remove.addEventListener("click", () => this.#ask());
    // Who can only read has nothing to change, and sees the version that answers alone.
    const own = [replace, versions, this.#remove];
    const buttons = [download, ...(isShared(this.#document.collection) ? [] : own)];
    return make("div", { className: "document-actions" }, ...buttons);
  }

  #ask(): void {
    confirm(this.#place, {
      question: `Delete “${this.#document.title}”?`,
      consequence: "No answer will find it any more. This cannot be undone.",
      yes: "Delete it",
      no: "Keep it",
      confirmed: () => {
        this.#more.focus();
        void this.#attempt(this.#remove, () => this.#events.remove());
      },
      kept: () => this.#remove.focus(),
    });
  }

  async #showVersions(): Promise<void> {
    const list = await this.#events.versions();
    const act = (button: HTMLButtonElement, step: () => Promise<void>): void =>
      this.#act(button, step);
    this.#place.replaceChildren(versionsList(list, this.#document.version, this.#events, act));
  }

  #act(button: HTMLButtonElement, step: () => Promise<void>): void {
    button.addEventListener("click", () => void this.#attempt(button, step));
  }

  /** Not twice at the same time; what goes wrong is told here. */
  async #attempt(button: HTMLButtonElement, step: () => Promise<void>): Promise<void> {
    if (button.getAttribute("aria-busy") === "true") return;
    button.setAttribute("aria-busy", "true");
    this.#tell("");
    try {
      await step();
    } catch (error) {
      this.#tell(problemText(error));
    } finally {
      button.removeAttribute("aria-busy");
      // A button that is gone must not take the focus along.
      if (button.hidden && document.activeElement === document.body) this.focus();
    }
  }

  #tell(fault: string): void {
    this.#fault.hidden = fault === "";
    this.#fault.textContent = fault;
    if (fault === "") this.#fault.removeAttribute("role");
    else this.#fault.setAttribute("role", "alert");
  }
}

/** What is right already is left alone: a selection in it stays. */
function setText(element: Element | null, text: string): void {
  if (element && element.textContent !== text) element.textContent = text;
}

function fill(list: HTMLElement, texts: readonly string[]): void {
  list.hidden = texts.length === 0;
  const shown = [...list.children].map(({ textContent }) => textContent);
  if (shown.length === texts.length && shown.every((text, at) => text === texts[at])) return;
  list.replaceChildren(...texts.map((textContent) => make("li", { textContent, dir: "auto" })));
}
