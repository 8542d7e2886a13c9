/** The part of `chat.v1` that is about tools, as it stands on the wire: see `frames.ts`. */

/** What somebody may say of a call that waits for a word. */
export type Decision = "approved" | "denied";

/** A call that is only carried out once somebody has approved it, and what became of that. */
export interface Approval {
  id: string;
  /** Of the tool and its arguments, 64 hexadecimal digits: what is decided about is what was seen. */
  digest: string;
  /** `user`, who asked, or `scope:NAME`, whoever has that. */
  approver: string;
  /** RFC 3339. Afterwards nothing can be decided any more. */
  expires_at: string;
  /** Who has decided, where that is told, and what they said. */
  by?: string;
  comment?: string;
}

/** A file that a tool has made; its content is at `artifacts/{artifact}`, for a while. */
export interface Artifact {
  artifact: string;
  /** `file`, `chart` or `table`; later gateways may have others. */
  kind: string;
  /** Plain text. */
  title: string;
  media: string;
  bytes: number;
}

/** What an answer has asked a tool for, and what came of it. Titles and summaries are plain text. */
export interface ToolCall {
  call: string;
  /** The tool's name. */
  tool: string;
  /** Its name for people. */
  title: string;
  /** Any JSON, and so is `data`. */
  args?: unknown;
  /** Where in the answer's text it was made, in UTF-16 code units. */
  off: number;
  /**
   * `running`, then `ok`, `error`, `invalid`, `timeout` or `cancelled`; or else `waiting` for an approval, then
   * `approved`, `denied` or `superseded`. Later gateways may have others.
   */
  status: string;
  /** How long it took; 0 as long as that is not known. */
  ms?: number;
  /** What came of it, in a line. */
  summary?: string;
  data?: unknown;
  approval?: Approval;
  artifacts?: Artifact[];
  /** How far it is while it is `running`, where the tool says so. */
  progress?: ToolProgress;
}

/** One of them at least. */
export interface ToolProgress {
  /** How much of it is done, from 0 to 1. */
  progress?: number;
  /** What is done now: plain text. */
  message?: string;
}

/** Only the newest is told, and some may be missed. */
export interface ToolProgressFrame extends ToolProgress {
  type: "tool.progress";
  run: string;
  call: string;
}

type OfResult = "status" | "ms" | "summary" | "data" | "artifacts";

export interface ToolCallFrame extends Omit<ToolCall, OfResult | "approval" | "progress"> {
  type: "tool.call";
  seq: number;
  run: string;
}

export interface ToolResultFrame extends Pick<ToolCall, "call" | OfResult> {
  type: "tool.result";
  seq: number;
  run: string;
}

/** The call waits: it has no result in this answer, which ends as `awaiting_approval`. */
export interface ApprovalRequestFrame {
  type: "approval.request";
  seq: number;
  run: string;
  call: string;
  approval: Approval;
}

/** What was approved is called again in the next answer to the same question. */
export interface ApprovalResolvedFrame {
  type: "approval.resolved";
  seq: number;
  message: string;
  call: string;
  /** The id of it. */
  approval: string;
  /** `superseded`: something else was asked first. */
  decision: Decision | "superseded";
  by?: string;
  comment?: string;
}

/** `digest`: as it was told, so that nothing else is approved than what was seen. */
export interface ApproveFrame {
  type: "approve";
  id: string;
  approval: string;
  digest: string;
  decision: Decision;
  comment?: string;
}
