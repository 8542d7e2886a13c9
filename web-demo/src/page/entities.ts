/**
 * What stands for a character in a text, by name or by number, becomes that character. Of names there are those that models
 * write; a browser's own table is only to be had by its parser, which strict policies forbid.
 */

const ENTITY = /&(?:#(\d{1,7})|#[xX]([\da-fA-F]{1,6})|([A-Za-z]\w{1,8}));/g;

/** Each character with its names behind it. */
const TABLE =
  "&amp <lt >gt \"quot 'apos \u00a0nbsp …hellip –ndash —mdash ‘lsquo ’rsquo “ldquo ”rdquo „bdquo «laquo »raquo •bull ·middot " +
  "©copy ®reg ™trade °deg §sect €euro £pound ←larr →rarr ×times ÷divide ±plusmn −minus ≤le ≥ge ≠ne ≈asymp ½frac12 ²sup2";

const NAMED = new Map([
  ["Tab", "\t"],
  ["NewLine", "\n"],
  ...TABLE.split(" ").map((one): [string, string] => [one.slice(1), one.charAt(0)]),
]);

/** What is none of these stays as it is written. */
export function decoded(text: string): string {
  return text.replace(ENTITY, (entity, decimal?: string, hex?: string, name?: string) => {
    if (name !== undefined) return NAMED.get(name) ?? entity;
    const number = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16);
    return isCharacter(number) ? String.fromCodePoint(number) : entity;
  });
}

/** Neither nothing, nor half of a character, nor beyond all of them. */
const isCharacter = (number: number): boolean =>
  number > 0 && number <= 0x10ffff && (number < 0xd800 || number > 0xdfff);
