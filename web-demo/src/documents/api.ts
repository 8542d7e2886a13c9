/** The routes of documents and collections. Everything rejects with a `Problem`. */
import type { Endpoint } from "@rivulet/client";
import { Problem, problemFrom, unreachable } from "./problem";
import type { CollectionInfo, DocumentInfo, DocumentPage, Passage, VersionList } from "./wire";

/** As many as a page of the list has. */
export const PAGE = 50;
/** The most that the gateway gives at once. */
export const LARGEST_PAGE = 200;
/** Some networks swallow requests and never say so. */
const LIMIT_MS = 30_000;
/** What has a document in it may take longer. */
const CONTENT_LIMIT_MS = 180_000;

interface Listing {
  collection: string;
  before?: string | undefined;
  limit?: number;
}

export class DocumentsApi {
  readonly endpoint: Endpoint;

  constructor(endpoint: Endpoint) {
    this.endpoint = endpoint;
  }

  list({ collection, before, limit = PAGE }: Listing): Promise<DocumentPage> {
    const query = new URLSearchParams({ collection, limit: String(limit) });
    if (before !== undefined) query.set("before", before);
    return this.#json(`documents?${query}`);
  }

  document(id: string): Promise<DocumentInfo> {
    return this.#json(one(id));
  }

  async remove(id: string): Promise<void> {
    await this.#ask(one(id), { method: "DELETE" });
  }

  versions(id: string): Promise<VersionList> {
    return this.#json(`${one(id)}/versions`);
  }

  async rollBack(id: string, version: number): Promise<void> {
    await this.#ask(`${one(id)}/rollback`, json({ version }));
  }

  /** Lets a document that is held back. */
  async release(id: string): Promise<void> {
    await this.#ask(`${one(id)}/release`, { method: "POST" });
  }

  /** What was read of the version that answers, in UTF-8. */
  async text(id: string): Promise<Uint8Array> {
    const response = await this.#ask(`${one(id)}/text`, {}, CONTENT_LIMIT_MS);
    return new Uint8Array(await whole(response.arrayBuffer()));
  }

  passage(id: string, chunk: number): Promise<Passage> {
    return this.#json(`${one(id)}/passages/${chunk}`);
  }

  /** The bytes of a version, as they came. */
  async original(id: string, version: number): Promise<Blob> {
    const path = `${one(id)}/original?version=${version}`;
    return whole((await this.#ask(path, {}, CONTENT_LIMIT_MS)).blob());
  }

  async collections(): Promise<CollectionInfo[]> {
    return (await this.#json<{ collections: CollectionInfo[] }>("collections")).collections;
  }

  async makeCollection(name: string): Promise<void> {
    await this.#ask("collections", json({ name }));
  }

  async removeCollection(name: string): Promise<void> {
    await this.#ask(`collections/${encodeURIComponent(name)}`, { method: "DELETE" });
  }

  async cancel(job: string): Promise<void> {
    await this.#ask(`jobs/${encodeURIComponent(job)}/cancel`, { method: "POST" });
  }

  async retry(job: string): Promise<void> {
    await this.#ask(`jobs/${encodeURIComponent(job)}/retry`, { method: "POST" });
  }

  async #json<Value>(path: string): Promise<Value> {
    return whole((await this.#ask(path)).json() as Promise<Value>);
  }

  #ask(path: string, init: RequestInit = {}, limitMs = LIMIT_MS): Promise<Response> {
    return ask(this.endpoint, path, { ...init, signal: AbortSignal.timeout(limitMs) });
  }
}

/** A request whose answer is a success, or else a `Problem` is thrown. */
export async function ask(endpoint: Endpoint, path: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await endpoint.request(path, init);
  } catch {
    // Browsers say nothing else than that it failed.
    throw unreachable();
  }
  if (response.ok) return response;
  const body = await whole(response.text());
  throw problemFrom(response.status, body, response.headers.get("retry-after"));
}

/** A body can break off behind its head. */
async function whole<Value>(body: Promise<Value>): Promise<Value> {
  try {
    return await body;
  } catch {
    throw new Problem(0, "broken", "the answer of the gateway broke off");
  }
}

const one = (id: string): string => `documents/${encodeURIComponent(id)}`;

const json = (body: object): RequestInit => ({
  method: "POST",
  body: JSON.stringify(body),
  headers: { "content-type": "application/json" },
});
