/** What an assistant remembers of its user, as it stands on the wire: see `frames.ts`. All texts are plain text. */

/** `fact`: holds until another is said. `episode`: what was said in a turn. */
export type MemoryKind = "fact" | "episode";

/** A fact that was found in what the user said, and is kept from now on. */
export interface NotedFact {
  id: string;
  /** In the user's words, cut to 200 characters. */
  text: string;
  /** What it is about, as in `name` or `likes:coffee`. */
  attribute?: string;
  /** The facts in whose place it holds. */
  ended?: string[];
}

/** Something that the model was reminded of for an answer. */
export interface RecalledMemory {
  id: string;
  kind: MemoryKind;
  text: string;
  /** RFC 3339. */
  said_at: string;
  /** The conversation in which it was said; it may be deleted by now. */
  session?: string;
  message?: string;
}

/** What was remembered for an answer. It is not stored with messages: after a reload nobody is told any more. */
export interface AnswerMemory {
  noted?: NotedFact[];
  recalled?: RecalledMemory[];
  /** Memories could not be had: the answer is written without. */
  unavailable?: boolean;
}

export interface MemoryFrame extends AnswerMemory {
  type: "memory";
  seq: number;
  run: string;
}

/** A memory, as `GET /api/v1/memories` lists them. */
export interface MemoryItem {
  id: string;
  /** The assistant that knows it; `*`: all of the user's that share what they know. */
  assistant: string;
  kind: MemoryKind;
  attribute?: string;
  text: string;
  /** `explicit`: the user asked for it; `rule`: found in what was said; `turn`: the turn itself. */
  origin: string;
  session?: string;
  message?: string;
  said_at: string;
  /** Since when something else holds in its place. */
  ended_at?: string;
  /** When it is forgotten by itself. */
  expires_at?: string;
}

/** The newest first. */
export interface MemoryPage {
  memories: MemoryItem[];
  more: boolean;
  /** Whether the user wants to be remembered at all. */
  enabled: boolean;
}
