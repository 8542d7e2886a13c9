/** The routes of memories, and of an assistant that remembers, in the place of the gateway's. */

const COMPANION = { name: "companion", title: "Companion", suggestions: [], languages: [] };

export class Memories {
  /** The newest first. */
  items = [];
  enabled = true;
  /** Requests that were made, but for lists. */
  asked = [];
  /** The status that everything is refused with. */
  refuse = null;

  /** Something that was remembered, newer than all that is. */
  add(id, text, about = {}) {
    const said_at = "2026-11-12T10:00:00.000Z";
    const origin = { origin: "rule", session: "s_elsewhere", message: "m_1" };
    this.items.unshift({
      id,
      assistant: "companion",
      kind: "fact",
      text,
      said_at,
      ...origin,
      ...about,
    });
  }

  /** For `before` of a conversation. */
  async behind(context) {
    const assistants = [{ ...COMPANION, version: "1", default: true, memory: true }];
    await context.route("**/api/v1/assistants", (route) => route.fulfill({ json: { assistants } }));
    await context.route(/\/api\/v1\/(memories|sessions)\b/, (route) => this.#answer(route));
  }

  #answer(route) {
    const request = route.request();
    const { pathname, search, searchParams } = new URL(request.url());
    const path = pathname.replace(/^.*\/api\/v1\//, "");
    const method = request.method();
    const plain = method === "GET" && path !== "memories/export";
    if (!plain) this.asked.push(`${method} ${path}${search}`);
    if (this.refuse !== null)
      return route.fulfill({ status: this.refuse, json: { code: "storage_unavailable" } });
    if (path.startsWith("sessions/"))
      return method === "DELETE"
        ? route.fulfill({ status: 204 })
        : route.fulfill({ json: { session_id: path.slice(9), messages: [], more: false } });
    if (path === "memories/export") return route.fulfill({ json: this.items });
    if (path === "memories/settings") {
      this.enabled = request.postDataJSON().enabled;
      return route.fulfill({ json: { enabled: this.enabled } });
    }
    if (path === "memories") return this.#all(route, method, searchParams);
    const item = this.items.find(({ id }) => id === path.slice(9));
    if (!item) return route.fulfill({ status: 404, json: { code: "not_found", detail: "gone" } });
    if (method === "PATCH") {
      item.text = request.postDataJSON().text;
      return route.fulfill({ json: item });
    }
    this.items = this.items.filter((one) => one !== item);
    return route.fulfill({ json: { facts: 1, episodes: 0 } });
  }

  #all(route, method, query) {
    if (method === "POST") {
      const { text } = route.request().postDataJSON();
      this.add(`mem_${text.length}`, text, { origin: "explicit", session: undefined });
      return route.fulfill({ status: 201, json: this.items[0] });
    }
    if (method === "DELETE") {
      this.items = [];
      return route.fulfill({ json: { facts: 1, episodes: 1 } });
    }
    const found = this.items.filter(({ kind }) => kind === query.get("kind"));
    const from = found.findIndex(({ id }) => id === query.get("before")) + 1;
    const memories = found.slice(from, from + Number(query.get("limit")));
    const more = from + memories.length < found.length;
    return route.fulfill({ json: { memories, more, enabled: this.enabled } });
  }
}
