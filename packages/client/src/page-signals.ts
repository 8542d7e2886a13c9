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
  // Listeners are taken off one by one: a document of tests refuses the signal of another world.
  const offs: (() => void)[] = [];
  const on = <Of extends Event>(
    target: EventTarget,
    name: string,
    listener: (event: Of) => void,
  ): void => {
    target.addEventListener(name, listener as EventListener);
    offs.push(() => target.removeEventListener(name, listener as EventListener));
  };
  on(document, "visibilitychange", () => {
    signals.onHidden(document.hidden);
    if (!document.hidden) signals.onReturn();
  });
  on(window, "online", () => signals.onReturn());
  on(window, "offline", () => signals.onOffline());
  // `persisted`: the page comes out of the back/forward cache, with sockets that were cut meanwhile.
  on<PageTransitionEvent>(window, "pageshow", ({ persisted }) => persisted && signals.onReturn());
  return () => {
    for (const off of offs) off();
  };
}
