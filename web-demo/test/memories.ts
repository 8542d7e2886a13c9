/** The routes of memories in the place of `fetch`, with what is remembered in a list. */
import type { MemoryItem } from "@rivulet/client";

export const fact = (about: Partial<MemoryItem> = {}): MemoryItem => ({
  id: "mem_1",
  assistant: "companion",
  kind: "fact",
  text: "I'm allergic to nuts",
  origin: "rule",
  session: "s_elsewhere",
  message: "m_1",
  said_at: "2026-11-12T10:00:00.000Z",
  ...about,
});

export class MemoryRoutes {
  /** The newest first. */
  items: MemoryItem[] = [];
  enabled = true;
  /** What the next requests are refused with. */
  fail: { status: number; code: string; detail?: string } | null = null;
  /** What was asked for, but for lists. */
  readonly asked: string[] = [];
  /** Conversations of which nothing is remembered. */
  readonly temporary = new Set<string>();
  #made = 0;

  add(item: MemoryItem): void {
    this.items.unshift(item);
  }

  readonly fetch = async (url: URL, init: RequestInit = {}): Promise<Response> => {
    const { method = "GET", body } = init;
    const path = url.pathname.replace("/api/v1/", "");
    const about = typeof body === "string" ? JSON.parse(body) : {};
    if (method !== "GET" || path === "memories/export")
      this.asked.push(`${method} ${path}${url.search}`);
    if (this.fail) return Response.json(this.fail, { status: this.fail.status });
    if (path === "memories/export") return Response.json(this.items);
    if (path === "memories/settings") {
      this.enabled = about.enabled;
      return Response.json(about);
    }
    if (path.startsWith("sessions/")) return this.#session(path, method);
    if (path === "memories") return this.#all(url.searchParams, method, about);
    const id = path.replace("memories/", "");
    const at = this.items.findIndex((item) => item.id === id);
    const item = this.items[at];
    if (!item) return Response.json({ code: "not_found", detail: "gone" }, { status: 404 });
    if (method === "DELETE") {
      this.items.splice(at, 1);
      return Response.json({ facts: 1, episodes: 0 });
    }
    this.items[at] = { ...item, text: about.text };
    return Response.json(this.items[at]);
  };

  #session(path: string, method: string): Response {
    if (method === "DELETE") return new Response(null, { status: 204 });
    const id = path.replace("sessions/", "");
    return Response.json({ session_id: id, temporary: this.temporary.has(id) });
  }

  #all(query: URLSearchParams, method: string, about: { text: string; assistant: string }) {
    if (method === "POST") {
      this.#made++;
      const made = fact({ ...about, id: `mem_new_${this.#made}`, origin: "explicit" });
      this.add(made);
      return Response.json(made, { status: 201 });
    }
    const [assistant, kind] = [query.get("assistant"), query.get("kind")];
    const all = this.items.filter((item) => item.assistant === assistant);
    if (method === "DELETE") {
      this.items = this.items.filter((item) => item.assistant !== assistant);
      return Response.json({ facts: all.length, episodes: 0 });
    }
    const found = all.filter((item) => item.kind === kind);
    const from = found.findIndex(({ id }) => id === query.get("before")) + 1;
    const memories = found.slice(from, from + Number(query.get("limit")));
    const more = from + memories.length < found.length;
    return Response.json({ memories, more, enabled: this.enabled });
  }
}
