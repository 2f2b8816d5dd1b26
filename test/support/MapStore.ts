import { SessionStore, type SessionMaxAge, type SessionRecord } from '../..';

/** A store as an author would begin one: three methods and a Map. */
export class MapStore extends SessionStore {
  readonly entries = new Map<string, { json: string; expires: number }>();

  async get(key: string): Promise<SessionRecord | undefined> {
    const entry = this.entries.get(key);
    return entry && entry.expires > Date.now() ? JSON.parse(entry.json) : undefined;
  }

  async set(key: string, record: SessionRecord, maxAge: SessionMaxAge) {
    this.entries.set(key, { json: JSON.stringify(record), expires: Date.now() + this.ttl(maxAge) });
  }

  async destroy(key: string) {
    this.entries.delete(key);
  }

  /** What is stored, for tests to look at. */
  get records(): Map<string, SessionRecord> {
    return new Map([ ...this.entries ].map(([ key, { json }]) => [ key, JSON.parse(json) ]));
  }
}
