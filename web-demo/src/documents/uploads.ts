/**
 * Files on their way: a line of them, few at a time. What is cut off is sent again, as a whole, a few times; what the
 * gateway refuses is kept with its reason until somebody has read it.
 */
import { newMessageId } from "@rivulet/client";
import { Problem, problemText } from "./problem";
import type { Upload } from "./upload";
import type { Accepted } from "./wire";

export type TransferState =
  | { readonly name: "waiting" }
  | { readonly name: "sending"; readonly sent: number }
  /** It is sent again in a moment. */
  | { readonly name: "again"; readonly reason: string }
  /** The same content was there already. */
  | { readonly name: "unchanged" }
  /** `mendable`: to try again may help. */
  | { readonly name: "failed"; readonly reason: string; readonly mendable: boolean };

export interface Transfer extends Upload {
  /** As it is called in front of people: its name, or its path below the folder that was given. */
  readonly name: string;
  state: TransferState;
}

export interface NewTransfer {
  file: File;
  /** Its path below the folder that was given. */
  path?: string | undefined;
  document?: string | undefined;
}

export type Send = (
  upload: Upload,
  progress: (sent: number) => void,
  signal: AbortSignal,
) => Promise<Accepted>;

interface Events {
  changed(): void;
  accepted(transfer: Transfer, accepted: Accepted): void;
  /** It will not become a document, unless somebody tries again. */
  refused(transfer: Transfer): void;
}

/** A browser has few connections to one host, and the disk of the gateway is one. */
const AT_ONCE = 2;
/** The most files in the line. */
export const MAX_WAITING = 2_000;
/** So often a file is sent again by itself. */
const ATTEMPTS = 4;
const REST_MS = 2_000;
/** Statuses that say that the file itself will not do. */
const FAULTS_OF_FILES: readonly number[] = [400, 413, 415];
const LONGEST_REST_MS = 60_000;

export class Uploads {
  readonly #send: Send;
  readonly #events: Events;
  #transfers: Transfer[] = [];
  readonly #active = new Map<Transfer, AbortController>();
  readonly #attempts = new Map<Transfer, number>();
  readonly #timers = new Map<Transfer, ReturnType<typeof setTimeout>>();

  constructor(send: Send, events: Events) {
    this.#send = send;
    this.#events = events;
  }

  get list(): readonly Transfer[] {
    return this.#transfers;
  }

  /** Whether something is still to be sent. */
  get busy(): boolean {
    return this.#transfers.some(({ state }) => isUnderWay(state));
  }

  /** Says how many of them were taken. */
  add(files: readonly NewTransfer[], collection: string): number {
    const taken = files.slice(0, Math.max(0, MAX_WAITING - this.#transfers.length));
    this.#transfers.push(
      ...taken.map(({ file, path, document }) => ({
        file,
        collection,
        key: path,
        document,
        id: newMessageId(),
        name: path ?? file.name,
        state: { name: "waiting" } as const,
      })),
    );
    this.#next();
    this.#events.changed();
    return taken.length;
  }

  /** Takes it away, wherever it is. What the gateway has acknowledged is a document, and no transfer any more. */
  drop(transfer: Transfer): void {
    this.#transfers = this.#transfers.filter((other) => other !== transfer);
    this.#active.get(transfer)?.abort();
    this.#calm(transfer);
    this.#attempts.delete(transfer);
    this.#events.changed();
  }

  /** Takes away what needs no more than to be read. */
  dropEnded(): void {
    for (const transfer of this.#transfers.filter(({ state }) => !isUnderWay(state)))
      this.drop(transfer);
  }

  retry(transfer: Transfer): void {
    this.#attempts.delete(transfer);
    this.#again(transfer);
  }

  /** The gateway can be reached again: what was cut off need not wait. */
  wake(): void {
    for (const transfer of [...this.#timers.keys()]) this.#again(transfer);
  }

  #again(transfer: Transfer): void {
    this.#calm(transfer);
    transfer.state = { name: "waiting" };
    this.#next();
    this.#events.changed();
  }

  #calm(transfer: Transfer): void {
    clearTimeout(this.#timers.get(transfer));
    this.#timers.delete(transfer);
  }

  #next(): void {
    for (const transfer of this.#transfers) {
      if (this.#active.size >= AT_ONCE) return;
      if (transfer.state.name === "waiting") void this.#begin(transfer);
    }
  }

  async #begin(transfer: Transfer): Promise<void> {
    const ended = new AbortController();
    this.#active.set(transfer, ended);
    transfer.state = { name: "sending", sent: 0 };
    const progress = (sent: number): void => {
      transfer.state = { name: "sending", sent };
      this.#events.changed();
    };
    try {
      this.#arrived(transfer, await this.#send(transfer, progress, ended.signal));
    } catch (error) {
      // One that was dropped is nobody's any more.
      if (!ended.signal.aborted) this.#failed(transfer, error);
    }
    this.#active.delete(transfer);
    this.#next();
    this.#events.changed();
  }

  #arrived(transfer: Transfer, accepted: Accepted): void {
    this.#attempts.delete(transfer);
    if (accepted.unchanged) transfer.state = { name: "unchanged" };
    else this.#transfers = this.#transfers.filter((other) => other !== transfer);
    this.#events.accepted(transfer, accepted);
  }

  #failed(transfer: Transfer, error: unknown): void {
    const reason = problemText(error);
    const passing = error instanceof Problem && isPassing(error);
    const attempts = (this.#attempts.get(transfer) ?? 0) + 1;
    this.#attempts.set(transfer, attempts);
    if (!passing || attempts >= ATTEMPTS) {
      const mendable = !(error instanceof Problem) || !FAULTS_OF_FILES.includes(error.status);
      transfer.state = { name: "failed", reason, mendable };
      this.#events.refused(transfer);
      return;
    }
    transfer.state = { name: "again", reason };
    const rest = (error.retryMs ?? 0) || REST_MS * 2 ** (attempts - 1);
    this.#timers.set(
      transfer,
      setTimeout(() => this.#again(transfer), Math.min(rest, LONGEST_REST_MS)),
    );
  }
}

export const isUnderWay = ({ name }: TransferState): boolean =>
  name !== "failed" && name !== "unchanged";

/** No answer, too slow, or no room for the moment. A bound of documents does not pass by itself. */
function isPassing({ status, code }: Problem): boolean {
  return status === 0 || status === 408 || code === "busy" || code === "rate_limited";
}
