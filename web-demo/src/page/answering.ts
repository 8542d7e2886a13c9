/** Who answers, in the header, and the dialog in which another one is chosen. Both only where there is a choice. */
import type { Assistant, RivuletClient } from "@rivulet/client";
import { AssistantCards } from "./assistant-cards";
import type { Assistants } from "./assistants";
import { byId } from "./element";

export class Answering {
  readonly #client: RivuletClient;
  readonly #assistants: Assistants;
  readonly #button = byId("answering");
  readonly #title = byId("answering-title");
  readonly #dialog = byId<HTMLDialogElement>("choice");
  readonly #cards: AssistantCards;

  constructor(client: RivuletClient, assistants: Assistants, pick: (one: Assistant) => void) {
    this.#client = client;
    this.#assistants = assistants;
    this.#cards = new AssistantCards(byId("choice-assistants"), (assistant) => {
      // First: the focus goes back to the button, and from there to where the choice leads.
      this.#dialog.close();
      pick(assistant);
    });
    this.#button.addEventListener("click", () => this.#open());
    byId("choice-close").addEventListener("click", () => this.#dialog.close());
    this.#dialog.addEventListener("click", (event) => {
      // Beside it: whatever is within has elements of its own, up to the edge.
      if (event.target === this.#dialog) this.#dialog.close();
    });
    // Escape closes it, and must not stop an answer as well.
    this.#dialog.addEventListener("keydown", (event) => event.stopPropagation());
  }

  paint(): void {
    const { offered, current } = this.#assistants;
    const { assistant } = this.#client;
    // Also one that is not on offer any more has a name.
    this.#title.textContent = current?.title ?? assistant ?? "";
    const isChoice = offered !== null && offered.length > 1;
    this.#button.hidden = !isChoice || this.#title.textContent === "";
    this.#cards.show(offered ?? [], current);
  }

  #open(): void {
    const { messages } = this.#client.conversation;
    byId("choice-note").hidden = messages.length === 0 && this.#client.outgoing.length === 0;
    this.#dialog.showModal();
    // Where one stands, and not on the way out.
    this.#dialog.querySelector<HTMLElement>('[aria-pressed="true"]')?.focus();
  }
}
