/** The routes of administrators. Everything rejects with a `Problem`. */

import type { Endpoint } from "@rivulet/client";
import { ask } from "../documents/api";
import type { AuditPage, FeedbackCount, Job, Sessions, Stats } from "./wire";

const LIMIT_MS = 10_000;
/** As many sessions as are shown. */
export const SHOWN_SESSIONS = 50;
export const SHOWN_JOBS = 12;
export const AUDIT_PAGE = 50;
export const FEEDBACK_DAYS = 30;

export class AdminApi {
  readonly #endpoint: Endpoint;

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
  }

  stats(): Promise<Stats> {
    return this.#json("admin/stats");
  }

  sessions(): Promise<Sessions> {
    return this.#json(`admin/sessions?limit=${SHOWN_SESSIONS}`);
  }

  async feedback(): Promise<readonly FeedbackCount[]> {
    const path = `admin/feedback?days=${FEEDBACK_DAYS}`;
    return (await this.#json<{ feedback: readonly FeedbackCount[] }>(path)).feedback;
  }

  /** What has these words, the newest first; with `before`, of what is older than that number. */
  audit(words: string, before?: number): Promise<AuditPage> {
    const query = new URLSearchParams({ limit: String(AUDIT_PAGE) });
    if (words !== "") query.set("words", words);
    if (before !== undefined) query.set("before", String(before));
    return this.#json(`admin/audit?${query}`);
  }

  async jobs(): Promise<readonly Job[]> {
    return (await this.#json<{ jobs: readonly Job[] }>(`jobs?limit=${SHOWN_JOBS}`)).jobs;
  }

  async drain(): Promise<void> {
    await this.#ask("admin/drain", { method: "POST" });
  }

  async #json<Value>(path: string): Promise<Value> {
    return (await this.#ask(path)).json() as Promise<Value>;
  }

  #ask(path: string, init: RequestInit = {}): Promise<Response> {
    return ask(this.#endpoint, path, { ...init, signal: AbortSignal.timeout(LIMIT_MS) });
  }
}
