/** Who may answer at this gateway, and who does in this conversation. */
import type { Assistant, RivuletClient } from "@rivulet/client";

export class Assistants {
  readonly #client: RivuletClient;
  readonly #list: () => Promise<readonly Assistant[]>;
  readonly #changed: () => void;
  #offered: readonly Assistant[] | null = null;
  /** Counts questions, so that only the newest one is answered. */
  #asked = 0;

  /** `list` gets them from the gateway; `changed`: they are known now, or are others than before. */
  constructor(
    client: RivuletClient,
    list: () => Promise<readonly Assistant[]>,
    changed: () => void,
  ) {
    this.#client = client;
    this.#list = list;
    this.#changed = changed;
    client.on("welcome", ({ recovered }) => {
      // Not before: without who asks being known, it would be refused.
      if (recovered === "new" || !this.#offered?.length) void this.#ask();
    });
    client.on("refused", ({ error }) => {
      // Perhaps the one that was asked is gone.
      if (error.code === "not_found") void this.#ask();
    });
  }

  /** `null`: it is not known yet. Empty: it cannot be known. */
  get offered(): readonly Assistant[] | null {
    return this.#offered;
  }

  /** Who answers; `undefined` while that is not known, and when it is nobody who is on offer. */
  get current(): Assistant | undefined {
    const { assistant } = this.#client;
    return this.#offered?.find((one) =>
      assistant === null ? one.default : one.name === assistant,
    );
  }

  /** Somebody else is asking. */
  forget(): void {
    this.#asked++;
    this.#offered = null;
    this.#changed();
  }

  async #ask(): Promise<void> {
    const asked = ++this.#asked;
    const offered = await this.#list().catch(() => []);
    if (asked !== this.#asked) return;
    // The same list stays the same object: nothing of it is shown anew.
    if (JSON.stringify(offered) !== JSON.stringify(this.#offered)) this.#offered = offered;
    const { conversation, outgoing } = this.#client;
    const isEmpty = conversation.messages.length === 0 && outgoing.length === 0;
    // Nobody would answer here any more, and nothing is lost.
    if (offered.length > 0 && !this.current && isEmpty) this.#client.newSession(null);
    this.#changed();
  }
}

/** How it is asked for: the default one by no name, so that whoever is the default later is asked then. */
export function choiceOf({ name, default: isDefault }: Assistant): string | null {
  return isDefault ? null : name;
}

/** The language of its texts, as far as that is one. */
export function languageOf({ language, languages }: Assistant): string {
  return language ?? (languages.length === 1 ? (languages[0] ?? "") : "");
}
