import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { inspect } from 'node:util';
import type { Application, Context } from 'egg';
import mm, { type MockApplication } from 'egg-mock';
import type { SessionStore, SessionStoreLike } from '..';
import { shortHash } from '../module/SessionLogger';
import { type AppOptions, Client, createApp, fixture, fixtureDir, later } from './support/app';

/*
 * Whoever comes from egg-session finds what they left. Every test in the first suite runs against egg-session 3.3
 * itself, then against this plugin through `ctx.session`, then through the injected session.
 */
const SUBJECTS: Array<{ name: string; plugin: string; pick: (session: any, ctx: Context) => any }> = [
  { name: 'egg-session', plugin: 'egg-session', pick: (_, ctx) => ctx.session },
  { name: 'egg-tegg-session: ctx.session', plugin: 'egg-tegg-session', pick: (_, ctx) => ctx.session },
  { name: 'egg-tegg-session: the injected session', plugin: 'egg-tegg-session', pick: session => session },
];
type Subject = typeof SUBJECTS[number];
type Handle = (session: any, ctx: Context) => unknown;
type Headers = Record<string, string>;

const DAY = 24 * 3600 * 1000;
const HTTPS = { 'x-forwarded-proto': 'https' };
const chrome = (version: number) => ({
  ...HTTPS,
  'user-agent': `Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${version}.0.0.0 Safari/537.36`,
});

/** With egg-session, the cookie has no SameSite unless it is configured; with this plugin, none when that is configured. */
const SAME = { cookies: { sameSite: false }, logger: { consoleLevel: 'NONE' } };

const open: Array<{ close(): Promise<unknown> }> = [];

/** Boots an application with the real egg-session, which egg-mock would replace by the plugin that is tested. */
async function createEggSessionApp({ session, config, boot }: AppOptions): Promise<MockApplication> {
  fixture.config = { ...config, session };
  fixture.boot = boot;
  const app = mm.app({ baseDir: fixtureDir('egg-session'), cache: false, ...{ plugin: false } });
  await app.ready();
  return app;
}

async function start({ plugin, pick }: Subject, given: AppOptions = {}) {
  const options = { ...given, config: { ...SAME, ...given.config } };
  const app = await (plugin === 'egg-session' ? createEggSessionApp(options) : createApp('web', options));
  open.unshift(app);
  const client = await Client.of(app);
  open.unshift(client);
  const runOn = (browser: Client) => (handle: Handle, headers?: Headers) =>
    browser.run((session, ctx) => handle(pick(session, ctx), ctx), headers);
  return { app, client, run: runOn(client), runOn };
}

async function stop() {
  mm.restore();
  for (const each of open.splice(0)) await each.close();
}

/** The cookies that a response sets, with their attributes; times that depend on the clock are left out. */
const cookies = ({ setCookies }: { setCookies: string[] }) => setCookies.map(line => line
  .replace(/=[^;]*/, '')
  .replace(/expires=(?!Thu, 01 Jan 1970)[^;]*/, 'expires'));

const count: Handle = session => {
  session.n = (session.n ?? 0) + 1;
  return { n: session.n };
};
const begin: Handle = session => {
  session.n = 1;
  return { id: session.externalKey };
};
const read: Handle = session => ({ n: session.n ?? null });
const destroy: Handle = (_, ctx) => {
  ctx.session = null;
};

/** A store as egg-session's users write it, which leaves it to the plugin to see that a record has expired. */
class PlainStore implements SessionStoreLike {
  readonly records = new Map<string, string>();
  constructor(readonly app?: Application) {}
  async get(key: string) {
    const text = this.records.get(key);
    return text && JSON.parse(text);
  }
  async set(key: string, record: object) {
    this.records.set(key, JSON.stringify(record));
  }
  async destroy(key: string) {
    this.records.delete(key);
  }
}
const useStore = (store: unknown) => (app: Application) => {
  app.sessionStore = store as SessionStoreLike;
};

for (const subject of SUBJECTS) {
  describe(`as egg-session does: ${subject.name}`, () => {
    afterEach(stop);

    describe('the cookie', () => {
      it('is EGG_SESS, for one day, for this host only and hidden from scripts', async () => {
        const { run } = await start(subject);
        assert.deepEqual(cookies(await run(count)), [ 'EGG_SESS; path=/; max-age=86400; expires; httponly' ]);
        assert.deepEqual((await run(count)).json(), { n: 2 });
      });

      it('is sent only when the session changed', async () => {
        const { run } = await start(subject);
        assert.deepEqual(cookies(await run(read)), []);
        await run(count);
        assert.deepEqual(cookies(await run(read)), []);
        assert.deepEqual(cookies(await run(count)).length, 1);
      });

      it('is removed when the session is set to null', async () => {
        const { run } = await start(subject);
        await run(count);
        const response = await run((_, ctx) => {
          ctx.session = null;
          return { session: ctx.session };
        });
        assert.deepEqual(response.json(), { session: null });
        assert.deepEqual(cookies(response), [ 'EGG_SESS; path=/; expires=Thu, 01 Jan 1970 00:00:00 GMT; httponly' ]);
        assert.deepEqual((await run(read)).json(), { n: null });
      });

      it('belongs to one browser', async () => {
        const { run, runOn, client } = await start(subject);
        await run(count);
        assert.deepEqual((await runOn(client.another())(count)).json(), { n: 1 });
      });

      const attributes: Array<[ AppOptions['session'], string, Headers? ]> = [
        [{ key: 'sid' }, 'sid; path=/; max-age=86400; expires; httponly' ],
        [{ maxAge: 5000 }, 'EGG_SESS; path=/; max-age=5; expires; httponly' ],
        [{ maxAge: 'session' }, 'EGG_SESS; path=/; httponly' ],
        [{ httpOnly: false }, 'EGG_SESS; path=/; max-age=86400; expires' ],
        [{ path: '/run' }, 'EGG_SESS; path=/run; max-age=86400; expires; httponly' ],
        [{ domain: 'example.com' }, 'EGG_SESS; path=/; max-age=86400; expires; domain=example.com; httponly' ],
        [{ domain: () => 'example.org' }, 'EGG_SESS; path=/; max-age=86400; expires; domain=example.org; httponly' ],
        [{ priority: 'high' }, 'EGG_SESS; path=/; max-age=86400; expires; priority=high; httponly' ],
        [{ sameSite: 'lax' }, 'EGG_SESS; path=/; max-age=86400; expires; samesite=lax; httponly' ],
        [{ sameSite: 'Strict' }, 'EGG_SESS; path=/; max-age=86400; expires; samesite=strict; httponly' ],
        [{ sameSite: true }, 'EGG_SESS; path=/; max-age=86400; expires; samesite=strict; httponly' ],
        [{ sameSite: null }, 'EGG_SESS; path=/; max-age=86400; expires; httponly' ],
        [{}, 'EGG_SESS; path=/; max-age=86400; expires; secure; httponly', HTTPS ],
        [{ secure: false }, 'EGG_SESS; path=/; max-age=86400; expires; httponly', HTTPS ],
        [{ secure: true }, 'EGG_SESS; path=/; max-age=86400; expires; secure; httponly', HTTPS ],
      ];
      for (const [ session, expected, headers ] of attributes) {
        const given = JSON.stringify(session, (_, value) => (typeof value === 'function' ? String(value) : value));
        it(`with ${given}${headers ? ' over HTTPS' : ''}: ${expected}`, async () => {
          const { run } = await start(subject, { session, config: { proxy: true } });
          assert.deepEqual(cookies(await run(count, headers)), [ expected ]);
          assert.deepEqual((await run(count, headers)).json(), { n: 2 });
        });
      }

      it('takes the sameSite of config.cookies when config.session has none', async () => {
        const { run } = await start(subject, { config: { cookies: { sameSite: 'lax' } } });
        assert.deepEqual(cookies(await run(count)), [ 'EGG_SESS; path=/; max-age=86400; expires; samesite=lax; httponly' ]);
      });

      it('is an error over HTTP when it must be secure', async () => {
        const { run } = await start(subject, { session: { secure: true } });
        const response = await run(count);
        assert.equal(response.status, 500);
        assert.deepEqual(cookies(response), []);
      });

      it('is signed when it is not encrypted, and one that was changed is no session', async () => {
        const { run, client } = await start(subject, { session: { encrypt: false } });
        assert.deepEqual(cookies(await run(count)), [
          'EGG_SESS; path=/; max-age=86400; expires; httponly',
          'EGG_SESS.sig; path=/; max-age=86400; expires; httponly',
        ]);
        assert.deepEqual((await run(count)).json(), { n: 2 });
        client.cookies.set('EGG_SESS.sig', client.cookies.get('EGG_SESS.sig')!.replace(/^./, c => (c === 'a' ? 'b' : 'a')));
        assert.deepEqual((await run(count)).json(), { n: 1 });
      });

      it('is alone with signed: false and encrypt: false', async () => {
        const { run } = await start(subject, { session: { encrypt: false, signed: false } });
        assert.deepEqual(cookies(await run(count)), [ 'EGG_SESS; path=/; max-age=86400; expires; httponly' ]);
        assert.deepEqual((await run(count)).json(), { n: 2 });
      });

      for (const encrypt of [ true, false ]) {
        it(`that holds anything else starts a new session, with encrypt: ${encrypt}`, async () => {
          const { run, client } = await start(subject, { session: { encrypt, signed: false } });
          for (const value of [ 'x', 'bnVsbA==', 'MQ==', '%00', '' ]) {
            client.cookies.set('EGG_SESS', value);
            const response = await run(count);
            assert.equal(response.status, 200, value);
            assert.deepEqual(response.json(), { n: 1 });
          }
        });
      }

      it('replaces one of the same name that the handler sets, but not with overwrite: false', async () => {
        const handle: Handle = (session, ctx) => {
          ctx.cookies.set('EGG_SESS', 'mine', { signed: false });
          session.n = 1;
        };
        const session = 'EGG_SESS; path=/; max-age=86400; expires; httponly';
        const replacing = await start(subject);
        assert.deepEqual(cookies(await replacing.run(handle)), [ session ]);
        await stop();
        const adding = await start(subject, { session: { overwrite: false } });
        assert.deepEqual(cookies(await adding.run(handle)), [ 'EGG_SESS; path=/; httponly', session ]);
      });

      it('takes other attributes for one request from ctx.sessionOptions', async () => {
        const { run } = await start(subject);
        const response = await run((session, ctx) => {
          (ctx as any).sessionOptions.domain = 'example.net';
          session.n = 1;
        });
        assert.deepEqual(cookies(response),
          [ 'EGG_SESS; path=/; max-age=86400; expires; domain=example.net; httponly' ]);
        assert.deepEqual(cookies(await run(count)), [ 'EGG_SESS; path=/; max-age=86400; expires; httponly' ]);
      });

      it('follows what app.ts writes into app.config.session', async () => {
        const { run } = await start(subject, {
          boot(app) {
            app.config.session.maxAge = 7000;
            app.config.session.key = 'written';
          },
        });
        assert.deepEqual(cookies(await run(count)), [ 'written; path=/; max-age=7; expires; httponly' ]);
      });
    });

    describe('sameSite none and partitioned cookies', () => {
      const sameSiteNone: Array<[ string, Headers, string ]> = [
        [ 'a browser of today', chrome(120), 'samesite=none; secure; httponly' ],
        [ 'no user agent', HTTPS, 'samesite=none; secure; httponly' ],
        [ 'Chrome 66, which would refuse it', chrome(66), 'secure; httponly' ],
        [ 'plain HTTP', {}, 'httponly' ],
      ];
      for (const [ browser, headers, expected ] of sameSiteNone) {
        it(`sameSite: 'none', ${browser}: ${expected}`, async () => {
          const { run } = await start(subject, { session: { sameSite: 'none' }, config: { proxy: true } });
          assert.deepEqual(cookies(await run(count, headers)), [ `EGG_SESS; path=/; max-age=86400; expires; ${expected}` ]);
        });
      }

      const partitioned: Array<[ number, string ]> = [
        [ 118, 'samesite=none; secure; httponly; partitioned' ],
        [ 117, 'samesite=none; secure; httponly' ],
        [ 66, 'secure; httponly' ],
      ];
      for (const [ version, expected ] of partitioned) {
        it(`partitioned: true, Chrome ${version}: ${expected}`, async () => {
          const { run } = await start(subject,
            { session: { sameSite: 'none', secure: true, partitioned: true }, config: { proxy: true } });
          assert.deepEqual(cookies(await run(count, chrome(version))),
            [ `EGG_SESS; path=/; max-age=86400; expires; ${expected}` ]);
          assert.deepEqual((await run(count, chrome(version))).json(), { n: 2 });
        });
      }

      it('removeUnpartitioned: true removes the other cookie of this name', async () => {
        const session = { sameSite: 'none', secure: true, partitioned: true, removeUnpartitioned: true };
        const { run } = await start(subject, { session, config: { proxy: true } });
        assert.deepEqual(cookies(await run(count, chrome(118))), [
          'EGG_SESS; path=/; expires=Thu, 01 Jan 1970 00:00:00 GMT; samesite=none; secure; httponly',
          'EGG_SESS; path=/; max-age=86400; expires; samesite=none; secure; httponly; partitioned',
        ]);
      });

      it('config.cookies.autoChips adds a partitioned cookie, which is enough to find the session', async () => {
        const { run, client } = await start(subject,
          { config: { proxy: true, cookies: { autoChips: true, sameSite: 'none', secure: true } } });
        assert.deepEqual(cookies(await run(count, chrome(118))), [
          '_CHIPS-EGG_SESS; path=/; max-age=86400; expires; samesite=none; secure; httponly; partitioned',
          'EGG_SESS; path=/; max-age=86400; expires; samesite=none; secure; httponly',
        ]);
        client.cookies.delete('EGG_SESS');
        assert.deepEqual((await run(count, chrome(118))).json(), { n: 2 });
        assert.deepEqual(cookies(await run(destroy, chrome(118))), [
          '_CHIPS-EGG_SESS; path=/; expires=Thu, 01 Jan 1970 00:00:00 GMT; samesite=none; secure; httponly; partitioned',
          'EGG_SESS; path=/; expires=Thu, 01 Jan 1970 00:00:00 GMT; samesite=none; secure; httponly',
        ]);
        assert.deepEqual((await run(count, chrome(118))).json(), { n: 1 });
      });

      it('config.cookies.autoChips adds none for Chrome 117', async () => {
        const { run } = await start(subject,
          { config: { proxy: true, cookies: { autoChips: true, sameSite: 'none', secure: true } } });
        assert.deepEqual(cookies(await run(count, chrome(117))),
          [ 'EGG_SESS; path=/; max-age=86400; expires; samesite=none; secure; httponly' ]);
      });
    });

    for (const [ mode, boot ] of [
      [ 'in the cookie', undefined ], [ 'in a store', (app: Application) => useStore(new PlainStore())(app) ],
    ] as const) {
      describe(`the lifetime, ${mode}`, () => {
        it('is config.session.maxAge from the last change', async () => {
          const { run } = await start(subject, { boot });
          await run(count);
          later(DAY - 1000);
          assert.deepEqual((await run(count)).json(), { n: 2 });
          later(DAY - 1000);
          assert.deepEqual((await run(read)).json(), { n: 2 });
          later(2000);
          assert.deepEqual((await run(read)).json(), { n: null });
        });

        it('of one session is what session.maxAge is set to, and stays that', async () => {
          const { run, runOn, client } = await start(subject, { boot });
          await run(count);
          const response = await run(session => {
            session.maxAge = 5000;
          });
          assert.deepEqual(cookies(response), [ 'EGG_SESS; path=/; max-age=5; expires; httponly' ]);
          assert.deepEqual(cookies(await run(count)), [ 'EGG_SESS; path=/; max-age=5; expires; httponly' ]);
          assert.deepEqual((await run(session => ({ maxAge: session.maxAge }))).json(), { maxAge: 5000 });
          assert.deepEqual((await runOn(client.another())(session => ({ maxAge: session.maxAge }))).json(), { maxAge: DAY });
          later(6000);
          assert.deepEqual((await run(read)).json(), { n: null });
        });

        it('of one session can be the browser\'s', async () => {
          const { run } = await start(subject, { boot });
          const response = await run(session => {
            session.n = 1;
            session.maxAge = 'session';
          });
          assert.deepEqual(cookies(response), [ 'EGG_SESS; path=/; httponly' ]);
          assert.deepEqual(cookies(await run(count)), [ 'EGG_SESS; path=/; httponly' ]);
          assert.deepEqual((await run(session => ({ maxAge: session.maxAge }))).json(), { maxAge: 'session' });
        });

        it('has no end on the server with maxAge: \'session\'', async () => {
          const { run } = await start(subject, { boot, session: { maxAge: 'session' } });
          await run(count);
          later(100 * DAY);
          assert.deepEqual((await run(count)).json(), { n: 2 });
        });

        it('begins anew with every request under rolling: true', async () => {
          const { run } = await start(subject, { boot, session: { rolling: true } });
          await run(count);
          later(DAY - 1000);
          assert.deepEqual(cookies(await run(read)), [ 'EGG_SESS; path=/; max-age=86400; expires; httponly' ]);
          later(DAY - 1000);
          assert.deepEqual((await run(read)).json(), { n: 1 });
        });

        it('begins anew when less than half is left under renew: true', async () => {
          const { run } = await start(subject, { boot, session: { renew: true } });
          await run(count);
          later(DAY / 2 - 1000);
          assert.deepEqual(cookies(await run(read)), []);
          later(2000);
          assert.deepEqual(cookies(await run(read)), [ 'EGG_SESS; path=/; max-age=86400; expires; httponly' ]);
        });
      });

      describe(`the session, ${mode}`, () => {
        it('tells whether it is new, whether it holds anything, and how much', async () => {
          const { run } = await start(subject, { boot });
          const tell: Handle = session => ({
            isNew: !!session.isNew, populated: session.populated, length: session.length, data: session.toJSON(),
          });
          assert.deepEqual((await run(tell)).json(), { isNew: true, populated: false, length: 0, data: {} });
          await run(count);
          assert.deepEqual((await run(tell)).json(), { isNew: false, populated: true, length: 1, data: { n: 1 } });
        });

        it('prints as its data', async () => {
          const { run } = await start(subject, { boot });
          await run(count);
          const response = await run(session => ({ inspected: inspect(session), json: JSON.stringify(session) }));
          assert.deepEqual(response.json(), { inspected: '{ n: 1 }', json: '{"n":1}' });
        });

        it('can be replaced as a whole', async () => {
          const { run } = await start(subject, { boot });
          await run(count);
          await run((_, ctx) => {
            ctx.session = { other: 1 };
          });
          assert.deepEqual((await run(session => session.toJSON())).json(), { other: 1 });
        });

        it('can be only null or an object', async () => {
          const { run } = await start(subject, { boot });
          const response = await run((_, ctx) => {
            ctx.session = 'text' as any;
          });
          assert.equal(response.status, 500);
          assert.match(response.text, /this\.session can only be set as null or an object\./);
        });

        it('does not keep a field that begins with _', async () => {
          const { run } = await start(subject, { boot });
          await run((_, ctx) => {
            ctx.session.n = 1;
            ctx.session._secret = 1;
          });
          assert.deepEqual((await run((_, ctx) => ({ data: ctx.session, secret: ctx.session._secret ?? null }))).json(),
            { data: { n: 1 }, secret: null });
        });

        it('keeps JSON: nested values, no undefined, dates as text', async () => {
          const { run } = await start(subject, { boot });
          await run(session => {
            Object.assign(session, { list: [ 1, { a: 'ä' }], none: undefined, nil: null, date: new Date(0) });
          });
          assert.deepEqual((await run(session => session.toJSON())).json(),
            { list: [ 1, { a: 'ä' }], nil: null, date: '1970-01-01T00:00:00.000Z' });
        });

        it('notices a change deep inside', async () => {
          const { run } = await start(subject, { boot });
          await run(session => {
            session.cart = { items: [ 1 ] };
          });
          await run(session => {
            session.cart.items.push(2);
          });
          assert.deepEqual((await run(session => session.toJSON())).json(), { cart: { items: [ 1, 2 ] } });
        });

        it('is removed as a field with delete', async () => {
          const { run } = await start(subject, { boot });
          await run(count);
          await run(session => {
            delete session.n;
          });
          assert.deepEqual((await run(session => ({ has: 'n' in session }))).json(), { has: false });
        });

        it('save() and regenerate() give a promise, or call back', async () => {
          const { run } = await start(subject, { boot });
          for (const method of [ 'save', 'regenerate' ]) {
            const response = await run(async (session, ctx) => {
              session.n = method;
              await session[method]();
              const first = ctx.response.get('set-cookie').length;
              ctx.remove('set-cookie');
              const args = await new Promise<unknown[]>(resolve => {
                assert.equal(session[method]((...given: unknown[]) => resolve(given)), undefined);
              });
              return { first, args };
            });
            assert.deepEqual(response.json(), { first: 1, args: [] });
            assert.deepEqual(cookies(response), [ 'EGG_SESS; path=/; max-age=86400; expires; httponly' ]);
            assert.deepEqual((await run(read)).json(), { n: method });
          }
        });

        it('save() sends an empty session too', async () => {
          const { run } = await start(subject, { boot });
          assert.deepEqual(cookies(await run(session => session.save())),
            [ 'EGG_SESS; path=/; max-age=86400; expires; httponly' ]);
        });

        it('is saved by manuallyCommit() alone under autoCommit: false', async () => {
          const { run } = await start(subject, { boot, session: { autoCommit: false } });
          assert.deepEqual(cookies(await run(count)), []);
          const response = await run(async session => {
            session.n = 7;
            await session.manuallyCommit();
          });
          assert.deepEqual(cookies(response), [ 'EGG_SESS; path=/; max-age=86400; expires; httponly' ]);
          assert.deepEqual((await run(read)).json(), { n: 7 });
        });

        it('is there in a context that no request made', async () => {
          const { app } = await start(subject, { boot });
          const ctx = app.createAnonymousContext();
          ctx.session.n = 1;
          assert.deepEqual(ctx.session.toJSON(), { n: 1 });
        });

        it('is what app.mockSession() says in a test', async () => {
          const { app, run } = await start(subject, { boot });
          app.mockSession({ n: 41 });
          assert.deepEqual((await run(count)).json(), { n: 42 });
        });

        it('passes beforeSave, and is refused when valid says so', async () => {
          const { run } = await start(subject, {
            boot,
            session: {
              beforeSave: (_, session: any) => {
                session.saved = true;
              },
              valid: (ctx, record) => record.n !== Number(ctx.get('x-refuse')),
            },
          });
          await run(count);
          assert.deepEqual((await run(session => session.toJSON())).json(), { n: 1, saved: true });
          assert.deepEqual((await run(read, { 'x-refuse': '1' })).json(), { n: null });
        });
      });

      describe(`match, ignore and enable, ${mode}`, () => {
        const on: Headers = { 'x-session': 'on' };
        const options: Array<[ string, AppOptions['session'], kept: boolean ]> = [
          [ 'match: \'/run\'', { match: '/run' }, true ],
          [ 'match: \'/other\'', { match: '/other' }, false ],
          [ 'match: /^\\/r/', { match: /^\/r/ }, true ],
          [ 'match: a function that says yes', { match: (ctx: Context) => ctx.get('x-session') === 'on' }, true ],
          [ 'match: a function that says no', { match: (ctx: Context) => ctx.get('x-session') === 'off' }, false ],
          [ 'ignore: \'/run\'', { ignore: '/run' }, false ],
          [ 'ignore: [ \'/other\', /^\\/some/ ]', { ignore: [ '/other', /^\/some/ ] }, true ],
          [ 'ignore: a function that says yes', { ignore: (ctx: Context) => ctx.get('x-session') === 'on' }, false ],
          [ 'enable: true', { enable: true }, true ],
          [ 'enable: false', { enable: false }, false ],
        ];
        for (const [ name, session, kept ] of options) {
          it(`${name}: the session is ${kept ? '' : 'not '}saved`, async () => {
            const { run } = await start(subject, { boot, session });
            const response = await run(count, on);
            assert.deepEqual(response.json(), { n: 1 });
            assert.equal(cookies(response).length, kept ? 1 : 0);
            assert.deepEqual((await run(count, on)).json(), { n: kept ? 2 : 1 });
          });
        }

        it(`a path that is left out ${boot ? 'starts with an empty session' : 'can read the session'}`, async () => {
          const { run } = await start(subject, { boot, session: { match: (ctx: Context) => ctx.get('x-session') === 'on' } });
          await run(count, on);
          assert.deepEqual((await run(read)).json(), { n: boot ? null : 1 });
          assert.deepEqual((await run(read, on)).json(), { n: 1 });
        });
      });
    }

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
        app.notExpectLog('sessionStore already exists');
        mm(app.config, 'env', 'prod');
        app.sessionStore = new PlainStore();
        app.expectLog(`[${subject.plugin}] sessionStore already exists and will be overwrit`);
      });

      it('is handed the id, the lifetime, and the request', async () => {
        const calls: unknown[][] = [];
        const note = (name: string) => async (...args: any[]) => {
          const { ctx, ...options } = args.pop();
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
          const { run } = await start(subject, { boot: useStore(store) });
          await run(count);
          store[method] = async () => {
            throw new Error(`no ${method} today`);
          };
          const response = await run(method === 'destroy' ? destroy : count);
          assert.equal(response.status, 500);
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
        const { run } = await start(subject, { boot: useStore(new PlainStore()) });
        await run(count);
        const response = await run(session => {
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
        const { run } = await start(subject, {
          session: {
            decode: () => {
              throw new TypeError('not mine');
            },
          },
        });
        await run(count);
        const response = await run(count);
        assert.equal(response.status, 500);
        assert.match(response.text, /not mine/);
        assert.deepEqual(cookies(response), [ 'EGG_SESS; path=/; expires=Thu, 01 Jan 1970 00:00:00 GMT; httponly' ]);
        assert.deepEqual((await run(count)).json(), { n: 1 });
      });
    });

    describe('events and the log', () => {
      const idIn = (id: string) => (subject.plugin === 'egg-tegg-session' ? shortHash(id) : id);

      it('session:missed, when the store has no such session', async () => {
        const { app, run } = await start(subject, { boot: useStore(PlainStore) });
        app.mockLog('coreLogger');
        const { id } = (await run(begin)).json();
        (app.sessionStore as PlainStore).records.clear();
        const told = once(app, 'session:missed');
        assert.deepEqual((await run(read)).json(), { n: null });
        const [{ key, value, ctx }] = await told;
        assert.deepEqual([ key, value, ctx.path ], [ id, undefined, '/run' ]);
        app.expectLog(`[session][missed] key(${idIn(id)})\n`, 'coreLogger');
      });

      for (const logValue of [ true, false ]) {
        const printed = (record: string) => (logValue ? record : '""');

        it(`session:expired in a store, with logValue: ${logValue}`, async () => {
          const { app, run } = await start(subject, { session: { logValue, maxAge: 5000 }, boot: useStore(PlainStore) });
          app.mockLog('coreLogger');
          const { id } = (await run(begin)).json();
          const record = (app.sessionStore as PlainStore).records.get(id)!;
          const told = once(app, 'session:expired');
          later(6000);
          assert.deepEqual((await run(read)).json(), { n: null });
          const [{ key, value, ctx }] = await told;
          assert.deepEqual([ key, value, ctx.path ], [ id, JSON.parse(record), '/run' ]);
          app.expectLog(`[session][expired] key(${idIn(id)}) value(${printed(record)})`, 'coreLogger');
        });

        it(`session:expired in the cookie, with logValue: ${logValue}`, async () => {
          const { app, run } = await start(subject, { session: { logValue, maxAge: 5000 } });
          app.mockLog('coreLogger');
          await run(count);
          const told = once(app, 'session:expired');
          later(6000);
          assert.deepEqual((await run(read)).json(), { n: null });
          const [{ key, value }] = await told;
          assert.equal(key, undefined);
          assert.equal(value.n, 1);
          app.expectLog(`[session][expired] key(undefined) value(${printed('{"n":1')}`, 'coreLogger');
        });

        it(`session:invalid, with logValue: ${logValue}`, async () => {
          const { app, run } = await start(subject, { session: { logValue, valid: () => false }, boot: useStore(PlainStore) });
          app.mockLog('coreLogger');
          const { id } = (await run(begin)).json();
          const record = (app.sessionStore as PlainStore).records.get(id)!;
          const told = once(app, 'session:invalid');
          assert.deepEqual((await run(read)).json(), { n: null });
          const [{ key, value, ctx }] = await told;
          assert.deepEqual([ key, value, ctx.path ], [ id, JSON.parse(record), '/run' ]);
          app.expectLog(`[session][invalid] key(${idIn(id)}) value(${printed(record)})`, 'coreLogger');
        });
      }

      it('nothing is told of a request without a session', async () => {
        const { app, run } = await start(subject, { boot: useStore(PlainStore) });
        app.mockLog('coreLogger');
        await run(read);
        await run(count);
        await run(read);
        app.notExpectLog('[session]', 'coreLogger');
      });

      for (const httpOnly of [ true, false ]) {
        it(`${httpOnly ? 'no' : 'a'} warning at the start with httpOnly: ${httpOnly}`, async () => {
          const { app } = await start(subject, { session: { httpOnly } });
          const { dir, appLogName } = app.config.logger;
          await stop();
          const log = await readFile(path.join(dir, appLogName), 'utf8');
          assert.equal(log.includes(`[${subject.plugin}]: please set \`config.session.httpOnly\` to true. ` +
            'It is very dangerous if session can read by client JavaScript.'), !httpOnly);
        });
      }
    });
  });
}

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
      const { run } = await start(subject);
      const { status, setCookies } = await run(session => {
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
