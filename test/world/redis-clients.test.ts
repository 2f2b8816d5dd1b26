import { strict as assert } from 'node:assert';
import fs from 'node:fs';
import mm, { type MockApplication } from 'egg-mock';
import * as ioredis5 from 'ioredis';
import * as ioredis6 from 'ioredis6';
import * as iovalkey from 'iovalkey';
import * as redis5 from 'redis';
import * as redis6 from 'redis6';
import type { RedisClient, SessionRecord, SessionStore, SessionStoreOptions } from '../..';
import { COMMANDS, INDEX_COMMANDS } from '../../module/store/redisRights';
import { Client, createApp } from '../support/app';
import { testAtOnce, withEach } from '../support/contract';
import { blocksUnder, configOf, exportsOf } from '../support/docs';
import { Proxy } from '../support/Proxy';
import { BufferRedis, TestRedisStore } from '../support/redis';
import { redisCli, startRedisCluster, startRedisSentinel, startRedisWithTls, until } from '../support/servers';

const host = '127.0.0.1';
const IOREDIS = { 'ioredis 5': ioredis5, 'ioredis 6': ioredis6, iovalkey };
/** In ms, for what has a limit by default: the suites of all clients run at the same time. */
const TIMEOUT = 240_000;
const NODE_REDIS = { 'node-redis 5': redis5, 'node-redis 6': redis6 };

type Makers = 'createClient' | 'createClientPool' | 'createCluster' | 'createSentinel';
type NodeRedis = ReturnType<(typeof redis5)[Makers] | (typeof redis6)[Makers]>;
/** The compiler takes each of them for the store, too. */
export const accepted = (client: NodeRedis | ioredis5.Redis | ioredis5.Cluster | ioredis6.Redis | ioredis6.Cluster | iovalkey.Redis | iovalkey.Cluster): RedisClient => client;

type Server = Awaited<ReturnType<typeof startRedisWithTls>>;
interface Servers {
  one: Server;
  cluster: Awaited<ReturnType<typeof startRedisCluster>>;
  sentinel: Awaited<ReturnType<typeof startRedisSentinel>>;
}
/** Opens a client; what it gives besides closes it. */
type Open = (servers: Servers) => Promise<[ client: RedisClient, close: () => unknown ]>;

/** The whole contract is tested with these: each client, and what changes its keys and all of its replies. */
const cells: Array<[ name: string, open: Open ]> = [[ 'ioredis 5 that gives Buffers', async ({ one: { port } }) => {
  const redis = new BufferRedis(port, {});
  return [ redis, () => redis.disconnect() ];
} ]];
/** With these, which differ from one of those in a setting, each method is called. */
const variants: typeof cells = [];
for (const [ name, { Redis }] of Object.entries(IOREDIS) as Array<[ string, typeof ioredis5 ]>) {
  const open = (options: (server: Server) => ioredis5.RedisOptions): Open => async ({ one }) => {
    const redis = new Redis({ host, port: one.port, ...options(one) });
    return [ redis, () => redis.disconnect() ];
  };
  cells.push(
    [ name, open(() => ({})) ],
    [ `${name} with TLS, keyPrefix, enableAutoPipelining and stringNumbers`, open(({ tlsPort, ca }) => ({
      port: tlsPort, tls: { ca: fs.readFileSync(ca) }, keyPrefix: `${name}-all:`, enableAutoPipelining: true, stringNumbers: true,
    })) ],
  );
  variants.push(
    [ `${name} over TLS`, open(({ tlsPort, ca }) => ({ port: tlsPort, tls: { ca: fs.readFileSync(ca) } })) ],
    [ `${name} with keyPrefix`, open(() => ({ keyPrefix: `${name}*?[b]\\:` })) ],
    [ `${name} with enableAutoPipelining`, open(() => ({ enableAutoPipelining: true })) ],
    [ `${name} with stringNumbers`, open(() => ({ stringNumbers: true })) ],
    [ `${name} as a user with just the rights it needs`, open(() => ({ username: 'app', password: 'secret', enableReadyCheck: false })) ],
  );
  if (name === 'ioredis 6') {
    variants.push(
      [ `${name} with RESP 2`, open(() => ({ protocol: 2 } as object)) ],
      [ `${name} with replyMapping`, open(() => ({ replyMapping: 'resp3' } as object)) ],
      [ `${name} with replyMapping and stringNumbers`, open(() => ({ replyMapping: 'resp3', stringNumbers: true } as object)) ],
    );
  }
}
for (const [ name, { createClient, createClientPool, RESP_TYPES }] of Object.entries(NODE_REDIS) as Array<[ string, typeof redis5 ]>) {
  type Options = redis5.RedisClientOptions<any, any, any, any, any>;
  const open = (options: (server: Server) => Options, create = (given: Options): redis5.RedisClientType<any, any, any, any, any> => createClient(given)): Open => async ({ one }) => {
    const client = create({ url: `redis://${host}:${one.port}`, commandOptions: { timeout: TIMEOUT }, ...options(one) });
    client.on('error', () => undefined);
    await client.connect();
    return [ client, () => client.destroy() ];
  };
  const createPool = (given: Options) => createClientPool(given, { acquireTimeout: TIMEOUT }) as never;
  cells.push(
    [ name, open(() => ({})) ],
    [ `${name} with Buffers and numbers that are strings`, open(() => ({ commandOptions: { timeout: TIMEOUT, typeMapping: {
      [RESP_TYPES.BLOB_STRING]: Buffer, [RESP_TYPES.SIMPLE_STRING]: Buffer, [RESP_TYPES.NUMBER]: String, [RESP_TYPES.DOUBLE]: String, [RESP_TYPES.MAP]: Map,
    } } })) ],
  );
  variants.push(
    [ `${name} over TLS`, open(({ tlsPort, ca }) => ({ url: `rediss://${host}:${tlsPort}`, socket: { tls: true, ca: fs.readFileSync(ca) } })) ],
    [ `${name} with another RESP`, open(() => ({ RESP: name === 'node-redis 5' ? 3 : 2 })) ],
    [ `${name} as a pool`, open(() => ({}), createPool) ],
    [ `${name} as a user with just the rights it needs`, open(() => ({ username: 'app', password: 'secret' })) ],
  );
  if (name === 'node-redis 6') {
    variants.push(
      [ `${name} with keyPrefix`, open(() => ({ keyPrefix: 'node*?[b]\\:' } as object)) ],
      [ `${name} as a pool with keyPrefix`, open(() => ({ keyPrefix: 'pool:' } as object), createPool) ],
    );
  }
}
for (const [ name, { Cluster }] of Object.entries(IOREDIS) as Array<[ string, typeof ioredis5 ]>) {
  const open = (options: ioredis5.ClusterOptions = {}): Open => async ({ cluster: { ports } }) => {
    const cluster = new Cluster(ports.map(port => ({ host, port })), options);
    return [ cluster, () => cluster.disconnect() ];
  };
  cells.push([ `${name} on a Cluster`, open() ]);
  variants.push(
    [ `${name} on a Cluster with keyPrefix`, open({ keyPrefix: `${name}:` }) ],
    [ `${name} on a Cluster with keyPrefix and stringNumbers in redisOptions`, open({ redisOptions: { keyPrefix: `${name}-2:`, stringNumbers: true } }) ],
    [ `${name} on a Cluster with enableAutoPipelining`, open({ enableAutoPipelining: true, autoPipeliningIgnoredCommands: name === 'iovalkey' ? [ 'eval', 'evalsha' ] : [] }) ],
  );
}
for (const [ name, { createCluster }] of Object.entries(NODE_REDIS) as Array<[ string, typeof redis5 ]>) {
  const open = (options: object = {}): Open => async ({ cluster: { ports } }) => {
    const cluster = createCluster({ rootNodes: ports.map(port => ({ socket: { host, port } })), commandOptions: { timeout: TIMEOUT }, ...options });
    cluster.on('error', () => undefined);
    await cluster.connect();
    return [ cluster, () => cluster.destroy() ];
  };
  cells.push([ `${name} on a Cluster`, open() ]);
  if (name === 'node-redis 6') variants.push([ `${name} on a Cluster with keyPrefix`, open({ keyPrefix: 'node:' }) ]);
}
for (const [ name, { Redis }] of Object.entries(IOREDIS) as Array<[ string, typeof ioredis5 ]>) {
  variants.push([ `${name} behind Sentinel`, async ({ sentinel }) => {
    const redis = new Redis({ sentinels: [{ host, port: sentinel.port }], name: sentinel.name, keyPrefix: `${name}:`, enableAutoPipelining: true });
    return [ redis, () => redis.disconnect() ];
  } ]);
}
for (const [ name, { createSentinel }] of Object.entries(NODE_REDIS) as Array<[ string, typeof redis5 ]>) {
  const open = (options: object = {}): Open => async ({ sentinel }) => {
    const client = createSentinel({ name: sentinel.name, sentinelRootNodes: [{ host, port: sentinel.port }], commandOptions: { timeout: TIMEOUT }, ...options });
    client.on('error', () => undefined);
    await client.connect();
    return [ client, () => client.destroy() ];
  };
  variants.push([ `${name} behind Sentinel`, open() ]);
  if (name === 'node-redis 6') variants.push([ `${name} behind Sentinel with keyPrefix`, open({ keyPrefix: 'node:' }) ]);
}

describe('a client of Redis', () => {
  const servers = {} as Servers;
  const stores: Array<[ name: string, store: SessionStore ]> = [];
  const closing: Array<() => unknown> = [];
  before(async () => {
    servers.one = await startRedisWithTls();
    await redisCli(servers.one.port, 'ACL', 'SETUSER', 'app', 'on', '>secret', '~*', ...[ ...COMMANDS, ...INDEX_COMMANDS ].map(command => `+${command}`));
    servers.cluster = await startRedisCluster();
    servers.sentinel = await startRedisSentinel();
    for (const [ i, [ name, open ]] of [ ...cells, ...variants ].entries()) {
      const [ client, close ] = await open(servers);
      closing.push(close);
      stores.push([ name, new class extends TestRedisStore {
        protected override readonly prefix = `store${i}:`;
      }(client) ]);
    }
  });
  it('checks at boot, renews many sessions at the same time, finds all of them, and leaves none', () => withEach(stores, async store => {
    assert.equal(await store.checkAtBoot!({ name: 'AppSessionStore', indexes: true, ms: 60_000 }), undefined);
    const options = {} as SessionStoreOptions;
    const keys = Array.from({ length: 60 }, (_, i) => `key${i}`);
    await Promise.all(keys.map(key => store.set(key, { key }, 60_000, options)));
    assert.deepEqual(new Set(await Promise.all(keys.map(key => store.touch!(key, options)))), new Set([ 60_000 ]));
    const found: string[] = [];
    for await (const some of store.list!(undefined, options)) found.push(...some);
    assert.deepEqual([ ...new Set(found) ].sort(), keys.sort());
    for (const key of found) await store.destroy(key, options);
    for await (const some of store.list!(undefined, options)) assert.deepEqual(some, []);
  }));

  it('has each method answer what the contract says', () => withEach(stores, async store => {
    const options = {} as SessionStoreOptions;
    const [ list, text ] = [[ 1, null, { a: [] }], 'Straße, 会话, 🦆' ];
    const keysOf = async () => {
      const found: string[] = [];
      for await (const some of store.list!('alice', options)) found.push(...some);
      return found;
    };
    await store.set('id', { n: 1, list, _maxAge: 60_000 }, 60_000, options);
    const written = (await store.get('id', 60_000, options))!;
    assert.deepEqual([ written.n, written.list, written._maxAge ], [ 1, list, 60_000 ]);
    assert.equal(await store.touch!('id', options), 60_000);
    assert.equal(await store.touch!('other', options), false);
    assert.equal((await store.getAndTouch!('id', options))!.n, 1);
    assert.equal(await store.merge!('id', { set: { text }, unset: [ 'n' ], replace: false }, options), 60_000);
    assert.equal(await store.merge!('other', { set: { n: 2 }, unset: [], replace: false }, options), false);
    const read = (await store.get('id', 60_000, options))!;
    assert.deepEqual([ read.text, read.list, read.n ], [ text, list, undefined ]);
    assert.equal(await store.compareAndSet!('id', read, { n: 3, _maxAge: 60_000 }, 60_000, options), true);
    assert.equal(await store.compareAndSet!('id', read, { n: 4, _maxAge: 60_000 }, 60_000, options), false);
    await store.index!('alice', 'id', 60_000, options);
    assert.deepEqual(await keysOf(), [ 'id' ]);
    assert.equal((await store.retire!('id', 'next', 60_000, options) as SessionRecord).n, 3);
    assert.deepEqual(await store.get('id', 60_000, options), { _successor: 'next' });
    assert.equal(await store.retire!('other', null, 60_000, options) ?? undefined, undefined);
    await store.index!('alice', 'id', 0, options);
    assert.deepEqual(await keysOf(), []);
    await store.destroy('id', options);
    assert.equal(await store.get('id', 60_000, options) ?? undefined, undefined);
  }));

  testAtOnce(cells.map(([ name ], i) => [ name, async () => stores[i][1] ]));

  after(async () => {
    for (const close of closing) await close(); // first: node-redis prints what it misses
    for (const server of Object.values(servers)) await server.stop();
  });
});

/** The clients of the outage, each with the settings of docs/stores.md. */
const DOCUMENTED: Record<string, (port: number, ca?: Buffer) => { store: SessionStore; close(): unknown }> = {};
for (const [ name, { Redis }] of Object.entries(IOREDIS) as Array<[ string, typeof ioredis5 ]>) {
  const { code } = blocksUnder('docs/stores.md', '## Redis').find(block => block.code.includes('maxRetriesPerRequest'))!;
  const { client } = configOf({ language: 'ts', code: `import Redis from 'ioredis';\nexport default () => ({${code}});` }).redis;
  DOCUMENTED[name] = (port, ca) => {
    const redis = new Redis({ ...client, port, ...ca && { tls: { ca } } });
    redis.on('error', () => undefined); // as egg-redis does
    return { store: new TestRedisStore(redis), close: () => redis.disconnect() };
  };
}
for (const [ name, library ] of Object.entries({ 'node-redis 5': 'redis', 'node-redis 6': 'redis6' })) {
  const [ , block ] = blocksUnder('docs/stores.md', '### node-redis');
  DOCUMENTED[name] = (port, ca) => {
    const code = block.code.replace("from 'redis'", `from '${library}'`)
      .replace('socket: {', ca ? `socket: { tls: true, ca: ${JSON.stringify(String(ca))},` : 'socket: {');
    mm(process.env, 'REDIS_URL', `redis${ca ? 's' : ''}://127.0.0.1:${port}`);
    const store = new (exportsOf({ ...block, code }).AppSessionStore)();
    mm.restore();
    void store.init(); // as tegg does
    return { store, close: () => store.close() };
  };
}

for (const [ name, open ] of Object.entries(DOCUMENTED)) {
  for (const tls of / 5$/.test(name) ? [ false, true ] : [ false ]) {
    describe(`an application with ${name}${tls ? ' over TLS' : ''} and the settings of docs/stores.md`, () => {
      let server: Server;
      let proxy: Proxy;
      let app: MockApplication;
      let client: Client;
      let close: () => unknown;
      before(async () => {
        server = await startRedisWithTls([ '--appendonly', 'yes', '--appendfsync', 'always' ]);
        proxy = await Proxy.to(tls ? server.tlsPort : server.port);
        const opened = open(proxy.port, tls ? fs.readFileSync(server.ca) : undefined);
        close = opened.close;
        app = await createApp('web', { session: { store: opened.store } });
        client = await Client.of(app);
        mm.consoleLevel('NONE');
      });
      after(async () => {
        mm.restore();
        await client.close();
        await app.close();
        await close();
        await proxy.close();
        await server.stop();
      });

      const count = (session: any) => {
        session.n = (session.n ?? 0) + 1;
        return { n: session.n };
      };
      async function untilItWorks() {
        let answer!: Awaited<ReturnType<typeof client.tryRun>>;
        await until('a request works', async () => (answer = await client.tryRun(count)).status === 200);
        return answer.json().n;
      }
      beforeEach(async () => {
        client.cookies.clear();
        assert.equal(await untilItWorks(), 1);
      });

      it('answers 503 while Redis is down, and goes on once it is there again', async () => {
        const start = await server.restart();
        for (let i = 0; i < 3; i++) assert.equal((await client.tryRun(count)).status, 503);
        await start();
        assert.equal(await untilItWorks(), 2);
      });

      it('sends nothing later that was told as failed: a stalled Redis does not undo what came after', async () => {
        process.kill(server.pid, 'SIGSTOP');
        assert.equal((await client.tryRun(count)).status, 503);
        process.kill(server.pid, 'SIGCONT');
        assert.equal(await untilItWorks(), 2);
        assert.deepEqual((await client.run(count)).json(), { n: 3 });
      });

      it('replaces a connection whose other end is gone without a word', async () => {
        proxy.lose();
        assert.equal((await client.tryRun(count)).status, 503);
        assert.equal(await untilItWorks(), 2);
      });
    });
  }
}
