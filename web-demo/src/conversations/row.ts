/** One conversation in the list: the way to it, its name, which can be changed, and its end. */
import { problemText } from "../documents/problem";
import { shortName } from "../memories/words";
import { icon, make } from "../page/element";
import type { ConversationInfo } from "./api";
import { LONGEST_TITLE, lastSaid, titleOf } from "./words";

const PEN = "M4 20l1-4L16 5l3 3L8 19ZM14 7l3 3";
const BIN = "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13";

export interface RowEvents {
  /** The address of the conversation, for another tab. */
  address: string;
  open(): void;
  /** Rejects with a `Problem`. */
  rename(title: string): Promise<void>;
  remove(): void;
}

export class Row {
  readonly root = make("li", { className: "conversation" });
  readonly #events: RowEvents;
  readonly #link: HTMLAnchorElement;
  readonly #title = make("span", { className: "conversation-title", dir: "auto" });
  readonly #time = make("span", { className: "conversation-time" });
  readonly #pen = tool("Rename", PEN);
  readonly #bin = tool("Delete", BIN);
  #info: ConversationInfo | null = null;

  constructor(events: RowEvents) {
    this.#events = events;
    this.#link = make("a", { href: events.address, className: "conversation-link" });
    this.#link.append(this.#title, this.#time);
    this.#link.addEventListener("click", (event) => {
      // Whoever wants another tab gets one.
      const { button, ctrlKey, metaKey, shiftKey, altKey } = event;
      if (button !== 0 || ctrlKey || metaKey || shiftKey || altKey) return;
      event.preventDefault();
      events.open();
    });
    this.#pen.addEventListener("click", () => this.#edit());
    this.#bin.addEventListener("click", () => events.remove());
    this.root.append(this.#link, this.#pen, this.#bin);
  }

  show(info: ConversationInfo, isCurrent: boolean): void {
    this.#link.toggleAttribute("aria-current", isCurrent);
    if (isCurrent) this.#link.setAttribute("aria-current", "page");
    if (info === this.#info) return;
    this.#info = info;
    const title = titleOf(info);
    this.#title.textContent = title;
    this.#link.title = title;
    this.#time.textContent = lastSaid(info);
    this.#pen.setAttribute("aria-label", `Rename: ${shortName(title)}`);
    this.#bin.setAttribute("aria-label", `Delete: ${shortName(title)}`);
  }

  focus(): void {
    this.#link.focus();
  }

  #edit(): void {
    const text = make("input", {
      type: "text",
      className: "conversation-name",
      value: this.#info?.title ?? "",
      maxLength: LONGEST_TITLE,
      required: true,
      dir: "auto",
      autocomplete: "off",
      ariaLabel: "New title",
    });
    const problem = make("p", { className: "memory-fault", hidden: true, role: "alert" });
    const form = make(
      "form",
      { className: "conversation-form" },
      text,
      make("button", { type: "submit", className: "copy", textContent: "Save" }),
      problem,
    );
    const close = (): void => {
      form.replaceWith(this.#link, this.#pen, this.#bin);
      this.#pen.focus();
    };
    form.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || event.isComposing) return;
      // It must neither stop an answer nor close what the list stands in.
      event.stopPropagation();
      event.preventDefault();
      close();
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#save(text, problem, close);
    });
    this.#pen.remove();
    this.#bin.remove();
    this.#link.replaceWith(form);
    text.focus();
    text.select();
  }

  async #save(text: HTMLInputElement, problem: HTMLElement, close: () => void): Promise<void> {
    const title = text.value.trim();
    if (title === "" || text.readOnly) return;
    if (title === this.#info?.title) return close();
    text.readOnly = true;
    try {
      await this.#events.rename(title);
      close();
    } catch (error) {
      problem.textContent = problemText(error);
      problem.hidden = false;
      text.readOnly = false;
      text.focus();
    }
  }
}

function tool(name: string, path: string): HTMLButtonElement {
  const button = make("button", { type: "button", className: "conversation-tool", title: name });
  button.append(icon(path));
  return button;
}
