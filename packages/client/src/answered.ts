/** What came of a request, for programs that want one answer rather than a view that follows all. */
import type { RivuletClient } from "./client.js";
import type { Conversation, Message } from "./conversation.js";
import type { ErrorFrame } from "./frames.js";

/** A request of which there will be no answer. */
export class RivuletError extends Error {
  /** As in the protocol's error frames; `closed` when the connection has ended for good, `gone` when it was withdrawn. */
  readonly code: string;
  /** The same may be asked again. */
  readonly retryable: boolean;
  /** Not before so many milliseconds. */
  readonly retryInMs: number | undefined;

  constructor({ code, message, retryable = false, retry_in_ms }: Omit<ErrorFrame, "type" | "re">) {
    super(message);
    this.name = "RivuletError";
    this.code = code;
    this.retryable = retryable;
    this.retryInMs = retry_in_ms;
  }
}

/** The answers to a question, in order: more than one where a tool had to be approved between them. */
export function answersTo({ messages }: Conversation, question: string): readonly Message[] {
  const first = messages.findIndex(({ id }) => id === question) + 1;
  if (first === 0) return [];
  const next = messages.findIndex(({ role }, at) => at >= first && role !== "assistant");
  return messages.slice(first, next < 0 ? undefined : next);
}

/**
 * The answer to what `send` or `edit` gave the id of, or the one that `regenerate` gave it of, once it is over and its text is
 * checked; its `status` says how it ended. Over however many sockets that takes. Rejects with a `RivuletError`, or with
 * the signal's reason; the request itself goes on then.
 */
export function answered(
  client: RivuletClient,
  id: string,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<Message> {
  return new Promise((resolve, reject) => {
    const offs: (() => void)[] = [];
    const end = (settle: () => void): void => {
      for (const off of offs) off();
      settle();
    };
    const fail = (code: string, message: string): void =>
      end(() => reject(new RivuletError({ code, message })));
    const look = (): void => {
      const { conversation, outgoing, state } = client;
      const own = conversation.messages.find((message) => message.id === id);
      const answer = own?.role === "assistant" ? own : answersTo(conversation, id).at(-1);
      if (answer && isOver(conversation, answer)) end(() => resolve(answer));
      else if (state.name === "closed") fail("closed", state.why);
      // Another one has taken its place, or the conversation was left.
      else if (
        conversation.epoch !== null &&
        !own &&
        !outgoing.some(({ frame }) => frame.id === id)
      )
        fail("gone", "This was withdrawn");
    };
    const abort = (): void => end(() => reject(signal?.reason));
    signal?.addEventListener("abort", abort);
    offs.push(
      () => signal?.removeEventListener("abort", abort),
      client.on("change", look),
      client.on("state", look),
      client.on("refused", ({ error, frame }) => {
        if (frame.id === id) end(() => reject(new RivuletError(error)));
      }),
    );
    if (signal?.aborted) abort();
    else look();
  });
}

function isOver({ runs }: Conversation, { run, status }: Message): boolean {
  return status !== "streaming" && (run === undefined || !runs.has(run));
}
