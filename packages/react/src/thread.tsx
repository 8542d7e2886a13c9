"use client";
import type { ComponentPropsWithoutRef, ReactNode } from "react";
import { memo } from "react";
import { useRivulet } from "./hooks.js";
import type { ShownMessage } from "./shown.js";

export interface ThreadProps extends Omit<ComponentPropsWithoutRef<"ol">, "children"> {
  /** Instead of `MessageView`. */
  children?: (message: ShownMessage) => ReactNode;
}

/** The messages, the oldest first, as a list that says to screen readers what comes in when it is whole. */
export function Thread({ children, ...rest }: ThreadProps): ReactNode {
  const { messages, status } = useRivulet();
  const busy = status === "submitted" || status === "streaming";
  return (
    <ol role="log" aria-busy={busy} {...rest}>
      {messages.map((message) => (
        <li key={message.id} data-role={message.role} data-status={message.status}>
          {children ? children(message) : <Message message={message} />}
        </li>
      ))}
    </ol>
  );
}

export interface MessageProps {
  message: ShownMessage;
  /** Instead of the text as it was written; here Markdown would be rendered. */
  children?: (message: ShownMessage) => ReactNode;
}

/** A message: its text, what tools did for it in a line each, and what it is based on. */
export const Message = memo(function Message({ message, children }: MessageProps): ReactNode {
  const { text, tools, sources } = message;
  return (
    <>
      {children ? children(message) : <p>{text}</p>}
      {tools.length > 0 && (
        <ul data-part="tools">
          {tools.map(({ call, title, status, summary }) => (
            <li key={call} data-status={status}>
              {title}: {summary ?? status}
            </li>
          ))}
        </ul>
      )}
      {sources.length > 0 && (
        <ol data-part="sources">
          {sources.map(({ n, title, heading }) => (
            <li key={n} value={n}>
              {heading ? `${title}, ${heading}` : title}
            </li>
          ))}
        </ol>
      )}
    </>
  );
});
