/** What people read about documents. */
import { sentence } from "./problem";
import type { TransferState } from "./uploads";
import type { DocumentInfo, Job, Stage } from "./wire";

const STAGE: Readonly<Record<Stage, string>> = {
  parse: "Reading it",
  chunk: "Cutting it into passages",
  embed: "Working out what it means",
  write: "Storing its passages",
  index: "Making it searchable",
};

/** Where a stage begins, as a share of the whole. The vectors take nearly all of the time. */
const BEGINS: Readonly<Record<Stage, number>> = {
  parse: 0.02,
  chunk: 0.08,
  embed: 0.1,
  write: 0.92,
  index: 0.96,
};

export type Mood = "work" | "good" | "warn" | "bad";

export interface Standing {
  readonly label: string;
  readonly mood: Mood;
  /** Why, where there is more to say. */
  readonly reason: string;
}

/** How a document stands, in a word, and why. */
export function standing(document: DocumentInfo): Standing {
  const { status, job, error, indexed_version: answers, version } = document;
  const old = answers !== null && answers !== version;
  const meanwhile = old ? ` Version ${answers} goes on answering.` : "";
  if (job?.state === "cancelled" && status !== "ready")
    return { label: "Cancelled", mood: "warn", reason: `You can try it again.${meanwhile}` };
  if (status === "ready") return { label: "Ready", mood: "good", reason: "" };
  if (status === "quarantined") {
    const reason = `No answer uses it until it is released.${meanwhile}`;
    return { label: "Held back", mood: "warn", reason };
  }
  if (status === "failed")
    return { label: "Failed", mood: "bad", reason: sentence(error?.detail ?? "") + meanwhile };
  return {
    label: job?.state === "running" ? "Working" : "Waiting",
    mood: "work",
    reason: meanwhile.trim(),
  };
}

/** What is being done with a document. */
export function stageText({ state, stage, done, total, error }: Job): string {
  if (state === "queued")
    return error ? `It is tried again: ${error.detail}` : "Waiting for its turn";
  if (state !== "running" || stage === undefined) return "";
  return stage === "embed" && total > 0
    ? `${STAGE[stage]}: ${done} of ${total} passages`
    : STAGE[stage];
}

/** How much of the work is done, from 0 to 1. */
export function shareDone({ state, stage, done, total }: Job): number {
  if (state === "done") return 1;
  if (state !== "running" || stage === undefined) return 0;
  const within = stage === "embed" && total > 0 ? done / total : 0;
  return BEGINS[stage] + within * (BEGINS.write - BEGINS.embed);
}

export function transferText(state: TransferState, size: number): string {
  switch (state.name) {
    case "waiting":
      return `${sizeText(size)}, waiting to be sent`;
    case "sending":
      return state.sent >= size
        ? `${sizeText(size)} sent, waiting for the gateway`
        : `${sizeText(state.sent)} of ${sizeText(size)} sent`;
    case "again":
      return `${state.reason} It is sent again in a moment.`;
    case "unchanged":
      return "This is there already, with the same content.";
    case "failed":
      return state.reason;
  }
}

/** What a document is, in one line. */
export function factsText(document: DocumentInfo): string {
  const { name, title, bytes, pages, chunks, version } = document;
  return [
    name !== title && name,
    sizeText(bytes),
    pages !== undefined && counted(pages, "page"),
    chunks !== undefined && counted(chunks, "passage"),
    version > 1 && `version ${version}`,
  ]
    .filter(Boolean)
    .join(" · ");
}

export function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

export function sizeText(bytes: number): string {
  if (bytes < 1_000) return counted(bytes, "byte");
  const units = ["kB", "MB", "GB"];
  let value = bytes / 1_000;
  let unit = 0;
  // What would be rounded to 1000 is one of the next unit.
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1_000;
    unit++;
  }
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** The time of today, or else the day. */
export function dateText(moment: string, now = new Date()): string {
  const date = new Date(moment);
  if (Number.isNaN(date.getTime())) return "";
  return date.toDateString() === now.toDateString()
    ? date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })
    : date.toLocaleDateString([], { day: "numeric", month: "short", year: "numeric" });
}

/** Where in its document a passage is. */
export function placeText(at: {
  page?: number | undefined;
  page_end?: number | undefined;
  place?: string | undefined;
}): string {
  const { page, page_end: end, place } = at;
  if (page !== undefined)
    return end !== undefined && end > page ? `pages ${page}–${end}` : `page ${page}`;
  return place ?? "";
}
