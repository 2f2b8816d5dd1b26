import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import type { Application } from 'egg';
import mm, { type MockApplication } from 'egg-mock';
import Redis from 'ioredis';
import { SessionHealth, type SessionOptions } from '../..';
import { Client, createApp } from '../support/app';
import { Proxy } from '../support/Proxy';
import { TestRedisStore } from '../support/redis';
import { startRedis, type TestServer, until } from '../support/servers';

/** In ms: short, so that an outage is noticed soon, and long enough for a slow machine to answer within it. */
const TIMEOUT = 1000;

describe('while the store is away', () => {
  let server: TestServer;
  let proxy: Proxy;
  let redis: Redis;
  let app: MockApplication;
  let client: Client;
  let health: SessionHealth;

  before(async () => {
    server = await startRedis();
  });
  after(() => server.stop());
  afterEach(async () => {
    mm.restore();
    await client.close();
    await app.close();
    redis.disconnect();
    await proxy.close();
  });

  /** An application whose Redis is behind the proxy, and a browser that is signed in. */
  async function start(session: SessionOptions = {}, redisOptions = {}) {
    proxy = await Proxy.to(server.port);
    redis = new Redis({ port: proxy.port, retryStrategy: () => 10, ...redisOptions });
    redis.on('error', () => undefined);
    mm.consoleLevel('NONE');
    app = await createApp('web', { session: { store: new TestRedisStore(redis), storeTimeout: TIMEOUT, ...session } });
    client = await Client.of(app);
    health = await app.getEggObject(SessionHealth);
    await client.run((session: any) => {
      session.userId = 1;
    });
    app.mockLog('coreLogger');
  }

  const user = async () => (await client.run((session: any) => ({ userId: session.userId ?? null }))).json().userId;
  const lines = (text: string) => (app.getLogger('coreLogger') as unknown as { _mockLogs: string[] })._mockLogs
    .filter(line => line.includes(text));

  for (const [ what, cut ] of [
    [ 'stalls', () => proxy.stall() ],
    [ 'refuses connections', () => proxy.refuse() ],
  ] as Array<[ string, () => void ]>) {
    describe(`as it ${what}`, () => {
      it('a request with a session is answered with 503 and Retry-After, and the next one after the outage works', async () => {
        await start();
        cut();
        const response = await client.tryRun(session => ({ userId: session.userId }));
        assert.equal(response.status, 503);
        assert.match(String(response.headers['retry-after']), /^[1-9]\d*$/);
        assert.deepEqual(response.setCookies, []);
        proxy.pass();
        redis.disconnect(true);
        await until('the store is back', async () => (await client.tryRun(() => undefined)).status === 200);
        assert.equal(await user(), 1);
      });

      it('a request without a session goes on, unless it begins one', async () => {
        await start();
        const stranger = client.another();
        cut();
        assert.equal((await stranger.run(session => ({ n: session.n ?? null }))).status, 200);
        const response = await stranger.tryRun(session => {
          session.n = 1;
        });
        assert.equal(response.status, 503);
        assert.deepEqual(response.setCookies, []);
      });

      it('the cause is logged once, and told as an event', async () => {
        await start();
        const told = once(app as unknown as Application, 'session:storeError');
        cut();
        for (let i = 0; i < 3; i++) await client.tryRun(session => ({ userId: session.userId }));
        const [{ error }] = await told;
        assert.equal(lines(error.message).length, 1);
        assert.equal(lines('Retry').length, 0);
      });

      it('a write that fails after the handler ran is a 503, and no success that was not saved', async () => {
        for (const onStoreError of [ 'fail', 'anonymous' ] as const) {
          await start({ onStoreError });
          const response = await client.tryRun(session => {
            session.n = 1;
            cut();
          });
          assert.equal(response.status, 503, onStoreError);
          if (onStoreError === 'fail') {
            await client.close();
            await app.close();
            redis.disconnect();
            await proxy.close();
          }
        }
      });

      it('the handler\'s own error wins', async () => {
        await start();
        const response = await client.tryRun((session, ctx) => {
          session.n = 1;
          cut();
          ctx.throw(403, 'not for you');
        });
        assert.equal(response.status, 403);
      });
    });
  }

  for (const [ name, call ] of Object.entries({
    'save()': session => session.save(),
    'regenerate()': session => session.regenerate(),
    'update()': session => session.update(() => undefined),
    'destroy()': session => session.destroy(),
  } as Record<string, (session: any) => Promise<void>>)) {
    it(`${name} rejects when the store stalls meanwhile, and the session is whole afterwards`, async () => {
      await start({ storeTimeout: 300 });
      const response = await client.tryRun(async session => {
        proxy.stall();
        await assert.rejects(call(session), { message: /has not answered for 300 ms/, status: 503 });
        return {};
      });
      assert.equal(response.status, 200);
      assert.deepEqual(response.setCookies, []);
      proxy.pass();
      redis.disconnect(true);
      await until('the store is back', async () => (await client.tryRun(() => undefined)).status === 200);
      // ioredis sends a command again that was not answered
      if (name === 'destroy()') assert.ok([ 1, null ].includes(await user()));
      else assert.equal(await user(), 1);
    });
  }

  describe('with onStoreError: \'anonymous\'', () => {
    it('requests go on with an empty session, which is never saved, and the cookie is left alone', async () => {
      await start({ onStoreError: 'anonymous' });
      proxy.stall();
      const response = await client.run((session: any) => {
        const { available, userId = null } = session;
        session.userId = 2;
        return { available, userId };
      });
      assert.deepEqual(response.json(), { available: false, userId: null });
      assert.deepEqual(response.setCookies, []);
      proxy.pass();
      redis.disconnect(true);
      await until('the store is back', async () => (await client.run((session: any) => ({ is: session.available }))).json().is);
      assert.equal(await user(), 1);
    });

    for (const [ name, call ] of Object.entries({
      'save()': (session: any) => session.save(),
      'regenerate()': (session: any) => session.regenerate(),
      'update()': (session: any) => session.update(() => undefined),
      'destroy()': (session: any) => session.destroy(),
      'ctx.session = null': (_: any, ctx: any) => {
        ctx.session = null;
      },
    })) {
      it(`${name} is a 503: nothing of it could be done`, async () => {
        await start({ onStoreError: 'anonymous' });
        proxy.stall();
        assert.equal((await client.tryRun((session, ctx) => call(session, ctx))).status, 503);
        proxy.pass();
        redis.disconnect(true);
        await until('the store is back', async () => (await client.run((session: any) => ({ is: session.available }))).json().is);
        assert.equal(await user(), 1);
      });
    }
  });

  it('once it is found to be down, requests do not wait for it, and one asks whether it is back', async () => {
    await start({ storeTimeout: 300 });
    proxy.stall();
    while (health.breaker === 'closed') {
      assert.ok(health.counters.errors < 20);
      await client.tryRun(() => undefined);
    }
    const { errors } = health.counters;
    const pause = client.tryRun(() => undefined);
    assert.equal((await pause).status, 503);
    assert.ok(health.counters.rejected > 0);
    assert.equal(health.counters.errors, errors, 'the store was asked');
    proxy.pass();
    redis.disconnect(true);
    await until('the store is back', async () => (await client.tryRun(() => undefined)).status === 200);
    assert.equal(health.breaker, 'closed');
    assert.equal(lines('the session store is down').length, 1);
    assert.equal(lines('the session store answers again').length, 1);
  });
});
