/** What pages may use of `<rivulet-chat>`. Types alone: what they describe is in `widget.ts`. */

/** The token of who is asking; `expired`: the last one is no longer taken. `null`: nobody in particular asks. */
export type Token = string | ((expired: boolean) => string | null | Promise<string | null>);

/** A question that was taken, or an answer that is over. */
export interface ChatMessage {
  id: string;
  role: "user" | "assistant";
  text: string;
  /** Of a question `complete`; of an answer as in `rv-run-done`. */
  status: string;
}

export interface RivuletChatEvents {
  /** It was opened. */
  "rv-open": CustomEvent<null>;
  "rv-close": CustomEvent<null>;
  /** A question was taken, or an answer is over, however it ended, and its text has been checked. */
  "rv-message": CustomEvent<ChatMessage>;
  /** An answer has ended; `status` is `complete`, `stopped`, or why it is not whole. */
  "rv-run-done": CustomEvent<{ run: string; message: string; status: string }>;
  /** Something was refused, or cannot be reached. */
  "rv-error": CustomEvent<{ code: string; message: string }>;
}

/** The attributes as they are written in HTML; a `<script>` has them with `data-` before each. */
export type Attribute =
  | "server"
  | "assistant"
  | "session"
  | "token-url"
  | "theme"
  | "accent"
  | "locale"
  | "position"
  | "mode"
  | "greeting"
  | "suggestions"
  | "storage";

export interface RivuletChatElement extends HTMLElement {
  /** Goes before the attribute `token-url`. Set to another one, the conversation goes on if that is of the same user. */
  token: Token | null;
  /** Whether the conversation is in sight. */
  readonly isOpen: boolean;
  /** Resolves when the conversation is there; rejects when it could not be loaded. Inline it always is. */
  open(): Promise<void>;
  close(): void;
  toggle(): void;
  /** Opens it and asks. */
  ask(text: string): Promise<void>;
  /** Begins an empty conversation, with a new token from `token-url`, and empties the box. */
  newConversation(): void;
  addEventListener<Name extends keyof RivuletChatEvents>(
    name: Name,
    listener: (event: RivuletChatEvents[Name]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    name: string,
    listener: EventListenerOrEventListenerObject,
    options?: boolean | AddEventListenerOptions,
  ): void;
}

/** The element itself: importing this package makes it known as `rivulet-chat`. */
export declare const RivuletChat: { new (): RivuletChatElement };

declare global {
  interface HTMLElementTagNameMap {
    "rivulet-chat": RivuletChatElement;
  }
}
