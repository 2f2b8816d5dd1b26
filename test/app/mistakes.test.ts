import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import type { Application } from 'egg';
import mm, { type MockApplication } from 'egg-mock';
import type { Redis } from 'ioredis';
import type { SessionOptions, SessionStoreLike } from '../..';
import { AppSessionStore as AppRedisStore } from '../fixtures/apps/redis-store/modules/store/AppSessionStore';
import { ContextByConstructor, ContextByProperty, SingletonByConstructor, SingletonByProperty } from '../fixtures/apps/web/modules/inject/services';
import type { Client } from '../support/app';
import { forEachIndexedStore, INDEXED_STORES, IndexedSite } from '../support/indexed';
import { MapStore } from '../support/MapStore';
import { PlainStore } from '../support/subjects';
import { count, MODES, start, stop } from '../support/web';

const JSON_PLEASE = { accept: 'application/json' };
const messageOf = ({ text }: { text: string }): string => JSON.parse(text).message;
const linesOf = (app: MockApplication, logger = 'coreLogger') =>
  (app.getLogger(logger) as unknown as { _mockLogs?: string[] })._mockLogs ?? [];

/** The name of something that nobody else has. */
let last = 0;
const newUser = () => `user ${++last}`;

describe('config.session.principal that throws', () => {
  const OF_NOBODY = /^\[egg-tegg-session\] config\.session\.principal has thrown: Cannot read properties of undefined \(reading 'id'\)\. It must return undefined when nobody is signed in, as data => data\.user\?\.id does$/;
  const principal = (data: any) => data.user.id;

  for (const [ mode, given ] of MODES) {
    describe(`with ${mode} in the cookie`, () => {
      let client: Client;
      before(async () => {
        ({ client } = await start({ ...given(), principal }));
      });
      after(stop);

      for (const [ call, save ] of [
        [ 'with the response', () => undefined ],
        [ 'by save()', session => session.save() ],
        [ 'by regenerate()', session => session.regenerate() ],
      ] as Array<[ string, (session: any) => unknown ]>) {
        it(`is named by the error of a write of nobody's session, saved ${call}, which saves nothing`, async () => {
          const browser = client.another();
          const response = await browser.tryRun(async (session: any) => {
            session.cart = [ 1 ];
            await save(session);
          }, JSON_PLEASE);
          assert.equal(response.status, 500);
          assert.match(messageOf(response), OF_NOBODY);
          assert.deepEqual(response.setCookies, []);
          assert.deepEqual((await browser.run(session => ({ ...session }))).json(), {});
        });
      }

      it('lets those be who are signed in, and those who only read', async () => {
        const browser = client.another();
        await browser.run((session: any) => {
          session.user = { id: 7 };
        });
        await browser.run(count);
        assert.deepEqual((await browser.run(session => ({ ...session }))).json(), { user: { id: 7 }, n: 1 });
        const failed = await browser.tryRun(session => session.update((data: any) => {
          delete data.user;
        }), JSON_PLEASE);
        assert.match(messageOf(failed), OF_NOBODY);
        assert.deepEqual((await browser.run(session => ({ ...session }))).json(), { user: { id: 7 }, n: 1 });
        await browser.run(session => session.destroy());
        assert.deepEqual((await browser.run(session => ({ ...session }))).json(), {});
      });
    });
  }

  it('keeps the cause, whatever it is', async () => {
    const cause = new RangeError('no such tenant');
    for (const [ thrown, said ] of [[ cause, 'no such tenant' ], [ 'a text', 'a text' ], [ undefined, 'undefined' ], [ null, 'null' ]]) {
      const { client } = await start({ principal() {
        throw thrown;
      } });
      await client.tryRun(async session => {
        session.n = 1;
        const err = await session.save().catch((error: unknown) => error as Error & { cause?: unknown });
        assert.equal(err!.message, `[egg-tegg-session] config.session.principal has thrown: ${said}. It must return undefined when ` +
          'nobody is signed in, as data => data.user?.id does');
        assert.equal((err as { cause?: unknown }).cause, thrown);
        delete session.n;
      });
    }
    await stop();
  });

  forEachIndexedStore('a session that was saved before the option was set', site => {
    it('is read, with a line in the log, and can be ended; a write fails', async () => {
      const browser = site.browser();
      await browser.run((session: any) => {
        session.cart = [ 'a' ];
        session.user = { id: 1 };
      });
      const key = [ ...(await site.noted('1')) ][0];
      const ctx = (site.app as unknown as Application).createAnonymousContext();
      const record = (await site.store.get(key, undefined, { ctx }))!;
      delete record.user;
      delete record._principal;
      await site.store.set(key, record, 60_000, { ctx });

      site.app.mockLog('coreLogger');
      for (let i = 0; i < 2; i++) assert.deepEqual((await browser.run(session => ({ cart: session.cart }))).json(), { cart: [ 'a' ] });
      assert.equal(linesOf(site.app).filter(line => line.includes('config.session.principal has thrown')).length, 1);
      const failed = await browser.tryRun(count, JSON_PLEASE);
      assert.match(messageOf(failed), OF_NOBODY);
      const destroyed = once(site.app as unknown as NodeJS.EventEmitter, 'session:destroyed'); // whoever listens is told whose it was
      await browser.run(session => session.destroy());
      assert.equal((await destroyed)[0].principal, undefined);
      assert.deepEqual((await browser.run(session => ({ ...session }))).json(), {});
    });
  }, { principal });
});

describe('maxAge that is \'session\', with a store that computes with it', () => {
  afterEach(stop);
  const LINE = /(\S+) is 'session', and (.+) is given that in place of a number: if it computes with maxAge, as for PX in Redis, each write fails/;
  const told = (app: MockApplication) => linesOf(app).map(line => LINE.exec(line)).filter(Boolean)
    .map(([ , what, store ]: any) => `${what}: ${store}`);

  /** Starts with a log that is there from the beginning. */
  async function startLogged(session: SessionOptions, set?: unknown) {
    return await start(session, {
      boot(app) {
        (app as unknown as MockApplication).mockLog('coreLogger');
        if (set) app.sessionStore = set as SessionStoreLike;
      },
    });
  }

  it('is told when the application starts, wherever the store was set', async () => {
    for (const [ session, set, expected ] of [
      [{}, new PlainStore(), 'app.sessionStore (PlainStore)' ],
      [{}, PlainStore, 'app.sessionStore (PlainStore)' ],
      [{ store: new PlainStore() }, undefined, 'config.session.store' ],
      [{ ContextStore: PlainStore }, undefined, 'config.session.ContextStore (PlainStore)' ],
    ] as const) {
      const { app } = await startLogged({ maxAge: 'session', ...session } as SessionOptions, set);
      assert.deepEqual(told(app), [ `config.session.maxAge: ${expected}` ]);
    }
  });

  it('is told of a store that is set later, and of one session that ends with the browser, once', async () => {
    const { app, run } = await startLogged({ maxAge: 60_000 }, new PlainStore());
    assert.deepEqual(told(app), []);
    for (let i = 0; i < 2; i++) {
      await run(session => {
        session.n = i;
        session.maxAge = 'session';
      });
    }
    assert.deepEqual(told(app), [ 'session.maxAge: app.sessionStore (PlainStore)' ]);
    const other = await startLogged({ maxAge: 'session' });
    assert.deepEqual(told(other.app), []);
    other.app.sessionStore = new PlainStore();
    assert.deepEqual(told(other.app), [ 'config.session.maxAge: app.sessionStore (PlainStore)' ]);
  });

  it('is no matter for the cookie, for a SessionStore, or for a number', async () => {
    for (const session of [
      { maxAge: 'session' }, { maxAge: 'session', store: new MapStore() }, { maxAge: 'session', ContextStore: class extends MapStore {} },
      { maxAge: 60_000, store: new PlainStore() },
    ] as SessionOptions[]) {
      const { app, run } = await startLogged(session);
      await run(count);
      assert.deepEqual(told(app), []);
    }
  });
});

describe('something else under the key of a principal\'s index in Redis', () => {
  for (const [ title, logValue, shown ] of [[ 'names the key', true, (user: string) => user ], [ 'does not name the principal under logValue: false', false, () => '…' ]] as const) {
    describe(`is a failure that ${title}`, () => {
      const site = new IndexedSite(INDEXED_STORES.find(({ name }) => name === 'RedisSessionStore')!, { logValue });
      before(() => site.boot());
      after(() => site.close());

      it('for that principal only', async () => {
        const [ user, other ] = [ newUser(), newUser() ];
        const key = `${AppRedisStore.prefix}principal:${user}`;
        const redis = site.redis as Redis;
        const expected = `"${AppRedisStore.prefix}principal:${shown(user)}" is not a sorted set, as the index of a principal's sessions must be: ` +
          'remove that key, or rename it in the code that writes it (WRONGTYPE';
        for (const set of [ () => redis.set(key, 'theirs'), () => redis.hset(key, 'n', '1'), () => redis.lpush(key, 'a') ]) {
          await redis.del(key);
          await set();
          site.app.mockLog('coreLogger');
          const browser = site.browser();
          const response = await browser.tryRun((session: any) => {
            session.userId = user;
          }, JSON_PLEASE);
          assert.equal(response.status, 503);
          assert.ok(messageOf(response).includes(expected), messageOf(response));
          await assert.rejects(site.registry.list(user), (err: Error) => err.message.includes(expected));
          await assert.rejects(site.registry.revokeAll(user), (err: Error) => err.message.includes(expected));
          if (!logValue) assert.ok(!linesOf(site.app).join().includes(user));
          await site.signIn(other);
        }
        assert.equal((await site.registry.list(other)).length, 3);
        await redis.del(key);
        const browser = await site.signIn(user);
        assert.equal(await site.user(browser), user);
        assert.equal(await redis.type(key), 'zset');
      });
    });
  }
});

describe('a lifetime below a minute', () => {
  let app: MockApplication;
  let client: Client;
  const told = () => linesOf(app).filter(line => line.includes('milliseconds')).map(line => /session\.\w+ is .* after \S+ s/.exec(line)![0]);
  beforeEach(async () => {
    ({ app, client } = await start({ store: new MapStore() }));
    app.mockLog('coreLogger');
  });
  afterEach(stop);

  const WAYS: Array<[ way: string, set: (session: any, ctx: any) => unknown ]> = [
    [ 'session.maxAge', session => {
      session.maxAge = 3600;
    } ],
    [ 'ctx.session.maxAge', (_, ctx) => {
      ctx.session.maxAge = 3600;
    } ],
    [ 'ctx.session = { maxAge }', (_, ctx) => {
      ctx.session = { maxAge: 3600 };
    } ],
    [ 'ctx.sessionOptions.maxAge', (session, ctx) => {
      ctx.sessionOptions.maxAge = 3600;
      session.n = 1;
    } ],
    [ 'and save()', async session => {
      session.maxAge = 3600;
      await session.save();
    } ],
    [ 'and update()', async session => {
      session.n = 1;
      await session.save();
      session.maxAge = 3600;
      await session.update((data: any) => {
        data.n = 2;
      });
    } ],
  ];
  for (const [ way, set ] of WAYS) {
    it(`is told in development, once for each value: ${way}`, async () => {
      mm(app.config, 'env', 'local');
      for (let i = 0; i < 2; i++) await client.another().run(set);
      assert.deepEqual(told(), [ 'session.maxAge is 3600, and that is milliseconds: a session ends after 3.6 s' ]);
    });
  }

  it('is not told in unit tests and in production, nor of a minute and more', async () => {
    for (const env of [ 'unittest', 'prod' ]) {
      mm(app.config, 'env', env);
      await client.another().run(WAYS[0][1]);
    }
    mm(app.config, 'env', 'local');
    await client.another().run(session => {
      session.maxAge = 60_000;
    });
    await client.another().run(session => {
      session.maxAge = 'session';
    });
    assert.deepEqual(told(), []);
  });
});

describe('this.session = …', () => {
  let app: MockApplication;
  let client: Client;
  before(async () => {
    ({ app, client } = await start());
  });
  after(stop);

  const MESSAGE = (name: string) => ({
    name: 'TypeError',
    message: `[egg-tegg-session] this.${name} is the session that is injected, and can't be assigned: call await this.${name}.destroy() ` +
      'to end it, and write its fields to change them',
  });

  it('in a class that has it injected says what to do instead, and changes nothing', async () => {
    const singletons = [ await app.getEggObject<any>(SingletonByProperty), await app.getEggObject<any>(SingletonByConstructor) ];
    await client.run(async (_, ctx) => {
      const perRequest = [ await ctx.getEggObject<any>(ContextByProperty), await ctx.getEggObject<any>(ContextByConstructor) ];
      for (const object of [ ...singletons, ...perRequest ]) {
        object.session.n = 1;
        for (const value of [ null, undefined, {}, { userId: 7 }, ctx.session ]) {
          assert.throws(() => {
            object.session = value;
          }, MESSAGE('session'));
        }
        assert.equal(object.session.n, 1);
      }
    });
    assert.deepEqual((await client.run(session => ({ ...session }))).json(), { n: 1 });
  });

  it('under another name has that in the message', async () => {
    const untyped = await app.getEggObject<any>((await import('../fixtures/apps/web/modules/inject/services')).Untyped);
    assert.throws(() => {
      untyped.mine = null;
    }, MESSAGE('mine'));
  });

  it('with a constructor goes by the value, whatever the field is called, also where an object is made for each who has it injected', async () => {
    const { Renamed, UsesNamed } = await import('../fixtures/apps/web/modules/inject/services');
    const renamed = await app.getEggObject<any>(Renamed);
    assert.throws(() => {
      renamed.visitor = { userId: 7 };
    }, MESSAGE('visitor'));
    const { named } = await app.getEggObject<any>(UsesNamed);
    assert.equal(named.name, 'a');
    assert.throws(() => {
      named.session = { userId: 7 };
    }, MESSAGE('session'));
  });

  it('leaves other fields, and what a test puts there, alone', async () => {
    for (const clazz of [ SingletonByProperty, SingletonByConstructor ]) {
      const singleton = await app.getEggObject<any>(clazz);
      const { session } = singleton;
      mm(singleton, 'session', { userId: 7 });
      assert.deepEqual(singleton.session, { userId: 7 });
      mm.restore();
      assert.equal(singleton.session, session);
    }
    const byProperty = await app.getEggObject<any>(SingletonByProperty);
    assert.throws(() => {
      byProperty.sessionConfig = null;
    }, /only a getter/);
    const byConstructor = await app.getEggObject<any>(SingletonByConstructor);
    const { sessionConfig } = byConstructor;
    byConstructor.sessionConfig = null;
    byConstructor.sessionConfig = sessionConfig;
  });
});

describe('an application without config.keys', () => {
  afterEach(stop);
  const NEEDS_KEYS = /^\[egg-tegg-session\] config\.keys is '', and session cookies are sealed or signed with it: set it in .*config\.default, to what `node -p/;

  for (const [ mode, given ] of [ ...MODES, [ 'what is not encrypted', () => ({ encrypt: false, signed: false }) ]] as typeof MODES) {
    it(`starts outside production with a warning, and says what is missing when the session is used: ${mode} in the cookie`, async () => {
      const { app, client } = await start(given(), {
        keys: [],
        boot: booting => (booting as unknown as MockApplication).mockLog('coreLogger'),
      });
      assert.equal(linesOf(app).filter(line => /config\.keys is '', .*\. The application starts without keys, as this is not production/.test(line)).length, 1);
      for (const cookie of [ undefined, 'EGG_SESS=anything; EGG_SESS.sig=anything' ]) {
        const headers = { ...JSON_PLEASE, ...cookie ? { cookie } : {} };
        assert.deepEqual((await client.run(() => ({ ok: 1 }), headers)).json(), { ok: 1 });
        for (const use of [
          (session: any) => session.n,
          (_: any, ctx: any) => ctx.session,
          (_: any, ctx: any) => {
            ctx.session = { n: 1 };
          },
          (_: any, ctx: any) => {
            ctx.session = null;
          },
          (session: any) => session.update(() => undefined),
          (session: any) => session.destroy(),
          (_: any, ctx: any) => ctx.loadSession(),
        ]) {
          const response = await client.tryRun(use, headers);
          assert.equal(response.status, 500);
          assert.match(messageOf(response), NEEDS_KEYS);
          assert.deepEqual(response.setCookies, []);
        }
      }
    });
  }

  it('does not start with keys that Egg can\'t take, and the error does not show them', async () => {
    for (const [ keys, kind ] of [[ 123, 'a number' ], [[], 'an array' ], [[ 'secret' ], 'an array' ], [[ undefined ], 'an array' ], [{ a: 'secret' }, 'an object' ], [ false, 'false' ]]) {
      await assert.rejects(start({}, { config: { keys } }), {
        name: 'TypeError', code: 'ERR_SESSION_SETUP', message: `[egg-tegg-session] config.keys is ${kind}; it must be a string, with commas between several keys`,
      });
    }
  });

  it('does not start in production', async () => {
    for (const keys of [[], [ ' ', '' ]]) {
      await assert.rejects(start({}, { keys, boot: app => mm(app.config, 'env', 'prod') }), /config\.keys is '.*', and session cookies are sealed/);
    }
  });

  it('needs none where the id travels elsewhere', async () => {
    const ids: string[] = [];
    const { client } = await start({ store: new MapStore(), externalKey: { get: () => ids.at(-1) ?? '', set: (_, id) => ids.push(id) } }, { keys: [] });
    await client.run(count);
    assert.deepEqual((await client.run(count)).json(), { n: 2 });
  });
});

describe('genid that notes the id it makes', () => {
  afterEach(stop);
  let made = 0;
  const genid: SessionOptions['genid'] = ctx => {
    made++;
    ctx.state = { sid: `id-${made}` };
    return `id-${made}`;
  };
  beforeEach(() => {
    made = 0;
  });

  it('has run when the handler has used a new session, whatever it does with it', async () => {
    const store = new MapStore();
    const { client } = await start({ store, genid });
    for (const use of [
      (session: any) => {
        session.n = 1;
      },
      (_: any, ctx: any) => {
        ctx.session.n = 1;
      },
      (_: any, ctx: any) => {
        ctx.session = { n: 1 };
      },
      (session: any) => session.isNew,
    ] as Array<(session: any, ctx: any) => unknown>) {
      made = 0;
      const { sid } = (await client.another().run((session, ctx) => {
        use(session, ctx);
        return { sid: ctx.state.sid ?? null };
      })).json();
      assert.equal(sid, 'id-1');
      assert.equal(made, 1);
    }
    assert.ok(await store.get('id-1'), 'the record has that id');
  });

  it('runs once for a new session, never for one that goes on or for nobody\'s, and again after destroy()', async () => {
    const { run } = await start({ store: new MapStore(), genid });
    await run(() => undefined);
    assert.equal(made, 0);
    await run(count);
    await run(count);
    await run(session => ({ ...session }));
    assert.equal(made, 1);
    assert.deepEqual((await run(async (session, ctx) => {
      await session.destroy();
      ctx.session = { n: 5 };
      return { sid: ctx.state.sid, key: ctx.session.externalKey };
    })).json(), { sid: 'id-2', key: 'id-2' });
    assert.deepEqual((await run(session => ({ ...session }))).json(), { n: 5 });
    assert.equal(made, 2);
  });

  it('does not run for a session in the cookie', async () => {
    const { run } = await start({ genid });
    await run(count);
    assert.equal(made, 0);
  });
});
