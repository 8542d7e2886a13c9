/** Tables that somebody brings, for the tools of an assistant to ask. */
import type { Assistant, Endpoint } from "@rivulet/client";
import { ask } from "./api";
import { Problem } from "./problem";
import { MAX_BYTES } from "./upload";

const LIMIT_MS = 180_000;
/** How tables are called; what is in one, the gateway finds out. */
export const TABLES = [".csv", ".xlsx", ".xls", ".ods"] as const;

/** What the gateway has found in a table. */
export interface Dataset {
  id: string;
  name: string;
  rows: number;
  columns: DatasetColumn[];
  period?: { column?: string; from: string; to: string };
}

export interface DatasetColumn {
  name: string;
  type: string;
  /** Cells with nothing in them. */
  missing: number;
  min?: unknown;
  max?: unknown;
}

export function isTable({ name }: File): boolean {
  return TABLES.some((ending) => name.toLowerCase().endsWith(ending));
}

/** Whether tables are of use to this one: it says so, or has the tool that asks them. */
export function takesTables(assistant: Assistant | undefined): boolean {
  const { uploads, tools = [] } = assistant ?? {};
  return uploads?.includes("datasets") ?? tools.some(({ name }) => name === "dataset");
}

/** Rejects with a `Problem`. */
export async function sendTable(endpoint: Endpoint, file: File): Promise<Dataset> {
  if (file.size > MAX_BYTES)
    throw new Problem(413, "too_large", "it is too large: a table has at most 10 MiB");
  const body = new FormData();
  body.set("file", file);
  const signal = AbortSignal.timeout(LIMIT_MS);
  const response = await ask(endpoint, "datasets", { method: "POST", body, signal });
  try {
    return (await response.json()) as Dataset;
  } catch {
    throw new Problem(response.status, "broken", "the answer of the gateway cannot be read");
  }
}
