/** One file on its way to the gateway, by `XMLHttpRequest`: `fetch` does not tell how much has been sent. */
import type { Endpoint } from "@rivulet/client";
import { Problem, problemFrom, unreachable } from "./problem";
import type { Accepted } from "./wire";

/** The most bytes of a document, whatever the gateway's settings (docs/limits.md). */
export const MAX_BYTES = 10 * 1024 * 1024;
/** A connection on which nothing has moved for so long is given up. The gateway waits 30 s. */
const STALL_MS = 45_000;

export interface Upload {
  file: File;
  collection: string;
  /** What the source calls it; its name when absent. */
  key?: string | undefined;
  /** The document whose content it is to be. */
  document?: string | undefined;
  /** The same for every attempt: a document whose acknowledgement was lost is not taken twice. */
  id: string;
}

/** Resolves when the gateway has it on its disk. Rejects with a `Problem`; code `aborted` by the signal. */
export async function send(
  endpoint: Endpoint,
  upload: Upload,
  progress: (sent: number) => void,
  signal: AbortSignal,
): Promise<Accepted> {
  if (upload.file.size > MAX_BYTES) {
    const detail = "it is too large: a document has at most 10 MiB";
    throw new Problem(413, "too_large", detail);
  }
  const headers = await credentials(endpoint, false);
  try {
    return await attempt(endpoint, upload, headers, progress, signal);
  } catch (error) {
    const expired = error instanceof Problem && error.status === 401;
    if (!expired || !("authorization" in headers)) throw error;
    return attempt(endpoint, upload, await credentials(endpoint, true), progress, signal);
  }
}

async function credentials(endpoint: Endpoint, expired: boolean): Promise<Record<string, string>> {
  try {
    return await endpoint.headers(expired);
  } catch {
    // They come over the same network that may be gone.
    throw unreachable();
  }
}

function attempt(
  endpoint: Endpoint,
  upload: Upload,
  headers: Record<string, string>,
  progress: (sent: number) => void,
  signal: AbortSignal,
): Promise<Accepted> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    let timer: ReturnType<typeof setTimeout>;
    let stalled = false;
    const moved = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        stalled = true;
        request.abort();
      }, STALL_MS);
    };
    const aborted = (): void => request.abort();
    const over = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", aborted);
    };
    request.upload.addEventListener("progress", ({ loaded }) => {
      moved();
      // The form around the file is a part of what is sent.
      progress(Math.min(loaded, upload.file.size));
    });
    request.addEventListener("loadend", over);
    request.addEventListener("load", () => {
      try {
        resolve(accepted(request));
      } catch (error) {
        reject(error);
      }
    });
    const broken = new Problem(0, "broken", "the connection broke off while it was sent");
    request.addEventListener("error", () => reject(broken));
    request.addEventListener("abort", () =>
      reject(stalled ? broken : new Problem(0, "aborted", "it was cancelled")),
    );
    signal.addEventListener("abort", aborted, { once: true });
    open(request, endpoint, upload, headers);
    moved();
    request.send(formOf(upload));
  });
}

function open(
  request: XMLHttpRequest,
  endpoint: Endpoint,
  { document, id }: Upload,
  headers: Record<string, string>,
): void {
  const path = document === undefined ? "documents" : `documents/${encodeURIComponent(document)}`;
  request.open(document === undefined ? "POST" : "PUT", endpoint.address(path).href);
  for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
  request.setRequestHeader("idempotency-key", id);
}

/** The file comes last: what is said about it is known before it. */
function formOf({ file, collection, key, document }: Upload): FormData {
  const form = new FormData();
  if (document === undefined) form.set("collection", collection);
  if (document === undefined && key !== undefined) form.set("key", key);
  form.set("file", file);
  return form;
}

function accepted(request: XMLHttpRequest): Accepted {
  const { status, responseText } = request;
  if (status < 200 || status > 299)
    throw problemFrom(status, responseText, request.getResponseHeader("retry-after"));
  try {
    return JSON.parse(responseText) as Accepted;
  } catch {
    throw new Problem(status, "broken", "the answer of the gateway cannot be read");
  }
}
