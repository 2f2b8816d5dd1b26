import { strict as assert } from 'node:assert';
import KeyvMemcache from '@keyv/memcache';
import KeyvMysql from '@keyv/mysql';
import type { Context } from 'egg';
import mm, { type MockApplication } from 'egg-mock';
import Redis from 'ioredis';
import Keyv from 'keyv';
import { KeyvSessionStore, SessionHealth, type SessionRecord, type SessionStore } from '../..';
import { Client, createApp } from '../support/app';
import { MapStore } from '../support/MapStore';
import { TestRedisStore } from '../support/redis';
import { redisCli, startMemcached, startMysql, startRedis } from '../support/servers';

/** In ms. */
const TIMEOUT = 1000;

class TestKeyvStore extends KeyvSessionStore {
  constructor(protected readonly keyv: Keyv, override readonly maxBytes?: number) {
    super();
  }
}

/** Fails as it is told to, at what `fails` holds for. */
class ChoosyStore extends MapStore {
  fails: (record: SessionRecord | undefined) => void = () => undefined;

  override async get(key: string) {
    const record = await super.get(key);
    this.fails(record);
    return record;
  }

  override async set(...args: Parameters<MapStore['set']>) {
    this.fails(args[1]);
    await super.set(...args);
  }
}

const isOdd = (record: SessionRecord | undefined) => Boolean(record?.odd);

interface Subject {
  store: SessionStore;
  /** Whether what strangers wrote before can't be read any more. */
  failsReads?: boolean;
  /** To be called when somebody has signed in. */
  begin?(): Promise<unknown> | void;
  close?(): Promise<unknown>;
}

const redisStore = async (begin: (port: number) => Promise<unknown>, username?: string): Promise<Subject> => {
  const server = await startRedis();
  const redis = new Redis(server.port, { username, password: username && 'secret', lazyConnect: true });
  if (username) await redisCli(server.port, 'ACL', 'SETUSER', username, 'on', '>secret', '~*', '+@all');
  return {
    store: new TestRedisStore(redis),
    begin: () => begin(server.port),
    async close() {
      redis.disconnect();
      await server.stop();
    },
  };
};

const choosy = (thrown: () => unknown) => async (): Promise<Subject> => {
  const store = new ChoosyStore();
  return {
    store,
    failsReads: true,
    begin() {
      store.fails = record => {
        if (isOdd(record)) throw thrown();
      };
    },
  };
};

const withMemcached = (maxBytes?: number) => async (): Promise<Subject> => {
  const server = await startMemcached();
  const keyv = new Keyv(new KeyvMemcache(`127.0.0.1:${server.port}`, { logger: { log: () => undefined } }));
  return { store: new TestKeyvStore(keyv, maxBytes), close: () => server.stop() };
};

const LARGE = 'x'.repeat(1_100_000);

/** What strangers do wrong, and whether others can still write. */
const SUBJECTS: Array<[ what: string, open: () => Promise<Subject>, writes: boolean ]> = [
  [ 'more than memcached takes', withMemcached(), true ],
  [ 'more than memcached takes, and are sent so', withMemcached(Infinity), true ],
  [ 'more than max_allowed_packet of MariaDB, which hangs up', async () => {
    const server = await startMysql([ '--max-allowed-packet=1M' ]);
    await server.sql('CREATE TABLE keyv (id VARCHAR(255) PRIMARY KEY, value LONGTEXT NOT NULL)');
    const keyv = new Keyv(new KeyvMysql(server.url));
    keyv.on('error', () => undefined);
    return {
      store: new TestKeyvStore(keyv),
      async close() {
        await keyv.disconnect();
        await server.stop();
      },
    };
  }, true ],
  [ 'what Redis has no memory for', () => redisStore(port => redisCli(port, 'CONFIG', 'SET', 'maxmemory', '1')), false ],
  [ 'what its user of Redis has no right to', () => redisStore(port => redisCli(port, 'ACL', 'SETUSER', 'app', '-set'), 'app'), false ],
  [ 'what a store has a RangeError for', choosy(() => new RangeError('too much')), true ],
  [ 'what a store has a TypeError for', choosy(() => new TypeError('Do not know how to serialize a BigInt')), true ],
  [ 'what a store has an error of its own for', choosy(() => new Error('no more than 10 fields')), true ],
  [ 'what a store has null for', choosy(() => null), true ],
];

describe('while strangers write', () => {
  let app: MockApplication;
  let client: Client;
  let subject: Subject;
  afterEach(async () => {
    mm.restore();
    await client.close();
    await app.close();
    await subject.close?.();
  });

  for (const [ what, open, writes ] of SUBJECTS) {
    it(`${what}, all who are signed in stay so${writes ? ', and others sign in' : ''}`, async () => {
      subject = await open();
      mm.consoleLevel('NONE');
      app = await createApp('web', { session: { store: subject.store, storeTimeout: TIMEOUT } });
      client = await Client.of(app);
      const health = await app.getEggObject(SessionHealth);
      await client.run((session: any) => {
        session.userId = 7;
      });
      // a session that was odd before the store refused it
      const old = client.another();
      await old.run((session: any) => {
        session.odd = true;
      });
      await subject.begin?.();

      const begun = performance.now();
      const strangers = Array.from({ length: 3 }, () => client.another());
      if (subject.failsReads) strangers.push(old);
      let answers = 0;
      while (performance.now() - begun < 1.5 * TIMEOUT || answers < 20) {
        const responses = await Promise.all(strangers.map(stranger => stranger.tryRun((session: any) => {
          Object.assign(session, { odd: true, text: LARGE });
        })));
        answers += responses.length;
        assert.ok(responses.every(({ status }) => status >= 500), responses.map(({ status }) => status).join());
      }
      assert.equal(health.breaker, 'closed');
      for (let i = 0; i < 10; i++) {
        assert.deepEqual((await client.run((session: any) => ({ userId: session.userId }))).json(), { userId: 7 });
      }
      const status = (await client.another().tryRun((session: any) => {
        session.userId = 8;
      })).status;
      assert.equal(status, writes ? 200 : 503);
    });
  }

  it('send ids that the store quotes in its errors, all who are signed in stay so', async () => {
    const store = new class extends MapStore {
      override async get(key: string) {
        if (key.length > 100) throw new Error(`key "${key}" is too long`);
        return await super.get(key);
      }
    }();
    subject = { store };
    mm.consoleLevel('NONE');
    const externalKey = { get: (ctx: Context) => ctx.get('x-id') || undefined, set: (ctx: Context, id: string) => ctx.set('x-id', id) };
    app = await createApp('web', { session: { store, externalKey, storeTimeout: TIMEOUT } });
    client = await Client.of(app);
    const health = await app.getEggObject(SessionHealth);
    const { headers: { 'x-id': id } } = await client.run((session: any) => {
      session.userId = 7;
    });
    const begun = performance.now();
    while (performance.now() - begun < 1.5 * TIMEOUT) {
      const { status } = await client.tryRun((session: any) => ({ n: session.n ?? null }), { 'x-id': `" connection closed "${'x'.repeat(100)}` });
      assert.equal(status, 503);
    }
    assert.equal(health.breaker, 'closed');
    const response = await client.run((session: any) => ({ userId: session.userId }), { 'x-id': id as string });
    assert.deepEqual(response.json(), { userId: 7 });
  });
});
