/**
 * Whose conversation it is, where a page changes who asks while it is open. Only the gateway knows whether another token is
 * of the same user: it is asked by a new connection, and what it does not give this one is left.
 */
import type { RivuletClient } from "@rivulet/client";

/** Not signed in, not allowed, not there or somebody else's, taken back. */
const REFUSED: ReadonlySet<number> = new Set([4001, 4003, 4004, 4010]);

export class Whose {
  readonly #client: RivuletClient;
  #asking = false;

  /** `left`: somebody else asks now, and nothing of who asked before may stay in sight. */
  constructor(client: RivuletClient, left: () => void) {
    this.#client = client;
    const leave = (): void => {
      if (!this.#asking) return;
      // Behind what the client itself does about it: what did not go out comes back before it is dropped.
      queueMicrotask(() => {
        this.#asking = false;
        left();
        client.newSession();
      });
    };
    client.on("welcome", () => {
      this.#asking = false;
    });
    client.on("sessionLost", leave);
    client.on("state", (state) => {
      if (state.name === "closed" && REFUSED.has(state.code)) leave();
    });
  }

  /** Whether the gateway has not said yet that the conversation goes on. */
  get isAsking(): boolean {
    return this.#asking;
  }

  /** Another token is to be used. The conversation goes on where it is the same user's. */
  changed(): void {
    // Without a connection the next one asks with it.
    if (this.#client.state.name === "idle") return;
    this.#asking = true;
    this.#client.connect();
  }
}
