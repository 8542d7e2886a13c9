/** Who else is in this conversation, in a line of its own above the message box. */
import type { Presence, RivuletClient } from "@rivulet/client";
import { byId } from "./element";
import type { StatusVoice } from "./status-voice";

export class PresenceLine {
  readonly #client: RivuletClient;
  readonly #voice: StatusVoice;
  readonly #viewers = byId("presence-viewers");
  readonly #typing = byId("presence-typing");
  #shown: Presence | null = null;

  constructor(client: RivuletClient, voice: StatusVoice) {
    this.#client = client;
    this.#voice = voice;
  }

  paint(): void {
    const { presence } = this.#client.conversation;
    if (presence === this.#shown) return;
    const before = this.#shown;
    this.#shown = presence;
    const { viewers, typing } = presence;
    this.#viewers.textContent = viewers > 1 ? `Open in ${viewers} places` : "";
    this.#typing.textContent = typing ? "Someone is typing…" : "";
    if (viewers > 1 && viewers !== before?.viewers)
      this.#voice.say("viewers", `This conversation is open in ${viewers} places.`);
    if (viewers === 1) this.#voice.takeBack("viewers");
    if (typing) this.#voice.say("typing", "Someone is typing.");
    else this.#voice.takeBack("typing");
  }
}
