/**
 * Halves of surrogate pairs, which JavaScript's strings may hold and JSON may not, become U+FFFD. The same
 * as `toWellFormed`, which not all browsers have.
 */
export function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, "\ufffd");
}
