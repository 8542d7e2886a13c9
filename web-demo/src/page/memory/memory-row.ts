/** A memory in the list: what was said and when, and what can be done with it. */

import type { MemoryItem } from "@rivulet/client";
import { dayText, LONGEST_FACT, memoryProblem, originText, shortName } from "../../memories/words";
import { confirm } from "../documents/confirmation";
import { make } from "../element";
import { type Conversations, conversationLink } from "./conversation-link";

export interface MemoryRowEvents {
  readonly conversations: Conversations;
  /** What follows rejects with a `Problem`, which the row tells. */
  edit(text: string): Promise<void>;
  forget(): Promise<void>;
}

const action = (textContent: string) =>
  make("button", { type: "button", className: "copy", textContent });

export class MemoryRow {
  readonly root = make("li", { className: "memory" });
  #item: MemoryItem;
  #shown: MemoryItem | null = null;
  /** The conversation that was open when it was shown. */
  #current: string | null = null;
  readonly #events: MemoryRowEvents;
  readonly #text = make("p", { className: "memory-text", dir: "auto" });
  readonly #facts = make("p", { className: "document-facts" });
  readonly #edit = action("Edit");
  readonly #forget = action("Forget");
  readonly #fault = make("p", { className: "memory-fault", hidden: true });
  readonly #place = make("div");

  constructor(item: MemoryItem, events: MemoryRowEvents) {
    this.#item = item;
    this.#events = events;
    this.#fault.setAttribute("role", "alert");
    this.#edit.addEventListener("click", () => this.#openEditor());
    this.#forget.addEventListener("click", () => this.#ask());
    const actions = make("div", { className: "document-actions" }, this.#edit, this.#forget);
    this.root.append(this.#text, this.#facts, actions, this.#fault, this.#place);
  }

  show(item: MemoryItem): void {
    const { conversations } = this.#events;
    if (item === this.#shown && conversations.current === this.#current) return;
    this.#shown = this.#item = item;
    this.#current = conversations.current;
    const { kind, text, ended_at: ended, expires_at: expires } = item;
    this.#text.textContent = text;
    const until = ended === undefined ? "" : ` · held until ${dayText(ended)}`;
    const kept = expires === undefined ? "" : ` · kept until ${dayText(expires)}`;
    const origin = conversationLink(originText(item), item.session, conversations);
    this.#facts.replaceChildren(origin, `${until}${kept}`);
    // What does not hold any more, and what was asked, is as it was.
    this.#edit.hidden = kind !== "fact" || ended !== undefined;
    for (const button of [this.#edit, this.#forget])
      button.ariaLabel = `${button.textContent}: ${shortName(text)}`;
  }

  focus(): void {
    this.#forget.focus();
  }

  #openEditor(): void {
    const { text } = this.#item;
    const field = make("input", { type: "text", value: text, dir: "auto", required: true });
    field.ariaLabel = "What it should remember";
    field.maxLength = LONGEST_FACT;
    field.autocomplete = "off";
    const save = make("button", { type: "submit", className: "button", textContent: "Save" });
    const leave = make("button", { type: "button", className: "button", textContent: "Cancel" });
    const form = make("form", { className: "line-form memory-form" }, field, save, leave);
    const close = (): void => {
      form.remove();
      this.#edit.focus();
    };
    leave.addEventListener("click", close);
    form.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || event.isComposing) return;
      // It must not close the list as well.
      event.stopPropagation();
      close();
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const said = field.value.trim();
      if (said === text || said === "") close();
      else
        void this.#attempt(save, async () => {
          await this.#events.edit(said);
          close();
        });
    });
    this.#tell("");
    this.#place.replaceChildren(form);
    field.focus();
  }

  #ask(): void {
    this.#tell("");
    const { kind, text } = this.#item;
    const others = kind === "fact" ? "With it goes all talk that mentions it. " : "";
    confirm(this.#place, {
      question: `Forget “${shortName(text)}”?`,
      consequence: `${others}This cannot be undone.`,
      yes: "Forget it",
      no: "Keep it",
      confirmed: () => {
        this.#forget.focus();
        void this.#attempt(this.#forget, () => this.#events.forget());
      },
      kept: () => this.#forget.focus(),
    });
  }

  /** Not twice at the same time; what goes wrong is told here. */
  async #attempt(button: HTMLButtonElement, step: () => Promise<void>): Promise<void> {
    if (button.ariaBusy === "true") return;
    button.ariaBusy = "true";
    this.#tell("");
    try {
      await step();
    } catch (error) {
      this.#tell(memoryProblem(error));
    } finally {
      button.ariaBusy = null;
    }
  }

  #tell(fault: string): void {
    this.#fault.hidden = fault === "";
    this.#fault.textContent = fault;
  }
}
