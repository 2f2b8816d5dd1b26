import { strict as assert } from 'node:assert';
import { inspect } from 'node:util';
import type { Application, Context } from 'egg';
import { type AppOptions, later } from '../support/app';
import {
  asEggSession, cookies, count, DAY, type Handle, type Headers, PlainStore, read, start, type Subject, useStore,
} from '../support/subjects';

asEggSession(subject => {
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
        const { tryRun } = await start(subject, { boot });
        const response = await tryRun((_, ctx) => {
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

    describe(`middleware before the session's, ${mode}`, () => {
      const before: Record<string, (ctx: Context) => void> = {
        read: ctx => ctx.set('x-seen', String(ctx.session.n)),
        write: ctx => Object.assign(ctx.session, { early: 7 }),
        replace: ctx => Object.assign(ctx, { session: { early: 7 } }),
        end: ctx => Object.assign(ctx, { session: null }),
      };
      const withEarly = (app: Application) => {
        boot?.(app);
        app.use((ctx: Context, next) => {
          before[ctx.get('x-early')]?.(ctx);
          return next();
        });
      };
      const all: Handle = session => session?.toJSON() ?? {};

      it(boot ? 'has an empty session' : 'reads the session', async () => {
        const { run } = await start(subject, { boot: withEarly });
        await run(count);
        const response = await run(count, { 'x-early': 'read' });
        assert.equal(response.headers['x-seen'], boot ? 'undefined' : '1');
        assert.deepEqual(response.json(), { n: 2 });
        assert.deepEqual((await run(read)).json(), { n: 2 });
      });

      for (const [ what, then ] of [[ 'write', { n: 1, early: 7 }], [ 'replace', { early: 7 }], [ 'end', {}]] as const) {
        it(`to ${what}: ${boot ? 'that is lost' : 'that counts'}, and what the handler does as well`, async () => {
          const { run } = await start(subject, { boot: withEarly });
          await run(count);
          assert.deepEqual((await run(all, { 'x-early': what })).json(), boot ? { n: 1 } : then);
          assert.deepEqual((await run(all)).json(), boot ? { n: 1 } : then);
          if (what === 'end') return;
          await run(count, { 'x-early': what });
          assert.deepEqual((await run(all)).json(), boot ? { n: 2 } : { ...then, n: 'n' in then ? 2 : 1 });
        });
      }

      it('a stranger\'s write begins a session', async () => {
        const { run } = await start(subject, { boot: withEarly });
        await run(all, { 'x-early': 'write' });
        assert.deepEqual((await run(all)).json(), boot ? {} : { early: 7 });
      });
    });

    describe(`match, ignore and enable, ${mode}`, () => {
      const on: Headers = { 'x-session': 'on' };
      // where there is no session, the injected one says so
      const onContext = (given: Subject): Subject => ({ ...given, pick: (_, ctx) => ctx.session });
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
          const { run } = await start(kept ? subject : onContext(subject), { boot, session });
          const response = await run(count, on);
          assert.deepEqual(response.json(), { n: 1 });
          assert.equal(cookies(response).length, kept ? 1 : 0);
          assert.deepEqual((await run(count, on)).json(), { n: kept ? 2 : 1 });
        });
      }

      it(`a path that is left out ${boot ? 'starts with an empty session' : 'can read the session'}`, async () => {
        const { run } = await start(onContext(subject), { boot, session: { match: (ctx: Context) => ctx.get('x-session') === 'on' } });
        await run(count, on);
        assert.deepEqual((await run(read)).json(), { n: boot ? null : 1 });
        assert.deepEqual((await run(read, on)).json(), { n: 1 });
      });
    });
  }
});
