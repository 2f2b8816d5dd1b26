import { LRUCache } from 'lru-cache';
import { TOMBSTONE_MS } from '../record/SessionRecord';

/**
 * A logical clock, which ticks when a request of this process has ended a record, moved it, or given it a lifetime. What a store
 * said of a record before its latest tick may be wrong.
 */
export class ChangeClock {
  /** The number of ticks. */
  now = 0;
  private readonly latest = new LRUCache<string, number>({ max: 10_000, ttl: TOMBSTONE_MS });

  tick(key: string): void {
    this.latest.set(key, ++this.now);
  }

  /** Whether it has ticked for this record after `then`, within the last 30 s. */
  hasChanged(key: string, then: number): boolean {
    return (this.latest.get(key) ?? 0) > then;
  }
}
