/**
 * Who is to answer in new conversations: the one that was chosen last here, for as long as the gateway has it.
 */
import type { Endpoint } from "./endpoint.js";
import type { Memory } from "./memory.js";

export class AssistantChoice {
  readonly #endpoint: Endpoint;
  readonly #memory: Memory;
  #name: string | null;

  /** `name`: goes before what is remembered. */
  constructor(endpoint: Endpoint, memory: Memory, name: string | undefined) {
    this.#endpoint = endpoint;
    this.#memory = memory;
    this.#name = name ?? memory.read();
  }

  /** `null`: whoever the gateway thinks fit. */
  get name(): string | null {
    return this.#name;
  }

  choose(name: string | null): void {
    this.#name = name;
    if (name === null) this.#memory.forget();
    else this.#memory.write(name);
  }

  /**
   * No new conversation could be had. Where that is because nobody of this name is on offer, another one takes the
   * place: the default one, or the first where that one is not shown. Says whether there is now a better chance;
   * never rejects, and takes 10 s at most once there is a token.
   */
  async another(): Promise<boolean> {
    const refused = this.#name;
    try {
      const offered = await this.#endpoint.assistants();
      const first = offered.find((one) => one.default) ?? offered[0];
      const isThere =
        refused === null ? first?.default : offered.some(({ name }) => name === refused);
      // Nobody at all, or another choice was made meanwhile.
      if (isThere || !first || this.#name !== refused) return false;
      this.#memory.forget();
      this.#name = first.default ? null : first.name;
      return true;
    } catch {
      return false;
    }
  }
}
