/** A document as the gateway tells of it. */
import type { DocumentInfo, Job } from "../src/documents/wire";

export const job = (given: Partial<Job> = {}): Job => ({
  job: "j_1",
  document: "d_1",
  version: 1,
  state: "done",
  stage: "index",
  done: 2,
  total: 2,
  revision: 9,
  ...given,
});

export const document_ = (given: Partial<DocumentInfo> = {}): DocumentInfo => ({
  document: "d_1",
  collection: "default",
  key: "huts.docx",
  title: "Handbook of huts",
  status: "ready",
  indexed_version: 1,
  version: 1,
  name: "huts.docx",
  media_type: "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
  bytes: 2_700,
  chunks: 2,
  warnings: [],
  created_at: "2026-11-26T14:02:11.120Z",
  job: job(),
  ...given,
});
