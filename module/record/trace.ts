import { debuglog } from 'node:util';
import type { Context } from 'egg';

/** `NODE_DEBUG=egg-tegg-session` prints a line for each request; without it, this costs nothing. */
export const trace = debuglog('egg-tegg-session');

const commands = new WeakMap<Context, string[]>();

/** Notes a call of the store for a request. */
export function traceCommand(ctx: Context, operation: string): void {
  const made = commands.get(ctx);
  if (made) made.push(operation);
  else commands.set(ctx, [ operation ]);
}

/** Prints how the session of a request has ended up, what the commit did and why, the calls of the store, and how long the request took. */
export function traceRequest(ctx: Context, state: string, decision: { do: string } = { do: 'no commit' }): void {
  const { do: what, ...more } = decision;
  const why = Object.entries(more).filter(([ , value ]) => value).map(([ name, value ]) => (value === true ? name : value))
    .join(', ');
  const { method, path, starttime } = ctx as Context & { starttime?: number };
  trace('%s %s: %s, %s%s; %s; %d ms', method, path, state, what, why && ` (${why})`, commands.get(ctx)?.join(' ') ?? 'no store', Date.now() - (starttime ?? NaN));
}
