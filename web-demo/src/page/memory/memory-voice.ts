/** Tells screen readers, once for each answer, what was remembered for it. */

import type { RivuletClient } from "@rivulet/client";
import { spoken } from "../../memories/words";
import type { StatusVoice } from "../status-voice";

export const TOPIC = "memory";

export function tellMemory(client: RivuletClient, voice: StatusVoice): void {
  let told: string | null = null;
  client.on("memory", ({ run, noted, recalled, unavailable }) => {
    // It may be said again over another socket.
    if (run === told || !client.conversation.runs.has(run)) return;
    told = run;
    const text = spoken({
      ...(noted && { noted }),
      ...(recalled && { recalled }),
      ...(unavailable && { unavailable }),
    });
    if (text !== "") voice.say(TOPIC, text);
  });
}
