import { strict as assert } from 'node:assert';
import KeyvMemcache from '@keyv/memcache';
import mm, { type MockApplication } from 'egg-mock';
import Redis, { Cluster } from 'ioredis';
import { Cluster as ValkeyCluster } from 'iovalkey';
import { createClient, createCluster } from 'redis';
import * as redis6 from 'redis6';
import { connectNodeRedis } from '../support/redis';
import Keyv from 'keyv';
import { Keyv as Keyv6 } from 'keyv6';
import { KeyvSessionStore, RedisSessionStore, type SessionOptions } from '../..';
import * as layout from '../../module/store/redisLayout';
import { COMMANDS, INDEX_COMMANDS } from '../../module/store/redisRights';
import { AppSessionStore as AppRedisStore } from '../fixtures/apps/redis-store/modules/store/AppSessionStore';
import { Client, createApp } from '../support/app';
import { textOf } from '../support/docs';
import { redisCli, startRedis, startRedisCluster, type TestServer } from '../support/servers';

let app: MockApplication | undefined;
/** Boots with a store; what stops that is thrown. */
async function boot(session: SessionOptions, fixture = 'web') {
  mm.consoleLevel('NONE');
  app = await createApp(fixture, { session });
  return app;
}
/** The same, and what was logged. */
async function bootWithLog(session: SessionOptions) {
  mm.consoleLevel('NONE');
  let booting!: MockApplication;
  app = await createApp('web', {
    session,
    boot: real => {
      booting = real as unknown as MockApplication;
      booting.mockLog('coreLogger');
    },
  });
  return { logger: () => (booting.getLogger('coreLogger') as unknown as { _mockLogs: string[] })._mockLogs.join('') };
}
/** To be called in each suite. */
const closeAfterEach = () => afterEach(async () => {
  mm.restore();
  await app?.close();
  app = undefined;
});

class RedisStore extends RedisSessionStore {
  constructor(private readonly client: () => unknown) {
    super();
  }

  protected get redis() {
    return this.client() as never;
  }
}

class KeyvStore extends KeyvSessionStore {
  constructor(private readonly client: () => unknown) {
    super();
  }

  protected get keyv() {
    return this.client() as never;
  }

  override async close() { /* the tests have none to close */ }
}

const methods = (names: string[], method: (...args: any[]) => unknown) => Object.fromEntries(names.map(name => [ name, method ]));
const NAMES = [ 'get', 'set', 'del', 'evalsha', 'eval', 'zscan', 'scan' ];
const connect = (port: number, options = {}) => {
  const redis = new Redis({ port, lazyConnect: true, maxRetriesPerRequest: 0, retryStrategy: () => null, ...options });
  redis.on('error', () => undefined);
  return redis;
};

describe('a client that can\'t be used stops the application, and the error says what is there and what has to be:', () => {
  closeAfterEach();
  const REDIS: Array<[ what: string, client: () => unknown, said: string, why?: string ]> = [
    [ 'undefined', () => undefined, 'undefined', 'Assign it, or write @Inject() above the field' ],
    [ 'null', () => null, 'null' ],
    [ 'a text', () => 'redis://127.0.0.1:6379', 'a string' ],
    [ 'its options', () => ({ host: '127.0.0.1', port: 6379 }), 'an object without get(), set(), del(), evalsha(), eval(), zscan(), scan()' ],
    [ 'a promise of one', async () => connect(1), 'a promise', 'Await it in the store\'s init()' ],
    [ 'a getter that throws', () => { throw new Error('not connected yet'); }, 'nothing', 'Reading it throws "not connected yet"' ],
    [ 'node-redis 4', () => methods([ 'get', 'set', 'del', 'eval', 'evalSha', 'zScan', 'scan', 'sendCommand' ], async () => null),
      'a client of node-redis 4 or below' ],
    [ 'node-redis that was not told to connect', () => createClient(), 'a client of node-redis that is closed', 'Call its connect() in the store\'s init()' ],
    [ 'node-redis 3, which takes callbacks', () => methods(NAMES, () => true), 'a client whose eval() returns no promise' ],
    [ 'an ioredis that lacks something', () => Object.assign(connect(1), { zscan: undefined, scan: undefined }), 'an object without zscan(), scan()' ],
    [ 'all of egg-redis\' clients', () => ({ get: () => undefined, createInstance: () => undefined, clients: new Map([[ 'cache', {}]]) }),
      'several clients', 'Take one by its name, like clients.get(\'sessions\')' ],
    [ 'egg-redis without config.redis', () => ({ get: () => undefined, createInstance: () => undefined, clients: new Map() }),
      'no client', 'config.redis has none: set config.redis.client' ],
    [ 'a client of other arguments', () => methods(NAMES, async (_: string, keys: string[]) => keys.join()), 'a client whose eval() takes other arguments' ],
    [ 'a client of other arguments, as its server says', () => methods(NAMES, async () => {
      throw new Error('ERR value is not an integer or out of range');
    }), 'a client whose eval() takes other arguments' ],
    [ 'a client of other replies', () => methods(NAMES, async () => 'OK'), 'a client whose eval() takes other arguments' ],
  ];
  for (const [ what, client, said, why ] of REDIS) {
    it(`for Redis, ${what}`, async () => {
      await assert.rejects(boot({ store: new RedisStore(client) }), {
        name: 'TypeError',
        message: `[egg-tegg-session] the session store RedisStore of config.session.store has ${said} as its redis: it must be a client of ioredis ` +
          `or iovalkey, as egg-redis and @eggjs/redis provide it, or of node-redis 5 or 6; a Cluster and one behind Sentinel are such, too${why ? `. ${why}` : ''}`,
      });
    });
  }

  const KEYV: typeof REDIS = [
    [ 'undefined', () => undefined, 'undefined', 'Assign it, or write @Inject() above the field' ],
    [ 'a promise of one', async () => new Keyv(), 'a promise', 'Await it in the store\'s init()' ],
    [ 'an adapter', () => new KeyvMemcache('127.0.0.1:1'), 'an object of KeyvMemcache without disconnect()' ],
    [ 'a Map', () => new Map(), 'an object of Map without disconnect()' ],
    [ 'Keyv 4', () => {
      // it has all methods, and tells of no failure
      return Object.assign(Object.create({ constructor: class Keyv {} }), methods([ 'get', 'set', 'delete', 'clear', 'has', 'disconnect', 'on' ], async () => undefined));
    }, 'a Keyv of version 4 or below, or something else' ],
  ];
  for (const [ what, client, said, why ] of KEYV) {
    it(`for Keyv, ${what}`, async () => {
      await assert.rejects(boot({ store: new KeyvStore(client) }), {
        name: 'TypeError',
        message: `[egg-tegg-session] the session store KeyvStore of config.session.store has ${said} as its keyv: it must be a Keyv of version 5 ` +
          `or 6, as new Keyv(…) makes it${why ? `. ${why}` : ''}`,
      });
    });
  }

  it('a class of tegg\'s is named with its file', async () => {
    Object.assign(AppRedisStore, { client: { host: '127.0.0.1' } });
    await assert.rejects(boot({}, 'redis-store'),
      /^TypeError: \[egg-tegg-session\] the session store AppSessionStore \(.*modules\/store\/AppSessionStore\.ts\) has an object without get\(\)/);
  });
});

describe('a client that reads what may be older than what was written stops the application:', () => {
  closeAfterEach();
  const nodes = [{ host: '127.0.0.1', port: 1 }];
  const lazy = { lazyConnect: true, clusterRetryStrategy: () => null };
  const SETTINGS: Array<[ setting: string, what: string, client: () => unknown ]> = [
    [ 'scaleReads', 'a Cluster of ioredis', () => new Cluster(nodes, { ...lazy, scaleReads: 'slave' }) ],
    [ 'scaleReads', 'a Cluster of iovalkey', () => new ValkeyCluster(nodes, { ...lazy, scaleReads: 'all' }) ],
    [ 'role', 'Sentinel with ioredis', () => new Redis({ ...lazy, sentinels: nodes, name: 'sessions', role: 'slave' }) ],
    [ 'useReplicas', 'a Cluster of node-redis 5', () => createCluster({ rootNodes: [], useReplicas: true }) ],
    [ 'useReplicas', 'a Cluster of node-redis 6', () => redis6.createCluster({ rootNodes: [], useReplicas: true }) ],
    [ 'clientSideCache', 'node-redis 5', () => createClient({ RESP: 3, clientSideCache: { ttl: 0, maxEntries: 0, evictPolicy: 'LRU' } }) ],
    [ 'clientSideCache', 'a pool of node-redis 6', () => redis6.createClientPool({}, { clientSideCache: { ttl: 0, maxEntries: 0, evictPolicy: 'LRU' } }) ],
  ];
  for (const [ setting, what, client ] of SETTINGS) {
    it(`${setting} of ${what}`, async () => {
      await assert.rejects(boot({ store: new RedisStore(client) }), {
        code: 'ERR_SESSION_SETUP',
        message: `[egg-tegg-session] the client of the session store RedisStore of config.session.store has the setting ${setting}, and reads from a replica or a cache, ` +
          'which may still have a session that has ended: remove the setting, or give sessions their own client without it',
      });
    });
  }
});

describe('a client that can be used lets the application start:', () => {
  closeAfterEach();
  let server: TestServer;
  before(async () => {
    server = await startRedis();
  });
  after(() => server.stop());

  it('node-redis, and nothing is left in the server', async () => {
    const redis = await connectNodeRedis(server.port);
    await boot({ store: new RedisStore(() => redis), principal: 'userId' });
    assert.equal(await redisCli(server.port, 'DBSIZE'), '0');
    redis.destroy();
  });

  it('ioredis, and nothing is left in the server', async () => {
    const redis = connect(server.port, { keyPrefix: 'shop:' });
    const written = async () => /master_repl_offset:(\d+)/.exec(await redis.info('replication'))![1];
    const before = await written();
    await boot({ store: new RedisStore(() => redis), principal: 'userId' });
    assert.equal(await written(), before);
    assert.deepEqual(await redis.keys('*'), []);
    redis.disconnect();
  });

  it('a Cluster, unless its automatic pipelines send scripts to the wrong nodes', async () => {
    const servers = await startRedisCluster();
    const nodes = servers.ports.map(port => ({ host: '127.0.0.1', port }));
    const cluster = new Cluster(nodes, { enableAutoPipelining: true });
    await boot({ store: new RedisStore(() => cluster), principal: 'userId' });
    cluster.disconnect();
    const wrong = new ValkeyCluster(nodes, { enableAutoPipelining: true });
    const store = new RedisStore(() => wrong);
    await assert.rejects(store.checkAtBoot({ name: 'AppSessionStore', indexes: false, ms: 60_000 }), {
      code: 'ERR_SESSION_SETUP',
      message: '[egg-tegg-session] the client of the session store AppSessionStore has the setting enableAutoPipelining, and sends scripts for several nodes of the ' +
        'Cluster to one of them: add autoPipeliningIgnoredCommands: [\'eval\', \'evalsha\'] to its options',
    });
    wrong.disconnect();
    await servers.stop();
  });

  for (const [ what, options ] of Object.entries({ 'a server that is away': {}, 'one that it tries to reach again and again': { retryStrategy: () => 50, maxRetriesPerRequest: null } })) {
    it(what, async () => {
      const redis = connect(1, options);
      const { logger } = await bootWithLog({ store: new RedisStore(() => redis), storeTimeout: 300 });
      assert.match(logger(), /WARN .*\[egg-tegg-session\] the session store RedisStore of config\.session\.store has not answered \(.+\)\. The application starts all the same/);
      redis.disconnect();
    });
  }

  for (const [ what, keyv ] of Object.entries({ 'Keyv 5': () => new Keyv(), 'Keyv 6': () => new Keyv6() })) {
    it(what, () => boot({ store: new KeyvStore(keyv) }).then(() => undefined));
  }
});

describe('a user of Redis that may not do what the store does', () => {
  closeAfterEach();
  const ALL = COMMANDS.concat(INDEX_COMMANDS);
  let server: TestServer;
  let redis: Redis;
  before(async () => {
    server = await startRedis();
  });
  beforeEach(() => redisCli(server.port, 'SCRIPT', 'FLUSH'));
  afterEach(() => redis.disconnect());
  after(() => server.stop());

  const start = async (rules: string[], session: SessionOptions = {}) => {
    await redisCli(server.port, 'ACL', 'SETUSER', 'app', 'reset', 'on', '>secret', ...rules);
    redis = connect(server.port, { username: 'app', password: 'secret', enableReadyCheck: false, keyPrefix: 'shop:' });
    return await boot({ store: new RedisStore(() => redis), ...session });
  };
  const allow = (commands: string[]) => [ '~shop:session:*', ...commands.map(name => `+${name}`) ];

  for (const missing of ALL) {
    const indexes = INDEX_COMMANDS.includes(missing);
    it(`${missing}: the application does not start${indexes ? ', where there are principals' : ''}`, async () => {
      const rules = [ ...allow(ALL), `-${missing}` ];
      const said = { name: 'Error', message: new RegExp(`^\\[egg-tegg-session\\] the user of Redis may not run ${missing}, as the session store RedisStore of ` +
        `config\\.session\\.store has to.*: give it ~shop:session:\\* \\+(.* \\+)?${missing}\\b`) };
      await assert.rejects(start(rules, { principal: 'userId' }), said);
      redis.disconnect();
      if (indexes) await start(rules);
      else await assert.rejects(start(rules), said);
    });
  }

  for (const [ what, rules ] of Object.entries({
    'all scripts': [ '~*', '+@all', '-@scripting' ], 'its keys': [ '~other:*', '+@all' ], 'writing its keys': [ '%R~*', '+@all' ],
  })) {
    it(`${what}: the application does not start, and the error has what Redis says`, async () => {
      await assert.rejects(start(rules), /may not run eval, evalsha, as .* has to: give it ~shop:session:\* \+.*\. Redis says: NOPERM /);
    });
  }

  it('everything works with just what it needs', async () => {
    const started = await start(allow(ALL), { principal: 'userId', rolling: true });
    const client = await Client.of(started);
    for (const handle of [
      (session: any) => { session.userId = 7; },
      (session: any) => session.regenerate(),
      (session: any) => session.update((data: any) => { data.n = 1; }),
      (session: any) => { session.maxAge = 50_000; },
      (_: any, ctx: any) => { ctx.session = { userId: 7, other: true }; },
      (session: any) => session.destroy(),
    ]) assert.equal((await client.run(handle)).status, 200);
    await client.close();
  });

  it('docs/stores.md has the lists', () => {
    for (const file of [ 'docs/stores.md', 'docs/stores.zh-CN.md' ]) {
      const text = textOf(file);
      assert.ok(text.includes(COMMANDS.map(name => `+${name}`).join(' ')), file);
      assert.ok(text.includes(INDEX_COMMANDS.map(name => `+${name}`).join(' ')), file);
    }
  });

  it('the lists have what the scripts run', () => {
    const run = Object.values(layout).flatMap(each => (typeof each === 'object' && 'lua' in each ? [ ...each.lua.matchAll(/redis\.p?call\('(\w+)'/g) ] : []));
    assert.ok(run.length > 10);
    for (const [ , name ] of run) assert.ok(ALL.includes(name.toLowerCase()), name);
  });
});
