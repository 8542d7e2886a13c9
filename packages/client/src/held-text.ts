/**
 * The text of one answer as far as this client holds it, with its checksum.
 *
 * Every delta says where it belongs, so repeats and overlaps are harmless: this file is the whole
 * rule. Positions are UTF-16 code units, the unit of `String.length`.
 */
import { crc32, crc32Hex } from "./crc32.js";

export interface HeldText {
  readonly text: string;
  /** CRC-32 over the UTF-8 form of the first `hashed` code units of `text`. */
  readonly crc: number;
  readonly hashed: number;
}

export const NO_TEXT: HeldText = { text: "", crc: 0, hashed: 0 };

const utf8 = new TextEncoder();

/** Text from the very beginning, replacing whatever was held. */
export function fromStart(text: string): HeldText {
  return append(NO_TEXT, text);
}

/**
 * Puts a delta where it belongs. Returns the same object when the delta brought nothing new, and
 * `null` when text is missing before it: the caller then asks the server for that part.
 */
export function place(held: HeldText, off: number, text: string): HeldText | null {
  const overlap = held.text.length - off;
  if (overlap < 0) return null;
  return overlap < text.length ? append(held, text.slice(overlap)) : held;
}

/** Withdraws everything after `keep`, as a failover to another model asks for. */
export function truncate(held: HeldText, keep: number): HeldText {
  return keep < held.text.length ? fromStart(held.text.slice(0, keep)) : held;
}

/** Whether this is exactly the text that the server says it has written. */
export function matches(held: HeldText, len: number, crc: string): boolean {
  if (held.text.length !== len) return false;
  const rest = utf8.encode(held.text.slice(held.hashed));
  return crc32Hex(crc32(rest, held.crc)) === crc.toLowerCase();
}

function append(held: HeldText, more: string): HeldText {
  const text = held.text + more;
  // Half of a surrogate pair has no UTF-8 form: leave it for when its other half is there.
  const whole = endsWithHighSurrogate(text) ? text.length - 1 : text.length;
  if (whole <= held.hashed) return { ...held, text };
  const fresh = utf8.encode(text.slice(held.hashed, whole));
  return { text, crc: crc32(fresh, held.crc), hashed: whole };
}

function endsWithHighSurrogate(text: string): boolean {
  const last = text.charCodeAt(text.length - 1);
  return last >= 0xd800 && last <= 0xdbff;
}
