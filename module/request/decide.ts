import type { SessionMaxAge } from '../record/SessionRecord';
import type { State } from './state';

/** What a commit knows of a request's session. */
export interface Facts {
  /** Whether the application has left the session alone, set it to null, or read or assigned it. */
  readonly use: 'none' | 'discarded' | 'used';
  /** Whether the session is kept in a store; if not, its data are in the cookie. */
  readonly inStore: boolean;
  readonly state: State['at'];
  readonly cookie: 'none' | 'current' | 'stale' | 'expired';
  /** The time, in ms, since the session was loaded. */
  readonly sinceLoaded: number;
  /** Whether the data have changed, or the session was given a lifetime. */
  readonly changed: boolean;
  /** Whether the lifetime differs from the one that is kept. */
  readonly lifetimeChanged: boolean;
  /** Whether a `regenerate()` has failed. */
  readonly regenerateFailed: boolean;
  /** Whether this request has written the session, or asked the store about it, since it was loaded. */
  readonly written: boolean;
  readonly headersSent: boolean;
  readonly rolling: boolean;
  readonly renew: boolean;
  readonly maxAge: SessionMaxAge | undefined;
  /** When the session ends, in ms since 1970, if that is known. */
  readonly expiresAt: unknown;
  /** When `absoluteMaxAge` ends it, in ms since 1970; undefined for never. */
  readonly absoluteEnd: number | undefined;
  readonly storeKeepsExpiry: boolean;
  readonly now: number;
  /** Whether the record has to say anew whose it is, or when it was created or seen. A function, as it costs something. */
  isDue(): boolean;
}

/** Why a session is written. */
export type Reason = 'changed' | 'lifetime' | 'due' | 'rolling' | 'stale cookie' | 'renew';

/** Whether the application has asked for the write; all others are bookkeeping, and no request fails for them. */
export const isAsked = (why: Reason) => why === 'changed' || why === 'lifetime';

/** What a commit does. */
export type Decision =
  | { readonly do: 'nothing' | 'destroy' | 'drop changes' | 'refuse' | 'remove cookie' }
  | { readonly do: 'write'; readonly why: Reason }
  | { readonly do: 'refresh'; readonly noteSeen: boolean; readonly sendId: boolean };

/** The longest time, in ms, after which a response still removes the cookie of a session that is over: after that, a sign-in may have set another one. */
const REMOVAL_MS = 1000;

const NOTHING: Decision = { do: 'nothing' };

/** Decides what a commit does; `test/rules/decide.test.ts` has the rules, each with an example. */
export function decide(facts: Facts): Decision {
  const { use, inStore, state, cookie, changed } = facts;
  if (use === 'none') return NOTHING;
  if (use === 'discarded') return { do: 'destroy' };
  if (state === 'unavailable') return NOTHING; // an outage signs nobody out, and overwrites nothing
  if (changed && facts.regenerateFailed) return { do: 'drop changes' };
  if (changed && facts.headersSent && (!inStore || state === 'new')) return { do: 'refuse' };
  const why = changed ? 'changed' : renewal(facts);
  if (why) return { do: 'write', why };
  if (cookie === 'expired' && facts.sinceLoaded < REMOVAL_MS) return { do: 'remove cookie' };
  if (!inStore || state !== 'saved') return NOTHING;
  const noteSeen = facts.isDue();
  const sendId = cookie === 'stale'; // an update() has given the record another time to live
  return noteSeen || sendId ? { do: 'refresh', noteSeen, sendId } : NOTHING;
}

/** Why a session that has not changed is written, so that it lives on. */
function renewal(facts: Facts): Reason | undefined {
  if (facts.state !== 'saved') return undefined;
  if (facts.lifetimeChanged) return 'lifetime';
  if (facts.written) return undefined;
  if (!facts.inStore && facts.isDue()) return 'due';
  if (facts.rolling) return 'rolling';
  if (facts.cookie === 'stale') return 'stale cookie';
  return facts.renew && isHalfOver(facts) ? 'renew' : undefined;
}

function isHalfOver({ expiresAt, maxAge, absoluteEnd, storeKeepsExpiry, now }: Facts): boolean {
  if (typeof expiresAt !== 'number' || typeof maxAge !== 'number') return storeKeepsExpiry && expiresAt === undefined;
  const left = expiresAt - now;
  const clocksDiffer = left > maxAge + 1000; // more than all of it
  return (left < maxAge / 2 || clocksDiffer) && (absoluteEnd === undefined || expiresAt < absoluteEnd);
}
