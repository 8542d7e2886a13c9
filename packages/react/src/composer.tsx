"use client";
import type { ComponentPropsWithoutRef, FormEvent, KeyboardEvent, ReactNode } from "react";
import { useEffect, useState } from "react";
import { useRivulet } from "./hooks.js";

export interface ComposerProps extends Omit<ComponentPropsWithoutRef<"form">, "children"> {
  /** What the box and the buttons are called. */
  label?: string;
  sendLabel?: string;
  stopLabel?: string;
}

/**
 * A box to write in, and a button that sends, or stops the answer that is being written. Enter sends, with Shift it begins a
 * line; the Enter that ends a word of an input method does neither. A question that is refused comes back.
 */
export function Composer(props: ComposerProps): ReactNode {
  const { label = "Message", sendLabel = "Send", stopLabel = "Stop", ...rest } = props;
  const { send, stop, typing, status, error, refusedText } = useRivulet();
  const [text, write] = useState("");
  const busy = status === "submitted" || status === "streaming";

  // Each refusal is an error of its own, also where the text is that of the last one.
  useEffect(() => {
    if (error && refusedText !== null) write((now) => now || refusedText);
  }, [error, refusedText]);

  const submit = (event: FormEvent | KeyboardEvent): void => {
    event.preventDefault();
    if (busy || text.trim() === "") return;
    send(text);
    write("");
  };
  return (
    <form {...rest} onSubmit={submit}>
      <textarea
        aria-label={label}
        rows={1}
        value={text}
        onChange={(event) => {
          write(event.target.value);
          typing(event.target.value !== "");
        }}
        onKeyDown={(event) => {
          if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing)
            submit(event);
        }}
      />
      {busy ? (
        <button type="button" onClick={stop}>
          {stopLabel}
        </button>
      ) : (
        <button type="submit" disabled={text.trim() === ""}>
          {sendLabel}
        </button>
      )}
    </form>
  );
}
