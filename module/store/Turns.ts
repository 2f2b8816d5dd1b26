import { LRUCache } from 'lru-cache';
import { TOMBSTONE_MS } from '../record';

/** The times at which requests of this process ended a record, moved it, or gave it a lifetime: what a store said before may be wrong. */
export class Turns {
  /** A number that is higher after each of them. */
  now = 0;
  private readonly latest = new LRUCache<string, number>({ max: 10_000, ttl: TOMBSTONE_MS });

  note(key: string): void {
    this.latest.set(key, ++this.now);
  }

  /** Whether that has happened to this record after `then`, not long ago. */
  has(key: string, then: number): boolean {
    return (this.latest.get(key) ?? 0) > then;
  }
}
