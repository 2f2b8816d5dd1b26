import { strict as assert } from 'node:assert';
import type { SessionStore } from '../module/store/SessionStore';
import { MINUTE, type StoreUnderTest } from './StoreUnderTest';

type Call = (store: SessionStore, key: string) => Promise<unknown> | undefined;

/** The part of the contract's suite that is about a server that can't be reached. */
export function testDown({ options, newKey, tests }: StoreUnderTest, create?: () => SessionStore | Promise<SessionStore>): void {
  tests.describe('a server that is down', () => {
    if (!create) {
      tests.skip('makes each call fail: give testSessionStore a store whose server is down, as { down: () => new MyStore(…) }');
      return;
    }
    let store: SessionStore;
    tests.before(async () => {
      store = await create();
    });
    tests.after(() => store?.close().catch(() => undefined)); // it may have nothing to close

    const CALLS: Record<string, Call> = {
      get: (store, key) => store.get(key, MINUTE, options),
      set: (store, key) => store.set(key, { n: 1 }, MINUTE, options),
      destroy: (store, key) => store.destroy(key, options),
      touch: (store, key) => store.touch?.(key, options),
      getAndTouch: (store, key) => store.getAndTouch?.(key, options),
      merge: (store, key) => store.merge?.(key, { set: { n: 1 }, unset: [], replace: false }, options),
      compareAndSet: (store, key) => store.compareAndSet?.(key, { n: 1 }, { n: 2 }, MINUTE, options),
      retire: (store, key) => store.retire?.(key, null, MINUTE, options),
      index: (store, key) => store.index?.('a principal', key, MINUTE, options),
      list: store => store.list?.('a principal', options)[Symbol.asyncIterator]().next(),
    };

    tests.it('makes each call fail: a session that can\'t be read is not one that is not there, and one that can\'t be ended is not over', async () => {
      for (const [ name, call ] of Object.entries(CALLS)) {
        const result = call(store, newKey());
        if (!result && !(name in { get: 1, set: 1, destroy: 1 })) continue; // the store does not have it
        const resolved = await Promise.resolve(result).then(value => ({ value }), () => undefined);
        assert.equal(resolved, undefined, `${name} resolves, to ${JSON.stringify(resolved?.value)}`);
      }
    });
  });
}
