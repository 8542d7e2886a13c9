/** The gateway, and requests to it. Runs in browsers and in Node.js; needs nothing else. */

const TRIES = 7;
const TIMEOUT_MS = 150_000; // A whole answer may take two minutes.

/** What the gateway does not do: `code` is for programs, `requestId` is what its log has. */
export class Refused extends Error {
  constructor({ status, code, detail, request_id }) {
    super(`${status} ${code}: ${detail} (request ${request_id})`);
    this.code = code;
  }
}


export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Full jitter, so that not all clients come back at once: 1 second at most, then 2, 4, up to 30. */
export const backoff = (attempt) => Math.random() * Math.min(30_000, 1_000 * 2 ** attempt);

export class Gateway {
  /** `token` is a token or an API key; where everybody may come there is none. */
  constructor(url, token) {
    this.url = url;
    this.token = token;
  }

  /**
   * Makes a request; gives the answer, whose body is not read yet. What is lost, and what the gateway cannot do just now,
   * is tried again: after as long as it says, or longer each time. So what changes something needs an id of its own.
   */
  async call(path, init = {}) {
    const headers = new Headers(init.headers);
    if (this.token) headers.set("Authorization", `Bearer ${this.token}`);
    for (let attempt = 0; ; attempt++) {
      let answer;
      try {
        const signal = AbortSignal.timeout(TIMEOUT_MS);
        answer = await fetch(new URL(`api/v1/${path}`, this.url), { ...init, headers, signal });
        if (answer.ok) return answer;
      } catch (error) {
        if (attempt + 1 >= TRIES) throw error;
      }
      if (answer && (![408, 429, 503].includes(answer.status) || attempt + 1 >= TRIES))
        throw new Refused(await answer.json());
      const seconds = Number(answer?.headers.get("Retry-After") ?? 0);
      await sleep(seconds * 1_000 + backoff(seconds > 0 ? 0 : attempt));
    }
  }

  /** Sends JSON, and gives the answer's. */
  async send(path, body) {
    const headers = { "Content-Type": "application/json" };
    const answer = await this.call(path, { method: "POST", headers, body: JSON.stringify(body) });
    return answer.status === 204 ? undefined : answer.json();
  }
}

/** The gateway that the environment names, for the programs of Node.js here. */
export function fromEnvironment() {
  const { RIVULET_URL = "http://127.0.0.1:8080", RIVULET_TOKEN } = process.env;
  return new Gateway(RIVULET_URL, RIVULET_TOKEN);
}
