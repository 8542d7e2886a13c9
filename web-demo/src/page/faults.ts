/** Faults of one part of the page must not stop the others, and must not be swallowed either. */

/** Runs a step; what it throws is seen outside, as an uncaught error. */
export function apart(step: () => void): void {
  try {
    step();
  } catch (error) {
    throwLater(error);
  }
}

export function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
