import { strict as assert } from 'node:assert';
import mm, { type MockApplication } from 'egg-mock';
import { AppSessionStore } from '../fixtures/apps/store/modules/store/AppSessionStore';
import { bootError } from '../support/boot';
import type { SessionOptions } from '../..';
import { Client, createApp } from '../support/app';
import { keyOf } from '../support/keyOf';
import { MapStore } from '../support/MapStore';

describe('a store in a tegg module', () => {
  let app: MockApplication;
  let client: Client;
  let store: AppSessionStore;
  before(async () => {
    app = await createApp('store');
    client = await Client.of(app);
    store = await app.getEggObject(AppSessionStore);
  });
  beforeEach(() => {
    client.cookies.clear();
    store.records.clear();
    store.calls.length = 0;
  });
  after(async () => {
    await client.close();
    await app.close();
  });

  const count = (browser = client) => browser.run(session => {
    session.n = (session.n ?? 0) + 1;
    return { n: session.n };
  });
  const ids = () => [ ...store.records.keys() ];

  it('keeps the sessions, with three methods, whatever its name and access level', async () => {
    assert.equal((await count()).json().n, 1);
    assert.equal((await count()).json().n, 2);
    assert.deepEqual([ ...store.records.values() ].map(({ n }) => n), [ 2 ]);
  });

  it('is app.sessionStore, and what is injected as sessionStore', async () => {
    assert.equal(app.sessionStore, store);
    const injected = await app.getEggObjectFromName<AppSessionStore>('sessionStore', {
      attribute: Symbol.for('Qualifier.Egg'), value: 'APP',
    });
    await count();
    assert.equal((await injected.get(ids()[0]))!.n, 1);
  });

  it('is left alone for a session that stays empty', async () => {
    await client.run(session => ({ n: session.n ?? null }));
    assert.deepEqual(store.calls, []);
  });

  it('shows the session\'s id as externalKey', async () => {
    await count();
    assert.deepEqual([ keyOf((await client.run(session => ({ id: session.externalKey }))).json().id) ], ids());
  });

  it('loses the session when destroy() resolves', async () => {
    await count();
    const response = await client.run(async session => {
      await session.destroy();
      return { left: store.records.size };
    });
    assert.deepEqual(response.json(), { left: 0 });
    assert.equal(store.calls.filter(call => call === 'destroy').length, 1);
    assert.equal(client.cookies.size, 0);
  });

  it('loses the session with ctx.session = null', async () => {
    await count();
    await client.run((_, ctx) => {
      ctx.session = null;
    });
    assert.deepEqual(ids(), []);
    assert.equal(client.cookies.size, 0);
  });

  it('keeps a session that begins after destroy() under a new id', async () => {
    await count();
    const [ id ] = ids();
    await client.run(async (session, ctx) => {
      await session.destroy();
      ctx.session = { flash: 'bye' };
    });
    assert.equal(ids().length, 1);
    assert.notEqual(ids()[0], id);
    assert.deepEqual((await client.run(session => ({ session }))).json(), { session: { flash: 'bye' } });
  });

  it('refuses a field that would be left out when the session is read again', async () => {
    for (const name of [ 'constructor', 'toJSON' ]) {
      const response = await client.run(async (session, ctx) => {
        Object.defineProperty(ctx.session, name, { value: name, enumerable: true });
        await assert.rejects(async () => ctx.session.save(), TypeError);
        ctx.session = { n: 1 };
        await session.save();
        await assert.rejects(session.update(data => Object.assign(data, { [name]: name })),
          { name: 'TypeError', message: `[egg-tegg-session] session.${name} is reserved and can't hold data; use another name` });
      });
      assert.equal(response.status, 200, response.text);
    }
  });

  it('makes no session where there is none any more', async () => {
    await count();
    store.records.clear();
    store.calls.length = 0;
    await client.run(session => ({ n: session.n ?? null }));
    assert.deepEqual(store.calls, [ 'get' ]);
  });

  it('is not disturbed by app.mockSession()', async () => {
    await count();
    app.mockSession({ n: 41 });
    assert.equal((await count()).json().n, 42);
    mm.restore();
    assert.equal((await count()).json().n, 2);
  });

  describe('regenerate()', () => {
    for (const through of [ 'the injected session', 'ctx.session' ]) {
      it(`moves the data to a new id, which is visible at once, through ${through}`, async () => {
        await count();
        const [ old ] = ids();
        const response = await client.run(async (session, ctx) => {
          await (through === 'ctx.session' ? ctx.session : session).regenerate();
          return { injected: session.externalKey, ctx: ctx.session.externalKey, stored: ids(), session };
        });
        const { injected, ctx, stored, session } = response.json();
        assert.deepEqual(stored, [ keyOf(injected) ]);
        assert.equal(ctx, injected);
        assert.notEqual(keyOf(injected), old);
        assert.deepEqual(session, { n: 1 });
        assert.equal((await count()).json().n, 2);
        assert.deepEqual(ids(), [ keyOf(injected) ]);
      });
    }

    it('leaves the old cookie without a session', async () => {
      await count();
      const thief = client.copy();
      await client.run(session => session.regenerate());
      assert.deepEqual((await thief.run(session => ({ session }))).json(), { session: {} });
      assert.deepEqual((await client.run(session => ({ session }))).json(), { session: { n: 1 } });
    });

    it('takes a callback', async () => {
      await count();
      const [ old ] = ids();
      const response = await client.run((session, ctx) => new Promise((resolve, reject) => {
        ctx.session.regenerate((err?: Error) => {
          if (err) reject(err);
          else resolve({ id: session.externalKey, stored: ids() });
        });
      }));
      const { id, stored } = response.json();
      assert.deepEqual(stored, [ keyOf(id) ]);
      assert.notEqual(keyOf(id), old);
    });

    it('keeps a change that follows it', async () => {
      await count();
      await client.run(async session => {
        await session.regenerate();
        session.n = 7;
      });
      assert.deepEqual([ ...store.records.values() ].map(({ n }) => n), [ 7 ]);
    });

    it('works on a session that is new', async () => {
      const response = await client.run(async session => {
        session.n = 3;
        await session.regenerate();
        return { id: session.externalKey };
      });
      assert.deepEqual(ids(), [ keyOf(response.json().id) ]);
      assert.equal((await count()).json().n, 4);
    });
  });
});

describe('a store of config.session', () => {
  let app: MockApplication;
  let client: Client;
  const store = new MapStore();
  let valid = true;
  const start = async (options: SessionOptions) => {
    app = await createApp('web', { session: { store, ...options } });
    client = await Client.of(app);
  };
  afterEach(async () => {
    store.entries.clear();
    await client.close();
    await app.close();
  });
  const records = () => [ ...store.records.values() ];

  it('gets each manual commit, also one that goes back to what was loaded', async () => {
    await start({ autoCommit: false });
    const commit = (...values: number[]) => client.run(async session => {
      for (const n of values) {
        session.n = n;
        await session.manuallyCommit();
      }
    });
    await commit(1);
    await commit(2, 1);
    assert.deepEqual(records().map(({ n }) => n), [ 1 ]);
  });

  it('keeps a session that `valid` has refused out of update()', async () => {
    await start({ valid: () => valid });
    await client.run((_, ctx) => {
      ctx.session = { userId: 1, role: 'admin' };
    });
    const before = records();
    valid = false;
    await client.run(session => session.update(data => {
      assert.deepEqual({ ...data }, {});
      data.n = 1;
    }));
    assert.deepEqual(records()[0], before[0]);
    assert.equal(records()[1].role, undefined);
  });

  it('keeps no time of expiry for a session that is made the browser\'s', async () => {
    await start({});
    await client.run(session => {
      session.n = 1;
    });
    assert.equal(typeof records()[0]._expire, 'number');
    await client.run(session => {
      session.maxAge = 'session';
    });
    assert.equal(records()[0]._expire, undefined);
    assert.equal(records()[0]._session, true);
  });
});

describe('a store that can\'t be used stops the application, and the error says what to do:', () => {
  const FAULTS = { constructor: 'a broken constructor', init: 'a broken init', inject: 'nowhereToBeFound' };
  const messages = new Map<string, Promise<string | undefined>>();
  before(async () => {
    for (const kind of [ '', 'two', 'incomplete', 'context', ...Object.keys(FAULTS) ]) {
      messages.set(kind, bootError('broken-store', {}, { BROKEN_STORE: kind }));
    }
    await Promise.all(messages.values());
  });
  const boot = (kind: string) => messages.get(kind);
  const FIRST = /FirstStore \(.*modules\/first\/FirstStore\.ts\)/;

  it('nothing is wrong with this one', async () => {
    assert.equal(await boot(''), undefined);
  });

  it('two stores', async () => {
    const message = (await boot('two'))!;
    assert.match(message, FIRST);
    assert.match(message, /SecondStore \(.*modules\/second\/SecondStore\.ts\)/);
    assert.match(message, /two session stores: .* remove one class/);
  });

  it('a method is missing', async () => {
    const message = (await boot('incomplete'))!;
    assert.match(message, FIRST);
    assert.match(message, /lacks set and destroy: implement get, set and destroy/);
  });

  it('it is no singleton', async () => {
    const message = (await boot('context'))!;
    assert.match(message, FIRST);
    assert.match(message, /decorate it with @SingletonProto\(\)/);
  });

  for (const [ kind, reason ] of Object.entries(FAULTS)) {
    it(`it can't be created: ${reason}`, async () => {
      const message = (await boot(kind))!;
      assert.match(message, FIRST);
      assert.match(message, new RegExp(`could not be created: .*${reason}`));
      assert.match(message, /Fix its constructor, its init\(\) and what it injects/);
    });
  }
});
