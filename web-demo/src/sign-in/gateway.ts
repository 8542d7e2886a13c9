/** What the gateway says of signing in, and of a token. */
import type { Endpoint } from "@rivulet/client";

/** How one signs in at a gateway. */
export interface Policy {
  /** Whether everybody has to say who they are. */
  readonly required: boolean;
  /** Where a browser gets a token. */
  readonly url: string | null;
}

/** Whose a token is. */
export interface Holder {
  readonly tenant: string;
  readonly user: string;
  readonly scopes: readonly string[];
  /** In milliseconds since 1970. */
  readonly expiresAt: number;
}

/** A token that did not do: why, as a sentence. */
export class Refusal {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

const LIMIT_MS = 10_000;

/** Rejects when the gateway cannot be asked. */
export async function policyOf(endpoint: Endpoint): Promise<Policy> {
  const response = await endpoint.request("auth", { signal: AbortSignal.timeout(LIMIT_MS) });
  // A gateway that does not know the address asks nobody.
  if (response.status === 404) return { required: false, url: null };
  if (!response.ok) throw new Error(`The gateway answered with status ${response.status}`);
  const { required, sign_in_url: url } = await response.json();
  return { required: required === true, url: typeof url === "string" ? url : null };
}

/** Never rejects. */
export async function holderOf(endpoint: Endpoint, token: string): Promise<Holder | Refusal> {
  try {
    const response = await endpoint.request("auth/validate", {
      method: "POST",
      body: JSON.stringify({ token }),
      headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(LIMIT_MS),
    });
    if (response.status === 429) return new Refusal(tooOften(response.headers.get("retry-after")));
    if (response.status === 401) return REFUSED;
    if (!response.ok) return new Refusal(`The gateway answered with status ${response.status}.`);
    const { valid, tenant, user, scopes, expires_at } = await response.json();
    if (valid !== true) return REFUSED;
    return { tenant, user, scopes, expiresAt: Date.parse(expires_at) };
  } catch {
    // Browsers say nothing else than that it failed; what cannot be sent as a header is no token either.
    return new Refusal("The gateway could not be asked. Try again.");
  }
}

const REFUSED = new Refusal(
  "The gateway does not take that. It may be mistyped, over, or taken back.",
);

const tooOften = (seconds: string | null): string =>
  `Too many attempts. Try again ${seconds === null ? "later" : `in ${seconds} s`}.`;
