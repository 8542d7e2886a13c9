/**
 * CRC-32 as zlib, gzip and PNG compute it (reflected polynomial 0xEDB88320), which is what `run.done`
 * carries. The browser offers SHA digests only, and those are asynchronous and cannot be continued.
 */

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value >>> 0;
});

/** Continues `crc` (0 to begin with) over more bytes, so that a long answer is never read twice. */
export function crc32(bytes: Uint8Array, crc = 0): number {
  let value = ~crc;
  for (const byte of bytes) value = (value >>> 8) ^ (table[(value ^ byte) & 0xff] ?? 0);
  return ~value >>> 0;
}

/** The eight lower-case hex digits used on the wire. */
export function crc32Hex(crc: number): string {
  return crc.toString(16).padStart(8, "0");
}
