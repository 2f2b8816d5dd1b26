import { strict as assert } from 'node:assert';
import { gzipSync, gunzipSync } from 'node:zlib';
import KeyvMemcache from '@keyv/memcache';
import KeyvMysql from '@keyv/mysql';
import type { Application } from 'egg';
import mm, { type MockApplication } from 'egg-mock';
import Redis from 'ioredis';
import Keyv from 'keyv';
import { Keyv as Keyv6 } from 'keyv6';
import { type KeyvClient, KeyvSessionStore, SessionHealth, type SessionStore, type SessionStoreOptions } from '../..';
import { StoreAdapter } from '../../module/store/StoreAdapter';
import { Client, createApp } from '../support/app';
import { MapStore } from '../support/MapStore';
import { TestRedisStore } from '../support/redis';
import { redisCli, startMemcached, startMysql, startRedis, type TestServer } from '../support/servers';
import { start, stop } from '../support/web';

const options = {} as SessionStoreOptions;
const MINUTE = 60_000;

class TestKeyvStore extends KeyvSessionStore {
  constructor(protected readonly keyv: KeyvClient, override readonly maxBytes?: number) {
    super();
  }
}

class SmallMapStore extends MapStore {
  override readonly maxBytes = 100_000;
}

class SmallRedisStore extends TestRedisStore {
  override readonly maxBytes = 1_000_000;
}

const memcached = ({ port }: TestServer) => new KeyvMemcache(`127.0.0.1:${port}`, { logger: { log: () => undefined } });

interface Subject {
  store: SessionStore;
  close(): Promise<unknown>;
  /** Whether the refusal is the plugin's own. */
  isKnown: boolean;
}

const withMemcached = (keyv: (adapter: any) => KeyvClient) => async (): Promise<Subject> => {
  const server = await startMemcached();
  return { store: new TestKeyvStore(keyv(memcached(server))), close: () => server.stop(), isKnown: true };
};

const withRedis = (Store: typeof TestRedisStore, isKnown: boolean) => async (): Promise<Subject> => {
  const server = await startRedis();
  await redisCli(server.port, 'CONFIG', 'SET', 'proto-max-bulk-len', '1mb');
  const redis = new Redis(server.port, { maxRetriesPerRequest: 0 });
  redis.on('error', () => undefined);
  return {
    store: new Store(redis),
    async close() {
      redis.disconnect();
      await server.stop();
    },
    isKnown,
  };
};

const SUBJECTS: Record<string, () => Promise<Subject>> = {
  'memcached, by Keyv 5': withMemcached(adapter => new Keyv(adapter)),
  'memcached, by Keyv 6': withMemcached(adapter => new Keyv6(adapter)),
  'a store of three methods with maxBytes': async () => ({ store: new SmallMapStore(), close: async () => undefined, isKnown: true }),
  'RedisSessionStore with maxBytes': withRedis(SmallRedisStore, true),
  'Redis, above its proto-max-bulk-len': withRedis(TestRedisStore, false),
  'MariaDB, above its max_allowed_packet': async function() {
    const server = await startMysql([ '--max-allowed-packet=1M' ]);
    await server.sql('CREATE TABLE keyv (id VARCHAR(255) PRIMARY KEY, value LONGTEXT NOT NULL)');
    const keyv = new Keyv(new KeyvMysql(server.url));
    return {
      store: new TestKeyvStore(keyv),
      async close() {
        await keyv.disconnect();
        await server.stop();
      },
      isKnown: false,
    };
  },
};

const LARGE = 'x'.repeat(1_100_000);
const WAYS: Record<string, (session: any, ctx: any) => unknown> = {
  'a field': session => { session.cart = LARGE; },
  'save()': session => {
    session.cart = LARGE;
    return session.save();
  },
  'update()': session => session.update((data: any) => { data.cart = LARGE; }),
  'regenerate()': session => {
    session.cart = LARGE;
    return session.regenerate();
  },
  'ctx.session = { … }': (_, ctx) => { ctx.session = { cart: LARGE }; },
};

for (const [ name, open ] of Object.entries(SUBJECTS)) {
  describe(`a session that is too large for ${name}`, () => {
    let subject: Subject;
    let app: MockApplication;
    let browser: Client;
    let health: SessionHealth;
    const told: Error[] = [];
    before(async () => {
      subject = await open();
      mm.consoleLevel('NONE');
      app = await createApp('web', { session: { store: subject.store } });
      (app as unknown as Application).on('session:storeError', ({ error }) => told.push(error));
      browser = await Client.of(app);
      health = await app.getEggObject(SessionHealth);
      await browser.run((session: any) => {
        Object.assign(session, { userId: 7, cart: [ 'a book' ] });
      });
    });
    after(async () => {
      mm.restore();
      await browser.close();
      await app.close();
      await subject.close();
    });

    for (const [ way, handle ] of Object.entries(WAYS)) {
      it(`is refused, by ${way}: what was there stays, and goes on`, async () => {
        const { status, text, setCookies } = await browser.tryRun(handle);
        assert.equal(status, subject.isKnown ? 500 : 503);
        assert.deepEqual(setCookies, []);
        if (subject.isKnown) {
          assert.match(text, /\[egg-tegg-session\] the session is too large for its store: it would take 11\d{5} bytes there, and \d{6,7} are the most \(maxBytes\)/);
          assert.match(text, /The largest field is session\.cart, 1100002 bytes of JSON/);
        }
        assert.deepEqual((await browser.run((session: any) => session)).json(), { userId: 7, cart: [ 'a book' ] });
        assert.equal((await browser.run((session: any) => {
          session.n = (session.n ?? 0) + 1;
        })).status, 200);
        await browser.run((session: any) => {
          delete session.n;
        });
      });
    }

    it('is refused when it begins so, without a cookie', async () => {
      const { status, setCookies } = await browser.another().tryRun(WAYS['a field']);
      assert.equal(status, subject.isKnown ? 500 : 503);
      assert.deepEqual(setCookies, []);
    });

    it('says nothing of the store', () => {
      assert.equal(health.breaker, 'closed');
      assert.equal(health.counters.errors > 0, !subject.isKnown);
      assert.equal(told.length > 0, !subject.isKnown);
    });
  });
}

describe('the limit of memcached', () => {
  let server: TestServer;
  afterEach(() => server.stop());

  /** How long a text may be that goes into the store; beyond that, it is refused, and what was there stays. */
  async function longest(store: SessionStore, key: string, char: string): Promise<number> {
    let [ fits, refused ] = [ 0, 5_000_000 ];
    await store.set(key, { text: '' }, MINUTE, options);
    while (refused - fits > 1) {
      const length = Math.floor((fits + refused) / 2);
      const before = await store.get(key, undefined, options);
      const failure = await store.set(key, { text: char.repeat(length) }, MINUTE, options).then(() => undefined, (err: Error) => err);
      const after = await store.get(key, undefined, options);
      assert.ok(after, `nothing is there after ${length} characters`);
      if (failure) {
        assert.match(failure.message, /too large for its store/);
        assert.deepEqual(after, before);
        refused = length;
      } else {
        assert.equal((after.text as string).length, length);
        fits = length;
      }
    }
    return fits;
  }

  for (const [ args, size ] of [[[], 1024 ], [[ '-I', '2m' ], 2048 ], [[ '-I', '512k' ], 512 ]] as Array<[ string[], number ]>) {
    for (const [ version, newKeyv ] of [[ 5, (adapter: any) => new Keyv(adapter) ], [ 6, (adapter: any) => new Keyv6(adapter) ]] as const) {
      it(`is the one that its server is set to: ${args.join(' ') || 'its default'}, with Keyv ${version}`, async () => {
        server = await startMemcached(args);
        const store = new TestKeyvStore(newKeyv(memcached(server)) as KeyvClient);
        for (const [ key, char, bytes ] of [[ 'id', 'x', 1 ], [ 'k'.repeat(200), '"', 4 ], [ 'id', '会', 3 ]] as Array<[ string, string, number ]>) {
          const most = size * 1024 / bytes;
          const length = await longest(store, key, char);
          assert.ok(length <= most && length >= most - 1000, `${length} of ${most}`);
        }
      });
    }
  }

  it('is of what is sent: Keyv may compress it', async () => {
    server = await startMemcached();
    const keyv = new Keyv(memcached(server) as any, {
      compression: {
        compress: (value: any) => gzipSync(value).toString('base64'),
        decompress: (value: any) => gunzipSync(Buffer.from(value, 'base64')).toString(),
      },
    } as any);
    const store = new TestKeyvStore(keyv as unknown as KeyvClient);
    await assert.doesNotReject(store.set('id', { text: 'x'.repeat(3_000_000) }, MINUTE));
  });

  it('is asked for once, and what is stated in maxBytes goes before it', async () => {
    server = await startMemcached();
    const asked = async () => {
      const adapter = memcached(server);
      let times = 0;
      const { client } = adapter as unknown as { client: { statsWithKey(...args: unknown[]): void } };
      const { statsWithKey } = client;
      client.statsWithKey = (...args) => {
        times++;
        statsWithKey.apply(client, args);
      };
      return { adapter, times: () => times };
    };
    const first = await asked();
    const store = new TestKeyvStore(new Keyv(first.adapter));
    await store.set('id', { n: 1 }, MINUTE);
    assert.equal(first.times(), 0, 'a small one');
    for (let i = 0; i < 3; i++) await store.set('id', { text: 'x'.repeat(500_000) }, MINUTE);
    assert.equal(first.times(), 1);
    const second = await asked();
    const strict = new TestKeyvStore(new Keyv(second.adapter), 2000);
    await assert.rejects(strict.set('id', { text: 'x'.repeat(2000) }, MINUTE), /and 2000 are the most/);
    await strict.set('id', { text: 'x'.repeat(1000) }, MINUTE);
    assert.equal(second.times(), 0);
  });
});

describe('a session that has grown too large for its store meanwhile', () => {
  afterEach(stop);

  it('is read all the same, under rolling', async () => {
    const store = new MapStore();
    const { client } = await start({ store, rolling: true });
    await client.run((session: any) => {
      session.text = 'x'.repeat(500);
    });
    Object.assign(store, { maxBytes: 300 });
    assert.equal((await client.tryRun((session: any) => ({ length: session.text.length }))).status, 200);
  });

  it('is not written for a note of when it was seen', async () => {
    const store = Object.assign(new MapStore(), { maxBytes: 200 });
    const adapter = new StoreAdapter(store);
    const options = { ctx: {} } as SessionStoreOptions;
    await adapter.set('key', { text: 'x'.repeat(100) }, 60_000, options);
    await assert.rejects(adapter.merge('key', { set: { _userAgent: 'y'.repeat(150) }, unset: [], replace: false, renew: false }, options),
      { code: 'ERR_SESSION_TOO_LARGE' });
  });

  it('has 10,000 fields at most', async () => {
    const { client } = await start({ store: new MapStore() });
    const fill = (count: number) => client.tryRun((session: any) => {
      for (let i = 0; i < count; i++) session[`f${i}`] = i;
    });
    const { status, text } = await fill(10_001);
    assert.equal(status, 500);
    assert.match(text, /the session would have 10001 fields, more than 10000/);
    assert.equal((await fill(10_000)).status, 200);
  });
});
