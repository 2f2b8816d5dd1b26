import type { Context } from 'egg';
import { tell, type SessionEndReason } from './events';
import { dataOf, isAlive, isTombstone, TOMBSTONE_MS } from './record';
import type { SessionConfig } from './SessionConfig';
import { type About, hasOutlived, principalIn } from './SessionMeta';
import type { Store } from './store/guard';
import type { SessionStoreOptions } from './store/SessionStore';

/** How many sessions are read or ended at a time: a server has to answer others in between. */
const BATCH = 100;

/** A session that is alive, and its key in the store. */
export interface LiveSession {
  key: string;
  record: About;
  /** Whose it is by its data: requests at the same time may have left another name in the record. */
  principal?: string;
}

/** The sessions of principals, and of all, in a store that is indexed. */
export class PrincipalSessions {
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
        if (session?.key !== key) await takeOff(store, principal, key, options);
        if (session?.principal !== principal || known.has(session.key)) return;
        known.add(session.key);
        live.push(session);
      }));
      yield live;
    }
  }

  /** Ends the principal's sessions beyond `maxSessions`, those first that were not seen for longest. */
  async limit(principal: string): Promise<void> {
    const all: LiveSession[] = [];
    for await (const live of this.of(principal)) all.push(...live);
    // whoever signs in at the same time has to come to the same order
    all.sort((a, b) => (b.record._seenAt ?? 0) - (a.record._seenAt ?? 0) || (a.key < b.key ? -1 : 1));
    const tooMany = all.slice(this.config.maxSessions);
    for (let i = 0; i < tooMany.length; i += BATCH) {
      await Promise.all(tooMany.slice(i, i + BATCH).map(({ key }) => this.end(key, 'evicted')));
    }
  }

  /** The keys of a principal's sessions, or of all, in short lists. */
  async* batches(principal?: string): AsyncGenerator<string[]> {
    for await (const keys of this.store.list(principal, this.options)) {
      for (let i = 0; i < keys.length; i += BATCH) yield keys.slice(i, i + BATCH);
    }
  }

  /** The session under a key, or the one that took its place; undefined when neither is alive. */
  async follow(key: string): Promise<LiveSession | undefined> {
    const seen = new Set<string>();
    for (let next: string | null = key; next !== null && !seen.has(next);) {
      seen.add(next);
      const record = await this.store.get(next, undefined, this.options);
      if (isAlive(record)) {
        if (hasOutlived(record, this.config)) return undefined;
        return { key: next, record, principal: principalIn(record, this.config) };
      }
      next = isTombstone(record) ? record._successor : null;
    }
    return undefined;
  }

  /** Ends a session, and the one that took its place elsewhere. Resolves to whether there was one. */
  async end(key: string, reason: SessionEndReason): Promise<boolean> {
    const { store, ctx, config: { logValue } } = this;
    const { ended, name } = await endSession(store, key, this.options);
    if (!ended) return false;
    tell(ctx.app, 'session:destroyed', {
      ctx, reason, key: name, ...logValue ? { value: dataOf(ended), principal: ended._principal } : {},
    });
    return true;
  }
}

/** Takes a key off the index, as far as that can be done: what is left there of a session that is gone does no harm. */
export async function takeOff(store: Store, principal: string, key: string, options: SessionStoreOptions): Promise<void> {
  await store.index(principal, key, 0, options).catch(() => undefined);
}

/**
 * Ends a session in the store, and the one that took its place elsewhere.
 *
 * @return the record that was taken out, what stands for its id where people read, and whether the key had a tombstone
 */
export async function endSession(store: Store, key: string, options: SessionStoreOptions):
Promise<{ ended?: About; name?: string; hadEnded: boolean }> {
  const seen = new Set<string>();
  let hadEnded = false;
  let ended: About | undefined;
  let name: string | undefined;
  for (let next: string | null = key; next !== null && !seen.has(next);) {
    seen.add(next);
    const left = await store.retire(next, null, TOMBSTONE_MS, options);
    if (isAlive(left)) {
      ended = left;
      name = store.nameOf(next);
      if (store.isIndexed && typeof left._principal === 'string') await takeOff(store, left._principal, next, options);
    }
    hadEnded ||= isTombstone(left);
    next = isTombstone(left) ? left._successor : null;
  }
  return { ended, name, hadEnded };
}
