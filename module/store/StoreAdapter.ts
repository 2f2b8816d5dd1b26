import { applyChanges, isAliveIn, isTombstone, lifetimeFields, lifetimeOf, msLeft, NO_CHANGES, ONE_DAY, type Tombstone } from '../record/SessionRecord';
import { requireFit } from '../record/tooLarge';
import { exclusively } from './KeyedMutex';
import { MemorySessionStore } from './MemorySessionStore';
import {
  SessionStore, type SessionChanges, type SessionMaxAge, type SessionRecord, type SessionStoreLike, type SessionStoreOptions,
} from './SessionStore';

/** The time, in ms, that koa-session has stores keep a session after it has expired. */
const GRACE = 10_000;

/** What a store has for a key. */
export type Existing = SessionRecord | Tombstone | null | undefined;

function withLifetime(record: SessionRecord, maxAge: SessionMaxAge): SessionRecord {
  const result = { ...record };
  delete result._expire;
  delete result._maxAge;
  delete result._session;
  return Object.assign(result, lifetimeFields(maxAge));
}

/** The time to keep a record from now on: its lifetime, or its remaining time under `absoluteMaxAge`. */
function boundedBy({ absoluteMaxAge }: SessionStoreOptions, record: SessionRecord, maxAge: SessionMaxAge): SessionMaxAge {
  const left = Math.max(1, msLeft(record, absoluteMaxAge));
  return left < (maxAge === 'session' ? ONE_DAY : maxAge) ? left : maxAge;
}

/** A store with all the optional methods: its own where it has them, else in a weaker form. */
export class StoreAdapter {
  /** Whether the store keeps the time of expiry itself; if not, it is in the record, and the store keeps it longer. */
  readonly keepsExpiry: boolean;

  /** Whether the store decides by its own clock what has expired; if so, the clock of this process does not count. */
  readonly hasClock: boolean;

  /** Whether the store has `getAndTouch`. */
  readonly renewsOnRead: boolean;

  /** Whether the store can tell which sessions a principal has, and which there are. */
  readonly isIndexed: boolean;

  /** Whether the store writes in one step whatever it is asked to; if not, all that this process writes has to wait. */
  private readonly isAtomic: boolean;

  /** The same store, if it has optional methods: those of other objects may be anything. */
  private readonly more: Partial<SessionStoreLike>;

  constructor(private readonly store: SessionStoreLike) {
    this.more = store instanceof SessionStore ? store : {};
    const { touch, getAndTouch, merge, compareAndSet, retire } = this.more;
    this.keepsExpiry = Boolean(touch ?? getAndTouch ?? merge ?? compareAndSet ?? retire);
    this.hasClock = this.keepsExpiry && !(store instanceof MemorySessionStore);
    this.isAtomic = Boolean(merge && compareAndSet && retire);
    this.renewsOnRead = Boolean(getAndTouch);
    this.isIndexed = Boolean(this.more.index && this.more.list);
  }

  get(key: string, maxAge: SessionMaxAge | undefined, options: SessionStoreOptions): Promise<Existing> {
    return this.store.get(key, maxAge, options);
  }

  /**
   * Writes a record, with `maxAge` as its lifetime, for no longer than `absoluteMaxAge` allows.
   *
   * @throws TooLargeError when the store takes less
   */
  set(key: string, record: SessionRecord, maxAge: SessionMaxAge, options: SessionStoreOptions): Promise<void> {
    const value = withLifetime(record, maxAge);
    this.requireFit(value);
    const ms = boundedBy(options, record, maxAge);
    if (this.keepsExpiry || ms === 'session') return this.store.set(key, value, ms, options);
    return this.store.set(key, { ...value, _expire: Date.now() + ms }, ms + GRACE, options);
  }

  touch(key: string, options: SessionStoreOptions): Promise<SessionMaxAge | false> {
    return this.more.touch ? this.more.touch(key, options) : this.merge(key, NO_CHANGES, { ...options, changed: false });
  }

  /** @throws TypeError when the store does not renew on read */
  getAndTouch(key: string, options: SessionStoreOptions): Promise<Existing> {
    return this.more.getAndTouch!(key, options);
  }

  /** Without a `merge` of the store's own, atomic among this process's requests. */
  merge(key: string, changes: SessionChanges, options: SessionStoreOptions): Promise<SessionMaxAge | false> {
    return this.exclusively(key, isLate => {
      if (!this.more.merge) return this.readAndWrite(key, changes, options, isLate);
      this.requireFit(changes.set);
      return this.more.merge(key, changes, options);
    });
  }

  private async readAndWrite(key: string, changes: SessionChanges, options: SessionStoreOptions, isLate: () => boolean): Promise<SessionMaxAge | false> {
    const latest = await this.get(key, undefined, options);
    if (!isAliveIn(this, latest) || isLate()) return false;
    const record = applyChanges(latest, changes);
    if (msLeft(record, options.absoluteMaxAge) <= 0) return false;
    const maxAge = lifetimeOf(record);
    if (changes.renew !== false) await this.set(key, record, maxAge, options);
    else if (typeof record._expire === 'number') await this.setUntil(record._expire, key, record, options);
    // else nothing is written, as a write would renew the record; except for its age, which each request would have to note again
    else if ('_createdAt' in changes.set) await this.set(key, record, maxAge, options);
    return maxAge;
  }

  /** Writes a record that ends when it would have ended anyway. */
  private async setUntil(end: number, key: string, record: SessionRecord, options: SessionStoreOptions): Promise<void> {
    const ms = boundedBy(options, record, end - Date.now());
    if (Number(ms) <= 0) return;
    this.requireFit(record);
    if (this.keepsExpiry) return await this.store.set(key, { ...record, _expire: undefined }, ms, options);
    // not for `ms`: this process's clock may be ahead, and `_expire` ends it
    const kept = boundedBy(options, record, lifetimeOf(record));
    await this.store.set(key, record, (kept === 'session' ? ONE_DAY : kept) + GRACE, options);
  }

  /** Without a `compareAndSet` of the store's own, atomic among this process's requests. */
  async compareAndSet(key: string, expected: SessionRecord, record: SessionRecord, maxAge: SessionMaxAge,
    options: SessionStoreOptions): Promise<boolean> {
    // that it was touched meanwhile is no change
    const contents = (record: SessionRecord) => JSON.stringify({ ...record, _expire: undefined });
    return await this.exclusively(key, async isLate => {
      if (this.more.compareAndSet) {
        this.requireFit(record);
        return await this.more.compareAndSet(key, expected, withLifetime(record, maxAge), boundedBy(options, record, maxAge), options);
      }
      const latest = await this.get(key, undefined, options);
      if (!isAliveIn(this, latest) || contents(latest) !== contents(expected) || isLate()) return false;
      if (msLeft(record, options.absoluteMaxAge) <= 0) return false;
      await this.set(key, record, maxAge, options);
      return true;
    });
  }

  /** Without a `retire` of the store's own, no tombstone stays, and what was there is told only to those who need it. */
  async retire(key: string, successor: string | null, graceMs: number, options: SessionStoreOptions): Promise<Existing> {
    return await this.exclusively(key, async () => {
      if (this.more.retire) return await this.more.retire(key, successor, graceMs, options);
      const isUnasked = successor === null && !this.isIndexed && options.ctx.app.listenerCount('session:destroyed') === 0;
      const latest = isUnasked ? undefined : await this.get(key, undefined, options);
      await this.store.destroy(key, options);
      return isTombstone(latest) ? undefined : latest;
    });
  }

  /** @throws TypeError when the store is not indexed */
  index(principal: string, key: string, ms: number, options: SessionStoreOptions): Promise<void> {
    return this.more.index!(principal, key, ms, options);
  }

  /** @throws TypeError when the store is not indexed */
  list(principal: string | undefined, options: SessionStoreOptions): AsyncIterable<string[]> {
    return this.more.list!(principal, options);
  }

  private requireFit(record: SessionRecord): void {
    const { maxBytes } = this.more;
    if (maxBytes !== undefined) requireFit(record, Buffer.byteLength(JSON.stringify(record)), maxBytes);
  }

  /** No async function, nor is `merge`: each request that writes pays for every promise. */
  private exclusively<T>(key: string, write: (isLate: () => boolean) => Promise<T>): Promise<T> {
    return this.isAtomic ? write(() => false) : exclusively(key, write);
  }
}
