/** What may go around a cookie's name and value (RFC 6265, 5.4). String.trim() would also take U+00A0 for blank. */
const isBlank = (code: number) => code === 0x20 || code === 0x09;

/** The values of the cookies with this name in a `Cookie` header, in its order. */
export function cookieValues(header: string, name: string): string[] {
  const values: string[] = [];
  const begin = `${name}=`;
  for (let at = header.indexOf(begin); at >= 0; at = header.indexOf(begin, at + begin.length)) {
    let before = at - 1;
    while (before >= 0 && isBlank(header.charCodeAt(before))) before--;
    if (before >= 0 && header[before] !== ';') continue;
    let start = at + begin.length;
    let end = header.indexOf(';', start);
    if (end < 0) end = header.length;
    while (start < end && isBlank(header.charCodeAt(start))) start++;
    while (end > start && isBlank(header.charCodeAt(end - 1))) end--;
    values.push(header.slice(start, end));
  }
  return values;
}

/** A value without the one pair of quotes that may be around it (RFC 6265, 4.1.1). */
export const unquoted = (value: string): string =>
  (value.length > 1 && value[0] === '"' && value.at(-1) === '"' ? value.slice(1, -1) : value);
