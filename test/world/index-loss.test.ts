import { strict as assert } from 'node:assert';
import type { Application } from 'egg';
import mm from 'egg-mock';
import Redis from 'ioredis';
import { type SessionOptions } from '../..';
import { AppSessionStore as AppRedisStore } from '../fixtures/apps/redis-store/modules/store/AppSessionStore';
import { type Client, createApp } from '../support/app';
import { forEachIndexedStore, INDEXED_STORES, IndexedSite, type IndexedStore, MEMORY, REDIS } from '../support/indexed';
import { redisCli, startRedis, until } from '../support/servers';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

let last = 0;
/** A user of the test's own. */
const newUser = () => `user-${++last}`;

type Use = (client: Client, round: number) => Promise<unknown>;

/** The ways to use a session; none of them signs in. */
const USES: Record<string, Use> = {
  'a read': client => client.run(session => ({ userId: session.userId })),
  'a write': (client, round) => client.run(session => void (session.n = round)),
  'save()': client => client.run(session => session.save()),
  'update()': (client, round) => client.run(session => session.update(data => void (data.n = round))),
  'an assignment to ctx.session': (client, round) => client.run((session, ctx) => {
    ctx.session = { ...session.toJSON(), n: round };
  }),
};

/** Takes the index of a principal out of the store, and leaves the sessions. */
async function loseIndex(site: IndexedSite, user: string) {
  await site.loseIndex(user);
  assert.deepEqual(await site.noted(user), []);
}

/** How often the index is written from now on. */
function countNotes({ store }: IndexedSite) {
  const index = store.index!.bind(store);
  let count = 0;
  mm(store, 'index', async (...args: Parameters<typeof index>) => {
    count++;
    await index(...args);
  });
  return () => count;
}

const CASES: Array<[ title: string, options: SessionOptions, stores: IndexedStore[], more?: Record<string, Use> ]> = [
  [ '', {}, INDEXED_STORES ],
  [ ', with rolling', { rolling: true }, [ MEMORY, REDIS ], { 'a page that does not use it': client => client.request('/nowhere') }],
  [ ', with renew', { renew: true }, [ REDIS ]],
];
for (const [ title, options, stores, more ] of CASES) {
  forEachIndexedStore(`the index of a principal that is lost${title}`, site => {
    for (const [ how, use ] of Object.entries({ ...USES, ...more })) {
      it(`has a session again a minute later, by ${how}`, async () => {
        const user = newUser();
        const browser = await site.signIn(user);
        await loseIndex(site, user);
        await site.later(MINUTE + 1000);
        await use(browser, 1);
        assert.equal((await site.noted(user)).length, 1);
        assert.equal(await site.registry.revokeAll(user), 1);
        assert.equal(await site.user(browser), null);
      });
    }

    it('has a session again a minute later that was seen last by a process whose clock is an hour ahead', async () => {
      const user = newUser();
      const browser = await site.signIn(user);
      const { now } = Date;
      mm(Date, 'now', () => now() + HOUR);
      await site.user(browser);
      mm(Date, 'now', now);
      await loseIndex(site, user);
      await site.later(MINUTE + 1000);
      await site.user(browser);
      assert.equal(await site.registry.revokeAll(user), 1);
      assert.equal(await site.user(browser), null);
    });

    it('has a session again within a minute that is written every ten seconds', async () => {
      const user = newUser();
      const browser = await site.signIn(user);
      for (let i = 0; i < 3; i++) {
        await site.later(10_000);
        await USES['a write'](browser, i);
      }
      await loseIndex(site, user);
      for (let i = 0; i < 7; i++) {
        await site.later(10_000);
        await USES['a write'](browser, i + 10);
      }
      assert.equal(await site.registry.revokeAll(user), 1);
      assert.equal(await site.user(browser), null);
    });

    it('costs requests of the same minute no command', async () => {
      const user = newUser();
      const browser = await site.signIn(user);
      await site.later(MINUTE);
      await site.user(browser);
      const notes = countNotes(site);
      for (let i = 0; i < 5; i++) await site.user(browser);
      assert.equal(notes(), 0);
    });
  }, options, stores);
}

forEachIndexedStore('the index of a principal that is lost under maxSessions', site => {
  it('lets no more in, once the sessions were used', async () => {
    const user = newUser();
    const browsers = [ await site.signIn(user), await site.signIn(user) ];
    await loseIndex(site, user);
    await site.later(MINUTE + 1000);
    for (const browser of browsers) assert.equal(await site.user(browser), user);
    await site.later(1000);
    browsers.push(await site.signIn(user));
    const users = await Promise.all(browsers.map(browser => site.user(browser)));
    assert.equal(users.filter(each => each === user).length, 2);
    assert.equal(users[2], user);
  });
}, { maxSessions: 2 });

for (const policy of [ 'allkeys-lru', 'volatile-lru' ]) {
  describe(`a Redis that is short of memory, with ${policy}`, () => {
    const site = new IndexedSite(REDIS);
    before(() => site.boot());
    afterEach(() => mm.restore());
    after(() => site.close());

    it('drops the index of a session in use; revokeAll() ends that all the same, once it was used a minute later', async () => {
      const redis = site.redis as Redis;
      const user = newUser();
      const browser = await site.signIn(user);
      const [ key ] = await site.noted(user);
      const index = `session:principal:${user}`;
      // they go with the index, as they are as old: it alone is too small to make room for one more
      for (let i = 0; i < 50; i++) await redis.set(`old:${i}`, 'x'.repeat(10_000), 'EX', 3600);
      await until('the index was not used for some time', async () => Number(await redis.object('IDLETIME', index)) >= 2);
      await site.user(browser);
      const used = Number(/used_memory:(\d+)/.exec(await redis.info('memory'))![1]);
      await redis.config('SET', 'maxmemory-policy', policy);
      await redis.config('SET', 'maxmemory-samples', '64');
      await redis.config('SET', 'maxmemory', String(used + 1_000_000));
      let others = 0;
      while (await redis.exists(index)) {
        await redis.set(`others:${++others}`, 'x'.repeat(10_000), 'EX', 3600);
        assert.equal(await redis.touch(`session:${key}`), 1); // as requests use it
      }
      assert.match(await redis.info('stats'), /evicted_keys:[1-9]/);
      assert.equal(await site.registry.revokeAll(user), 0);

      await site.later(MINUTE + 1000);
      assert.equal(await site.user(browser), user);
      assert.equal(await site.registry.revokeAll(user), 1);
      assert.equal(await site.user(browser), null);
    });
  });
}

describe('the boot with RedisSessionStore', () => {
  /** What is logged while an application starts, and for as long as it takes the server to answer. */
  async function warnings(client: Redis): Promise<string[]> {
    Object.assign(AppRedisStore, { client, prefix: 'session:' });
    let booting!: Application;
    const app = await createApp('redis-store', { boot(each) {
      booting = each;
      (each as unknown as { mockLog(name: string): void }).mockLog('coreLogger');
    } });
    await client.ping(); // it was asked after what is asked at boot
    await new Promise(setImmediate);
    await app.close();
    return (booting.coreLogger as unknown as { _mockLogs: string[] })._mockLogs.filter(line => line.includes('maxmemory'));
  }

  it('warns of a maxmemory-policy that drops keys, and of no other', async () => {
    const server = await startRedis();
    const client = new Redis(server.port);
    try {
      assert.deepEqual(await warnings(client), []);
      for (const policy of [ 'allkeys-lru', 'volatile-lru', 'volatile-ttl', 'allkeys-random', 'volatile-lfu' ]) {
        await client.config('SET', 'maxmemory-policy', policy);
        const [ line, ...more ] = await warnings(client);
        assert.deepEqual(more, []);
        assert.match(line, new RegExp(`\\[egg-tegg-session\\] .* maxmemory-policy ${policy}: .* revokeAll\\(\\).* Set maxmemory-policy to noeviction`));
      }
    } finally {
      client.disconnect();
      await server.stop();
    }
  });

  it('goes on quietly when INFO is not allowed, and when nobody answers', async () => {
    const server = await startRedis();
    await redisCli(server.port, 'CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru');
    await redisCli(server.port, 'ACL', 'SETUSER', 'app', 'on', '>secret', '~*', '+@all', '-info');
    const client = new Redis(server.port, { username: 'app', password: 'secret', enableReadyCheck: false });
    const gone = new Redis(1, { maxRetriesPerRequest: 0, retryStrategy: () => null, lazyConnect: true });
    gone.on('error', () => undefined);
    try {
      assert.deepEqual(await warnings(client), []);
      await assert.doesNotReject(warnings(Object.assign(gone, { ping: async () => 'PONG' })));
    } finally {
      client.disconnect();
      gone.disconnect();
      await server.stop();
    }
  });
});


forEachIndexedStore('a session that is written while another request looks for it', site => {
  it('stays in the index', async () => {
    const browser = await site.signIn(7);
    const get = site.store.get.bind(site.store);
    let asked = 0;
    // the answer of before it was written
    mm(site.store, 'get', async (...args: Parameters<typeof get>) => (++asked === 1 ? undefined : await get(...args)));
    assert.deepEqual(await site.registry.list(7), []);
    mm.restore();
    assert.equal((await site.registry.list(7)).length, 1);
    assert.equal(await site.registry.revokeAll(7), 1);
    assert.equal(await site.user(browser), null);
  });
});
