/** The routes of conversations. Everything rejects with a `Problem`. */
import type { Endpoint, WireMessage } from "@rivulet/client";
import { ask } from "../documents/api";
import { Problem } from "../documents/problem";

/** As many as a page of the list has. */
export const PAGE = 30;
/** The most that the gateway gives at once. */
const LARGEST_PAGE = 200;
/** Some networks swallow requests and never say so. */
const LIMIT_MS = 30_000;
/** So many messages of a conversation are saved; of a longer one the newest. */
export const MOST_MESSAGES = 10_000;

/** A conversation as the gateway tells of it. */
export interface ConversationInfo {
  readonly session_id: string;
  readonly assistant: string;
  /** Absent before its first question. */
  readonly title?: string;
  readonly message_count: number;
  readonly created_at: string;
  readonly updated_at: string;
}

export interface ConversationPage {
  readonly sessions: readonly ConversationInfo[];
  readonly more: boolean;
}

/** All that was said in a conversation, the oldest first. `more`: there is older, beyond the bound. */
export interface WholeConversation extends ConversationInfo {
  readonly messages: readonly WireMessage[];
  readonly more: boolean;
}

export interface Listing {
  /** The id behind which the page begins. */
  before?: string | undefined;
  /** What is to stand in the title; empty: anything. */
  part?: string;
}

export class ConversationsApi {
  readonly #endpoint: Endpoint;

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
  }

  list({ before, part = "" }: Listing): Promise<ConversationPage> {
    const query = new URLSearchParams({ limit: String(PAGE) });
    if (before !== undefined) query.set("before", before);
    if (part !== "") query.set("q", part);
    return this.#json(`sessions?${query}`);
  }

  one(session: string): Promise<ConversationInfo> {
    return this.#json(`${path(session)}?limit=1`);
  }

  rename(session: string, title: string): Promise<ConversationInfo> {
    return this.#json(path(session), {
      method: "PATCH",
      body: JSON.stringify({ title }),
      headers: { "content-type": "application/json" },
    });
  }

  /** With all of its messages, however many of them are shown. */
  async whole(session: string): Promise<WholeConversation> {
    const query = new URLSearchParams({ limit: String(LARGEST_PAGE) });
    let messages: readonly WireMessage[] = [];
    for (;;) {
      const page = await this.#json<WholeConversation>(`${path(session)}?${query}`);
      messages = [...page.messages, ...messages];
      const [first] = messages;
      // An empty page has no older one, whatever it says.
      const isOver = !page.more || page.messages.length === 0 || first === undefined;
      if (isOver || messages.length >= MOST_MESSAGES) return { ...page, messages };
      query.set("before", first.id);
    }
  }

  async #json<Value>(path: string, init: RequestInit = {}): Promise<Value> {
    const signal = AbortSignal.timeout(LIMIT_MS);
    const response = await ask(this.#endpoint, path, { ...init, signal });
    try {
      return (await response.json()) as Value;
    } catch {
      throw new Problem(0, "broken", "the answer of the gateway broke off");
    }
  }
}

const path = (session: string): string => `sessions/${encodeURIComponent(session)}`;
