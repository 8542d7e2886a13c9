"use client";
import type { RivuletClient, RivuletOptions } from "@rivulet/client";
import {
  createContext,
  createElement,
  type ReactNode,
  useContext,
  useEffect,
  useState,
  useSyncExternalStore,
} from "react";
import { isClient, type Rivulet, Store } from "./rivulet.js";

const Shared = createContext<Store | null>(null);

export interface RivuletProviderProps {
  /** One of these. A client that is given is its owner's: nothing connects or closes it here. */
  options?: RivuletOptions;
  client?: RivuletClient;
  children?: ReactNode;
}

/** One conversation for all parts below. */
export function RivuletProvider({ options, client, children }: RivuletProviderProps): ReactNode {
  const from = client ?? options;
  if (!from) throw new Error("RivuletProvider wants `options` or a `client`");
  return createElement(Shared.Provider, { value: useStore(from) }, children);
}

/**
 * A conversation and what may be done in it. With options, or a client: one of its own; without: that of the
 * `RivuletProvider` above. Another `url`, `session` or `assistant` is another conversation; callbacks are taken as they
 * are when they are needed.
 */
export function useRivulet(own?: RivuletOptions | RivuletClient): Rivulet {
  const shared = useContext(Shared);
  const store = useStore(own) ?? shared;
  if (!store) throw new Error("useRivulet wants options, or a RivuletProvider above");
  return useSyncExternalStore(store.subscribe, store.snapshot, store.serverSnapshot);
}

/** The client connects when the part is there, not when it is rendered, and is closed with it. */
function useStore(from: From): Store | null {
  const key = identityOf(from);
  const [held, hold] = useState(() => heldFor(key, from));
  let now = held;
  if (held.key !== key) {
    now = heldFor(key, from);
    hold(now);
  }
  const { latest, store } = now;
  // Not while rendering: what is never shown is not to be asked for a token.
  useEffect(() => {
    latest.current = from;
  });
  useEffect(() => {
    if (!store?.owned) return;
    const { client } = store;
    client.connect();
    return () => client.close();
  }, [store]);
  return store;
}

type From = RivuletOptions | RivuletClient | undefined;

/** A store, and what it was given last: each has its own, so that no gateway is given the token of another one. */
interface Held {
  readonly key: unknown;
  readonly latest: { current: From };
  readonly store: Store | null;
}

function heldFor(key: unknown, from: From): Held {
  const latest = { current: from };
  return { key, latest, store: storeOf(latest) };
}

function storeOf(latest: { readonly current: From }): Store | null {
  const from = latest.current;
  if (!from || isClient(from)) return from ? new Store(from) : null;
  const { token, ticket } = from;
  const options = { ...from };
  const now = (): RivuletOptions => latest.current as RivuletOptions;
  if (typeof token === "function") options.token = (expired) => tokenOf(now(), expired);
  if (ticket) options.ticket = () => now().ticket?.() ?? null;
  return new Store(options);
}

function tokenOf(
  { token }: RivuletOptions,
  expired: boolean,
): string | null | Promise<string | null> {
  return typeof token === "function" ? token(expired) : (token ?? null);
}

/** What makes it another conversation. */
function identityOf(from: From): unknown {
  if (!from || isClient(from)) return from;
  return JSON.stringify([from.url, from.session, from.assistant]);
}
