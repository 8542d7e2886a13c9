/** The routes of administrators. Everything rejects with a `Problem`. */
import { ask } from "../documents/api";
import type { Endpoint } from "../rivulet-client";
import type { AuditEntry, FeedbackCount, Job, Sessions, Stats } from "./wire";

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

  audit(before?: number): Promise<{ entries: readonly AuditEntry[]; more: boolean }> {
    const from = before === undefined ? "" : `&before=${before}`;
    return this.#json(`admin/audit?limit=${AUDIT_PAGE}${from}`);
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
