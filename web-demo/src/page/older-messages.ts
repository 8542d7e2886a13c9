/** The way to the earlier part of a long conversation, above its first message. */
import type { RivuletClient } from "@rivulet/client";
import { byId } from "./element";
import type { Notices } from "./notices";

export class OlderMessages {
  readonly #client: RivuletClient;
  readonly #notices: Notices;
  readonly #button = byId<HTMLButtonElement>("older");

  constructor(client: RivuletClient, notices: Notices) {
    this.#client = client;
    this.#notices = notices;
    this.#button.addEventListener("click", () => void this.#load());
  }

  paint(): void {
    const { older } = this.#client.conversation;
    if (this.#button.hidden !== older) return;
    // The focus must not fall off the page together with the button.
    if (!older && document.activeElement === this.#button)
      byId("log").focus({ preventScroll: true });
    this.#button.hidden = !older;
  }

  async #load(): Promise<void> {
    const before = this.#client.conversation.messages.length;
    try {
      await this.#client.loadOlder();
      const more = this.#client.conversation.messages.length - before;
      if (more > 0) byId("announcer").textContent = `${more} earlier messages are shown now.`;
    } catch {
      this.#notices.show("The earlier messages cannot be loaded at the moment.");
    }
  }
}
