/**
 * The address of the page says which conversation is open, so that a reload, a bookmark and the way back lead there.
 * One in which nothing was said is not kept by the gateway, and is not named.
 */
import type { RivuletClient } from "@rivulet/client";

export class Address {
  readonly #client: RivuletClient;
  /** The page without its query. */
  readonly #here: string;

  /** `travelled`: the user went back or forward to a conversation, or to an empty one (`null`). */
  constructor(client: RivuletClient, here: string, travelled: (session: string | null) => void) {
    this.#client = client;
    this.#here = here;
    window.addEventListener("popstate", () => travelled(sessionOf(location.href)));
  }

  /** That of a conversation. */
  of(session: string): string {
    const address = new URL(this.#here);
    address.searchParams.set("session", session);
    return address.href;
  }

  /** Names the conversation that is open, once something was said in it. */
  paint(): void {
    const { session, conversation } = this.#client;
    if (session === null || conversation.messages.length === 0) return;
    if (sessionOf(location.href) !== session) history.replaceState(null, "", this.of(session));
  }

  /** Another conversation is opened, or an empty one (`null`): the one before is one step back. */
  leadTo(session: string | null): void {
    const next = session === null ? this.#here : this.of(session);
    if (next !== location.href) history.pushState(null, "", next);
  }

  /** There is no such conversation. */
  forget(): void {
    history.replaceState(null, "", this.#here);
  }
}

/** The conversation that an address names. */
export function sessionOf(address: string): string | null {
  return new URL(address).searchParams.get("session");
}
