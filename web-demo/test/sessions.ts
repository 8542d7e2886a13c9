/** The routes of conversations in the place of `fetch`. */
import type { ConversationInfo } from "../src/conversations/api";

let made = 0;

export function session(id: string, given: Partial<ConversationInfo> = {}): ConversationInfo {
  const at = new Date(Date.UTC(2026, 10, 1) + ++made * 1_000).toISOString();
  const times = { created_at: at, updated_at: at };
  const title = `Title of ${id}`;
  return { session_id: id, assistant: "default", title, message_count: 2, ...times, ...given };
}

export class SessionRoutes {
  /** The newest first. */
  sessions: ConversationInfo[] = [];
  /** The messages of each of them, by id, the oldest first. */
  messages: string[] = [];
  /** What the next requests are refused with. */
  fail: { status: number; code: string; detail: string } | null = null;
  readonly asked: string[] = [];
  #held: Promise<void> | null = null;

  add(one: ConversationInfo): void {
    this.sessions.unshift(one);
  }

  /** Lets the answer to what is asked next wait; gives what lets it go. */
  hold(): () => void {
    let release = () => {};
    this.#held = new Promise((resolve) => {
      release = resolve;
    });
    return () => release();
  }

  readonly fetch = async (url: URL, init: RequestInit = {}): Promise<Response> => {
    const { method = "GET", body } = init;
    const path = url.pathname.replace("/api/v1/", "");
    this.asked.push(`${method} ${path}${url.search}`);
    const held = this.#held;
    this.#held = null;
    await held;
    if (this.fail) return Response.json(this.fail, { status: this.fail.status });
    if (path === "sessions") return this.#list(url.searchParams);
    const id = path.replace("sessions/", "");
    const at = this.sessions.findIndex(({ session_id }) => session_id === id);
    const one = this.sessions[at];
    if (!one) return Response.json({ code: "not_found", detail: "gone" }, { status: 404 });
    if (method === "DELETE") {
      this.sessions.splice(at, 1);
      return new Response(null, { status: 204 });
    }
    if (method === "PATCH") {
      this.sessions[at] = { ...one, title: JSON.parse(String(body)).title };
      return Response.json(this.sessions[at]);
    }
    return Response.json({ ...one, ...this.#messages(url.searchParams) });
  };

  #list(query: URLSearchParams): Response {
    const part = (query.get("q") ?? "").toLowerCase();
    const found = this.sessions.filter(({ title = "" }) => title.toLowerCase().includes(part));
    const from = found.findIndex(({ session_id }) => session_id === query.get("before")) + 1;
    const sessions = found.slice(from, from + Number(query.get("limit")));
    return Response.json({ sessions, more: from + sessions.length < found.length });
  }

  #messages(query: URLSearchParams): object {
    const before = query.get("before");
    const end = before === null ? this.messages.length : this.messages.indexOf(before);
    const start = Math.max(0, end - Number(query.get("limit")));
    const messages = this.messages
      .slice(start, end)
      .map((id) => ({ id, role: "user", text: id, status: "complete" }));
    return { messages, more: start > 0 };
  }
}
