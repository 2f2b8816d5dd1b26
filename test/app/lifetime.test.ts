import { strict as assert } from 'node:assert';
import { inspect } from 'node:util';
import type { Context } from 'egg';
import { MemorySessionStore, type SessionOptions } from '../..';
import { lifetimeOf, LONGEST as CENTURY } from '../../module/record/SessionRecord';
import { Sealer } from '../../module/cookie/Sealer';
import { MapStore } from '../support/MapStore';
import { recordAt, redisOfSuite, TestRedisStore } from '../support/redis';
import { count, DAY, KEYS, MODES, NAME, read, start, stop } from '../support/web';

const NO_LIFETIMES = [ 'v', 'Session', '1000', '', 0, -0, -1, NaN, Infinity, -Infinity, 1e300, true, false, {}, [], [ 1000 ], 1n, () => 1000 ];

const WAYS: Array<[ way: string, set: (session: any, ctx: Context, maxAge: unknown) => void ]> = [
  [ 'session.maxAge, injected', (session, _, maxAge) => {
    session.maxAge = maxAge;
  } ],
  [ 'ctx.session.maxAge', (_, ctx, maxAge) => {
    ctx.session.maxAge = maxAge as number;
  } ],
  [ 'Object.assign(ctx.session)', (_, ctx, maxAge) => {
    Object.assign(ctx.session, { maxAge });
  } ],
  [ 'ctx.session = { maxAge }', (_, ctx, maxAge) => {
    ctx.session = { n: 1, maxAge };
  } ],
];

for (const [ mode, given ] of MODES) {
  describe(`a lifetime that is assigned, with ${mode} in the cookie`, () => {
    afterEach(stop);

    for (const [ way, set ] of WAYS) {
      it(`${way}: what is none is refused, and the session stays as it was`, async () => {
        const { run } = await start(given());
        await run(count);
        const { setCookies } = await run((session, ctx) => {
          for (const value of NO_LIFETIMES) {
            assert.throws(() => set(session, ctx, value), {
              name: 'TypeError', message: new RegExp(`session\\.maxAge is ${escape(inspect(value, { depth: 0 }))}; it must be a `),
            });
          }
          assert.equal(session.maxAge, DAY);
        });
        assert.deepEqual(setCookies, []);
        assert.deepEqual((await run(read)).json(), { n: 1, isNew: false });
      });

      for (const [ value, kept ] of [
        [ 1.5, 2 ], [ 60_000, 60_000 ], [ 90_000.1, 90_001 ], [ CENTURY, CENTURY ], [ 'session', 'session' ], [ undefined, DAY ], [ null, DAY ],
      ]) {
        it(`${way}: ${value} is ${kept}`, async () => {
          const { run } = await start(given());
          const round = value === 90_000.1 ? [ 90_000, 90_001 ] : [ kept ];
          await run((session, ctx) => {
            session.n = 1;
            set(session, ctx, value);
            assert.ok(round.includes(session.maxAge), session.maxAge);
          });
          if (kept === 2) return;
          const { maxAge } = (await run(session => ({ maxAge: session.maxAge }))).json();
          assert.ok(round.includes(maxAge), maxAge);
        });
      }
    }

    it('ctx.sessionOptions.maxAge: what is none fails the request, and the session stays as it was', async () => {
      const { client, run } = await start(given());
      await run(count);
      for (const value of NO_LIFETIMES) {
        const { status, text, setCookies } = await client.tryRun((session, ctx) => {
          session.n = 5;
          ctx.sessionOptions.maxAge = value as number;
        });
        assert.equal(status, 500, inspect(value));
        assert.match(text, /ctx\.sessionOptions\.maxAge is /);
        assert.deepEqual(setCookies, []);
      }
      assert.deepEqual((await run(read)).json(), { n: 1, isNew: false });
    });
  });
}

const escape = (text: string) => text.replace(/[[\]{}()*+?.\\^$|]/g, '\\$&');

describe('a sealed cookie with a lifetime that is none', () => {
  afterEach(stop);

  for (const [ _maxAge, kept ] of [
    [ 'v', DAY ], [ 0, DAY ], [ -5, DAY ], [ null, DAY ], [ true, DAY ], [[], DAY ], [ 1e300, CENTURY ], [ 2 * CENTURY, CENTURY ], [ 5000.5, 5001 ],
  ]) {
    it(`${JSON.stringify(_maxAge)} counts as ${kept}, and can be saved`, async () => {
      const { client, run } = await start();
      client.cookies.set(NAME, new Sealer(KEYS).seal(NAME, JSON.stringify({ n: 1, _maxAge })));
      assert.deepEqual((await run(session => ({ maxAge: session.maxAge }))).json(), { maxAge: kept });
      const [ line ] = (await run(count)).setCookies;
      assert.match(line, new RegExp(`; max-age=${Math.round(kept as number / 1000)};`));
      assert.deepEqual((await run(read)).json(), { n: 2, isNew: false });
    });
  }
});

describe('a key in Redis', () => {
  const redis = redisOfSuite();
  beforeEach(() => redis.client.flushall());
  afterEach(stop);

  /** Each key has a time to live, of the lifetime that its record says. */
  async function check() {
    const keys = await redis.client.keys('*');
    assert.notEqual(keys.length, 0);
    for (const key of keys) {
      const [ ttl, record ] = [ await redis.client.pttl(key), await recordAt(redis.client, key) ];
      assert.ok(ttl > 0, `${key}: ${ttl} ${JSON.stringify(record)}`);
      if ('_successor' in record) continue;
      const lifetime = record._session ? DAY : lifetimeOf(record) as number;
      assert.ok(ttl <= lifetime && ttl > lifetime - 30_000, `${key}: ${ttl} ${JSON.stringify(record)}`);
    }
  }

  const STEPS: Array<[ what: string, step: (session: any, ctx: Context) => unknown ]> = [
    [ 'a read', session => session.n ],
    [ 'a write', session => {
      session.n = (session.n ?? 0) + 1;
    } ],
    [ 'save()', session => session.save() ],
    [ 'a removal', session => {
      delete session.n;
    } ],
    [ 'update()', session => session.update((data: any) => {
      data.u = (data.u ?? 0) + 1;
    }) ],
    [ 'ctx.session = {}', (_, ctx) => {
      ctx.session = { replaced: true };
    } ],
    [ 'regenerate()', session => session.regenerate() ],
    [ 'regenerate() and a write', async session => {
      session.n = 9;
      await session.regenerate();
      session.n = 10;
    } ],
  ];

  const OPTIONS: SessionOptions[] = [
    {}, { rolling: true }, { renew: true }, { maxAge: 'session' }, { maxAge: 24 * 3600 * 1000 * 1.1 }, { maxAge: 40_000.7, rolling: true },
    { maxAge: CENTURY },
  ];
  for (const options of OPTIONS) {
    it(`has a time to live after each step, with ${JSON.stringify(options)}`, async () => {
      const { run } = await start({ ...options, store: new TestRedisStore(redis.client) });
      await run(count);
      await check();
      for (const maxAge of [ undefined, 45_000.5, 'session', CENTURY, 50_000 ]) {
        if (maxAge !== undefined) {
          await run(session => {
            session.maxAge = maxAge;
          });
          await check();
        }
        for (const [ what, step ] of STEPS) {
          await run(step);
          await check().catch(err => assert.fail(`${what}, with ${maxAge}: ${err.message}`));
        }
      }
    });
  }

  const RUBBISH: Array<[ _maxAge: string, lifetime: number ]> = [
    [ '"v"', DAY ], [ '0', DAY ], [ '-5', DAY ], [ 'null', DAY ], [ 'true', DAY ], [ '[]', DAY ], [ '"60000"', DAY ],
    [ '1e300', CENTURY ], [ '1e14', CENTURY ], [ '90000.25', 90_001 ],
  ];
  for (const options of [{}, { rolling: true }, { renew: true }]) {
    for (const [ _maxAge, lifetime ] of RUBBISH) {
      it(`whose record says ${_maxAge} for its lifetime gets ${lifetime}, with ${JSON.stringify(options)}`, async () => {
        const { run } = await start({ ...options, store: new TestRedisStore(redis.client) });
        for (const [ what, step ] of STEPS) {
          await redis.client.flushall();
          await run(count);
          const [ key ] = await redis.client.keys('*');
          const text = (await redis.client.get(key))!;
          const changed = text.replace(/"_expire":\d+/, `"_expire":${Date.now() + 1000}`).replace(/"_maxAge":\d+/, `"_maxAge":${_maxAge}`);
          await redis.client.set(key, changed, 'PX', 100_000);
          const response = await run(async (session, ctx) => {
            await step(session, ctx);
            return { maxAge: session.maxAge };
          });
          assert.deepEqual(response.json(), { maxAge: lifetime }, what);
          if (what === 'a read' && Object.keys(options).length === 0) continue;
          await check().catch(err => assert.fail(`${what}: ${err.message}`));
        }
      });
    }
  }
});

class TestMemoryStore extends MemorySessionStore {}

for (const [ name, create ] of [
  [ 'MapStore', () => new MapStore() ],
  [ 'MemorySessionStore', () => new TestMemoryStore() ],
] as Array<[ string, () => MapStore | TestMemoryStore ]>) {
  describe(`a record in a ${name} with a lifetime that is none`, () => {
    afterEach(stop);

    for (const [ _maxAge, kept ] of [[ 'v', DAY ], [ -5, DAY ], [ 1e300, CENTURY ], [ 5000.5, 5001 ]]) {
      it(`${_maxAge} counts as ${kept}, and can be saved`, async () => {
        const store = create();
        const { run } = await start({ store });
        await run(count);
        const { id } = (await run(session => ({ id: session.externalKey }))).json();
        await store.set(id, { n: 1, _maxAge }, DAY);
        for (const n of [ 2, 3 ]) assert.deepEqual((await run(count)).json(), { n });
        assert.deepEqual((await run(session => ({ maxAge: session.maxAge }))).json(), { maxAge: kept });
        await run(session => session.regenerate());
        await run(session => session.update((data: any) => {
          data.n++;
        }));
        assert.deepEqual((await run(read)).json(), { n: 4, isNew: false });
      });
    }
  });
}

it('a lifetime in ctx.sessionOptions that the store does not take is an error', async () => {
  const store = new MapStore();
  const { client } = await start({ store });
  await client.run(count);
  store.set = async () => { throw new Error('no'); };
  for (const choose of [ (session: any) => { session.maxAge = DAY / 2; }, (session: any, ctx: Context) => {
    session.toJSON();
    ctx.sessionOptions.maxAge = DAY / 2;
  } ]) assert.equal((await client.tryRun(choose)).status, 503);
  await stop();
});
