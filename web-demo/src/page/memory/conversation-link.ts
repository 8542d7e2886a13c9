/** The way to the conversation in which something was said. */
import { make } from "../element";

export interface Conversations {
  /** The one that is open. */
  readonly current: string | null;
  open(session: string): void;
}

/** `text` as a link to the conversation; where that one is open, or none is known, as text. */
export function conversationLink(
  text: string,
  session: string | undefined,
  conversations: Conversations,
): HTMLElement {
  if (session === undefined || session === conversations.current) return make("span", {}, text);
  const link = make("a", { href: `?${new URLSearchParams({ session })}`, textContent: text });
  link.addEventListener("click", (event) => {
    // Whoever wants another tab gets one.
    if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey)
      return;
    event.preventDefault();
    conversations.open(session);
  });
  return link;
}
