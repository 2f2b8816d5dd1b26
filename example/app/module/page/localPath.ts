const HERE = 'http://here.invalid';

/**
 * The path and query of a page of this application, as a visitor may be sent to; `/` for anything else, such as an address on another
 * site.
 *
 * @param value what a visitor has sent
 */
export function localPath(value: unknown): string {
  if (typeof value !== 'string' || !value.startsWith('/') || !URL.canParse(value, HERE)) return '/';
  const { origin, pathname, search } = new URL(value, HERE); // reads it as browsers do: `/\evil.example` is another site
  return origin === HERE && !pathname.startsWith('//') ? pathname + search : '/';
}
