import { strict as assert } from 'node:assert';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SessionStore, SessionStoreOptions } from '../SessionStore';

/** What the suite uses of mocha. */
declare function describe(title: string, run: () => void): void;
declare function it(title: string, run: () => Promise<void>): void;
declare function after(run: () => Promise<void>): void;
declare function before(run: (this: { skip(): void }) => void | Promise<void>): void;

const MINUTE = 60_000;

/**
 * The contract of {@link SessionStore} as a mocha suite, for authors of stores: call it in a test file. What an optional
 * method promises is tested where the store has the method.
 *
 * ```ts
 * testSessionStore('MyStore', () => new MyStore(client));
 * ```
 *
 * @param name the suite's title
 * @param create makes the store to test, once; its server may hold other data. The suite removes its own, and calls
 *   `close()` at the end
 */
export function testSessionStore(name: string, create: () => SessionStore | Promise<SessionStore>): void {
  describe(`${name} is a session store`, () => {
    let store: SessionStore;
    const options = {} as SessionStoreOptions;
    let last = 0;
    const run = Math.random().toString(36).slice(2);
    const keys = new Set<string>();
    const newKey = () => `contract-${run}-${++last}`;
    const set = (key: string, record: Record<string, unknown>, maxAge: number | 'session' = MINUTE) => {
      keys.add(key);
      return store.set(key, record, maxAge, options);
    };
    /** The data that are stored, without the fields that are about the record itself. */
    const read = async (key: string) => {
      const record = await store.get(key, MINUTE, options);
      return record && Object.fromEntries(Object.entries(record).filter(([ field ]) => field[0] !== '_'));
    };
    const isGone = async (key: string) => assert.equal(await read(key) ?? undefined, undefined);

    const skipWithout = (method: 'touch' | 'merge' | 'compareAndSet') => before(function() {
      // an optional method that the store does not have
      if (!store[method]) this.skip();
    });

    before(async () => {
      store = await create();
    });
    after(async () => {
      await Promise.all([ ...keys ].map(key => store.destroy(key, options)));
      await store.close();
    });

    describe('get and set', () => {
      const VALUES: Record<string, unknown> = {
        string: 'text', 'empty string': '', number: 42, zero: 0, negative: -1.5, 'large number': 9007199254740991,
        'very large number': 1.7976931348623157e308, 'small number': 5e-324, true: true, false: false, null: null,
        'empty list': [], list: [ 1, 'two', [ 3 ], { four: 4 }, null ], 'empty object': {},
        object: { nested: { deeply: { yes: [ true ] } } }, 'number in a string': '007', 'JSON in a string': '{"a":[1]}',
        unicode: 'Straße, 会话, 🦆, \u0000, \ud800'.toWellFormed(), 'quotes and line ends': '"\'\\\r\n\t',
        date: new Date(0).toJSON(), ':base64:': ':base64:AAAA',
      };

      for (const [ title, value ] of Object.entries(VALUES)) {
        it(`keep a value as it is: ${title}`, async () => {
          const key = newKey();
          await set(key, { value });
          assert.deepEqual(await read(key), { value });
        });
      }

      it('keep many fields, whatever their names', async () => {
        const record = Object.fromEntries([ ...Object.keys(VALUES), 'a.b', 'a:b', '会话', 'length', 'key', '0' ]
          .map((field, index) => [ field, index ]));
        const key = newKey();
        await set(key, record);
        assert.deepEqual(await read(key), record);
      });

      it('keep a record without fields', async () => {
        const key = newKey();
        await set(key, {});
        assert.deepEqual(await read(key), {});
      });

      it('keep the fields of koa-session', async () => {
        const key = newKey();
        await set(key, { n: 1, _maxAge: MINUTE }, MINUTE);
        assert.equal((await store.get(key, MINUTE, options))!._maxAge, MINUTE);
        await set(key, { n: 1, _session: true }, 'session');
        assert.equal((await store.get(key, 'session', options))!._session, true);
      });

      it('keep a value of 1 MB', async () => {
        const key = newKey();
        const value = 'x'.repeat(1_000_000);
        await set(key, { value });
        assert.equal((await read(key))!.value, value);
      });

      it('keep 1,000 keys at the same time apart', async () => {
        const keys = Array.from({ length: 1000 }, newKey);
        await Promise.all(keys.map((key, index) => set(key, { index })));
        const records = await Promise.all(keys.map(read));
        assert.deepEqual(records.map(record => record!.index), keys.map((_, index) => index));
      });

      it('take any key', async () => {
        const base = newKey();
        const keys = [ '', ' ', '/', '\\', ':', '*', '?', '[a]', '{a}', '%00', '\n', '\u0000', '\'', '"', '会话', '🦆', '__proto__',
          'x'.repeat(500) ].map(odd => `${base}${odd}`);
        for (const [ index, key ] of keys.entries()) await set(key, { index });
        for (const [ index, key ] of keys.entries()) assert.deepEqual(await read(key), { index }, JSON.stringify(key));
        for (const key of keys) await store.destroy(key, options);
        for (const key of keys) await isGone(key);
      });

      it('write the whole record', async () => {
        const key = newKey();
        await set(key, { a: 1, b: 2 });
        await set(key, { b: 3 });
        assert.deepEqual(await read(key), { b: 3 });
      });

      it('give away no record that a change would write to', async () => {
        const key = newKey();
        const written = { list: [ 1 ] };
        await set(key, written);
        written.list.push(2);
        const got = (await read(key)) as typeof written;
        assert.deepEqual(got, { list: [ 1 ] });
        got.list.push(3);
        assert.deepEqual(await read(key), { list: [ 1 ] });
      });

      it('find nothing where there is nothing', async () => {
        await isGone(newKey());
      });
    });

    describe('maxAge', () => {
      it('ends a record', async () => {
        const key = newKey();
        await set(key, { n: 1 }, 500);
        assert.deepEqual(await read(key), { n: 1 });
        await sleep(900);
        await isGone(key);
      });

      it('counts from the last write', async () => {
        const key = newKey();
        await set(key, { n: 1 }, 500);
        await set(key, { n: 2 }, MINUTE);
        await sleep(900);
        assert.deepEqual(await read(key), { n: 2 });
      });

      it('may be of the browser\'s session', async () => {
        const key = newKey();
        await set(key, { n: 1 }, 'session');
        assert.deepEqual(await read(key), { n: 1 });
      });

      it('may be of weeks', async () => {
        const key = newKey();
        await set(key, { n: 1 }, 29 * 24 * 3600 * 1000);
        assert.deepEqual(await read(key), { n: 1 });
      });
    });

    describe('destroy', () => {
      it('removes a record, and no other', async () => {
        const [ key, other ] = [ newKey(), newKey() ];
        await set(key, { n: 1 });
        await set(other, { n: 2 });
        await store.destroy(key, options);
        await isGone(key);
        assert.deepEqual(await read(other), { n: 2 });
      });

      it('does nothing where there is nothing', async () => {
        await store.destroy(newKey(), options);
      });
    });

    describe('touch, if there is one', () => {
      skipWithout('touch');
      const touch = (key: string, maxAge: number | 'session') => store.touch!(key, maxAge, options);

      it('lets a record live longer, and leaves its value', async () => {
        const key = newKey();
        await set(key, { n: 1 }, 500);
        assert.equal(await touch(key, MINUTE), true);
        await sleep(900);
        assert.deepEqual(await read(key), { n: 1 });
        const { _expire } = (await store.get(key, MINUTE, options))!;
        assert.ok(_expire === undefined || (_expire as number) > Date.now() + MINUTE / 2, 'an _expire that is out of date');
      });

      it('lets a record live shorter', async () => {
        const key = newKey();
        await set(key, { n: 1 }, MINUTE);
        assert.equal(await touch(key, 500), true);
        await sleep(900);
        await isGone(key);
      });

      it('makes no record', async () => {
        const key = newKey();
        assert.equal(await touch(key, MINUTE), false);
        await isGone(key);
      });
    });

    describe('merge, if there is one', () => {
      skipWithout('merge');
      const merge = (key: string, changes: object, maxAge: number | 'session' = MINUTE) =>
        store.merge!(key, { set: {}, unset: [], replace: false, ...changes }, maxAge, options);

      it('writes and removes single fields', async () => {
        const key = newKey();
        await set(key, { a: 1, b: { c: [] }, d: 4 });
        assert.equal(await merge(key, { set: { a: [], e: null }, unset: [ 'd', 'absent' ] }), true);
        assert.deepEqual(await read(key), { a: [], b: { c: [] }, e: null });
      });

      it('replaces all fields', async () => {
        const key = newKey();
        await set(key, { a: 1, b: 2 });
        assert.equal(await merge(key, { set: { c: 3 }, replace: true }), true);
        assert.deepEqual(await read(key), { c: 3 });
      });

      it('loses nothing of 100 merges at the same time', async () => {
        const key = newKey();
        await set(key, {});
        const fields = Array.from({ length: 100 }, (_, index) => [ `field${index}`, index ] as const);
        await Promise.all(fields.map(([ field, value ]) => merge(key, { set: { [field]: value } })));
        assert.deepEqual(await read(key), Object.fromEntries(fields));
      });

      it('sets the lifetime', async () => {
        const [ longer, shorter ] = [ newKey(), newKey() ];
        await set(longer, { n: 1 }, 500);
        await set(shorter, { n: 1 }, MINUTE);
        await merge(longer, { set: { n: 2 } }, MINUTE);
        await merge(shorter, { set: { n: 2 } }, 500);
        await sleep(900);
        assert.deepEqual(await read(longer), { n: 2 });
        await isGone(shorter);
      });

      it('makes no record', async () => {
        const key = newKey();
        assert.equal(await merge(key, { set: { n: 1 } }), false);
        await isGone(key);
        await set(key, { n: 1 });
        await store.destroy(key, options);
        assert.equal(await merge(key, { set: { n: 1 } }), false);
        await isGone(key);
      });
    });

    describe('compareAndSet, if there is one', () => {
      skipWithout('compareAndSet');
      const get = async (key: string) => (await store.get(key, MINUTE, options))!;

      it('writes what is still as it was read', async () => {
        const key = newKey();
        await set(key, { a: 1, b: [ 1 ] });
        assert.equal(await store.compareAndSet!(key, await get(key), { a: 2 }, MINUTE, options), true);
        assert.deepEqual(await read(key), { a: 2 });
        assert.equal(await store.compareAndSet!(key, await get(key), { a: 3 }, MINUTE, options), true);
        assert.deepEqual(await read(key), { a: 3 });
      });

      it('does not write what has changed', async () => {
        const key = newKey();
        await set(key, { a: 1, b: [ 1 ] });
        const expected = await get(key);
        await set(key, { a: 1, b: [ 2 ] });
        assert.equal(await store.compareAndSet!(key, expected, { a: 2 }, MINUTE, options), false);
        assert.deepEqual(await read(key), { a: 1, b: [ 2 ] });
      });

      it('does not write what is gone', async () => {
        const key = newKey();
        await set(key, { a: 1 });
        const expected = await get(key);
        await store.destroy(key, options);
        assert.equal(await store.compareAndSet!(key, expected, { a: 2 }, MINUTE, options), false);
        await isGone(key);
      });

      it('lets one of 20 writers at the same time write', async () => {
        const key = newKey();
        await set(key, { n: 0 });
        const expected = await get(key);
        const written = await Promise.all(Array.from({ length: 20 }, (_, index) =>
          store.compareAndSet!(key, expected, { n: index + 1 }, MINUTE, options)));
        assert.equal(written.filter(Boolean).length, 1);
        assert.deepEqual(await read(key), { n: written.indexOf(true) + 1 });
      });
    });
  });
}
