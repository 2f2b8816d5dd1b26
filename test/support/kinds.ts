import { MemorySessionStore, type SessionOptions } from '../..';
import { MapStore } from './MapStore';
import { stop } from './web';

class TestMemoryStore extends MemorySessionStore {}

/** What the cookie may hold, each with its options. After each test of the suite that calls this, applications and stores are closed. */
export function kindsOfCookies(): Array<[ kind: string, given: () => SessionOptions ]> {
  const stores: TestMemoryStore[] = [];
  afterEach(async () => {
    await stop();
    for (const store of stores.splice(0)) await store.close();
  });
  return [
    [ 'the data', () => ({}) ],
    [ 'readable data', () => ({ encrypt: false }) ],
    [ 'the id of a session in a store of three methods', () => ({ store: new MapStore() }) ],
    [ 'the id of a session in memory', () => {
      const store = new TestMemoryStore();
      stores.push(store);
      return { store };
    } ],
  ];
}
