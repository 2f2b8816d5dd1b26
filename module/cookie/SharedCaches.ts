import type { Context } from 'egg';
import onHeaders from 'on-headers';

/** The commas of a header that stand outside quoted strings. */
const OUTSIDE_QUOTES = /,(?=(?:[^"]*"[^"]*")*[^"]*$)/;

/** What shared caches go by instead of `Cache-Control`: RFC 9213, Edge Architecture, nginx, Akamai, LiteSpeed. */
const FOR_SHARED_CACHES = /(^|-)cdn-cache-control$|^(surrogate-control|x-accel-expires|edge-control|x-litespeed-cache-control)$/i;

/** A `Cache-Control` that keeps the response out of shared caches. */
function privately(given: ReturnType<Context['res']['getHeader']>): string {
  if (given === undefined) return 'private';
  const directives = String(given).split(OUTSIDE_QUOTES).map(text => text.trim())
    .filter(text => text && !/^(public|s-maxage\b.*)$/i.test(text));
  if (!directives.some(text => /^(private|no-store)$/i.test(text))) directives.unshift('private');
  return directives.join(', ');
}

const WATCHED = Symbol('egg-tegg-session: kept private');

/** Keeps a response out of shared caches, whatever its headers will be, if it `isSecret` when they are sent. */
export function keepPrivate(ctx: Context, isSecret: () => boolean): void {
  const response: Context['response'] & { [WATCHED]?: true } = ctx.response;
  // once: each would call the one before, in a handler that saves thousands of times too many
  if (response[WATCHED]) return;
  response[WATCHED] = true;
  onHeaders(ctx.res, () => {
    if (!isSecret()) return;
    const { res } = ctx;
    res.setHeader('cache-control', privately(res.getHeader('cache-control')));
    for (const name of res.getHeaderNames()) if (FOR_SHARED_CACHES.test(name)) res.removeHeader(name);
    if (res.hasHeader('vary')) ctx.vary('Cookie');
    else res.setHeader('vary', 'Cookie');
  });
}
