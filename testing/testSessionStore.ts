import { strict as assert } from 'node:assert';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SessionStore } from '../module/store/SessionStore';
import { MINUTE, StoreUnderTest } from './StoreUnderTest';
import { testDown } from './testDown';
import { testIndex } from './testIndex';
import { testTouch } from './testTouch';
import { testOptionalMethods } from './testOptionalMethods';

/** What the suite uses of mocha. */
declare function describe(title: string, run: () => void): void;
declare function it(title: string, run: () => Promise<void>): void;
declare function after(run: () => Promise<void>): void;
declare function before(run: () => Promise<void>): void;

/**
 * The contract of {@link SessionStore} as a mocha suite, for authors of stores: call it in a test file. What an optional
 * method promises is tested where the store has the method, and shown as pending where it has not.
 *
 * ```ts
 * testSessionStore('MyStore', () => new MyStore(connect(6379)), { down: () => new MyStore(connect(1)) });
 * ```
 *
 * @param name the suite's title
 * @param create makes the store to test, once; its server may hold other data. The suite removes its own, and calls
 *   `close()` at the end
 * @param options what else there is to test
 * @param options.down makes another, whose server can't be reached, as at a port where nobody listens: each of its calls must fail
 */
export function testSessionStore(name: string, create: () => SessionStore | Promise<SessionStore>,
  { down }: { down?: () => SessionStore | Promise<SessionStore> } = {}): void {
  describe(`${name} is a session store`, () => {
    const subject = new StoreUnderTest();
    const { options, newKey, set, read, isGone } = subject;

    before(async () => {
      subject.store = await create();
    });
    after(() => subject.close());

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
        assert.equal((await subject.store.get(key, MINUTE, options))!._maxAge, MINUTE);
        await set(key, { n: 1, _session: true }, 'session');
        assert.equal((await subject.store.get(key, 'session', options))!._session, true);
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
        for (const key of keys) await subject.store.destroy(key, options);
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

      it('can be the browser\'s session', async () => {
        const key = newKey();
        await set(key, { n: 1 }, 'session');
        assert.deepEqual(await read(key), { n: 1 });
      });

      it('can be weeks', async () => {
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
        await subject.store.destroy(key, options);
        await isGone(key);
        assert.deepEqual(await read(other), { n: 2 });
      });

      it('does nothing where there is nothing', async () => {
        await subject.store.destroy(newKey(), options);
      });
    });

    testTouch(subject);
    testOptionalMethods(subject);
    testIndex(subject);
    testDown(subject, down);
  });
}
