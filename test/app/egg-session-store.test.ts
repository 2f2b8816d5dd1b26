import { strict as assert } from 'node:assert';
import type { Context } from 'egg';
import mm, { type MockApplication } from 'egg-mock';
import type { SessionStore } from '../..';
import { later } from '../support/app';
import {
  asEggSession, begin, cookies, count, DAY, destroy, PlainStore, read, start, stop, SUBJECTS, useStore,
} from '../support/subjects';

class OtherStore extends PlainStore {}

asEggSession(subject => {
  describe('app.sessionStore', () => {
    it('is undefined while sessions are kept in the cookie', async () => {
      const { app } = await start(subject);
      assert.equal(app.sessionStore, undefined);
    });

    it('is an object with get, set and destroy', async () => {
      const store = new PlainStore();
      const { app, run } = await start(subject, { boot: useStore(store) });
      assert.equal(app.sessionStore, store);
      await run(count);
      assert.deepEqual((await run(count)).json(), { n: 2 });
      assert.deepEqual([ ...store.records.values() ].map(text => JSON.parse(text).n), [ 2 ]);
      await run(destroy);
      assert.equal(store.records.size, 0);
      assert.deepEqual((await run(count)).json(), { n: 1 });
    });

    it('is a class, which is given the application', async () => {
      const { app, run } = await start(subject, { boot: useStore(PlainStore) });
      const store = app.sessionStore as PlainStore;
      assert.ok(store instanceof PlainStore);
      assert.equal(store.app!.config, app.config);
      await run(count);
      assert.deepEqual((await run(count)).json(), { n: 2 });
    });

    it('is null for sessions in the cookie', async () => {
      const store = new PlainStore();
      const { app, run } = await start(subject, { session: { store }, boot: useStore(null) });
      assert.equal(app.sessionStore, undefined);
      await run(count);
      assert.deepEqual((await run(count)).json(), { n: 2 });
      assert.equal(store.records.size, 0);
    });

    it('may have generator methods', async () => {
      const store = new PlainStore();
      const { run } = await start(subject, {
        boot: useStore({
          * get(key: string): Generator {
            return yield store.get(key);
          },
          * set(key: string, record: object): Generator {
            yield store.set(key, record);
          },
          * destroy(key: string): Generator {
            yield store.destroy(key);
          },
        }),
      });
      await run(count);
      assert.deepEqual((await run(count)).json(), { n: 2 });
      assert.equal(store.records.size, 1);
      await run(destroy);
      assert.equal(store.records.size, 0);
    });

    it('may be a class with generator methods', async () => {
      const records = new Map<string, object>();
      const { run } = await start(subject, {
        boot: useStore(class {
          * get(key: string) {
            return records.get(key);
          }
          * set(key: string, record: object) {
            records.set(key, record);
          }
          * destroy(key: string) {
            records.delete(key);
          }
        }),
      });
      await run(count);
      assert.deepEqual((await run(count)).json(), { n: 2 });
      await run(destroy);
      assert.equal(records.size, 0);
    });

    it('may have methods that return no promise', async () => {
      const records = new Map<string, object>();
      const { run } = await start(subject, {
        boot: useStore({
          get: (key: string) => records.get(key),
          set: (key: string, record: object) => records.set(key, record),
          destroy: (key: string) => records.delete(key),
        }),
      });
      await run(count);
      assert.deepEqual((await run(count)).json(), { n: 2 });
    });

    it('can be replaced while the application is running', async () => {
      const { app, run } = await start(subject);
      await run(count);
      const first = new PlainStore();
      app.sessionStore = first;
      assert.deepEqual((await run(count)).json(), { n: 1 });
      assert.deepEqual((await run(count)).json(), { n: 2 });
      const second = new PlainStore();
      app.sessionStore = second;
      assert.deepEqual((await run(count)).json(), { n: 1 });
      assert.deepEqual([ first.records.size, second.records.size ], [ 1, 1 ]);
      app.sessionStore = null;
      assert.deepEqual((await run(count)).json(), { n: 1 });
      assert.deepEqual((await run(count)).json(), { n: 2 });
      assert.deepEqual([ first.records.size, second.records.size ], [ 1, 1 ]);
    });

    it('is refused when it lacks a method', async () => {
      const { app } = await start(subject);
      const method = async () => undefined;
      for (const [ store, name ] of [
        [{ set: method, destroy: method }, 'get' ],
        [{ get: method, destroy: method }, 'set' ],
        [{ get: method, set: method }, 'destroy' ],
        [{ get: method, set: 'text', destroy: method }, 'set' ],
        [ class { get() { /* alone */ } }, 'set' ],
        [ 'text', 'get' ],
      ] as Array<[ any, string ]>) {
        assert.throws(() => {
          app.sessionStore = store;
        }, { name: 'AssertionError', message: `store.${name} must be function` });
      }
      assert.equal(app.sessionStore, undefined);
    });

    it('is told of in the log when it replaces another, but not in unit tests', async () => {
      const { app } = await start(subject, { boot: useStore(PlainStore) });
      app.mockLog();
      app.sessionStore = new PlainStore();
      const line = subject.plugin === 'egg-session' ? '[egg-session] sessionStore already exists and will be overwrit'
        : '[egg-tegg-session] app.sessionStore (PlainStore) is not used: sessions are kept in app.sessionStore (OtherStore), as that was set later';
      app.notExpectLog(line);
      mm(app.config, 'env', 'prod');
      app.sessionStore = new OtherStore();
      app.expectLog(line);
    });

    it('is handed the id, the lifetime, and the request', async () => {
      const calls: unknown[][] = [];
      const note = (name: string) => async (...args: any[]) => {
        const { ctx, ...options } = args.pop();
        if (name === 'set') delete args[1]._createdAt; // not egg-session's
        calls.push([ name, ...args, ctx.path, options ]);
        return name === 'get' ? { n: 1 } : undefined;
      };
      const { run } = await start(subject, {
        session: { genid: () => 'id', rolling: true },
        boot: useStore({ get: note('get'), set: note('set'), destroy: note('destroy') }),
      });
      later(0);
      await run(begin);
      await run(destroy);
      assert.deepEqual(calls, [
        [ 'set', 'id', { n: 1, _expire: Date.now() + DAY, _maxAge: DAY }, DAY + 10000, '/run', { rolling: true, changed: true }],
        [ 'get', 'id', DAY, '/run', { rolling: true }],
        [ 'destroy', 'id', '/run', {}],
      ]);
    });

    it('is told whether the data changed, or are only kept for longer', async () => {
      const told: unknown[] = [];
      class Noting extends PlainStore {
        override async set(...args: any[]) {
          const [ key, record, , { changed }] = args;
          told.push(changed);
          await super.set(key, record);
        }
      }
      const { run } = await start(subject, { session: { rolling: true }, boot: useStore(Noting) });
      await run(count);
      later(1000);
      await run(read);
      await run(count);
      assert.deepEqual(told, [ true, false, true ]);
    });

    it('is left by the old id when the session is regenerated', async () => {
      const store = new PlainStore();
      const { run } = await start(subject, { boot: useStore(store) });
      await run(count);
      const [ old ] = store.records.keys();
      await run(session => session.regenerate());
      assert.equal(store.records.size, 1);
      assert.equal(store.records.has(old), false);
      assert.deepEqual((await run(count)).json(), { n: 2 });
    });

    for (const method of [ 'get', 'set', 'destroy' ] as const) {
      it(`that fails on ${method} fails the request`, async () => {
        const store = new PlainStore();
        const { run, tryRun } = await start(subject, { boot: useStore(store) });
        await run(count);
        store[method] = async () => {
          throw new Error(`no ${method} today`);
        };
        const response = await tryRun(method === 'destroy' ? destroy : count);
        assert.equal(response.status, subject.plugin === 'egg-session' ? 500 : 503);
        assert.match(response.text, new RegExp(`no ${method} today`));
      });
    }

    it('that fails on set is told to the callback of save()', async () => {
      const store = new PlainStore();
      const { run } = await start(subject, { boot: useStore(store), session: { autoCommit: false } });
      store.set = async () => {
        throw new Error('no set today');
      };
      const response = await run(async session => ({
        told: await new Promise(resolve => {
          session.save((err?: Error) => resolve(err?.message));
        }),
      }));
      assert.deepEqual(response.json(), { told: 'no set today' });
    });

    it('keeps what a handler wrote before it failed', async () => {
      const { run, tryRun } = await start(subject, { boot: useStore(new PlainStore()) });
      await run(count);
      const response = await tryRun(session => {
        session.n = 7;
        throw new Error('too late');
      });
      assert.equal(response.status, 500);
      assert.deepEqual((await run(read)).json(), { n: 7 });
    });
  });

  describe('the other places of config.session', () => {
    it('store is the store', async () => {
      const store = new PlainStore();
      const { app, run } = await start(subject, { session: { store } });
      assert.equal(app.sessionStore, store);
      await run(count);
      assert.deepEqual((await run(count)).json(), { n: 2 });
      assert.equal(store.records.size, 1);
    });

    it('ContextStore is a store that is made for each request', async () => {
      const records = new Map<string, object>();
      class PerRequest {
        constructor(private readonly ctx: Context) {}
        async get(key: string) {
          return records.get(this.ctx.get('x-tenant') + key) as any;
        }
        async set(key: string, record: object) {
          records.set(this.ctx.get('x-tenant') + key, record);
        }
        async destroy(key: string) {
          records.delete(this.ctx.get('x-tenant') + key);
        }
      }
      const { run } = await start(subject, { session: { ContextStore: PerRequest } });
      await run(count, { 'x-tenant': 'a' });
      assert.deepEqual((await run(count, { 'x-tenant': 'a' })).json(), { n: 2 });
      assert.deepEqual((await run(count, { 'x-tenant': 'b' })).json(), { n: 1 });
      assert.deepEqual([ ...records.keys() ].map(key => key[0]), [ 'a', 'b' ]);
    });

    it('externalKey carries the id another way', async () => {
      const externalKey = {
        get: (ctx: Context) => ctx.get('x-session-id'),
        set: (ctx: Context, key: string) => ctx.set('x-session-id', key),
      };
      const { run } = await start(subject, { session: { externalKey }, boot: useStore(PlainStore) });
      const response = await run(count);
      assert.deepEqual(cookies(response), []);
      const headers = { 'x-session-id': response.headers['x-session-id'] as string };
      assert.deepEqual((await run(count, headers)).json(), { n: 2 });
      assert.deepEqual((await run(count)).json(), { n: 1 });
    });

    it('genid makes the id, from the request', async () => {
      const store = new PlainStore();
      const { run } = await start(subject, { session: { genid: ctx => `id of ${ctx.path}` }, boot: useStore(store) });
      assert.deepEqual((await run(begin)).json(), { id: 'id of /run' });
      assert.deepEqual([ ...store.records.keys() ], [ 'id of /run' ]);
    });

    it('prefix goes before the id', async () => {
      const store = new PlainStore();
      const { run } = await start(subject, { session: { prefix: 'web:' }, boot: useStore(store) });
      await run(count);
      assert.match([ ...store.records.keys() ].join(), /^web:[\w-]{20,}$/);
    });

    it('encode and decode write and read the cookie', async () => {
      const seen: string[] = [];
      const { run } = await start(subject, {
        session: {
          encode: record => `mine.${Buffer.from(JSON.stringify(record)).toString('hex')}`,
          decode: text => {
            seen.push(text.slice(0, 5));
            return JSON.parse(Buffer.from(text.slice(5), 'hex').toString());
          },
        },
      });
      await run(count);
      assert.deepEqual((await run(count)).json(), { n: 2 });
      assert.deepEqual(seen, [ 'mine.' ]);
    });

    it('decode that fails fails the request once, and removes the cookie', async () => {
      const { run, tryRun } = await start(subject, {
        session: {
          encode: JSON.stringify,
          decode: () => {
            throw new TypeError('not mine');
          },
        },
      });
      await run(count);
      const response = await tryRun(count);
      assert.equal(response.status, 500);
      assert.match(response.text, /not mine/);
      assert.deepEqual(cookies(response), [ 'EGG_SESS; path=/; expires=Thu, 01 Jan 1970 00:00:00 GMT; httponly' ]);
      assert.deepEqual((await run(count)).json(), { n: 1 });
    });
  });
});

describe('the injected store', () => {
  afterEach(stop);
  const injected = (app: MockApplication) => app.getEggObjectFromName<SessionStore>('sessionStore');

  it('is app.sessionStore, and follows it while the application is running', async () => {
    const { app } = await start(SUBJECTS[2]);
    const sessionStore = await injected(app);
    for (const n of [ 1, 2 ]) {
      const store = new PlainStore();
      app.sessionStore = store;
      await sessionStore.set('id', { n }, DAY, {} as never);
      assert.deepEqual([ ...store.records ], [[ 'id', `{"n":${n}}` ]]);
      assert.deepEqual(await sessionStore.get('id', DAY, {} as never), { n });
      await sessionStore.destroy('id', {} as never);
      assert.equal(store.records.size, 0);
    }
  });

  it('says so when sessions are kept in the cookie', async () => {
    const { app } = await start(SUBJECTS[2], { boot: useStore(PlainStore) });
    const sessionStore = await injected(app);
    app.sessionStore = null;
    assert.throws(() => sessionStore.get('id', DAY, {} as never), /there is no session store: sessions are kept in the cookie/);
  });
});
