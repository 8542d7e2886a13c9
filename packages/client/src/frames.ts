/**
 * The frames of `chat.v1`, as they stand on the wire.
 *
 * Fields the page does not read are left out on purpose: both sides ignore what they do not know, so
 * these types say what this client relies on, not everything that a server may send.
 */
import type { MemoryFrame } from "./memory-frames.js";
import type {
  ApprovalRequestFrame,
  ApprovalResolvedFrame,
  ApproveFrame,
  ToolCall,
  ToolCallFrame,
  ToolProgress,
  ToolProgressFrame,
  ToolResultFrame,
} from "./tool-frames.js";

export type * from "./memory-frames.js";
export type * from "./tool-frames.js";

export type RunStatus =
  | "complete"
  | "stopped"
  | "length"
  | "filtered"
  | "incomplete"
  | "error"
  | "interrupted"
  | "awaiting_approval";

export type RunPhase = "queued" | "retrieving" | "waiting" | "thinking" | "streaming" | "tool";

/** What to do with a message that arrives while an answer is still being written. */
export type SendMode = "reject" | "queue" | "replace";

/** A passage the model was shown. `n` is the number that the answer cites as `[n]`. */
export interface SourceItem {
  n: number;
  document: string;
  /** The passage's number in its document. Answers of older gateways do not have it. */
  chunk?: number;
  title: string;
  uri?: string;
  page?: number;
  /** The page that it ends on, when that is another. */
  page_end?: number;
  /** Its sheet, slide, chapter or rows, in words. */
  place?: string;
  heading?: string;
  score: number;
  snippet: string;
}

/** Where in the answer a source is cited; offsets are UTF-16 code units. */
export interface Citation {
  n: number;
  start: number;
  end: number;
}

export interface Timing {
  queue_ms?: number;
  retrieval_ms?: number;
  ttft_ms?: number;
  total_ms?: number;
}

export interface Usage {
  input: number;
  output: number;
  estimated?: boolean;
}

/** What a reader thought of an answer. */
export interface Feedback {
  value: 1 | -1;
  comment?: string;
}

export interface WireMessage {
  id: string;
  role: "user" | "assistant" | "system";
  text: string;
  status: string;
  run?: string;
  model?: string;
  citations?: Citation[];
  sources?: SourceItem[];
  tools?: ToolCall[];
  /** The message that this one took the place of, with all that came after it. */
  replaces?: string;
  feedback?: Feedback;
  created_at?: string | number;
}

export interface WelcomeFrame {
  type: "welcome";
  protocol: string;
  session: string;
  epoch: string;
  seq: number;
  recovered: "new" | "full" | "snapshot";
  /** The name of who answers. Older gateways do not say it. */
  assistant?: string;
  /** Nothing of it is remembered. Not every gateway says it. */
  temporary?: boolean;
  heartbeat_s?: number;
  limits?: { frame_bytes?: number; text_chars?: number };
}

export interface AckFrame {
  type: "ack";
  re?: string;
  message?: string;
  run?: string;
  duplicate?: boolean;
  queued?: boolean;
}

export interface MessageFrame {
  type: "message";
  seq: number;
  message: WireMessage;
}

export interface RunStartFrame {
  type: "run.start";
  seq: number;
  run: string;
  message: string;
  for?: string;
  /** The answer that this one takes the place of, with all that came after it. */
  replaces?: string;
  model?: string;
}

export interface RunPhaseFrame {
  type: "run.phase";
  run: string;
  phase: RunPhase;
  /** With `queued`: the place in line, from 1. */
  position?: number;
}

export interface SourcesFrame {
  type: "sources";
  seq: number;
  run: string;
  items: SourceItem[];
}

export interface DeltaFrame {
  type: "delta";
  run: string;
  off: number;
  text: string;
}

export interface FailoverFrame {
  type: "failover";
  run: string;
  keep: number;
  from?: string;
  to?: string;
  reason?: string;
}

export interface RunDoneFrame {
  type: "run.done";
  seq: number;
  run: string;
  message: string;
  status: RunStatus;
  len: number;
  crc32: string;
  /** Who wrote the text in the end; may be another one than `run.start` said. */
  model?: string;
  /** No model was asked: the same question had this answer already. */
  cached?: boolean;
  citations?: Citation[];
  usage?: Usage;
  timing?: Timing;
  error?: { code?: string; message?: string } | string;
}

/** An answer that is being written, as far as it is. */
export interface SnapshotRun {
  run: string;
  message: string;
  model?: string;
  sources?: SourceItem[];
  tools?: ToolCall[];
  off: number;
  text: string;
  phase?: RunPhase;
  position?: number;
  progress?: ToolProgress & { call: string };
}

export interface SnapshotFrame {
  type: "snapshot";
  seq: number;
  messages: WireMessage[];
  runs: SnapshotRun[];
  /** The id of the first of `messages`, when the server has older ones. */
  more?: string;
}

export interface PresenceFrame {
  type: "presence";
  /** The sockets that are in this session now, this one included. */
  viewers: number;
  /** Somebody writes on another of them. */
  typing?: boolean;
}

export interface ErrorFrame {
  type: "error";
  re?: string;
  code: string;
  message: string;
  retryable?: boolean;
  /** Before this time the same request is refused again. */
  retry_in_ms?: number;
}

export interface PingFrame {
  type: "ping" | "pong";
  t?: unknown;
}

export interface GoawayFrame {
  type: "goaway";
  reason: string;
  retry_in_ms?: number;
  deadline_ms?: number;
}

export type ServerFrame =
  | WelcomeFrame
  | AckFrame
  | MessageFrame
  | RunStartFrame
  | RunPhaseFrame
  | SourcesFrame
  | MemoryFrame
  | ToolCallFrame
  | ToolResultFrame
  | ToolProgressFrame
  | ApprovalRequestFrame
  | ApprovalResolvedFrame
  | DeltaFrame
  | FailoverFrame
  | RunDoneFrame
  | SnapshotFrame
  | PresenceFrame
  | ErrorFrame
  | PingFrame
  | GoawayFrame;

export interface SendFrame {
  type: "send";
  id: string;
  text: string;
  mode?: SendMode;
}

/** Its `id` becomes that of the message that takes the place of `message`. */
export interface EditFrame {
  type: "edit";
  id: string;
  message: string;
  text: string;
}

/** Its `id` becomes that of the new answer. Without `message` it means the last answer. */
export interface RegenerateFrame {
  type: "regenerate";
  id: string;
  message?: string;
}

export interface FeedbackFrame extends Feedback {
  type: "feedback";
  id: string;
  message: string;
}

/** `for` names the question, where the run that answers it is not known yet. */
export interface StopFrame {
  type: "stop";
  id: string;
  run?: string;
  for?: string;
}

/** The frames that are sent until the server has answered them. */
export type RequestFrame =
  | SendFrame
  | EditFrame
  | RegenerateFrame
  | FeedbackFrame
  | StopFrame
  | ApproveFrame;

export type ClientFrame =
  | RequestFrame
  | { type: "hello"; token?: string; resume?: string }
  | { type: "auth"; id: string; token: string }
  | { type: "sync"; id: string; run: string; off: number }
  | { type: "view"; hidden: boolean }
  | { type: "typing"; on: boolean }
  | { type: "ping" | "pong"; t?: unknown };

/** A page of the history, as `GET /api/v1/sessions/{id}?before=…` gives it; the oldest message first. */
export interface HistoryPage {
  messages: WireMessage[];
  more: boolean;
}

/** One that may be asked, as `GET /api/v1/assistants` lists it. All of its texts are plain text. */
export interface Assistant {
  name: string;
  /** Its name for people. */
  title: string;
  description?: string;
  /** What it says first. It is no message of a conversation. */
  greeting?: string;
  /** Questions that one might begin with. */
  suggestions: string[];
  /** The languages that it is meant for; none: whatever it is asked in. */
  languages: string[];
  /** Of these the one in which it introduces itself here, where that differs. */
  language?: string;
  /** What it can do besides. Older gateways do not say it. */
  tools?: { name: string; title: string }[];
  /** What may be brought to it: `datasets`. */
  uploads?: string[];
  /** Whether it remembers its users in later conversations. */
  memory?: boolean;
  /** Differs when the assistant does. */
  version: string;
  /** Whether it answers those who ask for nobody in particular. */
  default: boolean;
}

/**
 * Reads one text frame. Whatever is no JSON object with a string `type` gives `null`: a client that
 * stops over one odd frame would lose an answer for nothing.
 */
export function readFrame(data: string): ServerFrame | null {
  try {
    const frame: unknown = JSON.parse(data);
    const typed = typeof frame === "object" && frame !== null && "type" in frame;
    return typed && typeof frame.type === "string" ? (frame as ServerFrame) : null;
  } catch {
    return null;
  }
}
