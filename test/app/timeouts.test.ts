import { strict as assert } from 'node:assert';
import type { Context } from 'egg';
import { MemorySessionStore, type SessionOptions, type SessionRecord, type SessionStore } from '../..';
import { Sealer } from '../../module/cookie/Sealer';
import { later } from '../support/app';
import { MapStore } from '../support/MapStore';
import { redisOfSuite, TestRedisStore } from '../support/redis';
import { EMPTY, KEYS, NAME, read, start, stop } from '../support/web';

const TIMEOUT = 60_000;
const OPTIONS = { absoluteMaxAge: TIMEOUT };
const A_GET = { ctx: {} } as never;

class TestMemoryStore extends MemorySessionStore {}

interface Site {
  /** A store of its own for each test; undefined when sessions live in the cookie. */
  store(): SessionStore | undefined;
  /** Whether an id that ended leaves a tombstone. */
  leavesTombstone: boolean;
}

/** Each way to keep a session active, as a request. */
const WAYS: Array<[ what: string, options: SessionOptions, handle: (session: any, ctx: Context) => unknown ]> = [
  [ 'a read under rolling', { rolling: true }, session => session.n ],
  [ 'a read under renew', { renew: true, maxAge: 20_000 }, session => session.n ],
  [ 'a write', {}, session => {
    session.count = (session.count ?? 0) + 1;
  } ],
  [ 'update()', {}, session => session.update((data: any) => {
    data.count = (data.count ?? 0) + 1;
  }) ],
  [ 'save()', {}, session => session.save() ],
  [ 'ctx.session = { … }', {}, (_, ctx) => {
    ctx.session = { n: 1, _createdAt: Date.now() };
  } ],
  [ 'another maxAge', {}, session => {
    session.maxAge = 100_000 + Math.floor(Math.random() * 100_000);
  } ],
  [ 'a write under autoCommit: false', { autoCommit: false }, async session => {
    session.count = (session.count ?? 0) + 1;
    await session.manuallyCommit();
  } ],
  [ 'a regenerate() that fails', { beforeSave: ctx => {
    if (ctx.get('x-fail')) throw new Error('not now');
  }, rolling: true }, async (session, ctx) => {
    ctx.request.headers['x-fail'] = 'yes';
    await assert.rejects(session.regenerate(), /not now/);
    delete ctx.request.headers['x-fail'];
  } ],
  [ 'writing _createdAt', {}, async (session, ctx) => {
    assert.throws(() => {
      session._createdAt = Date.now();
    }, /_createdAt is reserved/);
    await assert.rejects(session.update((data: any) => {
      data._createdAt = Date.now();
    }), /_createdAt is reserved/);
    Object.assign(ctx.session, { _createdAt: Date.now(), n: 1, count: Math.random() });
  } ],
];

function testTimeout(name: string, { store: newStore, leavesTombstone }: Site) {
  describe(`absoluteMaxAge, with ${name}`, () => {
    let store: SessionStore | undefined;
    afterEach(async () => {
      await stop();
      await store?.close?.();
    });
    const boot = async (options: SessionOptions = {}) => {
      store = newStore();
      return await start({ ...OPTIONS, ...options, ...(store ? { store } : {}) });
    };
    const begin = async (session: any) => {
      session.n = 1;
      await session.save();
      return { id: session.externalKey, createdAt: session.createdAt };
    };

    for (const [ what, options, handle ] of WAYS) {
      it(`${what} does not put it off`, async () => {
        const { run } = await boot(options);
        const { createdAt } = (await run(begin)).json();
        for (let i = 0; i < 3; i++) {
          later(15_000);
          const response = await run(async (session, ctx) => {
            await handle(session, ctx);
            return { n: session.n, createdAt: session.createdAt };
          });
          assert.deepEqual(response.json(), { n: 1, createdAt });
        }
        later(16_000);
        assert.deepEqual((await run(read)).json(), EMPTY);
      });
    }

    it('is counted to the ms', async () => {
      const { run } = await boot();
      later(0);
      await run(begin);
      later(TIMEOUT - 1);
      assert.deepEqual((await run(read)).json(), { n: 1, isNew: false });
      later(1);
      assert.deepEqual((await run(read)).json(), EMPTY);
    });

    it('regenerate() starts it anew', async () => {
      const { run } = await boot();
      await run(begin);
      for (let i = 0; i < 3; i++) {
        later(50_000);
        await run(session => session.regenerate());
      }
      later(50_000);
      assert.deepEqual((await run(read)).json(), { n: 1, isNew: false });
      later(10_001);
      assert.deepEqual((await run(read)).json(), EMPTY);
    });

    it('a request that finds that it is over removes the cookie and the record, unless the clock of a server or of another process counts', async () => {
      const { client, run } = await boot();
      const { id } = (await run(begin)).json();
      const old = client.copy();
      later(TIMEOUT);
      const { setCookies } = await run(read);
      if (store && !(store instanceof MemorySessionStore)) {
        assert.deepEqual(setCookies, []);
        assert.equal((await store.get(id, undefined, A_GET))?.n, 1);
      } else {
        assert.equal(setCookies.length, 1);
        assert.match(setCookies[0], /^EGG_SESS=;.*expires=Thu, 01 Jan 1970/);
        assert.equal(client.cookies.has(NAME), false);
        assert.deepEqual((await run(read)).setCookies, []);
        assert.equal(await (store as SessionStore | undefined)?.get(id, undefined, A_GET), undefined);
      }
      assert.deepEqual((await old.run(read)).json(), EMPTY);
    });

    it('a request that does not use the session sets no cookie, and the next one can write', async () => {
      const { client, run } = await boot();
      await run(begin);
      later(TIMEOUT);
      assert.deepEqual((await run(() => undefined)).setCookies, []);
      assert.ok(client.cookies.has(NAME));
      await run(session => {
        session.n = 2;
      });
      assert.deepEqual((await run(read)).json(), { n: 2, isNew: false });
    });

    for (const [ what, write ] of Object.entries<(session: any, ctx: Context) => unknown>({
      'a field': session => {
        session.n = 2;
      },
      'save()': async session => {
        session.n = 2;
        await session.save();
      },
      'update()': session => session.update((data: any) => {
        data.n = 2;
      }),
      'regenerate()': async session => {
        await session.regenerate();
        session.n = 2;
      },
      'ctx.session = { … }': (_, ctx) => {
        ctx.session = { n: 2 };
      },
    })) {
      it(`the session starts anew in the request that finds that it is over: ${what}`, async () => {
        const { run } = await boot();
        const before = (await run(begin)).json();
        later(TIMEOUT);
        const response = await run(async (session, ctx) => {
          assert.deepEqual([ session.isNew, session.n ], [ true, undefined ]);
          await write(session, ctx);
          return { createdAt: session.createdAt };
        });
        assert.ok(response.json().createdAt >= before.createdAt + TIMEOUT);
        const lines = response.setCookies;
        assert.equal(lines.length, 1);
        assert.doesNotMatch(lines[0], /^EGG_SESS=;/);
        const after = (await run(session => ({ n: session.n, id: session.externalKey, createdAt: session.createdAt }))).json();
        assert.equal(after.n, 2);
        assert.equal(after.createdAt, response.json().createdAt);
        if (before.id) assert.notEqual(after.id, before.id);
        later(TIMEOUT);
        assert.deepEqual((await run(read)).json(), EMPTY);
      });
    }

    it('a request that was faster can\'t bring it back', async () => {
      const { client, run } = await boot();
      await run(begin);
      const slow = client.copy();
      let proceed!: () => void;
      const waiting = new Promise<void>(resolve => {
        proceed = resolve;
      });
      let hasBegun!: () => void;
      const begun = new Promise<void>(resolve => {
        hasBegun = resolve;
      });
      const writing = slow.run(async session => {
        assert.equal(session.n, 1);
        hasBegun();
        await waiting;
        session.n = 3;
      });
      await begun;
      later(TIMEOUT);
      assert.deepEqual((await run(read)).json(), EMPTY);
      proceed();
      await writing;
      for (const browser of [ slow, client ]) assert.deepEqual((await browser.run(read)).json(), EMPTY);
    });

    for (const [ what, _createdAt ] of [[ 'without', undefined ], [ 'with a text for', 'long ago' ], [ 'with null for', null ]]) {
      it(`counts from the first use here for a session ${what} _createdAt, also when it is only read`, async () => {
        const { client, run } = await boot();
        const record: SessionRecord = { n: 1, ..._createdAt === undefined ? {} : { _createdAt } };
        if (store) {
          const { id } = (await run(begin)).json();
          await store.destroy(id, A_GET);
          await store.set(id, { ...record, _maxAge: 86_400_000, _expire: Date.now() + 86_400_000 }, 86_400_000, A_GET);
        } else {
          client.cookies.set(NAME, new Sealer(KEYS).seal(NAME, JSON.stringify(record)));
        }
        later(0);
        const first = (await run(session => ({ n: session.n, createdAt: session.createdAt }))).json();
        assert.deepEqual(first, { n: 1, createdAt: Date.now() });
        for (let i = 0; i < 3; i++) {
          later(15_000);
          assert.deepEqual((await run(session => ({ n: session.n, createdAt: session.createdAt }))).json(), first);
        }
        later(16_000);
        assert.deepEqual((await run(read)).json(), EMPTY);
      });
    }

    it('the stamp of a session that is only read does not make it live longer', async () => {
      const { client, run } = await boot({ absoluteMaxAge: 600_000 });
      const ends = Date.now() + 30_000;
      if (store) {
        const { id } = (await run(begin)).json();
        await store.destroy(id, A_GET);
        if (store instanceof MapStore) await store.set(id, { n: 1, _maxAge: 90_000, _expire: ends }, 90_000);
        else await store.set(id, { n: 1, _maxAge: 30_000 }, 30_000, A_GET);
      } else {
        client.cookies.set(NAME, new Sealer(KEYS).seal(NAME, JSON.stringify({ n: 1, _maxAge: 90_000, _expire: ends })));
      }
      later(20_000);
      assert.deepEqual((await run(read)).json(), { n: 1, isNew: false });
      if (!store || leavesTombstone) return; // the clock of Redis and memory is another one; a cookie is written anew
      later(11_000);
      assert.deepEqual((await run(read)).json(), EMPTY);
    });

    it('without it, a session that is used goes on', async () => {
      const { run } = await boot({ absoluteMaxAge: null, rolling: true });
      await run(begin);
      for (let i = 0; i < 5; i++) {
        later(50_000);
        assert.deepEqual((await run(read)).json(), { n: 1, isNew: false });
      }
    });
  });
}

testTimeout('the data in the cookie', { store: () => undefined, leavesTombstone: false });
testTimeout('a store of three methods', { store: () => new MapStore(), leavesTombstone: false });
testTimeout('MemorySessionStore', { store: () => new TestMemoryStore(), leavesTombstone: true });

describe('', () => {
  const redis = redisOfSuite();
  testTimeout('RedisSessionStore', { store: () => new TestRedisStore(redis.client), leavesTombstone: true });
});
