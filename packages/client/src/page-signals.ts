/**
 * What a page is told about its own life. A phone that was asleep, a laptop that changed networks:
 * the socket may look open and be dead, so these moments are worth a question to the server.
 */
export interface PageSignals {
  /** The page or the network is back. */
  onReturn(): void;
  /** The network is gone. */
  onOffline(): void;
  onHidden(hidden: boolean): void;
}

/** Outside a browser nothing is hidden. */
export function pageIsHidden(): boolean {
  return typeof document !== "undefined" && document.hidden;
}

/** Returns the function that stops listening. Outside a browser there is nothing to listen to. */
export function watchPage(signals: PageSignals): () => void {
  if (typeof document === "undefined") return () => {};
  const stop = new AbortController();
  const { signal } = stop;
  const onVisibility = (): void => {
    signals.onHidden(document.hidden);
    if (!document.hidden) signals.onReturn();
  };
  document.addEventListener("visibilitychange", onVisibility, { signal });
  window.addEventListener("online", () => signals.onReturn(), { signal });
  window.addEventListener("offline", () => signals.onOffline(), { signal });
  // `persisted`: the page comes out of the back/forward cache, with sockets that were cut meanwhile.
  window.addEventListener("pageshow", (event) => event.persisted && signals.onReturn(), { signal });
  return () => stop.abort();
}
