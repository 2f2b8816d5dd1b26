import { strict as assert } from 'node:assert';
import mm from 'egg-mock';
import { createCluster, createSentinel } from 'redis';
import { type RedisClient, type SessionStoreOptions, testSessionStore } from '../..';
import { Client, createApp } from '../support/app';
import { blocksUnder } from '../support/docs';
import { controller, redisStore, start } from '../support/newcomer';
import { connectNodeRedis, TestRedisStore } from '../support/redis';
import { redisCli, startRedis, startRedisCluster, startRedisSentinel, until } from '../support/servers';

const host = '127.0.0.1';

/** A Cluster, or what is behind Sentinel, for the suite that calls this. */
function suiteOf<S extends { stop(): Promise<void> }>(start: () => Promise<S>) {
  const suite = { clients: [] } as unknown as { servers: S; clients: Array<{ destroy(): unknown }> };
  before(async () => {
    suite.servers = await start();
  });
  after(async () => {
    for (const client of suite.clients) await client.destroy(); // first: node-redis prints what it misses
    await suite.servers.stop();
  });
  return suite;
}

describe('node-redis on a Cluster', () => {
  const suite = suiteOf(startRedisCluster);
  const connect = async () => {
    const cluster = createCluster({ rootNodes: suite.servers.ports.map(port => ({ socket: { host, port } })) });
    cluster.on('error', () => undefined);
    await cluster.connect();
    suite.clients.push(cluster);
    return new TestRedisStore(cluster);
  };

  testSessionStore('RedisSessionStore', connect, { anyKey: true });

  it('finds the sessions of all masters', async () => {
    const store = await connect();
    for (let i = 0; i < 60; i++) await store.set(`key${i}`, { i }, 60_000);
    const sizes = await Promise.all(suite.servers.masters.map(async port => Number(await redisCli(port, 'DBSIZE'))));
    assert.ok(sizes.every(size => size > 0), `on the masters: ${sizes}`);
    const found = new Set<string>();
    for await (const keys of store.list()) for (const key of keys) found.add(key);
    for (let i = 0; i < 60; i++) assert.ok(found.has(`key${i}`));
  });
});

describe('node-redis behind Sentinel', () => {
  const suite = suiteOf(startRedisSentinel);
  const connect = async () => {
    const { name, port } = suite.servers;
    const sentinel = createSentinel({ name, sentinelRootNodes: [{ host, port }] });
    sentinel.on('error', () => undefined);
    await sentinel.connect();
    suite.clients.push(sentinel);
    return new TestRedisStore(sentinel);
  };

  testSessionStore('RedisSessionStore', connect, { anyKey: true });

  it('goes on with the replica when the master has died', async () => {
    const store = await connect();
    const { master, replica } = suite.servers;
    const options = {} as SessionStoreOptions;
    await store.set('before', { n: 1 }, 60_000);
    await until('the replica has it', async () => (await redisCli(replica.port, 'EXISTS', 'session:before')) === '1');
    await master.restart();
    await until('it is read from the new master', async () => (await store.get('before', undefined, options))?.n === 1);
    await store.set('after', { n: 2 }, 60_000);
    assert.equal(await redisCli(replica.port, 'EXISTS', 'session:after'), '1');
  });
});

it('the store of docs/stores.md counts visits in Redis, and starts also while that is away', async () => {
  const [ , { code }] = blocksUnder('docs/stores.md', '### node-redis');
  const server = await startRedis();
  const store = { ...redisStore(), 'app/module/store/AppSessionStore.ts': code };
  for (const [ port, visits ] of [[ server.port, 1 ], [ 1, undefined ]]) {
    const output = await start({ ...store, ...controller('this.session.visits = (this.session.visits ?? 0) + 1;') }, { REDIS_URL: `redis://127.0.0.1:${port}` });
    if (visits) assert.equal(output.match(/^answer 200: \{"visits":1\}$/mg)?.length, 2, output);
    else assert.match(output, /the session store AppSessionStore .* has not answered \(.+\)[^]*TimeoutError[^]*^answer 503/m, output);
    if (visits) assert.doesNotMatch(output, /has not answered/);
  }
  assert.equal(await redisCli(server.port, 'DBSIZE'), '2'); // each of its two requests has none of the other's cookies
  await server.stop();
});

describe('node-redis in an application', () => {
  const count = (session: any) => {
    session.n = (session.n ?? 0) + 1;
    return { n: session.n };
  };
  const serve = async (redis: RedisClient) => {
    const app = await createApp('web', { session: { store: new TestRedisStore(redis), storeTimeout: 2000 } });
    return { app, client: await Client.of(app) };
  };
  afterEach(mm.restore);

  it('answers 503 while Redis is down, and goes on once it is there again', async () => {
    const server = await startRedis([ '--appendonly', 'yes', '--appendfsync', 'always' ]);
    const redis = await connectNodeRedis(server.port);
    const { app, client } = await serve(redis);
    try {
      assert.deepEqual((await client.run(count)).json(), { n: 1 });
      const start = await server.restart();
      for (let i = 0; i < 3; i++) assert.equal((await client.tryRun(count)).status, 503);
      await start();
      let answer!: Awaited<ReturnType<typeof client.tryRun>>;
      await until('a request works', async () => (answer = await client.tryRun(count)).status === 200);
      assert.deepEqual(answer.json(), { n: 2 });
    } finally {
      await client.close();
      await app.close();
      redis.destroy();
      await server.stop();
    }
  });

  it('sends nothing later that was told as failed: a stalled Redis does not undo what came after', async () => {
    const server = await startRedis();
    const redis = await connectNodeRedis(server.port);
    const { app, client } = await serve(redis);
    try {
      await client.run(count);
      process.kill(server.pid, 'SIGSTOP');
      const failed = await client.tryRun(count);
      assert.equal(failed.status, 503);
      process.kill(server.pid, 'SIGCONT');
      let answer!: Awaited<ReturnType<typeof client.tryRun>>;
      await until('a request works', async () => (answer = await client.tryRun(count)).status === 200);
      assert.deepEqual(answer.json(), { n: 2 });
      assert.deepEqual((await client.run(count)).json(), { n: 3 });
    } finally {
      await client.close();
      await app.close();
      redis.destroy();
      await server.stop();
    }
  });
});
