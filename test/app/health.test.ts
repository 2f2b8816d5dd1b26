import { strict as assert } from 'node:assert';
import { channel, subscribe, unsubscribe } from 'node:diagnostics_channel';
import mm, { type MockApplication } from 'egg-mock';
import { SessionHealth, type SessionOptions, SessionRegistry, type StoreCall } from '../..';
import { PAUSE } from '../../module/store/CircuitBreaker';
import { Client, createApp } from '../support/app';
import { MapStore } from '../support/MapStore';
import { until } from '../support/servers';

const CHANNEL = 'egg-tegg-session:store';
const ZERO = { loads: 0, writes: 0, renewals: 0, ends: 0, index: 0, misses: 0, errors: 0, rejected: 0 };

/** Its records are good; it fails, or is slow, when it is told to. */
class MoodyStore extends MapStore {
  error?: Error;
  delay = 0;
  hangs?: 'get' | 'set';

  override async set(...args: Parameters<MapStore['set']>) {
    if (this.hangs === 'set') await new Promise(() => undefined);
    await super.set(...args);
  }

  override async get(key: string) {
    if (this.hangs === 'get') await new Promise(() => undefined);
    if (this.error) throw this.error;
    if (this.delay > 0) await new Promise(resolve => { setTimeout(resolve, this.delay); });
    return await super.get(key);
  }
}

describe('sessionHealth', () => {
  let opened: Array<{ app: MockApplication; client: Client }> = [];
  afterEach(async () => {
    mm.restore();
    for (const { app, client } of opened) {
      await client.close();
      await app.close();
    }
    opened = [];
  });

  async function start(session: SessionOptions = {}, fixture = 'web') {
    mm.consoleLevel('NONE');
    const app = await createApp(fixture, { session });
    const client = await Client.of(app);
    opened.push({ app, client });
    const health = await app.getEggObject(SessionHealth);
    let before = { ...ZERO };
    /** What was counted since it was last asked, without what is 0. */
    const counted = () => {
      const { counters } = health;
      const more = Object.entries(counters).map(([ name, n ]) => [ name, n - before[name as keyof typeof ZERO] ]);
      before = counters;
      return Object.fromEntries(more.filter(([ , n ]) => n !== 0));
    };
    return { app, client, health, counted };
  }

  const write = (client: Client) => client.run((session: any) => {
    session.n = (session.n ?? 0) + 1;
  });
  const read = (client: Client) => client.tryRun(session => ({ n: session.n ?? null }));

  it('is all zero before the first request, and stays so without a store', async () => {
    for (const session of [{ store: new MapStore() }, {}]) {
      const { client, health } = await start(session, 'two');
      if (!session.store) await write(client);
      assert.deepEqual(health.toJSON(), { breaker: 'closed', lastError: undefined, latency: { p50: 0, p95: 0, p99: 0 }, counters: ZERO });
    }
  });

  it('counts each call of the store once, as what it does', async () => {
    const { app, client, counted } = await start({ principal: 'userId', rolling: true }, 'memory-store');
    await client.run(() => undefined);
    assert.deepEqual(counted(), {}, 'a request without a session');
    await write(client);
    assert.deepEqual(counted(), { writes: 1 }, 'a new one');
    await read(client);
    assert.deepEqual(counted(), { loads: 1, renewals: 2 }, 'rolling, and again before the cookie is sent');
    await write(client);
    assert.deepEqual(counted(), { loads: 1, renewals: 1, writes: 1 }, 'a change');
    await client.run((session: any) => {
      session.userId = 1;
    });
    assert.deepEqual(counted(), { loads: 2, renewals: 1, index: 2, writes: 1 }, 'signing in, and whether the id is still good');
    const registry = await app.getEggObject(SessionRegistry);
    assert.equal((await registry.list(1)).length, 1);
    assert.deepEqual(counted(), { loads: 1, index: 2 }, 'a list, which ends with a page that says so');
    const late = client.copy();
    await client.run(session => session.destroy());
    assert.deepEqual(counted(), { loads: 1, renewals: 1, ends: 1, index: 1 }, 'signing out');
    await read(late);
    assert.deepEqual(counted(), { loads: 1, renewals: 1, misses: 1 }, 'an id of no session');
  });

  it('has the error that was last, without id and data, and keeps it', async () => {
    const store = new MoodyStore();
    const { client, health, counted } = await start({ store });
    await write(client);
    const [ id ] = store.entries.keys();
    counted();
    store.error = Object.assign(new TypeError(`no luck with ${id}`), { code: 'E_LUCK', command: { args: [ id ] } });
    const now = Date.now();
    assert.equal((await read(client)).status, 503);
    assert.deepEqual(counted(), { loads: 1, errors: 1 });
    const { error, at } = health.lastError!;
    assert.ok(at >= now && at <= Date.now());
    assert.deepEqual([ error.name, (error as NodeJS.ErrnoException).code ], [ 'TypeError', 'E_LUCK' ]);
    assert.match(error.message, /^no luck with [\w-]+$/);
    assert.ok(!JSON.stringify(health).includes(id) && !error.stack!.includes(id) && !('command' in error));
    store.error = undefined;
    assert.equal((await read(client)).status, 200);
    assert.equal(health.lastError!.error, error);
    assert.equal(health.breaker, 'closed');
  });

  it('has the latency of calls, failed ones too', async () => {
    const store = new MoodyStore();
    const { client, health } = await start({ store, storeTimeout: 300 });
    await write(client);
    for (let i = 0; i < 3; i++) await read(client);
    assert.ok(health.latency.p50 < 300);
    store.delay = 5000;
    assert.equal((await read(client)).status, 503);
    const { p50, p95, p99 } = health.latency;
    assert.ok(p50 <= p95 && p95 <= p99 && p99 >= 299, `${p50} ${p95} ${p99}`);
  });

  it('shows how the breaker opens, lets one call through after a pause, and closes', async () => {
    const store = new MoodyStore();
    const { client, health, counted } = await start({ store, storeTimeout: 200 });
    await write(client);
    store.error = new Error('down');
    await until('the breaker is open', async () => {
      await read(client);
      return health.breaker !== 'closed';
    });
    assert.equal(health.breaker, 'open');
    assert.equal(health.lastError!.error.message, 'down');
    counted();
    const { latency } = health;
    const refused = await read(client);
    assert.equal(refused.status, 503);
    assert.match(refused.text, /down/);
    assert.deepEqual(counted(), { rejected: 1 });
    assert.deepEqual(health.latency, latency, 'what was not asked has no latency');
    await new Promise(resolve => { setTimeout(resolve, PAUSE); });
    assert.equal(health.breaker, 'half-open');
    await read(client);
    assert.equal(health.breaker, 'open', 'it is still down');
    assert.deepEqual(counted(), { loads: 1, errors: 1 });
    store.error = undefined;
    await until('the store is asked', async () => (await read(client)).status === 200);
    assert.equal(health.breaker, 'closed');
  });

  for (const [ hangs, works ] of [[ 'set', 'get' ], [ 'get', 'set' ]] as const) {
    it(`lets ${works} work while ${hangs} takes too long, and asks by ${hangs} whether it is back`, async () => {
      const store = new MoodyStore();
      const { client, health } = await start({ store, storeTimeout: 200 });
      await write(client);
      const call = {
        get: async () => (await read(client)).status,
        set: async () => (await client.another().tryRun((session: any) => {
          session.n = 1;
        })).status,
      };
      store.hangs = hangs;
      await until('the breaker is open', async () => {
        assert.equal(await call[hangs](), 503);
        if (health.breaker === 'closed') assert.equal(await call[works](), 200);
        return health.breaker === 'open';
      });
      for (let i = 0; i < 20; i++) assert.equal(await call[works](), 200);
      assert.notEqual(health.breaker, 'closed', `a ${works} has closed it`);
      store.hangs = undefined;
      await until('the store is asked', async () => await call[hangs]() === 200);
      assert.equal(health.breaker, 'closed');
    });
  }

  it('is each application\'s own', async () => {
    const [ good, bad ] = [ new MapStore(), new MoodyStore() ];
    bad.error = new Error('down');
    const [ a, b ] = [ await start({ key: 'A', store: good }, 'two'), await start({ key: 'B', store: bad }, 'two') ];
    const seen = (handle: SessionHealth) => async () => ({ ...handle.counters });
    assert.deepEqual((await a.client.run(seen(a.health))).json(), ZERO);
    await write(a.client);
    await write(b.client);
    await read(a.client);
    assert.equal((await read(b.client)).status, 503);
    const ofA = (await a.client.run(seen(b.health))).json(); // tegg gives both applications the same object
    assert.deepEqual(ofA, { ...ZERO, loads: 2, writes: 1 });
    bad.error = undefined;
    assert.deepEqual((await b.client.run(seen(a.health))).json(), { ...ZERO, loads: 2, writes: 1, errors: 1 });
  });

  describe('the diagnostics channel', () => {
    const calls: StoreCall[] = [];
    const note = (call: unknown) => calls.push(call as StoreCall);
    beforeEach(() => {
      calls.length = 0;
      subscribe(CHANNEL, note);
    });
    afterEach(() => unsubscribe(CHANNEL, note));

    it('publishes each call, with nothing that is secret', async () => {
      const store = new MoodyStore();
      const { client } = await start({ store });
      await client.run((session: any) => {
        session.card = '4111111111111111';
      });
      const [ id ] = store.entries.keys();
      await read(client);
      store.entries.clear();
      await read(client);
      assert.deepEqual(calls.map(({ duration, ...call }) => {
        assert.ok(duration > 0 && duration < 2000);
        return call;
      }), [
        { operation: 'set', rejected: false, missed: false, error: undefined },
        { operation: 'get', rejected: false, missed: false, error: undefined },
        { operation: 'get', rejected: false, missed: true, error: undefined },
      ]);
      await write(client);
      store.error = new Error(`failed: GET ${[ ...store.entries.keys() ]}`);
      await read(client);
      const { error, missed } = calls.at(-1)!;
      assert.match(error!.message, /^failed: GET [\w-]+$/);
      assert.equal(missed, false);
      for (const call of calls) {
        assert.deepEqual(Object.keys(call).sort(), [ 'duration', 'error', 'missed', 'operation', 'rejected' ]);
        const text = JSON.stringify([ call, call.error?.message, call.error?.stack ]);
        for (const secret of [ id, ...store.entries.keys(), '4111111111111111' ]) assert.ok(!text.includes(secret), text);
      }
    });

    it('publishes calls that were not made', async () => {
      const store = new MoodyStore();
      const { client, health } = await start({ store, storeTimeout: 100 });
      await write(client);
      store.error = new Error('down');
      await until('the breaker is open', async () => {
        await read(client);
        return health.breaker === 'open';
      });
      calls.length = 0;
      await read(client);
      const [{ error, ...call }] = calls;
      assert.deepEqual(call, { operation: 'get', duration: 0, rejected: true, missed: false });
      assert.equal(error!.message, 'down');
    });

    it('is not called without a subscriber', async () => {
      const { client, health } = await start({ store: new MapStore() });
      let published = 0;
      mm(channel(CHANNEL), 'publish', () => published++);
      await write(client);
      assert.equal(published, 1);
      unsubscribe(CHANNEL, note);
      await read(client);
      assert.equal(published, 1);
      assert.equal(health.counters.loads, 1);
    });
  });
});
