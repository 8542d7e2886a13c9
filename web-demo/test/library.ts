/** A library behind `fetch`: documents whose text is cut into passages, one per paragraph. */

import { Endpoint } from "@rivulet/client";
import { vi } from "vitest";
import { DocumentsApi } from "../src/documents/api";
import type { DocumentInfo, Passage } from "../src/documents/wire";
import { document_ } from "./document";

const bytes = (text: string) => new TextEncoder().encode(text).length;

export class Library {
  readonly documents = new Map<string, { info: DocumentInfo; text: string; passages: Passage[] }>();
  /** Every request: method and path. */
  readonly asked: string[] = [];
  /** Answers instead, when it has one. */
  instead: (request: string) => Response | Promise<Response> | undefined = () => undefined;
  readonly api = new DocumentsApi(new Endpoint("http://gateway.test/"));

  constructor() {
    vi.stubGlobal("fetch", async (address: URL, { method = "GET" }: RequestInit = {}) => {
      const url = new URL(address);
      const request = `${method} ${url.pathname.replace("/api/v1/", "")}${url.search}`;
      this.asked.push(request);
      return (await this.instead(request)) ?? this.#answer(method, url);
    });
  }

  /** `places`: of the passages, in their order. */
  put(
    given: Partial<DocumentInfo>,
    paragraphs: string[],
    places: Partial<Passage>[] = [],
  ): DocumentInfo {
    const text = paragraphs.join("\n\n");
    let start = 0;
    const passages = paragraphs.map((paragraph, chunk) => {
      const end = start + bytes(paragraph);
      const passage = { chunk, start, end, text: paragraph, version: 1, ...places[chunk] };
      start = end + 2;
      return passage;
    });
    const info = document_({ chunks: passages.length, ...given });
    this.documents.set(info.document, { info, text, passages });
    return info;
  }

  #answer(method: string, { pathname, searchParams }: URL): Response {
    const [, kind, id, part, n] =
      /^\/api\/v1\/(\w+)(?:\/([^/]+))?(?:\/(\w+))?(?:\/(\d+))?$/.exec(pathname) ?? [];
    if (kind === "collections") return Response.json({ collections: [] });
    if (id === undefined) return this.#list(searchParams);
    const found = this.documents.get(id);
    if (!found) return problem(404, "not_found", "there is no such document");
    if (method === "DELETE") {
      this.documents.delete(id);
      return new Response(null, { status: 204 });
    }
    if (part === "text") return new Response(found.text);
    if (part === "passages") {
      const passage = found.passages[Number(n)];
      return passage
        ? Response.json(passage)
        : problem(404, "not_found", "there is no such passage");
    }
    if (part === "versions")
      return Response.json({ indexed_version: found.info.indexed_version, versions: [found.info] });
    return Response.json(found.info);
  }

  #list(query: URLSearchParams): Response {
    const all = [...this.documents.values()].map(({ info }) => info).reverse();
    const own = all.filter(({ collection }) => collection === query.get("collection"));
    const after = own.findIndex(({ document }) => document === query.get("before")) + 1;
    const limit = Number(query.get("limit"));
    const documents = own.slice(after, after + limit);
    return Response.json({ documents, more: own.length > after + limit });
  }
}

export function problem(status: number, code: string, detail: string): Response {
  return Response.json({ status, code, detail }, { status });
}
