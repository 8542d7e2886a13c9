/** The page at a small gateway, with a question that waits for its answer: what tests of answers start from. */
import { readFileSync } from "node:fs";
import { RivuletClient, type WebSocketClass } from "@rivulet/client";
import { WebSocket } from "ws";
import { Gateway } from "../../packages/client/test/gateway.js";
import type { Answer } from "../../packages/client/test/gateway-session.js";
import type { Forgetting } from "../src/memories/forgetting";
import { Transcript, type TranscriptEvents } from "../src/page/transcript";

export interface OpenedPage {
  readonly gateway: Gateway;
  readonly client: RivuletClient;
  /** To be written by the test. */
  readonly answer: Answer;
  close(): Promise<void>;
}

interface Wishes {
  /** The token that is asked for, and given. */
  token?: string;
  events?: Partial<TranscriptEvents>;
  forgetting?: Forgetting;
  /** Parts of the page beside the answers; what they give paints them. */
  parts?: (client: RivuletClient) => (() => void)[];
}

/** Puts the page in the place of what there was, and asks. */
export async function openPage(question: string, wishes: Wishes = {}): Promise<OpenedPage> {
  const { token = null, events = {}, forgetting, parts = () => [] } = wishes;
  const gateway = await new Gateway().start();
  gateway.token = token;
  sessionStorage.clear();
  localStorage.clear();
  document.documentElement.innerHTML = readFileSync("index.html", "utf8");
  const webSocket = WebSocket as unknown as WebSocketClass;
  const credentials = token === null ? {} : { token: () => token };
  const client = new RivuletClient({
    random: () => 0,
    webSocket,
    url: gateway.url,
    ...credentials,
  });
  const nothing = { asked: () => {}, homeless: () => {}, openSource: () => {} };
  const transcript = new Transcript(client, { ...nothing, ...events }, forgetting);
  const paint = (): void => {
    transcript.paint();
    for (const other of others) other();
  };
  // As the page does.
  forgetting?.watch(paint);
  const others = parts(client);
  client.on("change", paint);
  client.connect();
  const begun = new Promise<Answer>((resolve) => {
    gateway.onQuestion = resolve;
  });
  client.send(question);
  const answer = await begun;
  const close = async (): Promise<void> => {
    client.close();
    await gateway.stop();
  };
  return { gateway, client, answer, close };
}
