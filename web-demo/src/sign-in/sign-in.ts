/**
 * Who sits at this page: holds the token, and knows when there has to be another one.
 *
 * The token is in memory. It lies in the tab's storage only when the user wants it to, and never in the address or
 * where other tabs find it.
 */

import type { SessionStorageLike } from "@rivulet/client";
import { Emitter, Endpoint, NotSignedIn } from "@rivulet/client";
import type { Arrival } from "./arrival";
import { comeBack, setOut } from "./errand";
import { type Holder, holderOf, type Policy, policyOf, Refusal } from "./gateway";

/** Why somebody has to sign in. */
export type Why = "first" | "stray" | "refused" | "forbidden" | "ended" | "revoked";

export type Standing =
  /** Nobody has to say who they are, or it is not known yet. */
  | { name: "anyone" }
  | { name: "needed"; why: Why }
  /** `endsAt`: it will be over soon, then, in milliseconds since 1970. */
  | { name: "in"; holder: Holder | null; endsAt: number | null };

/** The codes a socket is closed with when the token is the reason. */
const WHY_CLOSED: Readonly<Record<number, Why>> = {
  4001: "refused",
  4003: "forbidden",
  4010: "revoked",
  4204: "ended",
};

const KEY = "rivulet.token";
/** So long before the end it is told. */
const SOON_MS = 120_000;
const LOOK_MS = 5_000;

export interface SignInOptions {
  /** The address of the gateway. */
  base: string;
  arrival: Arrival;
  /** The tab's own; `null` where the browser has none. */
  storage: SessionStorageLike | null;
}

export class SignIn {
  /** What was being written before the user went to sign in. */
  readonly draft: string;
  readonly #endpoint: Endpoint;
  readonly #storage: SessionStorageLike | null;
  readonly #events = new Emitter<{ change: undefined; entered: { other: boolean } }>();
  readonly #invited: boolean;
  #policy: Policy | null = null;
  #learning: Promise<Policy> | null = null;
  #token: string | null = null;
  /** The last one that was given out. */
  #given: string | null = null;
  #ticket: string | null;
  /** Of the newest token that the gateway knew; stays when that is over. */
  #holder: Holder | null = null;
  #why: Why | null = null;
  #told = false;

  constructor({ base, arrival, storage }: SignInOptions) {
    this.#endpoint = new Endpoint(base);
    this.#storage = storage;
    const errand = storage && comeBack(storage);
    this.draft = errand?.draft ?? "";
    this.#invited = errand !== null && errand.state === arrival.state;
    this.#ticket = arrival.ticket;
    if (arrival.token === null) this.#token = storage?.getItem(KEY) ?? null;
    else if (this.#invited) this.#keep(arrival.token, errand?.remember === true);
    // Somebody else's token, perhaps: what is written here would be theirs.
    else this.#why = "stray";
    if (this.#token !== null) void this.#recognise(this.#token);
    setInterval(() => this.#look(), LOOK_MS);
  }

  readonly on: Emitter<{ change: undefined; entered: { other: boolean } }>["on"] = (
    name,
    listener,
  ) => this.#events.on(name, listener);

  get standing(): Standing {
    if (this.#token !== null) {
      const at = this.#holder?.expiresAt ?? Number.POSITIVE_INFINITY;
      return { name: "in", holder: this.#holder, endsAt: at - Date.now() < SOON_MS ? at : null };
    }
    return this.#why === null ? { name: "anyone" } : { name: "needed", why: this.#why };
  }

  /** Where a browser gets a token; `null` where there is no such place, or it is not known yet. */
  get url(): string | null {
    return this.#policy?.url ?? null;
  }

  /** Whether the tab can keep anything. */
  get remembers(): boolean {
    return this.#storage !== null;
  }

  /** For the client's `token`. */
  readonly token = async (expired: boolean): Promise<string | null> => {
    if (expired && this.#token !== null && this.#token === this.#given) this.#lose("ended");
    if (this.#token === null && (await this.#learn()).required && this.#token === null) {
      this.#why ??= "first";
      this.#changed();
      throw new NotSignedIn();
    }
    this.#given = this.#token;
    return this.#token;
  };

  /**
   * Whether a request beside the socket would be heard: somebody is signed in, or nobody has to be. Unlike asking for
   * the token, this does not bring up the card where a ticket has opened the socket. Rejects when it cannot be known.
   */
  async mayAsk(): Promise<boolean> {
    return this.#token !== null || !(await this.#learn()).required;
  }

  /** For the client's `ticket`: the one that the address brought, once. */
  readonly ticket = async (): Promise<string | null> => {
    const ticket = this.#ticket;
    this.#ticket = null;
    if (ticket === null || this.#invited) return ticket;
    // Where one is sent to sign in, whoever was not sent has no business here.
    try {
      if ((await this.#learn()).url === null) return ticket;
    } catch (error) {
      this.#ticket = ticket; // It was not used.
      throw error;
    }
    this.#why = "stray";
    return null;
  };

  /** The gateway has closed a socket with this code. */
  closed(code: number): void {
    const why = WHY_CLOSED[code];
    if (why === undefined) return;
    // That socket was opened with the token before this one.
    const given = this.#given;
    if (this.#token !== null && given !== null && given !== this.#token) return;
    if (this.#token !== null) this.#lose(why);
    // It is not a token that was refused, then, or was over.
    else if (this.#why === null || this.#why === "first")
      this.#why = why === "refused" ? "first" : why;
    this.#changed();
  }

  /** The token does not let its holder do what the page is for. */
  forbidden(): void {
    this.#lose("forbidden");
    this.#changed();
  }

  /** Takes a token when the gateway does; else says why not. */
  async enter(token: string, remember: boolean): Promise<string | null> {
    const holder = await holderOf(this.#endpoint, token);
    if (holder instanceof Refusal) return holder.text;
    const before = this.#holder;
    const other =
      before !== null && (before.tenant !== holder.tenant || before.user !== holder.user);
    this.#holder = holder;
    this.#keep(token, remember);
    this.#why = null;
    this.#changed();
    this.#events.emit("entered", { other });
    return null;
  }

  /** Forgets who sits here. */
  leave(): void {
    this.#holder = null;
    this.#ticket = null;
    this.#lose("first");
    this.#changed();
  }

  /** The address to go to, to sign in; `draft` is there when the user comes back. */
  depart(kept: { remember: boolean; draft: string }): string | null {
    if (this.url === null || this.#storage === null) return null;
    const there = new URL(this.url);
    there.searchParams.set("state", setOut(this.#storage, kept));
    return there.href;
  }

  /** Asks the gateway once how one signs in; again when it could not be asked. */
  async #learn(): Promise<Policy> {
    this.#learning ??= policyOf(this.#endpoint);
    try {
      const policy = await this.#learning;
      const isNews = this.#policy === null;
      this.#policy = policy;
      if (isNews) this.#events.emit("change", undefined);
      return policy;
    } catch (error) {
      this.#learning = null;
      throw error;
    }
  }

  async #recognise(token: string): Promise<void> {
    const holder = await holderOf(this.#endpoint, token);
    // Whether it is any good is found out by what it is for.
    if (holder instanceof Refusal || this.#token !== token) return;
    this.#holder = holder;
    this.#changed();
  }

  #keep(token: string, remember: boolean): void {
    this.#token = token;
    try {
      if (remember) this.#storage?.setItem(KEY, token);
      else this.#storage?.removeItem(KEY);
    } catch {
      // Full, or refused in a private window: it is good until the page is left.
    }
  }

  #lose(why: Why): void {
    this.#token = null;
    this.#why = why;
    this.#storage?.removeItem(KEY);
  }

  #look(): void {
    const { standing } = this;
    const soon = standing.name === "in" && standing.endsAt !== null;
    if (soon !== this.#told) this.#changed();
  }

  #changed(): void {
    const { standing } = this;
    this.#told = standing.name === "in" && standing.endsAt !== null;
    this.#events.emit("change", undefined);
    // The way to sign in is worth knowing before it is needed.
    if (standing.name !== "anyone" && this.#policy === null) void this.#learnQuietly();
  }

  async #learnQuietly(): Promise<void> {
    try {
      await this.#learn();
    } catch {
      // The connection tells that the gateway cannot be reached; the card has the field for a token.
    }
  }
}

/** The tab's storage; `null` where the user has blocked site data. */
export function tabStorage(): SessionStorageLike | null {
  try {
    return globalThis.sessionStorage;
  } catch {
    return null;
  }
}
