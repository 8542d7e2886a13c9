/** Where the gateway is, and who is asking. */
import type { HistoryPage } from "./frames";

export interface Dial {
  url: string;
  protocols: string[];
}

/** Called before every attempt to connect, so that an expired token is replaced by a fresh one. */
export type TokenSource = string | (() => string | Promise<string>);

/** What the gateway says about a session. `unknown` when it could not be asked. */
export type SessionFate = "exists" | "gone" | "forbidden" | "unknown";

/** As many messages as a snapshot has. */
const HISTORY_PAGE = 50;
/** A request that takes longer has failed: some networks swallow requests and never say so. */
const REQUEST_LIMIT_MS = 10_000;

export class Endpoint {
  readonly #base: URL;
  readonly #token: TokenSource | undefined;

  /** `base`: the address of the gateway, `http(s)` or `ws(s)`, with or without a path. */
  constructor(base: string, token?: TokenSource) {
    this.#base = new URL(base.endsWith("/") ? base : `${base}/`);
    this.#base.protocol = this.#base.protocol.replace(/^ws/, "http");
    this.#token = token;
  }

  async dial(session: string | null, cursor: string | null): Promise<Dial> {
    const url = this.#api(session ? `ws/${encodeURIComponent(session)}` : "ws");
    url.protocol = url.protocol.replace(/^http/, "ws");
    if (session && cursor) url.searchParams.set("resume", cursor);
    const token = await this.#freshToken();
    // A browser cannot set headers on a WebSocket, and a token in the address would end up in logs.
    const protocols = token ? ["chat.v1", `bearer.${token}`] : ["chat.v1"];
    return { url: url.href, protocols };
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
      return status === 401 || status === 403 ? "forbidden" : "unknown";
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

  async #get(path: string): Promise<Response> {
    const token = await this.#freshToken();
    const headers: HeadersInit = token ? { authorization: `Bearer ${token}` } : {};
    return fetch(this.#api(path), { headers, signal: AbortSignal.timeout(REQUEST_LIMIT_MS) });
  }

  #api(path: string): URL {
    return new URL(`api/v1/${path}`, this.#base);
  }

  async #freshToken(): Promise<string | undefined> {
    return typeof this.#token === "function" ? await this.#token() : this.#token;
  }
}
