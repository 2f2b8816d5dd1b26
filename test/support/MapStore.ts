import { SessionStore, type SessionRecord } from '../..';

/** A store as an author would begin one: three methods and a Map. */
export class MapStore extends SessionStore {
  readonly records = new Map<string, SessionRecord>();

  async get(key: string) {
    return structuredClone(this.records.get(key));
  }

  async set(key: string, record: SessionRecord) {
    this.records.set(key, structuredClone(record));
  }

  async destroy(key: string) {
    this.records.delete(key);
  }
}
