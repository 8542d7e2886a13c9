/** Why a request came to nothing: in the gateway's words, or in ours where there are none of it. */

/** `status` 0: no answer came. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  /** When to try again, where the gateway says so. */
  readonly retryMs: number | null;

  constructor(status: number, code: string, detail: string, retryMs: number | null = null) {
    super(detail);
    this.status = status;
    this.code = code;
    this.retryMs = retryMs;
  }
}

const WORDS: Readonly<Record<string, string>> = {
  unauthenticated: "You are not signed in.",
  storage_unavailable: "The gateway cannot store anything at the moment.",
};

/** The problem that an answer tells of; `body` may be anything, as from a proxy. */
export function problemFrom(status: number, body: string, retryAfter: string | null): Problem {
  const seconds = Number(retryAfter ?? Number.NaN);
  const retryMs = Number.isFinite(seconds) ? seconds * 1_000 : null;
  const told = parsed(body);
  const code = typeof told.code === "string" ? told.code : "unknown";
  const detail = typeof told.detail === "string" ? told.detail : `status ${status}`;
  return new Problem(status, code, detail, retryMs);
}

export const unreachable = (): Problem =>
  new Problem(0, "unreachable", "the gateway cannot be reached");

/** Whether the gateway knows nothing of the kind at all: there is no such address. */
export function isUnknownRoute({ status, message }: Problem): boolean {
  return status === 404 && message.includes("address");
}

/** In words of people, as a sentence. */
export function problemText(error: unknown): string {
  if (!(error instanceof Problem)) return "Something went wrong in this page.";
  const { code, message } = error;
  if (code === "unknown") return `The gateway answered with ${message}.`;
  if (isUnknownRoute(error)) return "This gateway keeps no documents.";
  return WORDS[code] ?? sentence(message);
}

/** Reasons are told without a capital and a full stop. */
export function sentence(words: string): string {
  const text = words.trim();
  const capital = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(capital) ? capital : `${capital}.`;
}

function parsed(body: string): { code?: unknown; detail?: unknown } {
  try {
    const told: unknown = JSON.parse(body);
    return typeof told === "object" && told !== null ? told : {};
  } catch {
    // No JSON, so not from the gateway itself: the status is all there is.
    return {};
  }
}
