import { strict as assert } from 'node:assert';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import fs from 'node:fs';
import mm, { type MockApplication } from 'egg-mock';
import Redis from 'ioredis';
import { SessionHealth, type StoreCall } from '../..';
import { AppSessionStore as AppRedisStore } from '../fixtures/apps/redis-store/modules/store/AppSessionStore';
import { Client, createApp } from '../support/app';
import { blocksUnder, configOf } from '../support/docs';
import { redisCli, startRedis, type TestServer, until } from '../support/servers';

const refusing = (name: string, value: string, again: string) => ({
  refuse: (port: number) => redisCli(port, 'CONFIG', 'SET', name, value),
  accept: (port: number) => redisCli(port, 'CONFIG', 'SET', name, again),
});

/** Why Redis refuses writes, and reads all the same. `touches`: whether it still lets a session live on. */
const CAUSES: Record<string, { refuse(port: number): Promise<unknown>; accept(port: number): Promise<unknown>; touches?: boolean }> = {
  OOM: { ...refusing('maxmemory', '1', '0'), touches: true },
  NOREPLICAS: refusing('min-replicas-to-write', '1', '0'),
  READONLY: {
    refuse: port => redisCli(port, 'REPLICAOF', '127.0.0.1', '1'),
    accept: port => redisCli(port, 'REPLICAOF', 'NO', 'ONE'),
  },
  MISCONF: {
    async refuse(port) {
      const [ , dir ] = (await redisCli(port, 'CONFIG', 'GET', 'dir')).split('\n');
      fs.rmSync(dir, { recursive: true });
      await redisCli(port, 'CONFIG', 'SET', 'save', '3600 1');
      await redisCli(port, 'BGSAVE');
      await until('a snapshot has failed', async () => /rdb_last_bgsave_status:err/.test(await redisCli(port, 'INFO', 'persistence')));
    },
    accept: port => redisCli(port, 'CONFIG', 'SET', 'stop-writes-on-bgsave-error', 'no'),
  },
};

/** The documented options of the client, or its own. */
const CLIENTS: Record<string, () => object> = {
  'ioredis as it is': () => ({}),
  'ioredis as docs/stores.md sets it': () => {
    const [ , { code }] = blocksUnder('docs/stores.md', '## Redis').filter(({ language }) => language === 'ts');
    return configOf({ language: 'ts', code: `import Redis from 'ioredis';\nexport default () => ({${code}});` }).redis.client;
  },
};

for (const [ client, options ] of Object.entries(CLIENTS)) {
  for (const [ cause, { refuse, accept, touches }] of Object.entries(CAUSES)) {
    describe(`while Redis refuses writes (${cause}), behind ${client}`, () => {
      let server: TestServer;
      let redis: Redis;
      let app: MockApplication;
      let browser: Client;
      let health: SessionHealth;
      let refusals = 0;
      const note = (call: unknown) => {
        const { operation, error } = call as StoreCall;
        if (operation === 'getAndTouch' && error) refusals++;
      };
      before(async () => {
        server = await startRedis();
        redis = new Redis({ ...options(), port: server.port });
        redis.on('error', () => undefined);
        Object.assign(AppRedisStore, { client: redis, prefix: 'session:' });
        mm.consoleLevel('NONE');
        app = await createApp('redis-store', { session: { rolling: true } });
        browser = await Client.of(app);
        health = await app.getEggObject(SessionHealth);
        await browser.run((session: any) => {
          session.userId = 7;
        });
        app.mockLog('coreLogger');
        subscribe('egg-tegg-session:store', note);
        await refuse(server.port);
      });
      after(async () => {
        unsubscribe('egg-tegg-session:store', note);
        mm.restore();
        await browser.close();
        await app.close();
        redis.disconnect();
        await server.stop('SIGKILL'); // it would not end without a last snapshot
      });

      const lines = () => (app.getLogger('coreLogger') as unknown as { _mockLogs: string[] })._mockLogs
        .filter(line => line.includes('the session store has failed (getAndTouch)'));
      /** Whom a request is served as. */
      const user = async (of = browser) => {
        let userId: unknown;
        await of.tryRun((session: any) => {
          ({ userId = null } = session);
        });
        return userId;
      };

      it('sessions are read, by all, as often as they come, and the breaker stays closed', async () => {
        for (let i = 0; i < 10; i++) assert.deepEqual(await Promise.all([ user(), user(browser.copy()), user(browser.copy()) ]), [ 7, 7, 7 ]);
        assert.equal(health.breaker, 'closed');
        assert.ok(refusals * 4 < health.counters.loads, `it was asked ${refusals} times whether it writes again`);
        assert.equal(await user(browser.another()), null);
      });

      it('the log says so once', () => {
        assert.equal(lines().length, touches ? 0 : 1, lines().join());
        if (!touches) assert.match(lines()[0], new RegExp(`${cause} .*Its server refuses writes`, 's'));
      });

      it('a sign-in is a 503', async () => {
        const { status, setCookies } = await browser.another().tryRun((session: any) => {
          session.userId = 8;
        });
        assert.equal(status, 503);
        assert.deepEqual(setCookies, []);
      });

      it('the session lives on once it can', async () => {
        await redis.disconnect(true);
        await accept(server.port);
        const [ key ] = await redis.keys('session:*');
        await redis.pexpire(key, 60_000);
        await until('the store is asked', async () => await user() === 7 && await redis.pttl(key) > 60_000);
      });
    });
  }
}
