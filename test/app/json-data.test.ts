import { strict as assert } from 'node:assert';
import { crc32 } from 'node:zlib';
import { MemorySessionStore, type SessionOptions } from '../..';
import { MapStore } from '../support/MapStore';
import { redisOfSuite, TestRedisStore } from '../support/redis';
import { count, MODES, read, start, stop } from '../support/web';

const JSON_PLEASE = { accept: 'application/json' };

for (const [ mode, given ] of MODES) {
  describe(`changes, with ${mode} in the cookie`, () => {
    afterEach(stop);

    it('are seen where a CRC-32 does not see them', async () => {
      const [ before, after ] = [ '9cr3ml', '1x1uw6h' ];
      assert.equal(crc32(JSON.stringify({ text: before })), crc32(JSON.stringify({ text: after })));
      const { run } = await start(given());
      for (const text of [ before, after, before ]) {
        await run(session => {
          session.text = text;
        });
        assert.deepEqual((await run(session => ({ ...session }))).json(), { text });
      }
    });

    for (const [ what, from, to ] of [
      [ 'a type', 1, '1' ], [ 'null', null, 0 ], [ 'a list', [ 1, [ 2 ]], [[ 1 ], 2 ]], [ 'the order in a list', [ 1, 2 ], [ 2, 1 ]],
      [ 'a field inside', { a: { b: [ 1 ] } }, { a: { b: [ 2 ] } }], [ 'a space', 'a b', 'a  b' ], [ 'a case', 'a', 'A' ],
    ]) {
      it(`are seen in ${what}`, async () => {
        const { run } = await start(given());
        for (const value of [ from, to ]) {
          const response = await run(session => {
            session.value = value;
          });
          assert.equal(response.setCookies.length, 1);
          assert.deepEqual((await run(session => ({ ...session }))).json(), { value });
        }
        assert.deepEqual((await run(session => {
          session.value = structuredClone(to);
        })).setCookies, []);
      });
    }
  });

  describe(`what JSON can't hold, with ${mode} in the cookie`, () => {
    afterEach(stop);

    const circle = () => {
      const value: Record<string, unknown> = { a: { b: [] } };
      (value.a as { b: unknown[] }).b.push(value);
      return value;
    };
    const BIG = 'it is a BigInt, which JSON can\'t hold. Keep String(value), and read BigInt(…) of that';
    const VALUES: Array<[ what: string, make: () => unknown, reason: string, path?: string ]> = [
      [ 'a BigInt', () => 5n, BIG ],
      [ 'a BigInt deep inside', () => ({ big: 1, list: [{}, { big: 5n }] }), BIG, '.list.1.big' ],
      [ 'a BigInt that a toJSON gives', () => ({ toJSON: () => 5n }), 'Do not know how to serialize a BigInt. A session holds what JSON can' ],
      [ 'a circle', circle, 'Converting circular structure to JSON. A session holds what JSON can' ],
      [ 'what throws', () => ({ toJSON() {
        throw new Error('not me');
      } }), 'not me. A session holds what JSON can' ],
    ];
    const CALLS: Array<[ call: string, run: (session: any) => unknown ]> = [
      [ 'with the response', () => undefined ],
      [ 'by save()', session => session.save() ],
      [ 'by regenerate()', session => session.regenerate() ],
      [ 'by update()', session => session.update(() => undefined) ],
    ];
    for (const [ what, make, reason, path = '' ] of VALUES) {
      const error = `[egg-tegg-session] session.bad${path} can't be stored: ${reason}`;

      for (const [ call, save ] of CALLS) {
        it(`${what} is an error that names the field, saved ${call}, and nothing is saved`, async () => {
          const { client, run } = await start(given());
          await run(count);
          const { status, text, setCookies } = await client.tryRun(async session => {
            Object.assign(session, { n: 2, bad: make(), other: 'fine' });
            await save(session);
          }, JSON_PLEASE);
          assert.equal(status, 500);
          assert.equal(JSON.parse(text).message, error);
          assert.deepEqual(setCookies, []);
          assert.deepEqual((await run(read)).json(), { n: 1, isNew: false });
        });
      }

      for (const field of [ 'bad', 'n' ]) {
        it(`${what} is an error that names the field, put into ${field} by update(), and nothing is saved`, async () => {
          const { client, run } = await start(given());
          await run(count);
          const { status, text } = await client.tryRun(session => session.update((data: any) => {
            Object.assign(data, { more: 2, [field]: make() });
          }), JSON_PLEASE);
          assert.equal(status, 500);
          assert.equal(JSON.parse(text).message, error.replace('bad', field));
          assert.deepEqual((await run(session => ({ ...session }))).json(), { n: 1 });
        });
      }
    }
  });
}

class TestMemoryStore extends MemorySessionStore {}

describe('a session', () => {
  const redis = redisOfSuite();
  afterEach(stop);

  const WHERE: Array<[ where: string, options: () => SessionOptions ]> = [
    [ 'the cookie', () => ({}) ],
    [ 'a MapStore', () => ({ store: new MapStore() }) ],
    [ 'MemorySessionStore', () => ({ store: new TestMemoryStore() }) ],
    [ 'RedisSessionStore', () => ({ store: new TestRedisStore(redis.client) }) ],
  ];
  for (const [ where, options ] of WHERE) {
    it(`comes back as JSON from ${where}`, async () => {
      const { run } = await start(options());
      class Money {
        constructor(readonly amount: number) {}
      }
      await run((session, ctx) => {
        Object.assign(session, {
          date: new Date(0), map: new Map([[ 'a', 1 ]]), set: new Set([ 1 ]), money: new Money(5), nothing: undefined, nan: NaN,
          list: [ undefined, new Date(0) ], buffer: Buffer.from('a'), minusZero: -0, f: () => 1, gone: { toJSON: () => undefined },
        });
        assert.ok(ctx.session.date instanceof Date);
      });
      for (let i = 0; i < 2; i++) {
        const response = await run(session => {
          const data = { ...session };
          assert.deepEqual(data, {
            date: '1970-01-01T00:00:00.000Z', map: {}, set: {}, money: { amount: 5 }, nan: null,
            list: [ null, '1970-01-01T00:00:00.000Z' ], buffer: { type: 'Buffer', data: [ 97 ] }, minusZero: 0,
          });
          for (const value of Object.values(data)) {
            assert.ok(typeof value !== 'object' || value === null || [ Object.prototype, Array.prototype ].includes(Object.getPrototypeOf(value)));
          }
          session.list.push('more');
          session.list.pop();
          Object.assign(session, { date: new Date(0), nan: NaN, minusZero: -0, nothing: undefined }); // the same, as JSON
        });
        assert.deepEqual(response.setCookies, []);
      }
    });
  }
});
