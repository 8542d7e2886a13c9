/**
 * What people read, in their language. The words of the page's parts are English; whoever shows the parts in another
 * language gives them a table.
 */

/** The words for an English text; `{0}` and `{1}` in it stand for `values`. */
export type Say = (english: string, ...values: readonly (string | number)[]) => string;

export const english: Say = (text, ...values) =>
  text.replace(/\{(\d)\}/g, (mark, at) => String(values[Number(at)] ?? mark));

/** What the table has no words for is said in English. */
export function sayBy(table: Readonly<Record<string, string>>): Say {
  return (text, ...values) =>
    english(Object.hasOwn(table, text) ? (table[text] ?? text) : text, ...values);
}
