/** What the gateway has not taken yet, and is lost where the client leaves the conversation or the page. */
import type { RivuletClient } from "@rivulet/client";

/** The texts of questions, in their order, and of what is being written behind them; empty: nothing would be lost. */
export function untaken({ outgoing }: Pick<RivuletClient, "outgoing">, draft = ""): string {
  const waiting = outgoing.flatMap(({ frame, acked }) =>
    frame.type === "send" && !acked ? [frame.text] : [],
  );
  return [...waiting, draft].filter((text) => text.trim() !== "").join("\n");
}
