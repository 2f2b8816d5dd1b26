import type { Context } from 'egg';
import type { SessionConfig } from '../options/SessionConfig';
import { tell, type SessionEndReason } from '../record/events';
import { dataOf, isAliveIn, isExpired, isKept, isTombstone, lifetimeOf, TOMBSTONE_MS } from '../record/SessionRecord';
import type { Store } from '../store/GuardedStore';
import type { SessionStoreOptions } from '../store/SessionStore';
import { hasOutlived, indexMs, type MetaFields, principalIn } from './RecordMeta';

/** The most sessions that are read or ended at a time, so that a server can answer others in between. */
const BATCH = 100;

/** The most time, in ms, that a session which was just seen may seem older than another; more means that clocks differ. */
const MINUTE = 60_000;

/** A session that is in the store, and its key there. */
export interface LiveSession {
  key: string;
  record: MetaFields;
  /** Whose it is by its data: requests at the same time may have left another name in the record. */
  principal?: string;
  /** Whether it is over by the clock of this process, where the store has none of its own. */
  isOver: boolean;
}

/** The sessions of principals, and of all, in a store that is indexed. */
export class SessionIndex {
  private readonly options: SessionStoreOptions;

  constructor(private readonly store: Store, private readonly config: SessionConfig, private readonly ctx: Context) {
    this.options = { ctx };
  }

  /** The sessions of a principal, in lists. What the index has of sessions that are gone is removed from it. */
  async* of(principal: string): AsyncGenerator<LiveSession[]> {
    const { store, options } = this;
    const known = new Set<string>();
    for await (const keys of this.batches(principal)) {
      const live: LiveSession[] = [];
      await Promise.all(keys.map(async key => {
        // one that moves now may be listed under its old key only, or under both
        const session = await this.follow(key);
        // what is over by the clocks of processes may not be so for all
        if (!session) await this.removeMissing(principal, key);
        else if (session.key !== key || (session.isOver && store.keepsExpiry)) await removeFromIndex(store, principal, key, options);
        if (session?.principal !== principal || known.has(session.key)) return;
        known.add(session.key);
        live.push(session);
      }));
      yield live;
    }
  }

  /** Takes a key without a record off the index, unless the record has been written meanwhile: an index has a session before that. */
  private async removeMissing(principal: string, key: string): Promise<void> {
    const { store, config, options } = this;
    await removeFromIndex(store, principal, key, options);
    const record = await store.get(key, undefined, options);
    if (!isKept(record) || principalIn(record, config) !== principal) return;
    await store.index(principal, key, indexMs(lifetimeOf(record)), options);
  }

  /**
   * Ends the principal's sessions beyond `maxSessions`, those first that were not seen for longest.
   *
   * @param principal whose sessions
   * @param current the key of the one that signs in now
   */
  async limit(principal: string, current: string): Promise<void> {
    const found = new Map<string, LiveSession>();
    for await (const live of this.of(principal)) for (const each of live) if (!each.isOver) found.set(each.key, each);
    const all = this.onePerSession(found);
    const latest = all.reduce((at, { seenAt }) => Math.max(at, seenAt), 0);
    for (const each of all) {
      // its stamp is of this moment; if it does not look so, the clocks differ
      if (each.keys.includes(current) && latest - each.seenAt > MINUTE) each.seenAt = latest + 1;
    }
    // whoever signs in at the same time has to come to the same order
    all.sort((a, b) => b.seenAt - a.seenAt || (a.keys[0] < b.keys[0] ? -1 : 1));
    const tooMany = all.slice(this.config.maxSessions).flatMap(({ keys }) => keys);
    for (let i = 0; i < tooMany.length; i += BATCH) {
      await Promise.all(tooMany.slice(i, i + BATCH).map(key => this.end(key, 'evicted')));
    }
  }

  /** One that moves now is there twice: it counts once, and ends as a whole. */
  private onePerSession(found: ReadonlyMap<string, LiveSession>): Array<{ keys: string[]; seenAt: number }> {
    const sessions = [ ...found.values() ].map(session => {
      const before = found.get(session.record._movedFrom!);
      return before ? [ session, before ] : [ session ];
    });
    const moving = new Set(sessions.map(([ , before ]) => before));
    return sessions.filter(([ session ]) => !moving.has(session)).map(records => ({
      keys: records.map(({ key }) => key),
      seenAt: Math.max(...records.map(({ record }) => record._seenAt ?? 0)),
    }));
  }

  /** The keys of a principal's sessions, or of all, in short lists. */
  async* batches(principal?: string): AsyncGenerator<string[]> {
    for await (const keys of this.store.list(principal, this.options)) {
      for (let i = 0; i < keys.length; i += BATCH) yield keys.slice(i, i + BATCH);
    }
  }

  /**
   * The session under a key, or the one that took its place; undefined when the store has neither.
   *
   * @param key where to begin
   * @param seen is given the keys that lead there, and its own
   */
  async follow(key: string, seen = new Set<string>()): Promise<LiveSession | undefined> {
    const { store, config } = this;
    for (let next: string | null = key; next !== null && !seen.has(next);) {
      seen.add(next);
      const record = await store.get(next, undefined, this.options);
      if (isKept(record)) {
        const isOver = !store.hasClock && (isExpired(record) || hasOutlived(record, config));
        return { key: next, record, principal: principalIn(record, config), isOver };
      }
      next = isTombstone(record) ? record._successor : null;
    }
    return undefined;
  }

  /** Ends a session, and the one that took its place elsewhere, as `endSession` does. Resolves to whether there was one. */
  async end(key: string, reason: SessionEndReason, mayEnd?: (record: MetaFields) => boolean): Promise<boolean> {
    const { store, ctx, config: { logValue } } = this;
    const { ended, name } = await endSession(store, key, this.options, mayEnd);
    if (!ended) return false;
    tell(ctx.app, 'session:destroyed', {
      ctx, reason, key: name, ...logValue ? { value: dataOf(ended), principal: ended._principal } : {},
    });
    return true;
  }
}

/** Takes a key off the index, as far as that can be done: what is left there of a session that is gone does no harm. */
export async function removeFromIndex(store: Store, principal: string, key: string, options: SessionStoreOptions): Promise<void> {
  await store.index(principal, key, 0, options).catch(() => undefined);
}

/**
 * Ends a session in the store, and the one that took its place elsewhere.
 *
 * @param store the store
 * @param key where to begin
 * @param options those of the store's calls
 * @param mayEnd is asked of each record first, if it is given: what is bound to a device stays for who has no proof of it
 * @return the record that was taken out, what stands for its id where people read, and whether the key had a tombstone
 */
export async function endSession(store: Store, key: string, options: SessionStoreOptions, mayEnd?: (record: MetaFields) => boolean):
Promise<{ ended?: MetaFields; name?: string; hadEnded: boolean }> {
  const seen = new Set<string>();
  let hadEnded = false;
  let ended: MetaFields | undefined;
  let name: string | undefined;
  for (let next: string | null = key; next !== null && !seen.has(next);) {
    seen.add(next);
    const before = mayEnd && await store.get(next, undefined, options);
    if (isKept(before) && !mayEnd!(before)) return { hadEnded: true };
    const left = await store.retire(next, null, TOMBSTONE_MS, options);
    if (isAliveIn(store, left)) {
      ended = left;
      name = store.nameOf(next);
    }
    if (isKept(left) && store.isIndexed && typeof left._principal === 'string') await removeFromIndex(store, left._principal, next, options);
    hadEnded ||= isTombstone(left);
    next = isTombstone(left) ? left._successor : null;
  }
  return { ended, name, hadEnded };
}
