import { strict as assert } from 'node:assert';
import { EventEmitter } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import type { Context } from 'egg';
import type { SessionOptions } from '../..';
import { resolveConfig } from '../../module/options/SessionConfig';
import type { SessionRecord } from '../../module/record/SessionRecord';
import { shortHash } from '../../module/record/shortHash';
import type { SessionEnvironment } from '../../module/request/environment';
import { expire, loadFromStore } from '../../module/request/load';
import type { Store } from '../../module/store/GuardedStore';

const HOUR = 3600_000;

/** A request with an id, whose record is `record`, and what it has asked the store for. */
function site(record: unknown, options: SessionOptions = {}, { rolling = false, stale = false, ...more }: Partial<Store> & { rolling?: boolean; stale?: boolean } = {}) {
  const app = new EventEmitter();
  const events: Array<{ name: string; key?: string; value?: unknown; principal?: string }> = [];
  for (const name of [ 'missed', 'expired', 'invalid' ]) app.on(`session:${name}`, ({ key, value, principal }) => events.push({ name, key, value, principal }));
  const calls: unknown[][] = [];
  const answer = (method: string) => async (...args: unknown[]) => {
    calls.push([ method, ...args.slice(0, method === 'index' ? 3 : 1) ]);
    return method === 'merge' ? false : record;
  };
  const store = {
    keyOf: (id: string) => `key of ${id}`, keepsExpiry: true, hasClock: true, renewsOnRead: true, isIndexed: true,
    ...Object.fromEntries([ 'get', 'getAndTouch', 'merge', 'index' ].map(method => [ method, answer(method) ])), ...more,
  } as unknown as Store;
  const env = { app, config: resolveConfig(options), hints: { notARecord() { /* no hint */ } }, ids: { read: () => [{ value: 'an id', stale }] } } as unknown as SessionEnvironment;
  const ctx = { sessionOptions: { maxAge: HOUR, rolling } } as unknown as Context;
  return {
    events, calls, load: async () => await loadFromStore(ctx, store, env),
    expire: (refused: SessionRecord) => expire(ctx, store, env, { id: 'an id', record: refused, why: 'expired' }),
  };
}

describe('a request with an id', () => {
  const CREATED = { n: 1, _createdAt: Date.now() - 2 * HOUR };
  const OLD = { n: 1, _expire: Date.now() - 1 };
  const RULES: Array<[ rule: string, given: Parameters<typeof site>, loaded: object ]> = [
    [ 'has the session that the store has', [{ n: 1 }], { state: 'saved', cookie: 'good', record: { n: 1 } }],
    [ 'has it under an old key of the cookie', [{ n: 1 }, {}, { stale: true }], { state: 'saved', cookie: 'stale' }],
    [ 'has none where the store has none', [ undefined ], { state: 'new', refused: undefined }],
    [ 'has one that has ended, where there is a tombstone', [{ _successor: null }], { state: 'ended', id: 'an id' }],
    [ 'has none where the record is none', [[]], { state: 'new', refused: { id: 'an id', record: [], why: 'invalid' } }],
    [ 'has none where the record has expired, and the store has no clock', [ OLD, {}, { hasClock: false }], { state: 'new', refused: { id: 'an id', record: OLD, why: 'expired' } }],
    [ 'has it where the store has a clock that says otherwise', [ OLD ], { state: 'saved' }],
    [ 'has none where it is older than absoluteMaxAge', [ CREATED, { absoluteMaxAge: HOUR }], { state: 'new', refused: { id: 'an id', record: CREATED, why: 'expired' } }],
    [ 'has it where it is younger than that', [ CREATED, { absoluteMaxAge: 3 * HOUR }], { state: 'saved' }],
    [ 'has none where `valid` says no', [{ n: 1 }, { valid: () => false }], { state: 'new', refused: { id: 'an id', record: { n: 1 }, why: 'invalid' } }],
    [ 'has it where `valid` says yes', [{ n: 1 }, { valid: () => true }], { state: 'saved' }],
  ];
  for (const [ rule, given, expected ] of RULES) {
    it(rule, async () => {
      const loaded = await site(...given).load();
      assert.deepEqual(Object.fromEntries(Object.keys(expected).map(name => [ name, loaded[name as keyof typeof loaded] ])), expected);
    });
  }

  const READS: Array<[ rule: string, given: [ options?: SessionOptions, more?: Parameters<typeof site>[2] ], method: string ]> = [
    [ 'lets it live on as it is read, under rolling', [{}, { rolling: true }], 'getAndTouch' ],
    [ 'only reads it without rolling', [], 'get' ],
    [ 'only reads it where the store can do no more', [{}, { rolling: true, renewsOnRead: false }], 'get' ],
    [ 'only reads it where `valid` may refuse it', [{ valid: () => true }, { rolling: true }], 'get' ],
    [ 'only reads it where nothing is committed', [{ autoCommit: false }, { rolling: true }], 'get' ],
  ];
  for (const [ rule, [ options, more ], method ] of READS) {
    it(rule, async () => {
      const { load, calls } = site({ n: 1 }, options, more);
      assert.equal(Boolean((await load()).renewed), method === 'getAndTouch');
      assert.deepEqual(calls, [[ method, 'key of an id' ]]);
    });
  }

  it('fails when `valid` returns a promise, which would accept each session', async () => {
    await assert.rejects(site({ n: 1 }, { valid: (() => Promise.resolve(false)) as never }).load(), /config\.session\.valid returned a promise; it must not be async/);
  });

  it('tells why it has no session, with what stands for the id, and with data only where logs may have them', async () => {
    for (const [ record, name, options ] of [[ undefined, 'missed', {}], [{ n: 1 }, 'invalid', { valid: () => false }]] as const) {
      for (const logValue of [ true, false ]) {
        const { load, events } = site(record, { ...options, logValue });
        await load();
        await turn();
        assert.deepEqual(events, [{ name, key: shortHash('an id'), value: logValue ? record : undefined, principal: undefined }]);
      }
    }
  });
});

describe('a session that is over by the clock of this process', () => {
  const RECORD = { n: 1, _principal: '7' };

  it('is over for all when the store says so, and leaves the index', async () => {
    const { expire: run, calls } = site(undefined);
    assert.equal(await run(RECORD), true);
    assert.deepEqual(calls, [[ 'merge', 'key of an id' ], [ 'get', 'key of an id' ], [ 'index', '7', 'key of an id', 0 ]]);
  });

  it('stays where the store has it', async () => {
    const { expire: run, calls } = site(RECORD);
    assert.equal(await run(RECORD), false);
    assert.deepEqual(calls, [[ 'merge', 'key of an id' ], [ 'get', 'key of an id' ]]);
  });

  it('is in no index when it is nobody\'s, or when there is none', async () => {
    for (const [ record, isIndexed ] of [[{ n: 1 }, true ], [ RECORD, false ]] as const) {
      const { expire: run, calls } = site(undefined, {}, { isIndexed });
      assert.equal(await run(record), true);
      assert.equal(calls.length, 2);
    }
  });

  it('is left to a store that drops it by itself', async () => {
    const { expire: run, calls } = site(undefined, {}, { keepsExpiry: false });
    assert.equal(await run(RECORD), false);
    assert.deepEqual(calls, []);
  });

  it('is told, with data only where logs may have them', async () => {
    for (const logValue of [ true, false ]) {
      const { expire: run, events } = site(undefined, { logValue });
      await run(RECORD);
      await turn();
      assert.deepEqual(events, [{ name: 'expired', key: shortHash('an id'), ...logValue ? { value: RECORD, principal: '7' } : { value: undefined, principal: undefined } }]);
    }
  });
});
