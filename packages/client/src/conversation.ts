/**
 * What the client knows of a conversation, and the pure function that brings it up to date with one
 * frame. No socket, no clock and no page in here, so every rule can be tested with plain values.
 */
import { formatCursor } from "./cursor.js";
import type {
  AnswerMemory,
  ApprovalResolvedFrame,
  ClientFrame,
  Feedback,
  HistoryPage,
  RunDoneFrame,
  ServerFrame,
  SnapshotFrame,
  SnapshotRun,
  SourceItem,
  WelcomeFrame,
  WireMessage,
} from "./frames.js";
import { fromStart } from "./held-text.js";
import {
  askAgain,
  beginRun,
  enterPhase,
  finishRun,
  giveUp,
  type Run,
  receiveText,
  withdrawText,
  withMemory,
} from "./run.js";
import {
  settled,
  type ToolCalls,
  withCall,
  withDecision,
  withProgress,
  withRequest,
  withResult,
} from "./tool-calls.js";

export interface Message {
  readonly id: string;
  readonly role: WireMessage["role"];
  readonly text: string;
  /** As on the wire, or `streaming` while the answer is being written. */
  readonly status: string;
  readonly run?: string;
  /** Who wrote it, as far as the server has said by now. */
  readonly model?: string;
  /** No model was asked, the answer was known; only who saw its run end is told. */
  readonly cached?: boolean;
  readonly sources: readonly SourceItem[];
  /** What tools were asked for, in order. */
  readonly tools: ToolCalls;
  /** What was remembered for it; only who saw it begin is told. */
  readonly memory?: AnswerMemory;
  readonly feedback?: Feedback;
  /** The closing report of the run, when this client saw it. */
  readonly outcome?: RunDoneFrame;
  /** Whether length and checksum were right; unset until that is known. */
  readonly verified?: boolean;
}

/** Who else is here, as far as it was told. */
export interface Presence {
  /** Sockets in the session, this one included. */
  readonly viewers: number;
  /** Somebody writes on another one. */
  readonly typing: boolean;
}

export interface Conversation {
  readonly session: string | null;
  /** The name of who answers in it; `null` while it is not known. */
  readonly assistant: string | null;
  /** Nothing of it is remembered; `null` while that is not known. */
  readonly temporary: boolean | null;
  readonly epoch: string | null;
  /** The epoch of a snapshot that was announced and has not come yet. */
  readonly announcedEpoch: string | null;
  /** The last lifecycle event that was applied. */
  readonly seq: number;
  readonly messages: readonly Message[];
  /** The server has older messages than those in `messages`. */
  readonly older: boolean;
  /** Runs whose text is still being written or checked, by id. */
  readonly runs: ReadonlyMap<string, Run>;
  readonly presence: Presence;
}

const NOBODY_ELSE: Presence = { viewers: 1, typing: false };

export const EMPTY_CONVERSATION: Conversation = {
  session: null,
  assistant: null,
  temporary: null,
  epoch: null,
  announcedEpoch: null,
  seq: 0,
  messages: [],
  older: false,
  runs: new Map(),
  presence: NOBODY_ELSE,
};

/** The next state, and what has to be said to the server because of it. */
export interface Step {
  readonly state: Conversation;
  readonly replies: readonly ClientFrame[];
}

export function applyFrame(state: Conversation, frame: ServerFrame): Step {
  switch (frame.type) {
    case "welcome":
      return welcomed(state, frame);
    case "snapshot":
      return still(replaced(state, frame));
    case "run.phase":
      return onRun(state, frame.run, (run) => ({
        run: enterPhase(run, frame.phase, frame.position),
      }));
    case "tool.progress":
      return onRun(state, frame.run, (run) => ({
        run: { ...enterPhase(run, "tool"), tools: withProgress(run.tools, frame) },
      }));
    case "delta":
      return onRun(state, frame.run, (run) => receiveText(run, frame.off, frame.text));
    case "failover":
      return onRun(state, frame.run, (run) => withdrawText(run, frame.keep, frame.to));
    case "error":
      return onRun(state, syncedRun(frame.re), (run) => ({ run: giveUp(run) }));
    case "presence": {
      const presence = { viewers: frame.viewers, typing: frame.typing === true };
      return still({ ...state, presence });
    }
    case "message":
    case "run.start":
    case "sources":
    case "memory":
    case "tool.call":
    case "tool.result":
    case "approval.request":
    case "approval.resolved":
    case "run.done":
      // An event that was applied already is being repeated.
      return frame.seq <= state.seq ? still(state) : logged({ ...state, seq: frame.seq }, frame);
    default:
      return still(state);
  }
}

/** The run that is being written now; a session has at most one. */
export function liveRun(state: Conversation): Run | null {
  for (const run of state.runs.values()) if (!run.outcome) return run;
  return null;
}

/**
 * The conversation with a page of its history in front. A page that no longer fits is dropped: another
 * session was opened meanwhile, or a snapshot has replaced the messages.
 */
export function withOlder(
  state: Conversation,
  session: string,
  before: string,
  page: HistoryPage,
): Conversation {
  if (state.session !== session || state.messages[0]?.id !== before) return state;
  const messages = [...page.messages.map(fromWire), ...state.messages];
  return { ...state, messages, older: page.more };
}

/** The conversation with what the user thinks of an answer. */
export function withFeedback(state: Conversation, id: string, feedback: Feedback): Conversation {
  const messages = state.messages.map((message) =>
    message.id === id ? { ...message, feedback } : message,
  );
  return { ...state, messages };
}

/** Without a socket nothing is known of others, and a new socket is told only of others. */
export function withoutPresence(state: Conversation): Conversation {
  return state.presence === NOBODY_ELSE ? state : { ...state, presence: NOBODY_ELSE };
}

/** The question that an answer belongs to; without an answer's id, that of the last one. */
export function questionOf({ messages }: Conversation, answer?: string): string | null {
  const isAnswer = ({ id, role }: Message): boolean =>
    answer === undefined ? role === "assistant" : id === answer;
  const before = messages.slice(0, Math.max(0, messages.findLastIndex(isAnswer)));
  return before.findLast(({ role }) => role === "user")?.id ?? null;
}

/** Where to continue after a lost connection; `null` when only a snapshot will do. */
export function cursorOf(state: Conversation): string | null {
  if (state.epoch === null) return null;
  const live = liveRun(state);
  const run = live ? { id: live.id, off: live.held.text.length } : undefined;
  return formatCursor({ epoch: state.epoch, seq: state.seq, ...(run && { run }) });
}

function still(state: Conversation): Step {
  return { state, replies: [] };
}

function welcomed(state: Conversation, frame: WelcomeFrame): Step {
  const { session, epoch, seq, assistant = null, temporary = null } = frame;
  const about = { session, assistant, temporary };
  if (frame.recovered === "new") {
    return still({ ...EMPTY_CONVERSATION, ...about, epoch, seq });
  }
  if (frame.recovered === "snapshot") {
    // Without an epoch there is no cursor: should the socket break before the snapshot is here, the
    // next attempt asks for a snapshot again instead of mixing two logs.
    return still({ ...state, ...about, epoch: null, announcedEpoch: epoch });
  }
  let step = still({ ...state, ...about, epoch });
  for (const run of state.runs.values()) {
    const next = onRun(step.state, run.id, askAgain);
    step = { state: next.state, replies: [...step.replies, ...next.replies] };
  }
  return step;
}

function replaced(state: Conversation, frame: SnapshotFrame): Conversation {
  let messages: readonly Message[] = frame.messages.map(fromWire);
  const runs = new Map<string, Run>();
  for (const live of frame.runs) {
    const run = runOfSnapshot(live);
    runs.set(run.id, run);
    messages = withAnswer(messages, run);
  }
  const epoch = state.announcedEpoch ?? state.epoch;
  const older = frame.more !== undefined;
  return { ...state, epoch, announcedEpoch: null, seq: frame.seq, messages, older, runs };
}

function runOfSnapshot(live: SnapshotRun): Run {
  const { run, message, model, phase = "streaming", position } = live;
  const begun = enterPhase(beginRun(run, message, model), phase, position);
  const { sources = [], tools = [], text, progress } = live;
  const told = progress ? withProgress(tools, { type: "tool.progress", run, ...progress }) : tools;
  return { ...begun, sources, tools: told, held: fromStart(text) };
}

type LoggedFrame = Extract<
  ServerFrame,
  {
    type:
      | "message"
      | "run.start"
      | "sources"
      | "memory"
      | "tool.call"
      | "tool.result"
      | "approval.request"
      | "approval.resolved"
      | "run.done";
  }
>;

function logged(state: Conversation, frame: LoggedFrame): Step {
  switch (frame.type) {
    case "message": {
      const { id, replaces } = frame.message;
      const { state: rest, replies } = makeRoom(state, id, replaces);
      return { state: { ...rest, messages: upsert(rest, frame.message) }, replies };
    }
    case "run.start": {
      const { state: rest, replies } = makeRoom(state, frame.message, frame.replaces);
      const run = beginRun(frame.run, frame.message, frame.model);
      const runs = new Map(rest.runs).set(run.id, run);
      const messages = withAnswer(rest.messages, run, frame.for);
      return { state: { ...rest, runs, messages }, replies };
    }
    case "sources":
      return onRun(state, frame.run, (run) => ({ run: { ...run, sources: frame.items } }));
    case "memory":
      return onRun(state, frame.run, (run) => ({ run: withMemory(run, frame) }));
    case "tool.call":
      return onRun(state, frame.run, (run) => ({
        run: { ...run, tools: withCall(run.tools, frame) },
      }));
    case "tool.result":
      return onRun(state, frame.run, (run) => ({
        run: { ...run, tools: withResult(run.tools, frame) },
      }));
    case "approval.request":
      return onRun(state, frame.run, (run) => ({
        run: { ...run, tools: withRequest(run.tools, frame) },
      }));
    case "approval.resolved":
      return still(decided(state, frame));
    case "run.done":
      return onRun(state, frame.run, (run) => finishRun(run, frame));
  }
}

/** The answer that waited is over by then, but its text may still be being checked, by its run. */
function decided(state: Conversation, frame: ApprovalResolvedFrame): Conversation {
  const change = <Of extends Message | Run>(one: Of): Of => {
    const tools = withDecision(one.tools, frame);
    return tools === one.tools ? one : { ...one, tools };
  };
  const messages = state.messages.map((one) => (one.id === frame.message ? change(one) : one));
  const runs = new Map(
    [...state.runs].map(([id, run]) => [id, run.message === frame.message ? change(run) : run]),
  );
  return { ...state, messages, runs };
}

/** Drops what message `id` takes the place of, and everything after it. */
function makeRoom(state: Conversation, id: string, replaced: string | undefined): Step {
  const known = state.messages.some((message) => message.id === id);
  if (replaced === undefined || known) return still(state);
  const at = state.messages.findIndex((message) => message.id === replaced);
  // It lies before all that was loaded: nothing of that is left, so begin with a snapshot again.
  if (at < 0) return { state, replies: state.older ? [{ type: "hello" }] : [] };
  const dropped = new Set(state.messages.slice(at).map((message) => message.id));
  const runs = [...state.runs].filter(([, { message }]) => !dropped.has(message));
  return still({ ...state, messages: state.messages.slice(0, at), runs: new Map(runs) });
}

/** Changes one run, carries the change over to its message, and forgets the run once it is settled. */
function onRun(
  state: Conversation,
  id: string | null,
  change: (run: Run) => { run: Run; reply?: ClientFrame },
): Step {
  const before = id === null ? undefined : state.runs.get(id);
  if (!before) return still(state);
  const { run, reply } = change(before);
  const replies = reply ? [reply] : [];
  if (run === before) return { state, replies };
  const runs = new Map(state.runs).set(run.id, run);
  if (run.verified !== undefined) runs.delete(run.id);
  return { state: { ...state, runs, messages: withAnswer(state.messages, run) }, replies };
}

/** The messages with the answer of `run` as the run now has it; put after its question when new. */
function withAnswer(messages: readonly Message[], run: Run, question?: string): readonly Message[] {
  const at = messages.findLastIndex((message) => message.id === run.message);
  const old = messages[at];
  const memory = run.memory ?? old?.memory;
  const answer: Message = {
    id: run.message,
    role: "assistant",
    text: run.held.text,
    status: run.outcome?.status ?? "streaming",
    run: run.id,
    sources: run.sources.length > 0 ? run.sources : (old?.sources ?? []),
    tools: run.tools,
    ...(memory !== undefined && { memory }),
    ...(run.model !== undefined && { model: run.model }),
    ...(run.outcome?.cached && { cached: true }),
    ...(old?.feedback && { feedback: old.feedback }),
    ...(run.outcome && { outcome: run.outcome }),
    ...(run.verified !== undefined && { verified: run.verified }),
  };
  if (old) return messages.with(at, answer);
  return messages.toSpliced(placeOfAnswer(messages, run.id, question), 0, answer);
}

/** Behind its question and earlier answers to it; further questions may wait in the queue after it. */
function placeOfAnswer(messages: readonly Message[], run: string, question?: string): number {
  const asked = messages.findLastIndex(({ id, run: by }) => id === question || by === run);
  if (asked < 0) return messages.length;
  const next = messages.findIndex(({ role }, at) => at > asked && role !== "assistant");
  return next < 0 ? messages.length : next;
}

/** A message that is known already is replaced, so that a repeated frame never doubles it. */
function upsert(state: Conversation, wire: WireMessage): readonly Message[] {
  const { messages, runs } = state;
  const old = messages.find((message) => message.id === wire.id);
  if (!old) return [...messages, fromWire(wire)];
  // The text of an answer that is being written belongs to its run, which checks it.
  if (old.run !== undefined && runs.get(old.run)?.message === old.id) return messages;
  const fresh = fromWire(wire);
  const sources = fresh.sources.length > 0 ? fresh.sources : old.sources;
  const tools = fresh.tools.length > 0 ? fresh.tools : old.tools;
  const merged = { ...old, ...fresh, sources, tools };
  return messages.map((message) => (message === old ? merged : message));
}

function fromWire(wire: WireMessage): Message {
  return {
    id: wire.id,
    role: wire.role,
    text: wire.text,
    status: wire.status,
    sources: wire.sources ?? [],
    tools: settled(wire.tools ?? []),
    ...(wire.run !== undefined && { run: wire.run }),
    ...(wire.model !== undefined && { model: wire.model }),
    ...(wire.feedback && { feedback: wire.feedback }),
  };
}

/** `sync` frames carry the run in their id, so that a refusal finds its way back. */
function syncedRun(re: string | undefined): string | null {
  return re?.startsWith("sync:") ? re.slice("sync:".length) : null;
}
