/** One chat of the AI SDK: the client of its conversation, and the streams that follow its answers. */
import {
  answersTo,
  type Conversation,
  liveRun,
  type Message,
  RivuletClient,
  RivuletError,
  type RivuletOptions,
} from "@rivulet/client";
import type { UIMessage, UIMessageChunk } from "ai";
import { Chunks } from "./chunks.js";

/** What a stream follows: the answer with this id, or the `nth` to the question with it. */
interface Followed {
  id: string;
  nth: number;
  /** The view's message that goes on, and the answer of it whose calls have waited. */
  goesOn?: { id: string; answer: string };
}

/** A view that is gone may come back: it was only mounted anew. */
const COMES_BACK_WITHIN_MS = 1_000;

export class Chat {
  readonly client: RivuletClient;
  readonly #stops: boolean;
  #streams = 0;
  #stop: ReturnType<typeof setTimeout> | undefined;
  /** Under which id the gateway has what the view has under another: edited questions, and answers that went on. */
  readonly #known = new Map<string, string>();

  constructor(options: RivuletOptions, stops: boolean) {
    this.client = new RivuletClient(options);
    this.#stops = stops;
  }

  get inUse(): boolean {
    return this.#streams > 0 || this.#stop !== undefined;
  }

  connect(): void {
    if (this.client.state.name === "idle" || this.client.state.name === "closed")
      this.client.connect();
  }

  close(): void {
    clearTimeout(this.#stop);
    this.#stop = undefined;
    this.client.close();
  }

  /** Asks, or asks anew where the view has replaced an own message. */
  ask(message: UIMessage, replaces: boolean): Followed {
    const text = textOf(message);
    const old = this.#known.get(message.id) ?? message.id;
    const busy = this.#endWhatIsUnwanted();
    if (replaces) {
      const id = this.client.edit(old, text);
      this.#known.set(message.id, id);
      return { id, nth: 0 };
    }
    const id = message.id.length <= 64 ? { id: message.id } : {};
    const sent = this.client.send(text, { ...id, ...(busy && { mode: "queue" as const }) });
    this.#known.set(message.id, sent);
    return { id: sent, nth: 0 };
  }

  /** Has an answer written anew; a question that the gateway does not have is asked for the first time. */
  again(question: UIMessage, answer: string | undefined): Followed {
    const { conversation } = this.client;
    const asked = this.#known.get(question.id) ?? question.id;
    const answers = answersTo(conversation, asked);
    if (!conversation.messages.some(({ id }) => id === asked)) return this.ask(question, false);
    const wanted = answer === undefined ? undefined : (this.#known.get(answer) ?? answer);
    const old = answers.find(({ id }) => id === wanted) ?? answers.at(-1);
    return { id: this.client.regenerate(old?.id), nth: 0 };
  }

  /** Says what the view's message has decided of the calls that wait. */
  decide(message: UIMessage): Followed {
    const { conversation } = this.client;
    const id = this.#known.get(message.id) ?? message.id;
    const answer = conversation.messages.find((one) => one.id === id);
    if (!answer) throw notThere();
    let said = false;
    for (const part of message.parts) {
      if (!("approval" in part) || part.state !== "approval-responded") continue;
      const { id, approved, reason } = part.approval;
      const waits = answer.tools.find(
        (call) => call.approval?.id === id && call.status === "waiting",
      );
      if (!waits?.approval) continue;
      this.client.decide(waits.approval, approved ? "approved" : "denied", reason);
      said = true;
    }
    const question = questionBefore(conversation, answer);
    const answers = answersTo(conversation, question);
    const nth = answers.findIndex((one) => one.id === id) + 1;
    // Nothing waits any more, and nothing came of it: another view has asked on instead.
    if (!said && !answers[nth]) throw notThere();
    return { id: question, nth, goesOn: { id: message.id, answer: id } };
  }

  /** What is being written now, if anything is. */
  running(): Followed | null {
    const run = liveRun(this.client.conversation);
    if (run) return { id: run.message, nth: 0 };
    const asked = this.client.outgoing.findLast(({ frame: { type } }) =>
      ["send", "edit", "regenerate"].includes(type),
    );
    return asked ? { id: asked.frame.id, nth: 0 } : null;
  }

  /** Resolves when the conversation is there as the gateway has it. */
  async ready(signal: AbortSignal | undefined): Promise<void> {
    this.connect();
    await new Promise<void>((resolve, reject) => {
      const end = (settle: () => void): void => {
        for (const off of offs) off();
        signal?.removeEventListener("abort", abort);
        settle();
      };
      const look = (): void => {
        const { conversation, state } = this.client;
        if (state.name === "closed") end(() => reject(closed(state.why)));
        else if (state.name === "connected" && conversation.epoch !== null) end(resolve);
      };
      const abort = (): void => end(() => reject(new DOMException("Aborted", "AbortError")));
      const offs = [this.client.on("change", look), this.client.on("state", look)];
      signal?.addEventListener("abort", abort);
      if (signal?.aborted) abort();
      else look();
    });
  }

  /** The chunks of an answer from its beginning, as far as it is, to its end. */
  follow(followed: Followed, signal: AbortSignal | undefined): ReadableStream<UIMessageChunk> {
    let end: () => void = () => {};
    clearTimeout(this.#stop);
    this.#stop = undefined;
    this.#streams++;
    return new ReadableStream<UIMessageChunk>({
      start: (controller) => {
        const { client } = this;
        const { id, nth, goesOn } = followed;
        const chunks = new Chunks((chunk) => controller.enqueue(chunk), goesOn?.id);
        const done = (settle: () => void): void => {
          end();
          settle();
        };
        const look = (): void => {
          const { conversation, state } = client;
          const own = conversation.messages.find((message) => message.id === id);
          const before = conversation.messages.find((message) => message.id === goesOn?.answer);
          if (before?.tools.every(({ status }) => status !== "waiting")) chunks.decided(before);
          const answer = own?.role === "assistant" ? own : answersTo(conversation, id)[nth];
          if (answer && this.#show(conversation, answer, chunks, goesOn?.id))
            done(() => controller.close());
          else if (state.name === "closed") done(() => controller.error(closed(state.why)));
          else if (!answer && this.#isWithdrawn(id, own)) done(() => controller.error(notThere()));
        };
        const abort = (): void =>
          done(() => {
            controller.close();
            this.#left();
          });
        const offs = [
          client.on("change", look),
          client.on("state", look),
          client.on("refused", ({ error, frame }) => {
            if (frame.id === id || frame.type === "approve")
              done(() => controller.error(new RivuletError(error)));
          }),
        ];
        signal?.addEventListener("abort", abort);
        end = () => {
          end = () => {};
          this.#streams--;
          for (const off of offs) off();
          signal?.removeEventListener("abort", abort);
        };
        this.connect();
        if (signal?.aborted) abort();
        else look();
      },
      cancel: () => end(),
    });
  }

  /** Says what is new of the answer, and returns whether it has ended. */
  #show(
    conversation: Conversation,
    answer: Message,
    chunks: Chunks,
    view: string | undefined,
  ): boolean {
    const run = answer.run === undefined ? undefined : conversation.runs.get(answer.run);
    if (view !== undefined) this.#known.set(view, answer.id);
    chunks.show(answer);
    if (run && !run.outcome) chunks.phase(run.phase, run.position);
    if (run || answer.status === "streaming") return false;
    chunks.end(answer);
    return true;
  }

  #isWithdrawn(id: string, own: Message | undefined): boolean {
    const { conversation, outgoing } = this.client;
    return conversation.epoch !== null && !own && !outgoing.some(({ frame }) => frame.id === id);
  }

  /** Nobody listens any more. That is a wish to stop, unless the view is back in a moment. */
  #left(): void {
    if (!this.#stops || this.#streams > 0) return;
    clearTimeout(this.#stop);
    this.#stop = setTimeout(() => {
      this.#stop = undefined;
      this.client.stop();
    }, COMES_BACK_WITHIN_MS);
  }

  /** Says whether something was being written that nobody wanted any more. */
  #endWhatIsUnwanted(): boolean {
    if (this.#stop === undefined) return false;
    clearTimeout(this.#stop);
    this.#stop = undefined;
    this.client.stop();
    return true;
  }
}

function questionBefore({ messages }: Conversation, answer: Message): string {
  const before = messages.slice(0, messages.indexOf(answer));
  return before.findLast(({ role }) => role === "user")?.id ?? answer.id;
}

function textOf({ parts }: UIMessage): string {
  if (parts.some(({ type }) => type === "file"))
    throw new Error("Rivulet takes no files in messages");
  return parts.map((part) => (part.type === "text" ? part.text : "")).join("");
}

function closed(why: string): RivuletError {
  return new RivuletError({ code: "closed", message: why });
}

function notThere(): RivuletError {
  return new RivuletError({ code: "gone", message: "The gateway does not have this message" });
}
