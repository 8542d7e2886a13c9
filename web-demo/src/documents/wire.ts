/** Documents, collections and the work on them, as the gateway tells of them (docs/http.md). */

export type DocumentStatus = "queued" | "indexing" | "ready" | "failed" | "quarantined";
export type JobState = "queued" | "running" | "done" | "failed" | "cancelled";
export type Stage = "parse" | "chunk" | "embed" | "write" | "index";

export interface Fault {
  code: string;
  detail: string;
}

/** A piece of work. `done` of `total` chunks have their vectors. */
export interface Job {
  job: string;
  document?: string;
  version?: number;
  state: JobState;
  stage?: Stage;
  done: number;
  total: number;
  error?: Fault;
  revision: number;
}

export interface Version {
  version: number;
  name: string;
  media_type: string;
  bytes: number;
  encoding?: string;
  pages?: number;
  chunks?: number;
  /** What is not in the text although it is in the document. */
  warnings: string[];
  /** Why the document is held back, or would have been. */
  flags?: string[];
  created_at: string;
}

/** A document with its newest version. */
export interface DocumentInfo extends Version {
  document: string;
  collection: string;
  key: string;
  title: string;
  status: DocumentStatus;
  error?: Fault;
  /** The version that answers, if there is one. */
  indexed_version: number | null;
  job?: Job;
}

export interface DocumentPage {
  documents: DocumentInfo[];
  /** Whether there are older ones. */
  more: boolean;
}

export interface VersionList {
  indexed_version: number | null;
  versions: Version[];
}

export interface CollectionInfo {
  name: string;
  documents: number;
  deleting: boolean;
}

/** One chunk: where it stands, and the bytes of the document's text that it covers. */
export interface Passage {
  chunk: number;
  page?: number;
  page_end?: number;
  place?: string;
  heading?: string;
  start: number;
  end: number;
  text: string;
  version: number;
}

/** What a document that was sent has become. */
export interface Accepted {
  document: string;
  version: number;
  job?: string;
  /** The same content was there already. */
  unchanged?: boolean;
}

/** The collection that answers are made from. */
export const DEFAULT_COLLECTION = "default";

/** Whether it is another's, to be read: `TENANT/NAME`, while names of one's own have no slash. */
export const isShared = (collection: string): boolean => collection.includes("/");

export const isOver = ({ state }: Job): boolean =>
  state === "done" || state === "failed" || state === "cancelled";
