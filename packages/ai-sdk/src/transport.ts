/** A `ChatTransport` that speaks `chat.v1`: what `useChat` is given so that it talks to a Rivulet gateway. */
import type { RivuletOptions, SessionStorageLike } from "@rivulet/client";
import type { ChatTransport, UIMessage, UIMessageChunk } from "ai";
import { Chat } from "./chat.js";

export interface RivuletChatTransportOptions extends Omit<RivuletOptions, "session" | "storage"> {
  /** Where it is kept which conversation a chat is. Default: the browser's `localStorage`; without one, in memory. */
  storage?: SessionStorageLike | undefined;
  /**
   * What it means when a view no longer listens, by `stop()` or because it is gone: the answer is stopped, unless the view is
   * back within a second, or it is written to its end. Default: `stop`.
   */
  onAbort?: "stop" | "detach";
}

/** So many conversations are kept open; of the others it is known which they are. */
const MOST_OPEN = 8;

export class RivuletChatTransport<Message extends UIMessage = UIMessage>
  implements ChatTransport<Message>
{
  /** What is given after a reload begins with the answer's beginning. Lost connections need no resuming: no stream ends by them. */
  readonly resumeStreamIsReplay = true;
  readonly #options: RivuletChatTransportOptions;
  readonly #storage: SessionStorageLike;
  /** By the ids of the SDK, the one that was used last at the end. */
  readonly #chats = new Map<string, Chat>();

  constructor(options: RivuletChatTransportOptions) {
    this.#options = options;
    this.#storage = options.storage ?? localStorageOr(inMemory());
  }

  async sendMessages({
    trigger,
    chatId,
    messageId,
    messages,
    abortSignal,
  }: Parameters<ChatTransport<Message>["sendMessages"]>[0]): Promise<
    ReadableStream<UIMessageChunk>
  > {
    const chat = this.#chat(chatId);
    const last = messages.at(-1);
    if (trigger === "submit-message" && last?.role === "user")
      return chat.follow(chat.ask(last, messageId === last.id), abortSignal);
    await chat.ready(abortSignal);
    if (trigger === "submit-message") {
      const decided = messages.find(({ id }) => id === messageId) ?? last;
      if (decided?.role !== "assistant") throw new Error("There is nothing to send");
      return chat.follow(chat.decide(decided), abortSignal);
    }
    const question = messages.findLast(({ role }) => role === "user");
    if (!question) throw new Error("There is no question to be answered anew");
    return chat.follow(chat.again(question, messageId), abortSignal);
  }

  async reconnectToStream({
    chatId,
    abortSignal,
  }: Parameters<
    ChatTransport<Message>["reconnectToStream"]
  >[0]): Promise<ReadableStream<UIMessageChunk> | null> {
    // A chat in which nothing was said has no conversation, and is not to begin one.
    if (!this.#chats.has(chatId) && this.#storage.getItem(`rivulet.session:${chatId}`) === null)
      return null;
    const chat = this.#chat(chatId);
    await chat.ready(abortSignal);
    const running = chat.running();
    return running && chat.follow(running, abortSignal);
  }

  /** Closes all connections. The next message opens them again, where they were. */
  close(): void {
    for (const chat of this.#chats.values()) chat.close();
    this.#chats.clear();
  }

  #chat(id: string): Chat {
    const { onAbort = "stop", storage, ...options } = this.#options;
    const kept = keyed(this.#storage, id);
    const chat = this.#chats.get(id) ?? new Chat({ ...options, storage: kept }, onAbort === "stop");
    this.#chats.delete(id);
    this.#chats.set(id, chat);
    for (const [old, one] of this.#chats) {
      if (this.#chats.size <= MOST_OPEN) break;
      if (old === id || one.inUse) continue;
      one.close();
      this.#chats.delete(old);
    }
    return chat;
  }
}

function keyed(storage: SessionStorageLike, chat: string): SessionStorageLike {
  return {
    getItem: (key) => storage.getItem(`${key}:${chat}`),
    setItem: (key, value) => storage.setItem(`${key}:${chat}`, value),
    removeItem: (key) => storage.removeItem(`${key}:${chat}`),
  };
}

function localStorageOr(other: SessionStorageLike): SessionStorageLike {
  // Node.js has one, too: in a file, for all whom it serves.
  if (typeof document === "undefined") return other;
  try {
    // Merely naming it throws where the user has blocked site data.
    const { localStorage } = globalThis;
    return typeof localStorage?.getItem === "function" ? localStorage : other;
  } catch {
    return other;
  }
}

function inMemory(): SessionStorageLike {
  const items = new Map<string, string>();
  return {
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => void items.set(key, value),
    removeItem: (key) => void items.delete(key),
  };
}
