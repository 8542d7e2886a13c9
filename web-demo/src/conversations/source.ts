/** Where the list of conversations comes from: of the gateway for who is signed in, of this browser for nobody in particular. */
import { Problem } from "../documents/problem";
import { type ConversationInfo, type ConversationPage, type ConversationsApi, PAGE } from "./api";
import type { Opened } from "./opened";

export interface Wanted {
  /** The id behind which the page begins. */
  before?: string | undefined;
  /** What is to stand in the title; empty: anything. */
  part: string;
}

/** The next page of a list. Rejects with a `Problem`. */
export type Source = (wanted: Wanted) => Promise<ConversationPage>;

/** All that belong to who is signed in, also those of other devices. */
export function ofTheGateway(api: ConversationsApi): Source {
  return (wanted) => api.list(wanted);
}

/**
 * Those that this browser has been in. Each is asked for by its id, a page of them at once; of those that are gone the
 * id is forgotten. A search looks through further pages until it has found a page, or there is none left.
 */
export function ofThisBrowser(api: ConversationsApi, opened: Opened): Source {
  return async ({ before, part }) => {
    const { ids } = opened;
    let at = before === undefined ? 0 : ids.indexOf(before) + 1;
    const found: ConversationInfo[] = [];
    while (at < ids.length && found.length < PAGE) {
      const some = ids.slice(at, at + PAGE - found.length);
      at += some.length;
      for (const [n, info] of (await Promise.all(some.map((id) => lookUp(api, id)))).entries()) {
        if (info === null) opened.drop(some[n] ?? "");
        else if (has(info, part)) found.push(info);
      }
    }
    return { sessions: found, more: at < ids.length };
  };
}

async function lookUp(api: ConversationsApi, id: string): Promise<ConversationInfo | null> {
  try {
    return await api.one(id);
  } catch (error) {
    if (error instanceof Problem && error.code === "not_found") return null;
    throw error;
  }
}

/** As the gateway compares. */
function has({ title = "" }: ConversationInfo, part: string): boolean {
  return title.toLowerCase().includes(part.toLowerCase());
}
