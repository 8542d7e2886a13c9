/**
 * What was remembered for an answer, quietly at its beginning: what was noted of the question, with a way to take it
 * back, and on demand what the model was reminded of.
 */

import type { AnswerMemory, NotedFact, RecalledMemory } from "@rivulet/client";
import type { Forgetting } from "../../memories/forgetting";
import { dayText, memoryProblem, recalledText, shortName, UNAVAILABLE } from "../../memories/words";
import { focusNear, make } from "../element";
import { type Conversations, conversationLink } from "./conversation-link";

export interface MemoryServices {
  readonly forgetting: Forgetting;
  readonly conversations: Conversations;
}

export class MemoryLine {
  readonly root = make("div", { className: "remembered", hidden: true });
  readonly #services: MemoryServices;
  readonly #noted = make("ul", { className: "noted" });
  readonly #problem = make("p", { className: "noted-problem", hidden: true });
  readonly #recalled = make("ul", { className: "recalled-list" });
  readonly #title = make("summary");
  readonly #fold = make("details", { className: "recalled" }, this.#title, this.#recalled);
  readonly #unavailable = make("p", { textContent: UNAVAILABLE });
  #shown: AnswerMemory | undefined;
  #revision = -1;
  /** What is being taken back. */
  readonly #busy = new Set<string>();

  constructor(services: MemoryServices) {
    this.#services = services;
    this.root.setAttribute("role", "group");
    this.root.setAttribute("aria-label", "Memory");
    this.#noted.setAttribute("aria-label", "Noted");
    this.#recalled.setAttribute("aria-label", "Remembered");
    this.#problem.setAttribute("role", "alert");
    this.root.append(this.#noted, this.#problem, this.#fold, this.#unavailable);
  }

  show(memory: AnswerMemory | undefined): void {
    const { revision } = this.#services.forgetting;
    if (memory === this.#shown && revision === this.#revision) return;
    this.#shown = memory;
    this.#revision = revision;
    const { noted = [], recalled = [], unavailable = false } = memory ?? {};
    this.root.hidden = noted.length === 0 && recalled.length === 0 && !unavailable;
    this.#noted.hidden = noted.length === 0;
    this.#keepingFocus(() => this.#noted.replaceChildren(...noted.map((one) => this.#fact(one))));
    this.#fold.hidden = recalled.length === 0;
    this.#title.textContent = recalledText(recalled.length);
    this.#recalled.replaceChildren(...recalled.map((one) => this.#reminder(one)));
    this.#unavailable.hidden = !unavailable;
  }

  #fact({ id, text }: NotedFact): HTMLElement {
    const fate = this.#services.forgetting.fate(id);
    if (fate !== undefined) {
      const word = fate === "undone" ? "Taken back" : "Forgotten";
      const gone = make("span", { className: "noted-gone", textContent: word, tabIndex: -1 });
      const what = make("span", { dir: "auto", textContent: text });
      // What was taken back at once is still in the question; what was forgotten later is to be seen no more.
      return make("li", {}, ...(fate === "undone" ? [make("s", {}, what), " "] : []), gone);
    }
    const undo = make("button", { type: "button", className: "copy", textContent: "Undo" });
    undo.ariaLabel = `Undo: ${shortName(text)}`;
    undo.addEventListener("click", () => void this.#undo(id, undo));
    return make("li", {}, make("span", { dir: "auto", textContent: text }), " ", undo);
  }

  #reminder({ id, kind, text, said_at, session }: RecalledMemory): HTMLElement {
    if (this.#services.forgetting.fate(id) !== undefined)
      return make("li", {}, make("span", { className: "noted-gone" }, "Forgotten"));
    const day = dayText(said_at);
    const when = kind === "episode" ? `you asked on ${day}` : `you said on ${day}`;
    const link = conversationLink(when, session, this.#services.conversations);
    const words = make("span", { dir: "auto", className: "recalled-text", textContent: text });
    return make("li", {}, words, " ", make("small", {}, link));
  }

  async #undo(id: string, button: HTMLButtonElement): Promise<void> {
    if (this.#busy.has(id)) return;
    this.#busy.add(id);
    // Not `disabled`: whoever has pressed it by keyboard stays where they are.
    button.ariaDisabled = "true";
    this.#problem.hidden = true;
    try {
      await this.#services.forgetting.undo(id);
      this.show(this.#shown);
    } catch (error) {
      button.ariaDisabled = "false";
      this.#problem.textContent = memoryProblem(error);
      this.#problem.hidden = false;
    } finally {
      this.#busy.delete(id);
    }
  }

  /** Where one stood is another element now. */
  #keepingFocus(change: () => void): void {
    const items = [...this.#noted.children];
    const at = items.findIndex((item) => item.contains(focusNear(item)));
    change();
    if (at < 0) return;
    this.#noted.children[at]?.querySelector<HTMLElement>("button, [tabindex]")?.focus();
  }
}
