/** One message of the user: plain text, as it was typed, and the way to change it. */
import { make } from "./element";
import { QuestionEditor } from "./question-editor";

export type Delivery = "sent" | "sending" | "waiting";

export interface QuestionEvents {
  /** The text was changed and is to be sent in the place of the old one. */
  edited(text: string): void;
  typing(on: boolean): void;
}

const DELIVERY: Readonly<Record<Delivery, string>> = {
  sent: "",
  sending: "Sending…",
  waiting: "Waiting for the connection…",
};

export class QuestionView {
  readonly root = make("article", { className: "message question" });
  readonly #events: QuestionEvents;
  readonly #text = make("p", { className: "question-text", dir: "auto" });
  readonly #delivery = make("span", { className: "delivery" });
  readonly #edit = make("button", { type: "button", className: "copy", textContent: "Edit" });
  readonly #below = make("div", { className: "question-below" }, this.#delivery, this.#edit);
  #shown = "";
  #editable = false;
  #editor: QuestionEditor | null = null;

  constructor(events: QuestionEvents) {
    this.#events = events;
    this.root.setAttribute("aria-label", "You");
    this.#edit.addEventListener("click", () => this.edit(this.#shown));
    this.root.append(this.#text, this.#below);
  }

  show(text: string, delivery: Delivery, editable: boolean): void {
    this.#shown = text;
    this.#editable = editable;
    this.#text.textContent = text;
    this.#delivery.textContent = DELIVERY[delivery];
    this.#edit.hidden = delivery !== "sent";
    this.#edit.disabled = !editable;
    this.#editor?.enable(editable);
  }

  /** What was being typed here and is not sent. */
  get draft(): string | null {
    return this.#editor?.draft ?? null;
  }

  /** Opens the editor with `draft`; in one that is open already the text there stays, and it says so. */
  edit(draft: string): boolean {
    if (this.#editor) return false;
    this.#editor = new QuestionEditor(this.#shown, draft, {
      save: (text) => {
        this.#close();
        this.#events.edited(text);
      },
      cancel: () => {
        this.#events.typing(false);
        this.#close();
        this.#edit.focus();
      },
      input: () => this.#events.typing(true),
    });
    this.#text.hidden = true;
    this.#below.hidden = true;
    this.root.append(this.#editor.root);
    this.#editor.enable(this.#editable);
    this.#editor.begin();
    return true;
  }

  #close(): void {
    this.#editor?.root.remove();
    this.#editor = null;
    this.#text.hidden = false;
    this.#below.hidden = false;
  }
}
