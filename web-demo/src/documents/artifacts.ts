/** The files that tools make. */
import type { Artifact, Endpoint } from "@rivulet/client";
import { ask } from "./api";
import { Problem } from "./problem";

const LIMIT_MS = 60_000;

/** Rejects with a `Problem`, whose status is 404 when it is not kept any more, or is somebody else's. */
export async function contentOf(endpoint: Endpoint, { artifact }: Artifact): Promise<Blob> {
  const path = `artifacts/${encodeURIComponent(artifact)}`;
  const response = await ask(endpoint, path, { signal: AbortSignal.timeout(LIMIT_MS) });
  try {
    return await response.blob();
  } catch {
    throw new Problem(0, "broken", "the answer of the gateway broke off");
  }
}
