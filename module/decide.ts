import type { SessionMaxAge } from './store/SessionStore';

/** What a commit knows of a request's session. */
export interface Facts {
  /** Whether the application has left the session alone, set it to null, or read or assigned it. */
  readonly use: 'none' | 'discarded' | 'used';
  /** Whether the session is kept in a store; if not, its data are in the cookie. */
  readonly inStore: boolean;
  readonly state: 'unread' | 'new' | 'kept' | 'ended' | 'destroyed';
  readonly cookie: 'good' | 'stale' | 'bad' | 'expired';
  /** False when the store could not be asked. */
  readonly available: boolean;
  /** Whether the data have changed, or the session was given a lifetime. */
  readonly changed: boolean;
  /** Whether the lifetime differs from the one that is kept. */
  readonly lifetimeChanged: boolean;
  /** Whether a `regenerate()` has failed. */
  readonly moveFailed: boolean;
  /** Whether this request has written the session, or asked the store about it, since it was loaded. */
  readonly written: boolean;
  readonly headersSent: boolean;
  readonly rolling: boolean;
  readonly renew: boolean;
  readonly maxAge: SessionMaxAge | undefined;
  /** When the session ends, in ms since 1970, if that is known. */
  readonly expiresAt: unknown;
  readonly storeKeepsExpiry: boolean;
  readonly now: number;
  /** Whether the record has to say anew whose it is, or when it was created or seen. A function, as it costs something. */
  isDue(): boolean;
}

/** Why a session is written; all but `changed` is bookkeeping, which the application did not ask for. */
export type Reason = 'changed' | 'lifetime' | 'due' | 'rolling' | 'stale cookie' | 'renew';

/** What a commit does. */
export type Decision =
  | { readonly do: 'nothing' | 'destroy' | 'drop changes' | 'refuse' | 'remove cookie' }
  | { readonly do: 'write'; readonly why: Reason }
  | { readonly do: 'refresh'; readonly noteSeen: boolean; readonly sendId: boolean };

const NOTHING: Decision = { do: 'nothing' };

/** Decides what a commit does; `test/decide.test.ts` has the rules, each with an example. */
export function decide(facts: Facts): Decision {
  const { use, inStore, state, cookie, changed } = facts;
  if (use === 'none') return NOTHING;
  if (use === 'discarded') return { do: 'destroy' };
  if (!facts.available) return NOTHING; // an outage signs nobody out, and overwrites nothing
  if (changed && facts.moveFailed) return { do: 'drop changes' };
  if (changed && facts.headersSent && (!inStore || state === 'new')) return { do: 'refuse' };
  const why = changed ? 'changed' : renewal(facts);
  if (why) return { do: 'write', why };
  if (cookie === 'bad' || cookie === 'expired') return { do: 'remove cookie' };
  if (!inStore || state !== 'kept') return NOTHING;
  const noteSeen = facts.isDue();
  const sendId = cookie === 'stale'; // an update() has given the record another time to live
  return noteSeen || sendId ? { do: 'refresh', noteSeen, sendId } : NOTHING;
}

/** Why a session that has not changed is written, so that it lives on. */
function renewal(facts: Facts): Reason | undefined {
  const { expiresAt, maxAge } = facts;
  if (facts.state !== 'kept') return undefined;
  if (facts.lifetimeChanged) return 'lifetime';
  if (facts.written) return undefined;
  if (!facts.inStore && facts.isDue()) return 'due';
  if (facts.rolling) return 'rolling';
  if (facts.cookie === 'stale') return 'stale cookie';
  if (!facts.renew) return undefined;
  const isDue = typeof expiresAt === 'number' && typeof maxAge === 'number' ? expiresAt - facts.now < maxAge / 2
    : facts.storeKeepsExpiry && expiresAt === undefined;
  return isDue ? 'renew' : undefined;
}
