import { strict as assert } from 'node:assert';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import type { Context } from 'egg';
import mm, { type MockApplication } from 'egg-mock';
import type { Session } from '../..';
import {
  ContextByConstructor, ContextByProperty, SingletonByConstructor, SingletonByProperty, Untyped,
} from '../fixtures/apps/web/modules/inject/services';
import { Client, createApp } from '../support/app';

const HOLDERS = [ SingletonByProperty, SingletonByConstructor, ContextByProperty, ContextByConstructor, Untyped ];

describe('the injected session', () => {
  let app: MockApplication;
  let client: Client;
  before(async () => {
    app = await createApp('web');
    client = await Client.of(app);
  });
  beforeEach(() => {
    client.cookies.clear();
  });
  after(async () => {
    await client.close();
    await app.close();
  });

  const signIn = (browser: Client, userId: number) => browser.run(session => {
    session.userId = userId;
  });

  describe('is the current request\'s', () => {
    it('in an HTTP controller', async () => {
      await signIn(client, 1);
      assert.deepEqual((await client.run(session => ({ userId: session.userId }))).json(), { userId: 1 });
    });

    for (const Holder of HOLDERS) {
      it(`in a ${Holder.name}, for interleaved requests of different users`, async () => {
        const users = Array.from({ length: 5 }, () => client.another());
        await Promise.all(users.map((user, id) => signIn(user, id)));
        const seen = await Promise.all(users.map((user, id) => user.run(async (_, ctx) => {
          const holder = await ctx.getEggObject<{ session: Session }>(Holder);
          await sleep(20 - id * 4);
          const { userId } = holder.session;
          holder.session.n = id * 10;
          return { userId };
        })));
        assert.deepEqual(seen.map(response => response.json().userId), [ 0, 1, 2, 3, 4 ]);
        const kept = await Promise.all(users.map(user => user.run(session => ({ n: session.n }))));
        assert.deepEqual(kept.map(response => response.json().n), [ 0, 10, 20, 30, 40 ]);
      });
    }

    it('in middleware advice', async () => {
      await signIn(client, 7);
      assert.deepEqual((await client.request('/advised')).json(), { seenByAdvice: 7, result: 'the handler' });
    });

    it('under another name, found by its class', async () => {
      await signIn(client, 8);
      const response = await client.run(async (_, ctx) => ({ userId: (await ctx.getEggObject(Untyped)).mine.userId }));
      assert.deepEqual(response.json(), { userId: 8 });
    });

    it('after ctx.session was replaced', async () => {
      await signIn(client, 1);
      const response = await client.run((session, ctx) => {
        ctx.session = { n: 5 };
        session.cart = [ 'a book' ];
        return { session };
      });
      assert.deepEqual(response.json(), { session: { n: 5, cart: [ 'a book' ] } });
      assert.deepEqual((await client.run(session => ({ session }))).json(), { session: { n: 5, cart: [ 'a book' ] } });
    });

    it('in background work that a request starts', async () => {
      await signIn(client, 9);
      const seen = new Promise(resolve => {
        client.run((session, ctx) => ctx.runInBackground(async () => {
          await sleep(50);
          resolve(session.userId);
        }));
      });
      assert.equal(await seen, 9);
    });
  });

  for (const Holder of [ SingletonByProperty, SingletonByConstructor ]) {
    it(`throws a clear error outside a request, in a ${Holder.name}`, async () => {
      const { session } = await app.getEggObject<{ session: Session }>(Holder);
      const outside = /the session was used outside a request: .* pass on the values/;
      assert.throws(() => session.userId, outside);
      assert.throws(() => {
        session.userId = 1;
      }, outside);
      assert.throws(() => 'userId' in session, outside);
      assert.throws(() => Object.keys(session), outside);
      assert.throws(() => session.pop('flash'), outside);
    });
  }

  describe('behaves like the plain data', () => {
    const DATA = { userId: 1, cart: [ 'a', 'b' ], n: 0 };
    for (const Holder of HOLDERS) {
      it(`in a ${Holder.name}`, async () => {
        await client.run((_, ctx) => {
          ctx.session = DATA;
        });
        const response = await client.run(async (_, ctx) => {
          const { session } = await ctx.getEggObject<{ session: Session }>(Holder);
          assert.deepEqual(Object.keys(session), Object.keys(DATA));
          assert.deepEqual(Object.entries(session), Object.entries(DATA));
          const names: string[] = [];
          for (const name in session) names.push(name);
          assert.deepEqual(names, Object.keys(DATA));
          assert.deepEqual({ ...session }, DATA);
          assert.deepEqual(Object.assign({}, session), DATA);
          assert.equal(JSON.stringify(session), JSON.stringify(DATA));
          assert.equal('userId' in session, true);
          assert.equal('save' in session, false);
          assert.equal('isNew' in session, false);
          assert.equal(Object.hasOwn(session, 'userId'), true);
          assert.equal(Object.hasOwn(session, 'save'), false);
          assert.equal(delete session.n, true);
          assert.equal('n' in session, false);
          assert.equal(session.n, undefined);
          assert.equal(delete session.n, true);
          Object.defineProperty(session, 'n', { value: 3, writable: true, enumerable: true, configurable: true });
          assert.equal(session.n, 3);
          assert.equal(String(session), '[object Object]');
          return { ok: true };
        });
        assert.deepEqual(response.json(), { ok: true }, response.text);
        assert.deepEqual((await client.run(session => ({ session }))).json(), { session: { ...DATA, n: 3 } });
      });
    }

    it('and prints as such', async () => {
      await signIn(client, 1);
      const response = await client.run(session => ({ printed: inspect(session) }));
      assert.deepEqual(response.json(), { printed: '{ userId: 1 }' });
    });

    it('and compares as such', async () => {
      await signIn(client, 1);
      const response = await client.run(session => {
        assert.deepEqual(session, { userId: 1 });
        return { ok: true };
      });
      assert.deepEqual(response.json(), { ok: true }, response.text);
    });
  });

  it('has koa-session\'s methods and accessors', async () => {
    await client.run(session => {
      assert.equal(session.isNew, true);
      assert.equal(session.populated, false);
      assert.equal(session.length, 0);
      assert.equal(session.externalKey, undefined);
      assert.equal(session.maxAge, 24 * 3600 * 1000);
      assert.deepEqual(session.toJSON(), {});
      session.userId = 1;
      session.maxAge = 5000;
    }).then(response => assert.equal(response.status, 200, response.text));
    const response = await client.run(session => {
      assert.equal(session.isNew, false);
      assert.equal(session.populated, true);
      assert.equal(session.length, 1);
      assert.equal(session.maxAge, 5000);
      assert.deepEqual(session.toJSON(), { userId: 1 });
      return session.save();
    });
    assert.equal(response.status, 200, response.text);
    assert.match(response.setCookies[0], /max-age=5;/);
  });

  describe('pop', () => {
    it('reads a field and removes it', async () => {
      await client.run(session => {
        session.flash = 'saved';
      });
      const show = (session: Session) => ({ flash: session.pop('flash') ?? 'none' });
      assert.deepEqual((await client.run(show)).json(), { flash: 'saved' });
      assert.deepEqual((await client.run(show)).json(), { flash: 'none' });
    });
  });

  describe('destroy', () => {
    it('ends the session and removes the cookie', async () => {
      await signIn(client, 1);
      const response = await client.run(async session => {
        await session.destroy();
        return { userId: session.userId ?? null, keys: Object.keys(session), json: session.toJSON() };
      });
      assert.deepEqual(response.json(), { userId: null, keys: [], json: {} });
      assert.equal(client.cookies.size, 0);
    });

    it('is final: a write afterwards is refused', async () => {
      await signIn(client, 1);
      const response = await client.run(async session => {
        await session.destroy();
        const ended = { name: 'TypeError', message: /the session was destroyed earlier in this request: use it before, or begin another one by ctx\.session = \{\}$/ };
        assert.throws(() => {
          session.userId = 2;
        }, ended);
        assert.throws(() => session.save(), ended);
        await session.destroy();
        return { ok: true };
      });
      assert.deepEqual(response.json(), { ok: true }, response.text);
    });
  });

  describe('a write to a reserved name', () => {
    for (const name of [ 'isNew', 'externalKey', 'save', 'destroy', 'update', 'pop', 'createdAt', 'constructor',
      '__proto__', '_private' ]) {
      it(`throws a TypeError that says so: ${name}`, async () => {
        const response = await client.run(session => {
          assert.throws(() => {
            session[name] = 1;
          }, { name: 'TypeError', message: new RegExp(`session\\.${name} is reserved`) });
          return { ok: true };
        });
        assert.deepEqual(response.json(), { ok: true }, response.text);
      });
    }

    it('is koa-session\'s affair through ctx.session', async () => {
      await client.run((_, ctx) => {
        ctx.session.update = 'mine';
      });
      assert.deepEqual((await client.run((_, ctx) => ({ update: ctx.session.update }))).json(), { update: 'mine' });
    });
  });

  it('calls the callback of destroy(), as those of save() and regenerate()', async () => {
    for (const method of [ 'save', 'regenerate', 'destroy' ]) {
      const response = await client.run(async session => {
        session.n = 1;
        const err = await new Promise(resolve => {
          assert.equal(session[method](resolve), undefined);
        });
        return { err: err ?? null };
      });
      assert.deepEqual(response.json(), { err: null }, method);
    }
    assert.deepEqual((await client.run(session => ({ n: session.n ?? null }))).json(), { n: null });
  });

  it('refuses what is no function in update(), and says what to write', async () => {
    for (const [ value, kind ] of [[{ v: 1 }, 'an object' ], [ undefined, 'undefined' ], [ 'text', 'a string' ]]) {
      await client.run(session => assert.rejects(session.update(value as never), {
        name: 'TypeError', code: 'ERR_SESSION_ARGUMENT',
        message: `[egg-tegg-session] session.update() was given ${kind}; it takes a function that changes the data, like update(data => { data.n = 1; })`,
      }));
    }
  });

  it('refuses a string or a number as ctx.session, as koa-session does', async () => {
    for (const value of [ 'a string', 5 ]) {
      const response = await client.run((_, ctx: Context) => {
        assert.throws(() => {
          ctx.session = value as never;
        }, {
          name: 'Error', code: 'ERR_SESSION_ARGUMENT',
          message: `[egg-tegg-session] this.session can only be set as null or an object. ctx.session was set to a ${typeof value}: set a field, like ` +
            'ctx.session.user = …; null ends the session',
        });
        return { ok: true };
      });
      assert.deepEqual(response.json(), { ok: true }, response.text);
    }
  });

  describe('under egg-mock', () => {
    afterEach(mm.restore);

    it('is what app.mockSession() gives', async () => {
      app.mockSession({ userId: 5, cart: [ 'mocked' ] });
      const response = await client.run(session => ({ session, userId: session.userId, keys: Object.keys(session) }));
      assert.deepEqual(response.json(), {
        session: { userId: 5, cart: [ 'mocked' ] }, userId: 5, keys: [ 'userId', 'cart' ],
      });
    });

    it('is the mocked session of app.mockContext()', async () => {
      const { session } = await app.getEggObject(SingletonByProperty);
      app.mockSession({ userId: 3 });
      const ctx = app.mockContext();
      assert.equal(session.userId, 3);
      session.n = 4;
      assert.equal(ctx.session.n, 4);
    });

    it('says that app.mockContext() has none, without app.mockSession()', async () => {
      const { session } = await app.getEggObject(SingletonByProperty);
      const ctx = app.mockContext();
      assert.throws(() => session.userId, /there is no session here: this context was made .* call app\.mockSession\(\)/);
      assert.throws(() => {
        session.userId = 3;
      }, /there is no session here/);
      ctx.session.userId = 3;
      assert.equal(ctx.session.userId, 3);
    });
  });
});

describe('sessionConfig, sessionLogger and sessionStore', () => {
  let app: MockApplication;
  let client: Client;
  before(async () => {
    app = await createApp('web', { session: { maxAge: 1234, sameSite: null, domain: null, logValue: false } });
    client = await Client.of(app);
  });
  after(async () => {
    await client.close();
    await app.close();
  });

  for (const Holder of [ SingletonByProperty, SingletonByConstructor ]) {
    it(`sessionConfig is the resolved configuration, in a ${Holder.name}`, async () => {
      const { sessionConfig } = await app.getEggObject<SingletonByProperty>(Holder);
      assert.equal(sessionConfig.key, 'EGG_SESS');
      assert.equal(sessionConfig.maxAge, 1234);
      assert.equal(sessionConfig.autoCommit, true);
      assert.equal(sessionConfig.sameSite, 'lax');
      assert.equal('domain' in sessionConfig, false);
    });

    it(`sessionLogger logs, and prints no session that logValue hides, in a ${Holder.name}`, async () => {
      app.mockLog('coreLogger');
      const { sessionLogger } = await app.getEggObject<SingletonByProperty>(Holder);
      for (const level of [ 'debug', 'info', 'warn', 'error' ] as const) sessionLogger[level]('outside %s', level);
      await client.run((session, ctx) => {
        session.userId = 4711;
        sessionLogger.warn('in a request: %j %j', session, ctx.session);
      });
      app.expectLog('outside info', 'coreLogger');
      app.expectLog('outside warn', 'coreLogger');
      app.expectLog('in a request: ', 'coreLogger');
      app.notExpectLog('4711', 'coreLogger');
    });
  }

  it('sessionConfig is read-only', async () => {
    const { sessionConfig } = await app.getEggObject(SingletonByProperty);
    assert.throws(() => {
      (sessionConfig as { key: string }).key = 'other';
    }, TypeError);
  });

  for (const Holder of [ SingletonByProperty, SingletonByConstructor ]) {
    it(`sessionStore follows app.sessionStore, in a ${Holder.name}`, async () => {
      const { sessionStore } = await app.getEggObject<SingletonByProperty>(Holder);
      assert.throws(() => sessionStore.get, /there is no session store: sessions are kept in the cookie/);
      const store = (name: string) => ({ get: async () => ({ name }), set: async () => undefined, destroy: async () => undefined });
      for (const name of [ 'first', 'second' ]) {
        app.sessionStore = store(name);
        assert.deepEqual(await sessionStore.get('key', undefined, {} as never), { name });
        assert.deepEqual([ 'get' in sessionStore, 'touch' in sessionStore ], [ true, false ]);
      }
      app.sessionStore = null;
      assert.throws(() => sessionStore.get, /there is no session store/);
    });
  }
});
