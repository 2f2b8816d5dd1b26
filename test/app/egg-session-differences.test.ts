import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { shortHash } from '../../module/record/shortHash';
import { bootError } from '../support/boot';
import {
  begin, cookies, count, DAY, destroy, PlainStore, read, start, stop, type Subject, SUBJECTS, useStore,
} from '../support/subjects';

describe('not as egg-session does', () => {
  afterEach(stop);

  /** What `test` finds with egg-session, and with this plugin. */
  const onBoth = async <T>(test: (subject: Subject) => Promise<T>) => {
    const before = await test(SUBJECTS[0]);
    await stop();
    return { before, now: await test(SUBJECTS[1]) };
  };

  it('the cookie is SameSite=Lax when nothing is configured', async () => {
    const found = await onBoth(async subject => {
      const { run } = await start(subject, { config: { cookies: {} } });
      return cookies(await run(count));
    });
    assert.deepEqual(found, {
      before: [ 'EGG_SESS; path=/; max-age=86400; expires; httponly' ],
      now: [ 'EGG_SESS; path=/; max-age=86400; expires; samesite=lax; httponly' ],
    });
  });

  it('a session that no browser would keep is an error', async () => {
    const found = await onBoth(async subject => {
      const { tryRun } = await start(subject);
      const { status, setCookies } = await tryRun(session => {
        session.text = 'x'.repeat(4000);
      });
      return { status, cookies: setCookies.length };
    });
    assert.deepEqual(found, { before: { status: 200, cookies: 1 }, now: { status: 500, cookies: 0 } });
  });

  it('externalKey is the id that the session has after regenerate()', async () => {
    const found = await onBoth(async subject => {
      const store = new PlainStore();
      const { run } = await start(subject, { boot: useStore(store) });
      const { id } = (await run(async session => {
        session.n = 1;
        await session.regenerate();
        return { id: session.externalKey };
      })).json();
      return store.records.has(id);
    });
    assert.deepEqual(found, { before: false, now: true });
  });

  it('a session that ends with the browser does so when it is saved twice in a request', async () => {
    const found = await onBoth(async subject => {
      const { run } = await start(subject, { session: { maxAge: 'session' } });
      await run(async session => {
        session.n = 1;
        await session.save();
        session.n = 2;
      });
      return (await run(session => ({ maxAge: session.maxAge }))).json();
    });
    assert.deepEqual(found, { before: { maxAge: DAY }, now: { maxAge: 'session' } });
  });

  it('maxAge: 0 is refused, as it is no lifetime', async () => {
    const { run } = await start(SUBJECTS[0], { session: { maxAge: 0 } });
    assert.deepEqual(cookies(await run(count)), [ 'EGG_SESS; path=/; httponly' ]);
    assert.match((await bootError('web', { maxAge: 0 }))!, /config\.session\.maxAge is 0; it must be a (positive )?number/);
  });

  it('a cookie that does not open is left alone by a sign-out too, and so is its signature', async () => {
    const found = await onBoth(async subject => {
      const { client, run } = await start(subject, { session: { encrypt: false } });
      client.cookies.set('EGG_SESS', 'what is this').set('EGG_SESS.sig', 'nothing');
      return [ cookies(await run(read)), cookies(await run(destroy)) ];
    });
    const removed = (name: string, rest = '') => `${name}; path=/; expires=Thu, 01 Jan 1970 00:00:00 GMT${rest}; httponly`;
    assert.deepEqual(found, {
      before: [[ removed('EGG_SESS.sig') ], [ removed('EGG_SESS'), removed('EGG_SESS.sig') ]],
      now: [[], []],
    });
  });

  it('a response that sets the cookie is not for shared caches', async () => {
    const found = await onBoth(async subject => {
      const { run } = await start(subject);
      const { headers } = await run((session, ctx) => {
        ctx.set('cache-control', 'public, max-age=60, s-maxage=600');
        return count(session, ctx);
      });
      return [ headers['cache-control'], headers.vary ];
    });
    assert.deepEqual(found, {
      before: [ 'public, max-age=60, s-maxage=600', undefined ],
      now: [ 'private, max-age=60', 'Cookie' ],
    });
  });

  it('events show neither the id nor what logValue hides', async () => {
    const found = await onBoth(async subject => {
      const { app, run } = await start(subject, { session: { logValue: false, valid: () => false }, boot: useStore(PlainStore) });
      const { id } = (await run(begin)).json();
      const event = once(app, 'session:invalid');
      await run(read);
      const [{ key, value }] = await event;
      return { key: key === id ? 'the id' : key === shortHash(id) ? 'its hash' : key, n: value?.n };
    });
    assert.deepEqual(found, { before: { key: 'the id', n: 1 }, now: { key: 'its hash', n: undefined } });
  });

  it('the injected session throws where the middleware is left out', async () => {
    const { run, tryRun } = await start(SUBJECTS[2], { session: { ignore: '/run' } });
    for (const handle of [ read, count, begin ]) {
      await assert.rejects(run(handle), /there is no session here: GET \/run is left out by config\.session/);
    }
    assert.deepEqual((await tryRun(count)).setCookies, []);
  });

  it('app.sessionStore takes the place of config.session.ContextStore', async () => {
    const found = await onBoth(async subject => {
      let made = 0;
      class ContextStore extends PlainStore {
        constructor() {
          super();
          made++;
        }
      }
      const store = new PlainStore();
      const { run } = await start(subject, { session: { ContextStore }, boot: useStore(store) });
      await run(count);
      return { made, stored: store.records.size };
    });
    assert.deepEqual(found, { before: { made: 1, stored: 0 }, now: { made: 0, stored: 1 } });
  });

  it('ctx.session has other properties of koa-session\'s own, and toJSON() the data on both; _x and methods are dropped on both', async () => {
    const found = await onBoth(async subject => {
      const { run } = await start(subject);
      const first = (await run(session => {
        Object.assign(session, { n: 1, _csrf: 'a' });
        return { keys: Object.keys(session), data: Object.keys(session.toJSON()), inside: [ '_sessCtx', '_ctx' ].map(name => typeof session[name]) };
      })).json();
      return { ...first, kept: (await run(session => session.toJSON())).json() };
    });
    assert.deepEqual(found, {
      before: { keys: [ '_sessCtx', '_ctx', '_externalKey', 'isNew', 'n', '_csrf' ], data: [ 'n' ], inside: [ 'object', 'object' ], kept: { n: 1 } },
      now: { keys: [ 'isNew', '_requireSave', '_expire', 'n', '_csrf' ], data: [ 'n' ], inside: [ 'undefined', 'undefined' ], kept: { n: 1 } },
    });
  });

  it('the context gets no property, as it gets slow with many', async () => {
    const found = await onBoth(async subject => {
      const { run } = await start(subject);
      let context: object | undefined;
      await run((session, ctx) => {
        context = ctx;
        return count(session, ctx);
      });
      return Reflect.ownKeys(context!).map(String).filter(name => /session/i.test(name));
    });
    assert.deepEqual(found, { before: [ 'Symbol(context#_contextSession)' ], now: [] });
  });

  it('Egg\'s cookies do not open the session\'s cookie', async () => {
    const found = await onBoth(async subject => {
      const { run } = await start(subject);
      await run(count);
      return (await run((_, ctx) => ({ opens: Boolean(ctx.cookies.get('EGG_SESS', { encrypt: true })) }))).json();
    });
    assert.deepEqual(found, { before: { opens: true }, now: { opens: false } });
  });

  it('a session that was never saved is not destroyed in the store', async () => {
    const found = await onBoth(async subject => {
      let destroyed = 0;
      class Counting extends PlainStore {
        override async destroy(key: string) {
          destroyed++;
          await super.destroy(key);
        }
      }
      const { run } = await start(subject, { boot: useStore(Counting) });
      await run(destroy);
      return destroyed;
    });
    assert.deepEqual(found, { before: 1, now: 0 });
  });
});
