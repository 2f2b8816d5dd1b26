import { strict as assert } from 'node:assert';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SessionStore } from '../module/store/SessionStore';
import { atOnce, MINUTE, StoreUnderTest } from './StoreUnderTest';
import { type TestRunner, Tests } from './TestRunner';
import { testDown } from './testDown';
import { testIndex } from './testIndex';
import { testTouch } from './testTouch';
import { testOptionalMethods } from './testOptionalMethods';

/** What there is to test besides the contract, and how. */
export interface TestSessionStoreOptions {
  /**
   * Makes another store, whose server can't be reached, as at a port where nobody listens: each of its calls must fail.
   *
   * @default none, and a skipped test says so
   */
  down?: () => SessionStore | Promise<SessionStore>;
  /**
   * The functions of the test runner.
   *
   * @default the globals, as mocha and jest have them, and vitest with `--globals`
   */
  runner?: TestRunner;
  /**
   * How long a test may take, in ms. Under mocha, its own time limit counts where that is longer; under `node:test`, only its own.
   *
   * @default 20_000
   */
  timeout?: number;
  /**
   * Whether keys may be any string. A class that tegg finds is given 43 letters, digits, `-` and `_`; a store that is set as
   * `app.sessionStore` or `config.session.store` is given the ids of `genid` and `externalKey` themselves.
   *
   * @default false
   */
  anyKey?: boolean;
}

/**
 * The contract of {@link SessionStore} as tests, for authors of stores: call it in a test file of mocha, vitest, jest or `node:test`.
 * What an optional method promises is one test, which is shown as skipped where the store lacks the method; jest has a passed test
 * there, and a line that names the methods. No more than five calls run at a time.
 *
 * ```ts
 * testSessionStore('MyStore', () => new MyStore(connect(6379)), { down: () => new MyStore(connect(1)) });
 * ```
 *
 * @param name the suite's title
 * @param create makes the store to test, once; its server may hold other data. The suite removes its own, and calls
 *   `close()` at the end
 * @param more what else there is to test, and the test runner
 * @throws TypeError when there are no functions of a test runner
 */
export function testSessionStore(name: string, create: () => SessionStore | Promise<SessionStore>,
  more: TestSessionStoreOptions = {}): void {
  const { down, runner, timeout = 20_000, anyKey = false } = more;
  const tests = new Tests(runner, timeout);
  tests.describe(`${name} is a session store`, () => {
    const subject = new StoreUnderTest(tests);
    const { options, newKey, set, read, isGone } = subject;

    tests.before(async () => {
      subject.store = await create();
    });
    tests.after(() => subject.close());

    tests.describe('get and set', () => {
      const VALUES: Record<string, unknown> = {
        string: 'text', 'empty string': '', number: 42, zero: 0, negative: -1.5, 'large number': 9007199254740991,
        'very large number': 1.7976931348623157e308, 'small number': 5e-324, true: true, false: false, null: null,
        'empty list': [], list: [ 1, 'two', [ 3 ], { four: 4 }, null ], 'empty object': {},
        object: { nested: { deeply: { yes: [ true ] } } }, 'number in a string': '007', 'JSON in a string': '{"a":[1]}',
        unicode: 'Straße, 会话, 🦆, \u0000, \ud800'.toWellFormed(), 'quotes and line ends': '"\'\\\r\n\t',
        date: new Date(0).toJSON(), ':base64:': ':base64:AAAA',
      };

      for (const [ title, value ] of Object.entries(VALUES)) {
        tests.it(`keep a value as it is: ${title}`, async () => {
          const key = newKey();
          await set(key, { value });
          assert.deepEqual(await read(key), { value });
        });
      }

      tests.it('keep many fields, whatever their names', async () => {
        const record = Object.fromEntries([ ...Object.keys(VALUES), 'a.b', 'a:b', '会话', 'length', 'key', '0' ]
          .map((field, index) => [ field, index ]));
        const key = newKey();
        await set(key, record);
        assert.deepEqual(await read(key), record);
      });

      tests.it('keep a record without fields', async () => {
        const key = newKey();
        await set(key, {});
        assert.deepEqual(await read(key), {});
      });

      tests.it('keep the fields of koa-session', async () => {
        const key = newKey();
        await set(key, { n: 1, _maxAge: MINUTE }, MINUTE);
        assert.equal((await subject.store.get(key, MINUTE, options))!._maxAge, MINUTE);
        await set(key, { n: 1, _session: true }, 'session');
        assert.equal((await subject.store.get(key, 'session', options))!._session, true);
      });

      tests.it('keep a value of 1 MB', async () => {
        const key = newKey();
        const value = 'x'.repeat(1_000_000);
        await set(key, { value });
        assert.equal((await read(key))!.value, value);
      });

      tests.it('keep 1,000 keys apart', async () => {
        const keys = Array.from({ length: 1000 }, newKey);
        await atOnce(keys, (key, index) => set(key, { index }));
        const records = await atOnce(keys, read);
        assert.deepEqual(records.map(record => record!.index), keys.map((_, index) => index));
      });

      tests.it('keep keys apart that differ in case only', async () => {
        const key = newKey();
        const keys = [ key.toLowerCase(), key.toUpperCase() ];
        for (const [ index, key ] of keys.entries()) await set(key, { index });
        for (const [ index, key ] of keys.entries()) assert.deepEqual(await read(key), { index });
        await subject.store.destroy(keys[1], options);
        assert.deepEqual(await read(keys[0]), { index: 0 });
      });

      if (anyKey) {
        tests.it('take any key', async () => {
          const base = newKey();
          const keys = [ '', ' ', '/', '\\', ':', '*', '?', '[a]', '{a}', '%00', '\n', '\u0000', '\'', '"', '会话', '🦆', '__proto__',
            'x'.repeat(500) ].map(odd => `${base}${odd}`);
          for (const [ index, key ] of keys.entries()) await set(key, { index });
          for (const [ index, key ] of keys.entries()) assert.deepEqual(await read(key), { index }, JSON.stringify(key));
          for (const key of keys) await subject.store.destroy(key, options);
          for (const key of keys) await isGone(key);
        });
      }

      tests.it('write the whole record', async () => {
        const key = newKey();
        await set(key, { a: 1, b: 2 });
        await set(key, { b: 3 });
        assert.deepEqual(await read(key), { b: 3 });
      });

      tests.it('give away no record that a change would write to', async () => {
        const key = newKey();
        const written = { list: [ 1 ] };
        await set(key, written);
        written.list.push(2);
        const got = (await read(key)) as typeof written;
        assert.deepEqual(got, { list: [ 1 ] });
        got.list.push(3);
        assert.deepEqual(await read(key), { list: [ 1 ] });
      });

      tests.it('find nothing where there is nothing', async () => {
        await isGone(newKey());
      });
    });

    tests.describe('maxAge', () => {
      tests.it('ends a record', async () => {
        const key = newKey();
        await set(key, { n: 1 }, 500);
        assert.deepEqual(await read(key), { n: 1 });
        await sleep(900);
        await isGone(key);
      });

      tests.it('counts from the last write', async () => {
        const key = newKey();
        await set(key, { n: 1 }, 500);
        await set(key, { n: 2 }, MINUTE);
        await sleep(900);
        assert.deepEqual(await read(key), { n: 2 });
      });

      tests.it('can be the browser\'s session', async () => {
        const key = newKey();
        await set(key, { n: 1 }, 'session');
        assert.deepEqual(await read(key), { n: 1 });
      });

      tests.it('can be weeks', async () => {
        const key = newKey();
        await set(key, { n: 1 }, 29 * 24 * 3600 * 1000);
        assert.deepEqual(await read(key), { n: 1 });
      });
    });

    tests.describe('destroy', () => {
      tests.it('removes a record, and no other', async () => {
        const [ key, other ] = [ newKey(), newKey() ];
        await set(key, { n: 1 });
        await set(other, { n: 2 });
        await subject.store.destroy(key, options);
        await isGone(key);
        assert.deepEqual(await read(other), { n: 2 });
      });

      tests.it('does nothing where there is nothing', async () => {
        await subject.store.destroy(newKey(), options);
      });
    });

    testTouch(subject);
    testOptionalMethods(subject);
    testIndex(subject);
    testDown(subject, down);
  });
}
