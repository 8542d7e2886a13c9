/** The routes of what assistants remember of who asks. Everything rejects with a `Problem`. */

import type { Endpoint, MemoryItem, MemoryKind, MemoryPage } from "@rivulet/client";
import { ask } from "../documents/api";
import { Problem } from "../documents/problem";

/** As many as a page of the list has. */
export const PAGE = 50;
/** Some networks swallow requests and never say so. */
const LIMIT_MS = 30_000;
/** All that is remembered may be a few megabytes. */
const EXPORT_LIMIT_MS = 180_000;

export interface Listing {
  assistant: string;
  kind: MemoryKind;
  /** The id behind which the page begins. */
  before?: string | undefined;
}

export class MemoriesApi {
  readonly #endpoint: Endpoint;

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
  }

  list({ assistant, kind, before }: Listing): Promise<MemoryPage> {
    const query = new URLSearchParams({ assistant, kind, limit: String(PAGE) });
    if (before !== undefined) query.set("before", before);
    return this.#json(`memories?${query}`);
  }

  add(assistant: string, text: string): Promise<MemoryItem> {
    return this.#json("memories", json("POST", { text, assistant }));
  }

  edit(id: string, text: string): Promise<MemoryItem> {
    return this.#json(one(id), json("PATCH", { text }));
  }

  async forget(id: string): Promise<void> {
    await this.#ask(one(id), { method: "DELETE" });
  }

  /** Forgets what was noted, and what it has ended holds again. */
  async undo(id: string): Promise<void> {
    await this.#ask(`${one(id)}?undo=true`, { method: "DELETE" });
  }

  async forgetAll(assistant: string): Promise<void> {
    const query = new URLSearchParams({ confirm: "true", assistant });
    await this.#ask(`memories?${query}`, { method: "DELETE" });
  }

  /** Whether anything is to be remembered, by any assistant. */
  async enable(enabled: boolean): Promise<void> {
    await this.#ask("memories/settings", json("PUT", { enabled }));
  }

  /** All that all assistants remember, as JSON. */
  async export(): Promise<Blob> {
    return whole((await this.#ask("memories/export", {}, EXPORT_LIMIT_MS)).blob());
  }

  /** Whether nothing of a conversation is remembered. */
  async isTemporary(session: string): Promise<boolean> {
    const path = `sessions/${encodeURIComponent(session)}?limit=1`;
    return (await this.#json<{ temporary?: boolean }>(path)).temporary === true;
  }

  /** Deletes a conversation; with `facts`, forgets as well what the user has said of themselves in it. */
  async deleteSession(session: string, facts: boolean): Promise<void> {
    const path = `sessions/${encodeURIComponent(session)}${facts ? "?memories=true" : ""}`;
    await this.#ask(path, { method: "DELETE" });
  }

  async #json<Value>(path: string, init?: RequestInit): Promise<Value> {
    return whole((await this.#ask(path, init)).json() as Promise<Value>);
  }

  #ask(path: string, init: RequestInit = {}, limitMs = LIMIT_MS): Promise<Response> {
    return ask(this.#endpoint, path, { ...init, signal: AbortSignal.timeout(limitMs) });
  }
}

/** A body can break off behind its head. */
async function whole<Value>(body: Promise<Value>): Promise<Value> {
  try {
    return await body;
  } catch {
    throw new Problem(0, "broken", "the answer of the gateway broke off");
  }
}

const one = (id: string): string => `memories/${encodeURIComponent(id)}`;

const json = (method: string, body: object): RequestInit => ({
  method,
  body: JSON.stringify(body),
  headers: { "content-type": "application/json" },
});
