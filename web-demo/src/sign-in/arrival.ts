/** What the address of the page brings of who is asking, and the address without it. Pure. */

export interface Arrival {
  /** From the fragment, which no server and no log gets to see. */
  readonly token: string | null;
  /** From the query: good for one socket. */
  readonly ticket: string | null;
  /** What the page had sent along when it went to sign in. */
  readonly state: string | null;
  /** The address to show from now on; `null`: the one that is there. */
  readonly clean: string | null;
}

export function arrivalOf(href: string): Arrival {
  const url = new URL(href);
  const fragment = new URLSearchParams(url.hash.slice(1));
  const query = url.searchParams;
  const token = fragment.get("token");
  const ticket = query.get("ticket");
  const state = token === null ? query.get("state") : fragment.get("state");
  if (token === null && ticket === null) return { token, ticket, state: null, clean: null };
  if (token !== null) url.hash = "";
  query.delete("ticket");
  query.delete("state");
  return { token, ticket: token === null ? ticket : null, state, clean: url.href };
}
