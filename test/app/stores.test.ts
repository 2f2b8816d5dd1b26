import { strict as assert } from 'node:assert';
import { execFile } from 'node:child_process';
import { EventEmitter } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import mm, { type MockApplication } from 'egg-mock';
import Redis from 'ioredis';
import Keyv from 'keyv';
import { Keyv as Keyv6 } from 'keyv6';
import KeyvMemcache from '@keyv/memcache';
import KeyvMysql from '@keyv/mysql';
import { createClient } from 'redis';
import {
  type KeyvClient, KeyvSessionStore, MemorySessionStore, RedisSessionStore, type SessionChanges, type SessionMaxAge, type SessionRecord,
  type SessionStore, type SessionStoreOptions, testSessionStore,
} from '../..';
import { Client, createApp } from '../support/app';
import { MapStore } from '../support/MapStore';
import { connectNodeRedis, TestRedisStore } from '../support/redis';
import { startMemcached, startMysql, startRedis, type TestServer, until } from '../support/servers';

class TestMemoryStore extends MemorySessionStore {
  protected override readonly maxEntries = 5000;
}

class TestKeyvStore extends KeyvSessionStore {
  constructor(protected readonly keyv: KeyvClient) {
    super();
  }
}

/** The same store, which fails when more than five calls are running. */
function withPoolOf5<S extends SessionStore>(store: S): S {
  let running = 0;
  for (const method of [ 'get', 'set', 'destroy', 'touch', 'getAndTouch', 'merge', 'compareAndSet', 'retire', 'index' ] as const) {
    const call = store[method] as (...args: unknown[]) => Promise<unknown>;
    Object.assign(store, { async [method](...args: unknown[]) {
      if (++running > 5) throw new Error('no connection is free');
      await setImmediate();
      return await call.apply(store, args).finally(() => running--);
    } });
  }
  return store;
}

/** Tests the contract against a server of its own. */
function testWithServer<S extends TestServer>(name: string, start: () => Promise<S>,
  create: (server: S) => SessionStore | Promise<SessionStore>, down: () => SessionStore) {
  describe('', () => {
    let server: S;
    before(async () => {
      server = await start();
    });
    testSessionStore(name, () => create(server), { down, anyKey: true });
    after(() => server.stop());
  });
}

const connect = ({ port }: Pick<TestServer, 'port'>) => new Redis(port, '127.0.0.1', { maxRetriesPerRequest: 0, retryStrategy: () => null });
/** Nobody listens there. */
const NOWHERE = '127.0.0.1:1';
/** The SQL of a section of docs/stores.md, so that what it tells people to run is what is tested. */
function sqlOf(section: string): string[] {
  const text = fs.readFileSync(path.join(__dirname, '../../docs/stores.md'), 'utf8').split(`\n### ${section}\n`)[1].split(/\n##/)[0];
  return [ ...text.matchAll(/```sql\n([^`]*)```/g) ].map(([ , sql ]) => sql);
}
const options = {} as SessionStoreOptions;

testSessionStore('a class with three methods and a Map', () => new MapStore(), { anyKey: true });
testSessionStore('MemorySessionStore', () => withPoolOf5(new TestMemoryStore()), { anyKey: true });
testWithServer('RedisSessionStore', startRedis, server => new TestRedisStore(connect(server)), () => {
  const redis = connect({ port: 1 });
  redis.on('error', () => undefined);
  return new TestRedisStore(redis);
});
testWithServer('RedisSessionStore with node-redis', startRedis, async ({ port }) => new TestRedisStore(await connectNodeRedis(port)),
  () => new TestRedisStore(createClient({ url: `redis://${NOWHERE}` })));
const [ MYSQL_TABLE, MYSQL_DELETE ] = sqlOf('MySQL with Keyv');

it('the contract\'s suite fails for stores that keep to themselves that their server is down', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [
    require.resolve('mocha/bin/mocha.js'), '--reporter', 'json', '--grep', 'a server that is down', path.join(__dirname, '../fixtures/suites/swallowers.ts'),
  ], { cwd: path.join(__dirname, '../..'), env: { ...process.env, NODE_V8_COVERAGE: undefined } }).catch(err => err);
  const { passes, failures, pending } = JSON.parse(stdout.slice(stdout.indexOf('{')));
  const stores = (tests: Array<{ fullTitle: string }>) => tests.map(({ fullTitle }) => /^a store (.*) is a session store/.exec(fullTitle)![1]);
  assert.deepEqual(stores(passes), [ 'that throws' ]);
  assert.deepEqual(stores(failures),
    [ 'finds', 'ends', 'writes', 'touches', 'lists' ].map(what => `that ${what} nothing`));
  assert.deepEqual(failures.map(({ err }: { err: Error }) => err.message.split(' ')[0]), [ 'get', 'destroy', 'set', 'touch', 'index' ]);
  assert.deepEqual(stores(pending), [ 'of which no more is known' ]);
});

describe('the contract\'s suite fails for a store that is not atomic', () => {
  /** What is written between the two that a method does is lost. */
  class Racy extends TestMemoryStore {
    override async merge(key: string, changes: SessionChanges) {
      const before = await this.get(key);
      await setImmediate();
      if (before && await this.get(key)) await this.set(key, before, this.lifetime(before));
      return await super.merge(key, changes);
    }

    override async compareAndSet(key: string, expected: SessionRecord, record: SessionRecord, maxAge: SessionMaxAge) {
      const before = await this.get(key);
      await setImmediate();
      return before?._rev === expected._rev && await this.set(key, record, maxAge).then(() => true);
    }

    override async retire(key: string, successor: string | null, graceMs: number) {
      const before = await this.get(key);
      await setImmediate();
      return await super.retire(key, successor, graceMs) && before as SessionRecord | undefined;
    }

    override async index(principal: string, key: string, ms: number) {
      const principals: Map<string, Map<string, number>> = Reflect.get(this, 'principals');
      const before = new Map(principals.get(principal));
      await setImmediate();
      principals.set(principal, before);
      await super.index(principal, key, ms);
    }
  }
  let failures: Array<[ title: string, message: string ]>;

  before(async () => {
    const suite: Record<'before' | 'after', () => Promise<void>> & { tests: Array<[ title: string, run: () => Promise<void> ]> } = {
      before: async () => undefined, after: async () => undefined, tests: [],
    };
    testSessionStore('Racy', () => new Racy(), { runner: {
      describe: (_title, run) => run(),
      it: (...test) => suite.tests.push(test),
      before: run => Object.assign(suite, { before: run }),
      after: run => Object.assign(suite, { after: run }),
    } });
    await suite.before();
    const run = await Promise.all(suite.tests.map(async ([ title, test ]) => await test().then(() => [], err => [[ title, err.message ]])));
    await suite.after();
    failures = run.flat() as typeof failures;
  });

  for (const [ method, what ] of [
    [ 'merge', 'loses nothing of merges at the same time' ],
    [ 'compareAndSet', 'lets one of several writers at the same time write' ],
    [ 'retire', 'gives the record to one of several at the same time' ],
    [ 'index and list', 'lose nothing of what is noted at the same time' ],
  ]) {
    it(`in ${method}, and says what it does not do`, () => {
      const [ , message ] = failures.find(([ title ]) => title.startsWith(`${method}, `)) ?? [];
      assert.ok(message?.includes(`${method} ${what}: `), message);
    });
  }

  it('and for no more', () => assert.equal(failures.length, 4, JSON.stringify(failures)));
});

describe('the stores that ship for memory and Redis', () => {
  for (const { name, prototype } of [ MemorySessionStore, RedisSessionStore ]) {
    it(`${name} has all optional methods, so that the contract's suite leaves out none of its tests`, () => {
      for (const method of [ 'touch', 'getAndTouch', 'merge', 'compareAndSet', 'retire', 'index', 'list' ] as const) {
        assert.equal(typeof prototype[method], 'function', method);
      }
    });
  }
});

describe('MemorySessionStore', () => {
  it('keeps as many sessions as maxEntries, and drops the one that was not used for longest', async () => {
    const store = new class extends MemorySessionStore {
      protected override readonly maxEntries = 2;
    }();
    await store.set('a', { n: 1 }, 60_000);
    await store.set('b', { n: 2 }, 60_000);
    await store.get('a');
    await store.set('c', { n: 3 }, 60_000);
    assert.deepEqual([ await store.get('b'), (await store.get('a'))?.n, (await store.get('c'))?.n ], [ undefined, 1, 3 ]);
    await store.close();
  });

  it('lets expired sessions leave memory, also when nobody asks for them', async () => {
    const store = new class extends MemorySessionStore {
      size() {
        return this.records.size;
      }
    }();
    for (let i = 0; i < 100; i++) await store.set(`short ${i}`, { i }, 10);
    await store.set('long', {}, 60_000);
    assert.equal(store.size(), 101);
    await until('the expired ones have left', async () => store.size() < 101);
    assert.equal(store.size(), 1);
    await store.close();
  });
});

describe('MemorySessionStore in an application', () => {
  const WARNING = 'MemorySessionStore is for development and tests';
  let app: MockApplication;
  afterEach(async () => {
    mm.restore();
    await app.close();
  });

  const start = async (env: string, workers?: number) => {
    app = await createApp('memory-store', {
      boot(booting) {
        (booting as MockApplication).mockLog();
        Object.assign(booting.config, { env });
        Object.assign((booting as unknown as { options: object }).options, { workers });
      },
    });
  };

  it('keeps the sessions', async () => {
    await start('unittest');
    const client = await Client.of(app);
    for (let n = 1; n < 3; n++) {
      assert.deepEqual((await client.run(session => ({ n: (session.n = (session.n ?? 0) + 1) }))).json(), { n });
    }
    app.notExpectLog(WARNING);
    await client.close();
  });

  it('warns in production', async () => {
    await start('prod');
    app.expectLog(WARNING);
  });

  it('warns when there is more than one worker', async () => {
    await start('local', 2);
    app.expectLog(WARNING);
  });
});

describe('RedisSessionStore', () => {
  let server: TestServer;
  let redis: Redis;
  let store: TestRedisStore;
  before(async () => {
    server = await startRedis();
    redis = connect(server);
    store = new TestRedisStore(redis);
  });
  after(async () => {
    redis.disconnect();
    await server.stop();
  });

  it('keeps a session for its lifetime to the millisecond, under its prefix', async () => {
    const store = new class extends TestRedisStore {
      protected override readonly prefix = 'shop:';
    }(redis);
    await store.set('id', { n: 1 }, 12_345);
    const left = await redis.pttl('shop:id');
    assert.ok(left > 11_000 && left <= 12_345, String(left));
    await redis.pexpire('shop:id', 5000);
    assert.equal(await store.touch('id'), 12_345);
    assert.ok(await redis.pttl('shop:id') > 5000);
    assert.equal(await store.merge('id', { set: { _maxAge: 54_321 }, unset: [], replace: false }), 54_321);
    assert.ok(await redis.pttl('shop:id') > 12_345);
    assert.equal(await store.merge('id', { set: { n: 2 }, unset: [], replace: false }), 54_321);
    await store.destroy('id');
    assert.equal(await redis.exists('shop:id'), 0);
  });

  it('keeps a browser\'s session for a day', async () => {
    await store.set('browser', { n: 1 }, 'session');
    assert.ok(await redis.pttl('session:browser') > 24 * 3600 * 1000 - 1000);
    assert.equal((await store.get('browser', 'session', options))!._expire, null);
  });

  it('sends one command for each call', async () => {
    await store.set('id', { n: 1, big: 'x'.repeat(1000) }, 60_000);
    const calls: Array<[ string, () => Promise<unknown>, RegExp ]> = [
      [ 'get', () => store.get('id', 60_000, options), /^get$/ ],
      [ 'touch', () => store.touch('id'), /^evalsha$/ ],
      [ 'merge', () => store.merge('id', { set: { n: 2 }, unset: [], replace: false }), /^evalsha$/ ],
      [ 'set', () => store.set('id', { n: 3 }, 60_000), /^set$/ ],
      [ 'compareAndSet', () => store.compareAndSet('id', { _rev: 1 }, { n: 4 }, 60_000), /^evalsha$/ ],
      [ 'retire', () => store.retire('id', 'successor', 60_000), /^evalsha$/ ],
      [ 'destroy', () => store.destroy('id'), /^del$/ ],
    ];
    for (const [ , call ] of calls.slice(0, -1)) await call(); // from now on, the server knows the scripts
    await store.set('id', { n: 1, big: 'x'.repeat(1000) }, 60_000);
    for (const [ name, call, expected ] of calls) {
      const monitor = await redis.duplicate().monitor();
      const commands: string[][] = [];
      monitor.on('monitor', (_: string, args: string[], source: string) => {
        if (source !== 'lua') commands.push(args);
      });
      await call();
      await redis.ping();
      while (!commands.some(([ command ]) => command.toLowerCase() === 'ping')) await sleep(5);
      monitor.disconnect();
      const sent = commands.filter(([ command ]) => command.toLowerCase() !== 'ping');
      assert.equal(sent.length, 1, `${name}: ${JSON.stringify(sent)}`);
      assert.match(sent[0][0].toLowerCase(), expected);
      assert.doesNotMatch(sent[0].join(), /xxxx/, 'the value is written again');
    }
  });

  it('sends its scripts again when the server has forgotten them', async () => {
    await store.set('id', { n: 1 }, 60_000);
    await redis.script('FLUSH');
    assert.equal(await store.touch('id'), 60_000);
  });

  it('sends nothing twice that the server refuses', async () => {
    const sent = async () => Number(/cmdstat_eval:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1] ?? 0);
    await store.set('id', { n: 1 }, 60_000);
    const before = await sent();
    await assert.rejects(store.set('id', { n: 2 }, -1), /no lifetime/);
    assert.equal(await sent(), before);
  });

  it('adds nothing when the server is out of memory, leaves what is there, and can still end a session', async () => {
    const record = { n: 1, _maxAge: 60_000 };
    await store.set('full', record, 60_000);
    const stored = (await store.get('full', 60_000, options))!;
    await redis.config('SET', 'maxmemory', '1');
    try {
      const OOM = /^ReplyError: .*\bOOM /; // Redis 6 says first where in the script
      await assert.rejects(store.set('more', record, 60_000), OOM);
      await assert.rejects(store.set('full', { n: 2 }, 60_000), OOM);
      await assert.rejects(store.merge('full', { set: { n: 2 }, unset: [ 'n' ], replace: false }), OOM);
      await assert.rejects(store.merge('full', { set: { m: 2 }, unset: [], replace: true }), OOM);
      await assert.rejects(store.compareAndSet('full', stored, { n: 2 }, 60_000), OOM);
      assert.deepEqual(await store.get('full', 60_000, options), stored);
      assert.equal(await redis.exists('session:more'), 0);
      assert.deepEqual(await store.retire('full', null, 60_000), stored);
      await store.destroy('full');
    } finally {
      await redis.config('SET', 'maxmemory', '0');
    }
  });

  it('fails when the server is away', async () => {
    const away = await startRedis();
    const client = connect(away);
    client.on('error', () => undefined);
    const store = new TestRedisStore(client);
    await store.set('id', { n: 1 }, 60_000);
    await away.stop();
    await assert.rejects(store.get('id', 60_000, options));
    await assert.rejects(store.set('id', { n: 2 }, 60_000));
    await assert.rejects(store.touch('id'));
    await assert.rejects(store.retire('id', null, 60_000));
    await assert.rejects(store.destroy('id'));
    client.disconnect();
  });

  describe('counts what it can\'t read as missing, and logs it', () => {
    let app: MockApplication;
    let client: Client;
    before(async () => {
      app = await createApp('web', { session: { store, genid: () => 'odd' } });
      client = await Client.of(app);
      app.mockLog('coreLogger');
    });
    after(async () => {
      await client.close();
      await app.close();
    });

    for (const [ title, write ] of [
      [ 'malformed JSON', () => redis.set('session:odd', '{"_expire":null,oops') ],
      [ 'another string', () => redis.set('session:odd', '"oops"') ],
      [ 'a hash, as in an older layout', () => redis.hset('session:odd', 'n', '"oops"') ],
    ] as const) {
      it(title, async () => {
        await redis.del('session:odd');
        client.cookies.clear();
        await client.run(session => {
          session.n = 1;
        });
        await redis.del('session:odd');
        await write();
        const response = await client.run(session => ({ n: session.n ?? 'none' }));
        assert.deepEqual(response.json(), { n: 'none' });
        app.expectLog('[session][malformed]', 'coreLogger');
        app.notExpectLog('oops', 'coreLogger');
      });
    }
  });
});

describe('KeyvSessionStore', () => {
  it('fails when the server is away, instead of taking it for a miss', async () => {
    const server = await startMemcached();
    const logger = { log: () => undefined };
    const store = new TestKeyvStore(new Keyv(new KeyvMemcache(`127.0.0.1:${server.port}`, { logger })));
    await store.set('id', { n: 1 }, 60_000);
    await server.stop();
    await assert.rejects(store.get('id', 60_000, options));
    await assert.rejects(store.set('id', { n: 2 }, 60_000));
    await assert.rejects(store.destroy('id'));
  });

  /** Keeps failures to itself, but for its event, as some adapters do. */
  class QuietAdapter extends EventEmitter {
    readonly map = new Map<string, unknown>();
    opts = {};
    error?: Error;

    private unlessDown<T>(call: () => T): T | undefined {
      if (!this.error) return call();
      this.emit('error', this.error);
      return undefined;
    }

    async get(key: string) {
      return this.unlessDown(() => this.map.get(key));
    }

    async set(key: string, value: unknown) {
      return this.unlessDown(() => Boolean(this.map.set(key, value))) ?? false;
    }

    async delete(key: string) {
      return this.unlessDown(() => this.map.delete(key)) ?? false;
    }

    async clear() {
      this.map.clear();
    }
  }

  for (const [ version, newKeyv ] of [[ 5, (adapter: any) => new Keyv(adapter) ], [ 6, (adapter: any) => new Keyv6(adapter) ]] as const) {
    it(`fails when an adapter only tells of its error, with Keyv ${version}, and nobody has to listen`, async () => {
      const adapter = new QuietAdapter();
      const store = new TestKeyvStore(newKeyv(adapter) as KeyvClient);
      await store.set('id', { n: 1 }, 60_000);
      adapter.error = new Error('gone');
      await assert.rejects(store.get('id', 60_000, options), /gone/);
      await assert.rejects(store.set('id', { n: 2 }, 60_000), /gone/);
      await assert.rejects(store.destroy('id'), /gone/);
      adapter.error = undefined;
      adapter.emit('error', new Error('a connection that was idle'));
      assert.deepEqual(await store.get('id', 60_000, options), { n: 1 });
      assert.equal(await store.get('another', 60_000, options), undefined);
    });

    it(`fails for the call that has failed, with Keyv ${version}, and for no other`, async () => {
      const adapter = new Map<string, unknown>();
      const store = new TestKeyvStore(newKeyv(Object.assign(adapter, {
        get: async (key: string) => {
          await setImmediate();
          if (key.endsWith('bad')) throw new Error('this one');
          return Map.prototype.get.call(adapter, key);
        },
      })) as KeyvClient);
      await store.set('good', { n: 1 }, 60_000);
      const ids = [ 'bad', 'good', 'none', 'bad', 'good', 'none' ];
      const results = await Promise.allSettled(ids.map(id => store.get(id, 60_000, options)));
      assert.deepEqual(results.map(result => (result.status === 'fulfilled' ? result.value : result.reason.message)),
        [ 'this one', { n: 1 }, undefined, 'this one', { n: 1 }, undefined ]);
    });
  }

  it('fails when the adapter says that it has not written, instead of taking it for done', async () => {
    const adapter = new Map<string, unknown>();
    const store = new TestKeyvStore(new Keyv(adapter));
    await store.set('id', { n: 1 }, 60_000);
    Object.assign(adapter, { set: async () => false });
    await assert.rejects(store.set('id', { n: 2 }, 60_000), /could not write the session/);
    assert.deepEqual(await store.get('id', 60_000, options), { n: 1 });
  });

  describe('with MySQL', () => {
    let server: Awaited<ReturnType<typeof startMysql>>;
    let store: TestKeyvStore;
    before(async () => {
      server = await startMysql([ '--sql-mode=', '--max-allowed-packet=1M' ]);
      await server.sql(MYSQL_TABLE);
      store = new TestKeyvStore(new Keyv(new KeyvMysql(server.url)));
    });
    after(async () => {
      await store.close();
      await server.stop();
    });

    it('keeps ids apart that differ only in case', async () => {
      await store.set('id', { n: 1 }, 60_000);
      await store.set('ID', { n: 2 }, 60_000);
      assert.deepEqual(await store.get('id', 60_000, options), { n: 1 });
      await store.destroy('ID');
      assert.deepEqual(await store.get('id', 60_000, options), { n: 1 });
    });

    it('fails when a session is too large for the server, and leaves what was stored', async () => {
      await store.set('large', { n: 1 }, 60_000);
      await assert.rejects(store.set('large', { text: 'x'.repeat(1_500_000) }, 60_000));
      assert.match(await server.sql('SELECT value FROM keyv WHERE id = "keyv:large"'), /\\"n\\":1\D/);
    });

    it('keeps rows of sessions that have expired, until the documented statement deletes them', async () => {
      const ids = () => server.sql('SELECT id FROM keyv');
      await server.sql('DELETE FROM keyv');
      await store.set('stays', { n: 1 }, 60_000);
      await store.set('browser', { n: 1 }, 'session');
      await store.set('expires', { n: 1 }, 1);
      assert.equal(await ids(), 'keyv:browser\nkeyv:expires\nkeyv:stays');
      await until('the row is deleted', async () => {
        await server.sql(MYSQL_DELETE);
        return !(await ids()).includes('expires');
      });
      assert.equal(await ids(), 'keyv:browser\nkeyv:stays');
    });
  });
});
