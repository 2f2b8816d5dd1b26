import { strict as assert } from 'node:assert';
import { createHash } from 'node:crypto';
import { ChangeClock } from '../../module/store/ChangeClock';
import { Deadlines } from '../../module/store/Deadlines';
import { GuardedStore } from '../../module/store/GuardedStore';
import type { SessionStoreOptions } from '../../module/store/SessionStore';
import { SessionStoreError } from '../../module/store/SessionStoreError';
import { StoreHealth } from '../../module/store/StoreHealth';

const OPTIONS = { ctx: { app: { listenerCount: () => 0 } } } as unknown as SessionStoreOptions;
const LOGGER = { error() { /* not looked at */ }, warn() { /* not looked at */ }, info() { /* not looked at */ } };
const hash = (id: string) => createHash('sha256').update(id).digest('base64url');
const timeout = () => Object.assign(new Error('read ETIMEDOUT'), { code: 'ETIMEDOUT' });

function guard(methods: object = {}, hashesIds = true) {
  const store = { keepsExpiry: true, hasClock: true, renewsOnRead: true, isIndexed: true, ...methods };
  const clock = new ChangeClock();
  const health = new StoreHealth(LOGGER as never, 0);
  return { clock, health, store: new GuardedStore(store as never, health, new Deadlines(60_000), clock, hashesIds) };
}

describe('the guard of a store', () => {
  it('gives the store a hash in place of the id', () => {
    const { store } = guard();
    assert.equal(store.keyOf('an id'), hash('an id'));
    assert.equal(store.keyOf('an id'), hash('an id'), 'also when it is remembered');
    assert.equal(store.nameOf(store.keyOf('an id')), hash('an id').slice(0, 8));
    assert.equal(store.isIndexed, true);
  });

  it('lists no sessions where the key is the id, which would sign in', () => {
    const { store } = guard({}, false);
    assert.equal(store.keyOf('an id'), 'an id');
    assert.equal(store.nameOf('an id'), hash('an id').slice(0, 8));
    assert.equal(store.isIndexed, false);
  });

  it('remembers the keys of ids, but of no long ones, which a client can make up', () => {
    const { store } = guard();
    const { keys } = store as unknown as { keys: ReadonlyMap<string, string> };
    for (const length of [ 1, 256, 257, 10_000 ]) store.keyOf('x'.repeat(length));
    assert.deepEqual([ ...keys.keys() ].map(key => key.length).sort((a, b) => a - b), [ 1, 256 ]);
  });

  it('lists no keys that are none of sessions', async () => {
    const [ one, two ] = [ 'one', 'two' ].map(hash);
    const { store } = guard({
      async* list() {
        yield [ one, 'lock:1', `${two}:more`, '' ];
        yield [ two ];
      },
    });
    const found: string[][] = [];
    for await (const keys of store.list(undefined, OPTIONS)) found.push(keys);
    assert.deepEqual(found, [[ one ], [ two ]]);
  });

  // what a store may hang up on says nothing of it; the length is that of JSON
  const SIZES: Array<[ characters: number, isDown: boolean ]> = [[ 1000, true ], [ 500_000 - '{"text":""}'.length - 1, true ], [ 500_000 - '{"text":""}'.length, false ]];
  for (const [ characters, isDown ] of SIZES) {
    it(`${isDown ? 'counts' : 'does not count'} a server that hangs up on a write of ${characters} characters as down`, async () => {
      const record = { text: 'x'.repeat(characters) };
      const failing = () => Promise.reject(timeout());
      const calls: Record<string, (store: GuardedStore) => Promise<unknown>> = {
        set: store => store.set('key', record, 1000, OPTIONS),
        merge: store => store.merge('key', { set: record, unset: [], replace: false }, OPTIONS),
        compareAndSet: store => store.compareAndSet('key', {}, record, 1000, OPTIONS),
      };
      for (const [ name, call ] of Object.entries(calls)) {
        const { store, health } = guard({ [name]: failing });
        for (let i = 0; i < 5; i++) await assert.rejects(call(store), SessionStoreError);
        assert.equal(health.breaker, isDown ? 'open' : 'closed', name);
      }
    });
  }

  it('leaves ids, and what Redis quotes of a command, out of errors', async () => {
    const key = hash('an id');
    const { store } = guard({
      get: () => Promise.reject(new Error(`ERR unknown command for ${key}, with args beginning with: 'secret' \n 'more'`)),
    });
    await assert.rejects(store.get(key, undefined, OPTIONS), { name: 'Error', message: `ERR unknown command for ${key.slice(0, 8)}` });
  });

  const TICKS: Array<[ what: string, call: (store: GuardedStore) => Promise<unknown>, ticks: boolean ]> = [
    [ 'a read', store => store.get('key', undefined, OPTIONS), false ],
    [ 'a renewal', store => store.touch('key', OPTIONS), false ],
    [ 'a change of the data', store => store.merge('key', { set: { n: 1 }, unset: [], replace: false }, OPTIONS), false ],
    [ 'another lifetime', store => store.merge('key', { set: { _maxAge: 1 }, unset: [], replace: false }, OPTIONS), true ],
    [ 'a lifetime that ends with the browser', store => store.merge('key', { set: { _session: true }, unset: [], replace: false }, OPTIONS), true ],
    [ 'an update()', store => store.compareAndSet('key', { _maxAge: 5 }, { n: 1 }, 5, OPTIONS), false ],
    [ 'an update() with another lifetime', store => store.compareAndSet('key', { _maxAge: 5 }, { n: 1 }, 6, OPTIONS), true ],
    [ 'an end', store => store.retire('key', null, 1, OPTIONS), true ],
  ];
  for (const [ what, call, ticks ] of TICKS) {
    for (const [ how, answer ] of Object.entries({ '': () => Promise.resolve(null), ', also when it fails': () => Promise.reject(new Error('no')) })) {
      it(`${ticks ? 'has the clock tick' : 'leaves the clock alone'} at ${what}${how}`, async () => {
        const methods = Object.fromEntries([ 'get', 'touch', 'merge', 'compareAndSet', 'retire' ].map(name => [ name, answer ]));
        const { store, clock } = guard(methods);
        const done = call(store);
        assert.equal(clock.hasChanged('key', 0), false, 'not before it has answered: others may be reading');
        await done.catch(() => undefined);
        assert.equal(clock.hasChanged('key', 0), ticks);
      });
    }
  }

  it('reads instead where the server refuses to write, and asks it for no renewal for a while', async () => {
    let renewals = 0;
    const { store } = guard({
      get: async () => ({ n: 1 }),
      getAndTouch: async () => {
        renewals++;
        throw Object.assign(new Error('READONLY You can\'t write against a read only replica.'), { name: 'ReplyError' });
      },
    });
    let onlyRead = 0;
    for (let i = 0; i < 2; i++) assert.deepEqual(await store.getAndTouch('key', OPTIONS, () => onlyRead++), { n: 1 });
    assert.deepEqual([ renewals, onlyRead ], [ 1, 2 ]);
  });
});
