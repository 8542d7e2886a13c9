/**
 * The events of one job, as they come.
 *
 * Not by `EventSource`: that sends no `Authorization`, and does not say why it failed.
 */
import type { Endpoint } from "@rivulet/client";
import { ask } from "./api";
import { unreachable } from "./problem";
import { isOver, type Job } from "./wire";

/** Takes a stream of events apart; gives the `data` of each. Pure but for the line it has begun. */
export class EventLines {
  #rest = "";
  #data: string[] = [];

  feed(text: string): string[] {
    const lines = (this.#rest + text).split(/\r\n|\r|\n/);
    this.#rest = lines.pop() ?? "";
    const events: string[] = [];
    for (const line of lines) {
      if (line.startsWith("data:")) this.#data.push(line.slice(5).replace(/^ /, ""));
      else if (line === "" && this.#data.length > 0) {
        events.push(this.#data.join("\n"));
        this.#data = [];
      }
    }
    return events;
  }
}

/**
 * Tells of a job at first and with every change. Resolves with whether the job is over: otherwise nothing
 * changed for `patienceMs`, or the gateway goes away. Rejects with a `Problem`.
 */
export async function followJob(
  endpoint: Endpoint,
  job: string,
  tell: (job: Job) => void,
  patienceMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  const quiet = new AbortController();
  const end = (): void => quiet.abort();
  signal.addEventListener("abort", end, { once: true });
  let timer = setTimeout(end, patienceMs);
  let over = false;
  try {
    const path = `jobs/${encodeURIComponent(job)}/events`;
    const response = await ask(endpoint, path, { signal: quiet.signal });
    const reader = response.body?.getReader();
    const [decoder, lines] = [new TextDecoder(), new EventLines()];
    while (reader && !over) {
      const { done, value } = await reader.read();
      if (done) break;
      for (const data of lines.feed(decoder.decode(value, { stream: true }))) {
        const heard = JSON.parse(data) as Job;
        clearTimeout(timer);
        timer = setTimeout(end, patienceMs);
        over ||= isOver(heard);
        tell(heard);
      }
    }
  } catch (error) {
    if (quiet.signal.aborted) return over;
    throw error instanceof TypeError ? unreachable() : error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", end);
    quiet.abort();
  }
  return over;
}
