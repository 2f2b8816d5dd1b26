import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import { applyChanges, type SessionChanges, type SessionRecord } from '../../module/record/SessionRecord';
import type { SessionStoreOptions } from '../..';
import { recordAt, redisOfSuite, TestRedisStore } from '../support/redis';

const options = {} as SessionStoreOptions;
const NO_CHANGES = { set: {}, unset: [], replace: false };

/** Whether JSON.parse of this V8 takes a name that JSON escapes for another one at times: https://github.com/nodejs/node/issues/63785 */
const misreads = [ '{"h":[],"\\\\":0}', '{"h":1,"\\"":2}' ].map(text => Object.keys(JSON.parse(text)))[1][1] !== '"';
const isReadable = (name: string) => !misreads || !JSON.stringify(name).includes('\\');

/** Names that something could take for what they are not. */
const ODD_NAMES = [
  '', ' ', '"', '\\', '\\\\', '\\"', '":', ',"a":', '\n', '\n,"a":1', '\r\n', '\t', '\0', 'a"b', 'a\\', 'a:', '0', '10', '-1', '1e3',
  '%', '%d', '.', '[', '^$()', '__proto__', '_kept', '_"', 'constructor', 'null', '会话', '🦆', '\ud800', '\udfff', '\u2028', '\u2029', '\u007f',
  '\ufeff', '}', '{', '\n}', 'a', 'ab', 'A', 'x'.repeat(300),
].filter(isReadable);

describe('the layout of RedisSessionStore', () => {
  const redis = redisOfSuite();
  let store: TestRedisStore;
  before(() => {
    store = new TestRedisStore(redis.client);
  });

  /** As an own field, whatever its name. */
  const record = (entries: Array<[string, unknown]>): SessionRecord => Object.fromEntries(entries);
  /** What `get` returns, in its order, without what the store adds. */
  const read = async () => {
    const { _expire, _rev, _maxAge, _session, ...rest } = (await store.get('id', undefined, options))!;
    assert.deepEqual([ typeof _expire, typeof _rev, _maxAge ?? _session ], [ 'number', 'number', 60_000 ]);
    return JSON.stringify(Object.entries(rest));
  };
  const json = (data: SessionRecord) => JSON.stringify(Object.entries(JSON.parse(JSON.stringify(data))));
  async function check(data: SessionRecord, ...all: SessionChanges[]) {
    await store.set('id', data, 60_000);
    assert.equal(await read(), json(data));
    for (const changes of all) {
      data = applyChanges(data, changes);
      assert.equal(await store.merge('id', changes), 60_000);
      assert.equal(await read(), json(data));
    }
  }

  it('gives back any name, in its order, after any change', async () => {
    const all = record(ODD_NAMES.map((name, i) => [ name, [ i, name ]]));
    for (const name of ODD_NAMES) {
      await check(record([[ name, 1 ]]), { set: record([[ name, { name }]]), unset: [], replace: false });
      await check(all, { set: record([[ name, 'new' ]]), unset: [], replace: false }, { set: {}, unset: [ name ], replace: false },
        { set: record([[ name, null ]]), unset: [], replace: false }, { set: record([[ name, 0 ]]), unset: [], replace: true });
    }
    const more = record([ ...ODD_NAMES, ...ODD_NAMES.map(name => `${name} `), ...ODD_NAMES.map(name => `${name}"`) ].map(name => [ name, 1 ]));
    await check(more, { set: more, unset: Object.keys(more).slice(60), replace: false }, { set: {}, unset: Object.keys(more), replace: false });
    await check({}, { set: all, unset: [], replace: false }, { set: {}, unset: ODD_NAMES, replace: false });
    await check(all, { set: {}, unset: ODD_NAMES.slice(0, 25), replace: false }, { set: all, unset: [], replace: true });
  });

  it('does with random changes what they say', async () => {
    const name = fc.oneof(fc.constantFrom(...ODD_NAMES), fc.string(), fc.constantFrom(...'abcdefgh')).filter(isReadable);
    const data = fc.array(fc.tuple(name, fc.jsonValue({ noUnicodeString: false })), { maxLength: 40 }).map(record);
    const changes = fc.record({ set: data, unset: fc.array(name, { maxLength: 90 }), replace: fc.boolean() });
    const isOdd = (each: SessionRecord) => [ '_expire', '_rev', '_maxAge', '_session' ].some(key => key in each);
    await fc.assert(fc.asyncProperty(data, fc.array(changes, { maxLength: 4 }), async (before, all) => {
      fc.pre(!isOdd(before) && !all.some(({ set }) => isOdd(set)));
      await check(before, ...all);
    }), { numRuns: 300 });
  });

  it('takes 20,000 fields, and changes of all of them', async () => {
    const many = (value: number) => record(Array.from({ length: 20_000 }, (_, i) => [ `field${i}`, value ]));
    await check(many(1), { set: many(2), unset: [], replace: false }, { set: { field5: 3 }, unset: [], replace: false },
      { set: {}, unset: Object.keys(many(0)), replace: false }, { set: many(4), unset: [], replace: true });
  });

  it('is as long after a renewal as before, and says when the record expires', async () => {
    for (const maxAge of [ 60_000, 'session' ] as const) {
      await store.set('id', { n: 1 }, maxAge);
      const before = (await redis.client.get('session:id'))!;
      await redis.client.pexpire('session:id', 1000);
      assert.equal(await store.touch('id'), maxAge);
      const after = (await redis.client.get('session:id'))!;
      assert.equal(after.length, before.length);
      const { _expire, ...rest } = JSON.parse(after);
      assert.deepEqual({ ...rest, _expire: 0 }, { ...JSON.parse(before), _expire: 0 });
      const left = await redis.client.pttl('session:id');
      if (maxAge === 'session') assert.equal(_expire, null);
      else assert.ok(Math.abs(_expire - Date.now() - left) < 1000, `${_expire} ${left}`);
    }
  });

  it('keeps the time to live of a record that is seen, whatever its lifetime', async () => {
    for (const maxAge of [ 60_000, 'session' ] as const) {
      await store.set('id', { n: 1 }, maxAge);
      await redis.client.pexpire('session:id', 20_000);
      const { _expire } = await recordAt(redis.client, 'session:id');
      assert.equal(await store.merge('id', { ...NO_CHANGES, set: { n: 2 }, renew: false }), maxAge);
      const left = await redis.client.pttl('session:id');
      assert.ok(left > 10_000 && left <= 20_000, String(left));
      assert.equal((await recordAt(redis.client, 'session:id'))._expire, _expire);
    }
  });

  it('takes what is no record for none, and what shall be there takes its place', async () => {
    const write = [
      () => redis.client.hset('session:id', '_rev', '1', '_maxAge', '60000'), () => redis.client.lpush('session:id', 'x'),
      () => redis.client.set('session:id', ''), () => redis.client.set('session:id', '{"n":1,"_maxAge":60000}'),
    ];
    const ctx = { coreLogger: { error: () => undefined } } as unknown as SessionStoreOptions['ctx'];
    for (const each of write) {
      await redis.client.del('session:id');
      await each();
      assert.equal(await store.get('id', undefined, { ctx }), undefined);
      assert.equal(await store.touch('id'), false);
      assert.equal(await store.merge('id', { ...NO_CHANGES, set: { n: 1 } }), false);
      assert.equal(await store.compareAndSet('id', { _rev: 1 }, { n: 1 }, 60_000), false);
      assert.equal(await redis.client.ttl('session:id'), -1);
      assert.equal(await store.retire('id', 'other', 60_000), undefined);
      assert.deepEqual(await recordAt(redis.client, 'session:id'), { _successor: 'other' });
      await redis.client.del('session:id');
      await each();
      await store.set('id', { n: 2 }, 60_000);
      assert.equal(await read(), '[["n",2]]');
    }
  });

  it('lets a session live on when the server is out of memory', async () => {
    await store.set('id', { n: 1 }, 60_000);
    await redis.client.pexpire('session:id', 20_000);
    await redis.client.config('SET', 'maxmemory', '1');
    try {
      assert.equal(await store.touch('id'), 60_000);
    } finally {
      await redis.client.config('SET', 'maxmemory', '0');
    }
    assert.ok(await redis.client.pttl('session:id') > 50_000);
    assert.equal(await read(), '[["n",1]]');
  });
});
