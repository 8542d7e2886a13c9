/** Where the gateway is, and who is asking. */
import type { Assistant, HistoryPage } from "./frames.js";

export interface Dial {
  url: string;
  protocols: string[];
  /** What has to be said first on the open socket, before anything is heard. */
  greeting?: string;
}

/** Where a socket is to lead. */
export interface Destination {
  /** `null`: to a new one. */
  session: string | null;
  /** What is known of the session already. */
  cursor: string | null;
  /** Who is to answer in a new one; `null` leaves it to the gateway. One that there is has its own. */
  assistant: string | null;
  /** A new one of which nothing is remembered. */
  temporary: boolean;
}

export interface Credentials {
  /**
   * Asked before every attempt to connect and every request. `expired`: the gateway no longer took the
   * last one, so one that is kept somewhere will not do. `null`: nobody in particular asks. Throws
   * `NotSignedIn` where that will not do. A text is the token for as long as the client lives.
   */
  token?: string | ((expired: boolean) => Credential) | undefined;
  /** A ticket is good for one attempt to connect, so each gets a new one; `null`: the token has to do. */
  ticket?: (() => Credential) | undefined;
}

type Credential = string | null | Promise<string | null>;

/**
 * Nobody is signed in, and somebody has to be. A connection ends with it as if the gateway had refused;
 * other requests go out without a token, and are refused.
 */
export class NotSignedIn extends Error {}

/** What the gateway says about a session. `unknown` when it could not be asked. */
export type SessionFate = "exists" | "gone" | "unauthenticated" | "forbidden" | "unknown";

/** The code that a socket would have been closed with, had its upgrade not been refused. */
export const CODE_OF_FATE: Readonly<Partial<Record<SessionFate, number>>> = {
  unauthenticated: 4001,
  forbidden: 4003,
  gone: 4004,
};

/** As many messages as a snapshot has. */
const HISTORY_PAGE = 50;
/** A request that takes longer has failed: some networks swallow requests and never say so. */
const REQUEST_LIMIT_MS = 10_000;

export class Endpoint {
  readonly #base: URL;
  readonly #credentials: Credentials;

  /** `base`: the address of the gateway, `http(s)` or `ws(s)`, with or without a path. */
  constructor(base: string, credentials: Credentials = {}) {
    this.#base = new URL(base.endsWith("/") ? base : `${base}/`);
    this.#base.protocol = this.#base.protocol.replace(/^ws/, "http");
    this.#credentials = credentials;
  }

  /** Rejects when no ticket or token could be had. */
  async dial(to: Destination, expired: boolean): Promise<Dial> {
    const { session, cursor, assistant, temporary } = to;
    const url = this.address(session ? `ws/${encodeURIComponent(session)}` : "ws");
    url.protocol = url.protocol.replace(/^http/, "ws");
    const resume = session && cursor ? cursor : undefined;
    if (resume) url.searchParams.set("resume", resume);
    if (!session && assistant) url.searchParams.set("assistant", assistant);
    if (!session && temporary) url.searchParams.set("temporary", "true");
    const dial = { url, protocols: ["chat.v1"] };
    const ticket = this.#credentials.ticket && (await inTime(this.#credentials.ticket()));
    if (ticket) {
      url.searchParams.set("ticket", ticket);
      return { ...dial, url: url.href };
    }
    const token = await this.token(expired);
    if (token) {
      // In a frame: a browser sets no headers on a WebSocket, and addresses end up in logs. The cursor
      // as well, because without authentication the gateway takes this for a wish to begin anew.
      const greeting = JSON.stringify({ type: "hello", token, ...(resume && { resume }) });
      return { ...dial, url: url.href, greeting };
    }
    return { ...dial, url: url.href };
  }

  /** Rejects when there is none within 10 s. */
  async token(expired: boolean): Promise<string | null> {
    const { token } = this.#credentials;
    return typeof token === "function" ? inTime(token(expired)) : (token ?? null);
  }

  /**
   * A browser does not tell why an upgrade was refused, so ask for the session by plain HTTP. Never
   * rejects, and takes 10 s at most once there is a token.
   */
  async fate(session: string): Promise<SessionFate> {
    try {
      const { ok, status } = await this.#get(`sessions/${encodeURIComponent(session)}?limit=1`);
      if (ok) return "exists";
      if (status === 404) return "gone";
      // Where only tickets are used, plain requests are nobody's, whatever the socket was refused for.
      if (this.#credentials.ticket && !this.#credentials.token) return "unknown";
      if (status === 401) return "unauthenticated";
      return status === 403 ? "forbidden" : "unknown";
    } catch {
      return "unknown";
    }
  }

  /** The newest messages that are older than `before`. Rejects when they cannot be had. */
  async messagesBefore(session: string, before: string): Promise<HistoryPage> {
    const query = new URLSearchParams({ before, limit: String(HISTORY_PAGE) });
    const response = await this.#get(`sessions/${encodeURIComponent(session)}?${query}`);
    if (!response.ok) throw new Error(`The gateway answered with status ${response.status}`);
    return (await response.json()) as HistoryPage;
  }

  /** The assistants that whoever asks may choose from, the default one first. Rejects when they cannot be had. */
  async assistants(): Promise<Assistant[]> {
    const response = await this.#get("assistants");
    if (!response.ok) throw new Error(`The gateway answered with status ${response.status}`);
    const { assistants } = (await response.json()) as { assistants: Assistant[] };
    return assistants;
  }

  /**
   * Any other request below `api/v1/`, in the same name. When the gateway no longer takes the token, it is
   * made once more with a fresh one.
   */
  async request(path: string, init: RequestInit = {}): Promise<Response> {
    const ask = async (expired: boolean): Promise<Response> => {
      const headers = { ...init.headers, ...(await this.headers(expired)) };
      return fetch(this.address(path), { ...init, headers });
    };
    const response = await ask(false);
    return response.status === 401 && this.#credentials.token ? ask(true) : response;
  }

  /** What a request says of who is asking; nothing when nobody is signed in. Rejects when no token could be had. */
  async headers(expired = false): Promise<Record<string, string>> {
    try {
      const token = await this.token(expired);
      return token ? { authorization: `Bearer ${token}` } : {};
    } catch (error) {
      // The gateway says in its own words what that means for this request.
      if (error instanceof NotSignedIn) return {};
      throw error;
    }
  }

  /** The address of what lies below `api/v1/`. */
  address(path: string): URL {
    return new URL(`api/v1/${path}`, this.#base);
  }

  async #get(path: string): Promise<Response> {
    const headers = await this.headers();
    return fetch(this.address(path), { headers, signal: AbortSignal.timeout(REQUEST_LIMIT_MS) });
  }
}

/** The application fetches credentials from somewhere, over the same network that may be gone. */
async function inTime(credential: Credential): Promise<string | null> {
  const limit = AbortSignal.timeout(REQUEST_LIMIT_MS);
  return new Promise((resolve, reject) => {
    limit.addEventListener("abort", () => reject(limit.reason), { once: true });
    Promise.resolve(credential).then(resolve, reject);
  });
}
