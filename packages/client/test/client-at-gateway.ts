/** A client and the small gateway for one test: what every test file about the client starts from. */

import {
  type Message,
  RivuletClient,
  type RivuletEvents,
  type RivuletOptions,
} from "@rivulet/client";
import { afterEach, beforeEach, vi } from "vitest";
import { WebSocket } from "ws";
import { Gateway } from "./gateway.js";
import type { Answer } from "./gateway-session.js";

export let gateway: Gateway;
let clients: RivuletClient[];

beforeEach(async () => {
  gateway = await new Gateway().start();
  clients = [];
});

afterEach(async () => {
  vi.restoreAllMocks();
  for (const client of clients) client.close();
  await gateway.stop();
});

export function newClient(options: Partial<RivuletOptions> = {}): RivuletClient {
  // No jitter: the tests wait for events, and this lets the events come at once.
  const client = new RivuletClient({
    storage: null,
    random: () => 0,
    webSocket: WebSocket,
    url: gateway.url,
    ...options,
  });
  clients.push(client);
  return client;
}

export function next<Name extends keyof RivuletEvents>(
  client: RivuletClient,
  name: Name,
): Promise<RivuletEvents[Name]> {
  return new Promise((resolve) => {
    const off = client.on(name, (payload) => {
      off();
      resolve(payload);
    });
  });
}

/** Resolves with the first truthy result, looked for now and after every change. */
export function until<Result>(
  client: RivuletClient,
  look: () => Result | undefined | false,
): Promise<Result> {
  return new Promise((resolve) => {
    const offs: (() => void)[] = [];
    const check = (): void => {
      const result = look();
      if (!result) return;
      for (const off of offs) off();
      resolve(result);
    };
    offs.push(client.on("change", check), client.on("state", check));
    check();
  });
}

export const answerOf = (client: RivuletClient): Message | undefined =>
  client.conversation.messages.find(({ role }) => role === "assistant");

export const checkedAnswer = (client: RivuletClient): Promise<Message> =>
  until(client, () => {
    const answer = answerOf(client);
    return answer?.verified !== undefined && answer;
  });

export async function connected(client: RivuletClient): Promise<RivuletClient> {
  client.connect();
  await until(client, () => client.state.name === "connected");
  return client;
}

/** Asks, and gives the answer that the test is to write. */
export function ask(client: RivuletClient, text = "Why?"): Promise<Answer> {
  return new Promise((resolve) => {
    gateway.onQuestion = resolve;
    client.send(text);
  });
}

/** Ten seconds without waiting for them. */
export function shortTimeout(): AbortSignal {
  const abort = new AbortController();
  setTimeout(() => abort.abort(new DOMException("timeout", "TimeoutError")), 20);
  return abort.signal;
}
