import { strict as assert } from 'node:assert';
import Redis, { type RedisOptions } from 'ioredis';
import { AppSessionStore as AppRedisStore } from '../fixtures/apps/redis-store/modules/store/AppSessionStore';
import { forEachIndexedStore, type IndexedStore } from '../support/indexed';
import { BufferRedis } from '../support/redis';
import { startRedis } from '../support/servers';

/** Gives true in place of 1, as clients do that map RESP 3. */
class BooleanRedis extends Redis {
  constructor(port: number, options: RedisOptions) {
    super(port, options);
    for (const name of [ 'evalsha', 'eval' ] as const) {
      const method = this[name] as (...args: unknown[]) => Promise<unknown>;
      Object.defineProperty(this, name, {
        value: async (...args: unknown[]) => {
          const reply = await method.apply(this, args);
          return reply === 1 ? true : reply;
        },
      });
    }
  }
}

const CLIENTS: Record<string, (port: number, options?: RedisOptions) => Redis> = {
  'numbers that are strings': (port, options) => new Redis(port, { ...options, stringNumbers: true }),
  'strings that are Buffers': (port, options = {}) => new BufferRedis(port, options),
  'numbers that are true': (port, options = {}) => new BooleanRedis(port, options),
  'what is sent together': (port, options) => new Redis(port, { ...options, enableAutoPipelining: true, stringNumbers: true }),
};

const subjects = Object.entries(CLIENTS).map(([ what, connect ]): IndexedStore => ({
  name: `Redis, whose client gives ${what}`,
  fixture: 'redis-store',
  hasTombstones: true,
  async open() {
    const server = await startRedis();
    const client = connect(server.port, { keyPrefix: 'shop:' });
    Object.assign(AppRedisStore, { client, prefix: 'session:' });
    return async () => {
      client.disconnect();
      await server.stop();
    };
  },
}));

forEachIndexedStore('a session', site => {
  it('is updated once, lives on, moves, and ends', async () => {
    const browser = await site.signIn(7);
    for (let n = 1; n < 4; n++) {
      let runs = 0;
      await browser.run(session => session.update((data: any) => {
        runs++;
        data.n = (data.n ?? 0) + 1;
      }));
      assert.equal(runs, 1);
      assert.deepEqual((await browser.run((session: any) => ({ n: session.n, maxAge: session.maxAge }))).json(), { n, maxAge: 24 * 3600 * 1000 });
    }
    await browser.run(async (session: any) => {
      session.more = true;
      await session.regenerate();
    });
    assert.deepEqual((await browser.run((session: any) => session)).json(), { userId: 7, n: 3, more: true });
    assert.equal((await site.registry.list(7)).length, 1);
    assert.equal(await site.registry.revokeAll(7), 1);
    assert.equal(await site.user(browser), null);
    const another = await site.signIn(8);
    await site.registry.clear();
    assert.equal(await site.user(another), null);
  });

  it('is updated by all of 20 at the same time', async () => {
    const browser = await site.signIn(9);
    await Promise.all(Array.from({ length: 20 }, () => browser.copy().run(session => session.update((data: any) => {
      data.n = (data.n ?? 0) + 1;
    }))));
    assert.deepEqual((await browser.run((session: any) => ({ n: session.n }))).json(), { n: 20 });
  });
}, {}, subjects);
