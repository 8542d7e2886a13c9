/**
 * One answer in the making: the rules for its text from `run.start` to the checked end. Each function
 * gives the run as it is afterwards and, where the server has to be asked for text, the frame to send.
 */
import type {
  AnswerMemory,
  ClientFrame,
  MemoryFrame,
  RunDoneFrame,
  RunPhase,
  SourceItem,
} from "./frames.js";
import { fromStart, type HeldText, matches, NO_TEXT, place, truncate } from "./held-text.js";
import { keptBy, settled, type ToolCalls } from "./tool-calls.js";

/** A server that cannot give the right text after this many requests never will. */
const MAX_SYNCS = 4;

export interface Run {
  readonly id: string;
  /** The id of the answer that this run writes. */
  readonly message: string;
  readonly phase: RunPhase;
  /** While it is `queued`: the place in line, from 1, where the server tells. */
  readonly position?: number | undefined;
  readonly model?: string;
  readonly sources: readonly SourceItem[];
  /** What tools were asked for, in order. */
  readonly tools: ToolCalls;
  /** What was remembered for it, as far as that was told. */
  readonly memory?: AnswerMemory;
  readonly held: HeldText;
  /** What the server said when the run was over. */
  readonly outcome?: RunDoneFrame;
  /** Set once the text is settled: it is right, or the attempts to get it right are used up. */
  readonly verified?: boolean;
  /** The text that was asked for and has not come yet: a missing part, or all of it. */
  readonly awaiting?: "part" | "all";
  readonly syncs: number;
}

interface Change {
  run: Run;
  reply?: ClientFrame;
}

export function beginRun(id: string, message: string, model?: string): Run {
  const nothing = { sources: [], tools: [], held: NO_TEXT, syncs: 0 };
  return writtenBy({ id, message, phase: "waiting", ...nothing }, model);
}

/** A place in line is over with the phase that it belongs to. */
export function enterPhase(run: Run, phase: RunPhase, position?: number): Run {
  return { ...run, phase, position: phase === "queued" ? position : undefined };
}

export function withMemory(run: Run, { type, seq, run: id, ...memory }: MemoryFrame): Run {
  return { ...run, memory };
}

export function receiveText(run: Run, off: number, text: string): Change {
  if (run.awaiting === "all") {
    // What is held was wrong somewhere, so the overlap rule must not keep any of it.
    if (off !== 0) return { run };
    return checked({ ...run, awaiting: undefined, held: fromStart(text) });
  }
  const held = place(run.held, off, text);
  // One request at a time: everything behind a gap would ask again otherwise.
  if (held === null) return run.awaiting ? { run } : ask(run, "part");
  const moved = { ...run, held, awaiting: undefined };
  // Text that arrives in its place shows that asking helps, so the count begins anew.
  return run.outcome ? checked(moved) : { run: enterPhase({ ...moved, syncs: 0 }, "streaming") };
}

export function withdrawText(run: Run, keep: number, model?: string): Change {
  const shortened = { ...run, held: truncate(run.held, Math.max(keep, keptBy(run.tools))) };
  return { run: writtenBy(shortened, run.outcome?.model ?? model) };
}

export function finishRun(run: Run, outcome: RunDoneFrame): Change {
  const done = { ...run, outcome, tools: settled(run.tools), awaiting: undefined };
  return verify(writtenBy(done, outcome.model), outcome);
}

/** After a reconnect: whatever was asked for on the old socket will not come any more. */
export function askAgain(run: Run): Change {
  if (run.outcome) return ask(run, "all");
  return { run: run.awaiting ? { ...run, awaiting: undefined } : run };
}

/** The text cannot be had (any more): what is there stays, marked as unchecked. */
export function giveUp(run: Run): Run {
  return run.outcome ? { ...run, awaiting: undefined, verified: false } : run;
}

/** What the server does not say stays as it was. */
function writtenBy(run: Run, model: string | undefined): Run {
  return model === undefined ? run : { ...run, model };
}

/** A finished run is checked as soon as enough text is there; a long reply comes in several deltas. */
function checked(run: Run): Change {
  const { outcome } = run;
  return outcome && run.held.text.length >= outcome.len ? verify(run, outcome) : { run };
}

function verify(run: Run, outcome: RunDoneFrame): Change {
  return matches(run.held, outcome.len, outcome.crc32)
    ? { run: { ...run, verified: true } }
    : ask(run, "all");
}

function ask(run: Run, awaiting: "part" | "all"): Change {
  if (run.syncs >= MAX_SYNCS) return { run: giveUp(run) };
  const off = awaiting === "all" ? 0 : run.held.text.length;
  return {
    run: { ...run, awaiting, syncs: run.syncs + 1 },
    reply: { type: "sync", id: `sync:${run.id}`, run: run.id, off },
  };
}
