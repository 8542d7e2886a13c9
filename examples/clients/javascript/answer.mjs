/**
 * One question and its answer as it is written, over as many connections as it takes. Runs in browsers and in Node.js 22.
 *
 * Nothing is lost and nothing comes twice: each piece of text says where it belongs, a new connection goes on behind the
 * cursor, and at the end length and checksum prove the whole.
 */
import { backoff, sleep } from "./gateway.mjs";

/** The gateway says something every 25 seconds. */
const SILENCE_MS = 40_000;
const CALM_MS = 60_000;

/** What is held of the answer. Pure: frames in, frames out. */
export class Answer {
  id = crypto.randomUUID();
  text = "";
  /** How it ended, once it has and its text is proven. */
  status;
  #epoch;
  #seq = 0;
  #run;
  #end;

  constructor(question) {
    this.question = { type: "send", id: this.id, text: question };
  }

  /** Where another connection goes on. */
  get cursor() {
    if (this.#epoch === undefined) return undefined;
    return `${this.#epoch}:${this.#seq}${this.#run ? `:${this.#run}:${this.text.length}` : ""}`;
  }

  /** Takes a frame, and gives the one that it has to be answered with, if any. */
  take(frame) {
    const isOurs = this.#run !== undefined && frame.run === this.#run;
    if (frame.type === "welcome") this.#epoch = frame.epoch;
    // What a welcome counts may not have come yet.
    else this.#seq = frame.seq ?? this.#seq;
    if (frame.type === "snapshot") this.#replace(frame);
    if (frame.type === "run.start" && frame.for === this.id) this.#run = frame.run;
    if (frame.type === "failover" && isOurs) this.text = this.text.slice(0, frame.keep);
    if (frame.type === "run.done" && isOurs) {
      this.#end = frame;
      if (!this.#isProven()) return this.#sync(0);
    }
    if (frame.type === "delta" && isOurs) {
      if (frame.off > this.text.length) return this.#sync(this.text.length);
      this.text += frame.text.slice(this.text.length - frame.off); // What is held already is dropped.
      this.#isProven();
    }
  }

  /** The cursor was good no more, and this is how the conversation stands. */
  #replace({ messages, runs }) {
    const found = [...runs, ...messages].find((one) => one.for === this.id);
    this.#run = found?.run;
    this.text = found?.text ?? "";
    this.status = found?.status;
  }

  #sync(off) {
    this.text = this.text.slice(0, off);
    return { type: "sync", run: this.#run, off };
  }

  #isProven() {
    if (!this.#end || this.#end.len !== this.text.length) return false;
    if (this.#end.crc32 !== crc32(this.text)) return false;
    this.status = this.#end.status;
    return true;
  }
}

/**
 * Asks `question` in a session. `onText` is given the whole text each time that there is more of it. To stop the answer,
 * abort `signal`. Gives the answer with its `status`; throws when there will be none.
 */
export async function stream(gateway, session, question, { onText = () => {}, signal } = {}) {
  const answer = new Answer(question);
  for (let failures = 0; ; failures++) {
    const began = Date.now();
    const { code, waitMs } = await connection(gateway, session, answer, { onText, signal });
    if (answer.status) return answer;
    // 40xx is final, and so is a broken protocol. Everything else passes.
    if ((code >= 4000 && code < 4100) || code === 1002 || code === 1003 || code === 1009)
      throw new Error(`the gateway closed the connection: ${code}`);
    if (Date.now() - began > CALM_MS) failures = 0;
    await sleep(waitMs ?? backoff(failures));
  }
}

/** One connection, until the answer is over or the connection is. Gives its close code, and when to come back. */
async function connection(gateway, session, answer, { onText, signal }) {
  // A page can set no header on a WebSocket, and a token in an address would be in logs. A ticket is good once. Who may not
  // come in any more is told here, by an exception.
  const { ticket } = await gateway.send("tickets");
  const address = new URL(`api/v1/ws/${session}`, gateway.url);
  address.protocol = address.protocol.replace("http", "ws");
  address.searchParams.set("ticket", ticket);
  if (answer.cursor) address.searchParams.set("resume", answer.cursor);
  const socket = new WebSocket(address, "chat.v1");

  return new Promise((resolve, reject) => {
    let silence;
    let waitMs;
    const say = (frame) => socket.readyState === WebSocket.OPEN && socket.send(JSON.stringify(frame));
    const stop = () => say({ type: "stop", for: answer.id });
    const end = (code) => {
      clearTimeout(silence);
      signal?.removeEventListener("abort", stop);
      socket.close();
      resolve({ code, waitMs });
    };
    const heard = () => {
      clearTimeout(silence);
      silence = setTimeout(() => end(4201), SILENCE_MS);
    };
    heard();
    signal?.addEventListener("abort", stop);
    socket.onclose = ({ code }) => end(code);
    socket.onmessage = ({ data }) => {
      heard();
      const frame = JSON.parse(data);
      const asked = answer.take(frame);
      if (asked) say(asked);
      onText(answer.text);
      if (answer.status) return end(1000);
      if (frame.type === "goaway") waitMs = frame.retry_in_ms;
      // To say it again does no harm: the id makes it the same question.
      if (frame.type === "welcome") say(answer.question);
      if (frame.type === "ack" && signal?.aborted) stop();
      if (frame.type === "error" && frame.re === answer.id) {
        if (!frame.retryable) {
          reject(new Error(`${frame.code}: ${frame.message}`));
          return end(1000);
        }
        setTimeout(() => say(answer.question), frame.retry_in_ms ?? backoff(1));
      }
    };
  });
}

function crc32(text) {
  let crc = ~0;
  for (const byte of new TextEncoder().encode(text)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (~crc >>> 0).toString(16).padStart(8, "0");
}
