import { LRUCache } from 'lru-cache';
import { applyChanges, isAlive, isKept, isTombstone, msLeft, type Tombstone } from '../record/SessionRecord';
import {
  SessionStore, type SessionChanges, type SessionMaxAge, type SessionRecord, type SessionStoreOptions,
} from './SessionStore';

/** Interval, in ms, at which expired sessions are removed that nobody asks for. */
const PURGE_INTERVAL = 5000;

/**
 * Keeps sessions in this process, for development and tests: they are lost when it ends, and other workers do not see them. It keeps JSON,
 * as other stores do: a Date comes back as a string.
 *
 * ```ts
 * @SingletonProto()
 * export class AppSessionStore extends MemorySessionStore {}
 * ```
 */
export abstract class MemorySessionStore extends SessionStore {
  /**
   * The maximum number of sessions; beyond that, the least recently used one is evicted. Override it to change it.
   * @default 10_000
   */
  protected readonly maxEntries: number = 10_000;

  private cache?: LRUCache<string, string>;
  private purging?: NodeJS.Timeout;
  private lastRevision = 0;
  /** The keys of each principal, each with the end of its time there, in ms since 1970. */
  private readonly principals = new Map<string, Map<string, number>>();

  async get(key: string): Promise<SessionRecord | undefined> {
    return this.read(key);
  }

  async set(key: string, record: SessionRecord, maxAge: SessionMaxAge): Promise<void> {
    this.write(key, { ...record }, maxAge, this.ttl(maxAge));
  }

  async destroy(key: string): Promise<void> {
    this.records.delete(key);
  }

  override async touch(key: string, options?: SessionStoreOptions): Promise<SessionMaxAge | false> {
    const record = this.readAlive(key);
    if (!record) return false;
    const maxAge = this.lifetime(record);
    return this.keep(key, record, maxAge, this.ttl(maxAge), options) && maxAge;
  }

  override async getAndTouch(key: string, options?: SessionStoreOptions): Promise<SessionRecord | undefined> {
    const record = this.read(key);
    if (!isAlive(record)) return record;
    return this.keep(key, record, this.lifetime(record), this.ttl(this.lifetime(record)), options) ? record : undefined;
  }

  override async merge(key: string, changes: SessionChanges, options?: SessionStoreOptions): Promise<SessionMaxAge | false> {
    const before = this.readAlive(key);
    if (!before) return false;
    const record = applyChanges(before, changes);
    const maxAge = this.lifetime(record);
    const ttl = changes.renew === false ? this.records.getRemainingTTL(key) : this.ttl(maxAge);
    return this.write(key, record, maxAge, ttl, options) && maxAge;
  }

  override async compareAndSet(key: string, { _rev }: SessionRecord, record: SessionRecord, maxAge: SessionMaxAge,
    options?: SessionStoreOptions): Promise<boolean> {
    if (this.readAlive(key)?._rev !== _rev) return false;
    return this.write(key, { ...record }, maxAge, this.ttl(maxAge), options);
  }

  override async retire(key: string, successor: string | null, graceMs: number):
  Promise<SessionRecord | Tombstone | undefined> {
    const record = this.read(key);
    if (record && !isTombstone(record)) {
      this.records.set(key, JSON.stringify({ _successor: successor } satisfies Tombstone), { ttl: graceMs });
    }
    return record;
  }

  override async index(principal: string, key: string, ms: number): Promise<void> {
    const keys = this.principals.get(principal) ?? new Map<string, number>();
    const now = Date.now();
    keys.set(key, ms === 0 ? now : Math.max(now + ms, keys.get(key) ?? 0));
    for (const [ each, until ] of keys) if (until <= now) keys.delete(each);
    if (keys.size > 0) this.principals.set(principal, keys);
    else this.principals.delete(principal);
  }

  override async* list(principal?: string): AsyncGenerator<string[]> {
    yield [ ...(principal === undefined ? this.records : this.principals.get(principal) ?? new Map<string, number>()).keys() ];
  }

  override async close(): Promise<void> {
    clearInterval(this.purging);
  }

  private read(key: string): SessionRecord | undefined {
    const json = this.records.get(key);
    return json === undefined ? undefined : JSON.parse(json);
  }

  private readAlive(key: string): SessionRecord | undefined {
    const record = this.read(key);
    if (isAlive(record)) return record;
    if (isKept(record)) this.records.delete(key); // it counts by another clock than these, which may have been set
    return undefined;
  }

  /** Writes a record of our own; `_rev` tells `compareAndSet` whether anything was written since. */
  private write(key: string, record: SessionRecord, maxAge: SessionMaxAge, ttl: number, options?: SessionStoreOptions): boolean {
    record._rev = ++this.lastRevision;
    return this.keep(key, record, maxAge, ttl, options);
  }

  /** Returns false when the record has to end now, and is gone. */
  private keep(key: string, record: SessionRecord, maxAge: SessionMaxAge, ttl: number, options?: SessionStoreOptions): boolean {
    const ms = Math.min(ttl, this.ttl(msLeft(record, options?.absoluteMaxAge)));
    if (ms > 0) {
      record._expire = maxAge === 'session' ? null : Date.now() + ms;
      this.records.set(key, JSON.stringify(record), { ttl: ms });
    } else {
      this.records.delete(key);
    }
    return ms > 0;
  }

  /** Made at first use, when the subclass has set `maxEntries`. */
  protected get records() {
    if (!this.cache) {
      const cache = new LRUCache<string, string>({ max: this.maxEntries, ttl: this.ttl('session'), ttlResolution: 0 });
      // not ttlAutopurge: its timers can't wait for more than 24 days
      this.purging = setInterval(() => this.purge(cache), PURGE_INTERVAL).unref();
      this.cache = cache;
    }
    return this.cache;
  }

  private purge(cache: LRUCache<string, string>): void {
    cache.purgeStale();
    for (const [ principal, keys ] of this.principals) {
      for (const key of keys.keys()) if (!cache.has(key)) keys.delete(key);
      if (keys.size === 0) this.principals.delete(principal);
    }
  }
}
