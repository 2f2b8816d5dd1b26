import { LRUCache } from 'lru-cache';
import { applyChanges, changesSince, isEmpty, snapshot } from '../changes';
import { SessionStore, type SessionChanges, type SessionMaxAge, type SessionRecord } from '../SessionStore';

/** How often, in ms, expired sessions are removed that nobody asks for. */
const PURGE_INTERVAL = 5000;

/**
 * Keeps sessions in this process, for development and tests: they are gone when it ends, and no other worker sees them.
 *
 * ```ts
 * @SingletonProto()
 * export class AppSessionStore extends MemorySessionStore {}
 * ```
 */
export abstract class MemorySessionStore extends SessionStore {
  /** How many sessions are kept; beyond that, the one that was not used for longest goes. Override it to change it. */
  protected readonly maxEntries: number = 10_000;

  private cache?: LRUCache<string, SessionRecord>;
  private purging?: NodeJS.Timeout;

  async get(key: string): Promise<SessionRecord | undefined> {
    return structuredClone(this.records.get(key));
  }

  async set(key: string, record: SessionRecord, maxAge: SessionMaxAge): Promise<void> {
    this.write(key, structuredClone(record), maxAge);
  }

  async destroy(key: string): Promise<void> {
    this.records.delete(key);
  }

  override async touch(key: string, maxAge: SessionMaxAge): Promise<boolean> {
    const record = this.records.get(key);
    if (record) this.write(key, record, maxAge);
    return record !== undefined;
  }

  override async merge(key: string, changes: SessionChanges, maxAge: SessionMaxAge): Promise<boolean> {
    const record = this.records.get(key);
    if (record) this.write(key, applyChanges(record, structuredClone(changes)), maxAge);
    return record !== undefined;
  }

  override async compareAndSet(key: string, expected: SessionRecord, record: SessionRecord, maxAge: SessionMaxAge):
  Promise<boolean> {
    const stored = this.records.get(key);
    if (!stored || !isEmpty(changesSince(snapshot(expected), stored))) return false;
    this.write(key, structuredClone(record), maxAge);
    return true;
  }

  private write(key: string, record: SessionRecord, maxAge: SessionMaxAge) {
    if (maxAge === 'session') delete record._expire;
    else record._expire = Date.now() + maxAge;
    this.records.set(key, record, { ttl: this.ttl(maxAge) });
  }

  override async close(): Promise<void> {
    clearInterval(this.purging);
  }

  /** Made at first use, when the subclass has set `maxEntries`. */
  protected get records() {
    if (!this.cache) {
      const cache = new LRUCache<string, SessionRecord>({ max: this.maxEntries, ttl: this.ttl('session'), ttlResolution: 0 });
      // not ttlAutopurge: its timers can't wait for more than 24 days
      this.purging = setInterval(() => cache.purgeStale(), PURGE_INTERVAL).unref();
      this.cache = cache;
    }
    return this.cache;
  }
}
