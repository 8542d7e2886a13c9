/** What the routes below `admin/` answer. Everything but texts: nobody sees here what was said. */

export interface Counts {
  readonly in_memory: number;
  readonly watched: number;
  readonly viewers: number;
  readonly busy: number;
}

export interface Target {
  readonly name: string;
  readonly model: string;
  readonly breaker: "closed" | "probing" | "open";
  readonly open_for_ms: number | null;
  readonly failures: number;
  readonly last_failure: string | null;
  readonly tokens_left: number | null;
  readonly requests_left: number | null;
}

export interface Cache {
  readonly name: string;
  readonly enabled: boolean;
  readonly entries: number;
  readonly capacity: number;
  readonly hits: number;
  readonly joined: number;
  readonly misses: number;
  readonly passed: number;
}

/** Of the whole gateway; counters begin with its process. */
export interface Whole {
  readonly up_s: number;
  readonly sockets: number;
  readonly requests: number;
  readonly runs: { readonly active: number; readonly ended: Readonly<Record<string, number>> };
  readonly tokens: number;
  readonly first_token: { readonly count: number; readonly sum_s: number };
  readonly limited: Readonly<Record<string, number>>;
  readonly caches: readonly Cache[];
  readonly knowledge: {
    readonly documents: Readonly<Record<string, number>>;
    readonly jobs: { readonly queued: number; readonly running: number };
    readonly chunks: number;
    readonly bytes: number;
  } | null;
}

export interface Stats {
  readonly version: string;
  readonly draining: boolean;
  /** Of whom the numbers are; `null`: of all. */
  readonly tenant: string | null;
  /** Whether there is a knowledge base. */
  readonly documents: boolean;
  readonly sessions: Counts;
  readonly model: { readonly model: string; readonly targets: readonly Target[] };
  readonly gateway: Whole | null;
}

export type Phase = "queued" | "retrieving" | "waiting" | "thinking" | "streaming" | "tool";

export interface Session {
  readonly session: string;
  readonly tenant: string | null;
  readonly user: string | null;
  readonly viewers: number;
  readonly unused_s: number;
  readonly run: {
    readonly run: string;
    readonly model: string;
    readonly phase: Phase;
    readonly age_s: number | null;
    readonly written: number;
  } | null;
}

export interface Sessions {
  readonly sessions: readonly Session[];
  readonly counts: Counts;
}

export interface FeedbackCount {
  /** As `2026-11-26`. */
  readonly day: string;
  readonly model: string | null;
  readonly good: number;
  readonly bad: number;
}

export interface AuditEntry {
  readonly number: number;
  readonly at: string;
  readonly user: string;
  readonly action: string;
  readonly target: string;
  readonly address?: string;
}

export interface AuditPage {
  readonly entries: readonly AuditEntry[];
  /** Before this number there may be more. */
  readonly next: number | null;
}

export interface Job {
  readonly job: string;
  readonly kind: string;
  readonly collection: string;
  readonly state: string;
  readonly stage?: string;
  readonly done: number;
  readonly total: number;
  readonly error?: { readonly code: string; readonly detail: string };
  readonly updated_at: string;
}
