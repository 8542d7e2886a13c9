/**
 * A cursor says how much of a session's log a client has seen: `epoch:seq`, or `epoch:seq:run:off`
 * in the middle of an answer. The server continues after it.
 */
export interface Cursor {
  epoch: string;
  seq: number;
  run?: { id: string; off: number };
}

export function formatCursor({ epoch, seq, run }: Cursor): string {
  return run ? `${epoch}:${seq}:${run.id}:${run.off}` : `${epoch}:${seq}`;
}
