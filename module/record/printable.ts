/** The most characters of a name in a message. */
const LONGEST = 100;

/** A name as messages show it: a client may have chosen it, and must not begin a new line of the log. */
export function printable(name: string): string {
  // eslint-disable-next-line no-control-regex -- what JSON escapes, and what ends lines
  const text = /[\x00-\x1f\x7f-\x9f\u2028\u2029]/.test(name) ? JSON.stringify(name).slice(1, -1).replace(/[\x7f-\x9f\u2028\u2029]/g, '?') : name;
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}
