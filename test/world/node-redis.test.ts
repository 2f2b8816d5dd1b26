import { strict as assert } from 'node:assert';
import * as redis5 from 'redis';
import * as redis6 from 'redis6';
import type { SessionStoreOptions } from '../..';
import { blocksUnder } from '../support/docs';
import { controller, redisStore, start } from '../support/newcomer';
import { TestRedisStore } from '../support/redis';
import { redisCli, startRedis, startRedisSentinel, until } from '../support/servers';

for (const [ version, { createSentinel }] of Object.entries({ 5: redis5, 6: redis6 }) as Array<[ string, typeof redis5 ]>) {
  it(`node-redis ${version} goes on with the replica when Sentinel's master has died`, async () => {
    const { name, port, master, replica, stop } = await startRedisSentinel();
    const sentinel = createSentinel({ name, sentinelRootNodes: [{ host: '127.0.0.1', port }] });
    sentinel.on('error', () => undefined);
    await sentinel.connect();
    try {
      const store = new TestRedisStore(sentinel);
      const options = {} as SessionStoreOptions;
      await store.set('before', { n: 1 }, 60_000);
      await until('the replica has it', async () => (await redisCli(replica.port, 'EXISTS', 'session:before')) === '1');
      await master.restart();
      await until('it is read from the new master', async () => (await store.get('before', undefined, options))?.n === 1);
      await store.set('after', { n: 2 }, 60_000);
      assert.equal(await redisCli(replica.port, 'EXISTS', 'session:after'), '1');
    } finally {
      await sentinel.destroy(); // first: it prints what it misses
      await stop();
    }
  });
}

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
