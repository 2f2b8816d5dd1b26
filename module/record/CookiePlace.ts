/**
 * Where a browser keeps a cookie, beside its name (RFC 6265bis, 5.7; CHIPS): one that differs in any of these is another cookie.
 * The defaults are this host only, the path `/`, and not partitioned.
 */
export interface CookiePlace {
  domain?: string;
  path?: string;
  partitioned?: true;
}

/** The most places that are remembered. */
const MOST = 4;

export const isDomain = (value: unknown): value is string => typeof value === 'string' && /^[a-z\d.-]+$/.test(value);
// eslint-disable-next-line no-control-regex -- what a path can't have
export const isPath = (value: unknown): value is string => typeof value === 'string' && /^\/[^;\x00-\x1f\x7f-\uffff]*$/.test(value);

export const isSamePlace = (a: CookiePlace, b: CookiePlace): boolean =>
  a.domain === b.domain && a.path === b.path && a.partitioned === b.partitioned;

/** The places, each once, without those of `others`. */
export function distinct(places: readonly CookiePlace[], others: readonly CookiePlace[] = []): CookiePlace[] {
  const result: CookiePlace[] = [];
  for (const place of places) if (![ ...others, ...result ].some(other => isSamePlace(place, other))) result.push(place);
  return result;
}

/** The first of them, and up to three that were there before. */
export const remembered = (place: CookiePlace, before: readonly CookiePlace[] = []): CookiePlace[] =>
  distinct([ place, ...before ]).slice(0, MOST);

/** The places that a record names, which may be of any kind where a cookie is neither sealed nor signed; undefined for none. */
export function placesIn({ _cookie }: { _cookie?: unknown }): CookiePlace[] | undefined {
  if (!Array.isArray(_cookie)) return undefined;
  return _cookie.slice(0, MOST).map(given => {
    const { domain, path, partitioned } = Object(given) as Record<keyof CookiePlace, unknown>;
    return {
      ...isDomain(domain) ? { domain } : {}, ...isPath(path) && path !== '/' ? { path } : {}, ...partitioned === true ? { partitioned } : {},
    };
  });
}
