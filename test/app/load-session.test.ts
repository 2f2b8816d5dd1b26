import { strict as assert } from 'node:assert';
import type { Application, Context } from 'egg';
import mm from 'egg-mock';
import type { Session } from '../..';
import { InSingleton, RealHolder, Holder } from '../fixtures/apps/load/modules/graph/services';
import { type Client, fixture } from '../support/app';
import { KEPT, loadingSite, NOT_LOADED } from '../support/load';
import { NAME } from '../support/web';

const EGG = '/egg/run';
const CONTROLLER = '/without/run';

/** Middleware of the application itself: one before the session's, and one after it. */
function addMiddleware(app: Application) {
  const add = (name: keyof typeof around) => app.use((ctx: Context, next) => around[name]?.(ctx, next) ?? next());
  add('outer');
  app.beforeStart(() => {
    add('inner');
  });
}
type Middleware = (ctx: Context, next: () => Promise<unknown>) => Promise<unknown>;
let around: { outer?: Middleware; inner?: Middleware } = {};

for (const kept of KEPT) {
  describe(`ctx.loadSession(), the session ${kept.name}`, () => {
    const site = loadingSite(kept, { ignore: '/egg/answer' }, { boot: addMiddleware });
    let client: Client;
    const commandsToLoad = kept.isStore ? 1 : 0;
    const n = async (browser = client) => (await browser.run(session => ({ n: session.n ?? null }))).json().n;
    beforeEach(async () => {
      client = await site.signIn();
    });
    afterEach(() => {
      around = {};
      mm.restore();
    });

    for (const path of [ EGG, CONTROLLER ]) {
      describe(`at ${path}`, () => {
        it('loads the session once, however often it is called, and at the same time', async () => {
          const response = await client.run(async (_, ctx) => {
            const [ a, b ] = await Promise.all([ ctx.loadSession(), ctx.loadSession() ]);
            assert.equal(a, b);
            assert.equal(await ctx.loadSession(), a);
            assert.equal(ctx.session, a);
            return { n: a.n };
          }, {}, path);
          assert.deepEqual(response.json(), { n: 1 });
          assert.deepEqual(response.setCookies, []);
          assert.equal((await site.work()).commands.length, commandsToLoad);
        });

        it('until it has resolved, ctx.session throws', async () => {
          await client.run(async (_, ctx) => {
            const loading = ctx.loadSession();
            assert.throws(() => ctx.session, NOT_LOADED);
            assert.throws(() => {
              ctx.session = { n: 5 };
            }, NOT_LOADED);
            assert.equal((await loading).n, 1);
          }, {}, path);
          assert.equal(await n(), 1);
        });

        it('what changes is saved when the request ends', async () => {
          await client.run(async (_, ctx) => {
            const session = await ctx.loadSession();
            session.n = 2;
          }, {}, path);
          assert.equal(await n(), 2);
        });

        it('a new session begins there', async () => {
          const browser = site.client.another();
          const response = await browser.run(async (_, ctx) => {
            const session = await ctx.loadSession();
            assert.equal(session.isNew, true);
            session.n = 7;
          }, {}, path);
          assert.equal(response.setCookies.length, 1);
          assert.equal(response.headers['cache-control'], 'private');
          assert.equal(await n(browser), 7);
        });

        it('regenerate() moves it', async () => {
          const old = client.copy();
          const before = client.cookies.get(NAME);
          await client.run(async (_, ctx) => {
            await (await ctx.loadSession()).regenerate();
          }, {}, path);
          assert.notEqual(client.cookies.get(NAME), before);
          assert.equal(await n(), 1);
          if (kept.isStore) assert.equal(await n(old), null);
        });

        it('ctx.session = null ends it', async () => {
          const response = await client.run(async (_, ctx) => {
            await ctx.loadSession();
            ctx.session = null;
          }, {}, path);
          assert.match(response.setCookies.join(), /^EGG_SESS=;/);
          assert.equal(await n(), null);
        });

        it('a cookie that does not open is a new session, and is left alone', async () => {
          client.cookies.set(NAME, 'garbage');
          const response = await client.run(async (_, ctx) => ({ isNew: (await ctx.loadSession()).isNew }), {}, path);
          assert.deepEqual(response.json(), { isNew: true });
          assert.deepEqual(response.setCookies, []);
        });
      });
    }

    it('then the injected session works, in what is got while the request runs', async () => {
      for (const get of [
        (ctx: Context) => ctx.getEggObject(InSingleton),
        (_: Context, eggObjectFactory: any) => eggObjectFactory.getEggObject(Holder, 'real'),
        (ctx: Context) => ctx.getEggObject(RealHolder),
      ]) {
        const response = await client.run(async ({ eggObjectFactory }, ctx) => {
          const { session } = await get(ctx, eggObjectFactory) as { session: Session };
          assert.throws(() => session.n, NOT_LOADED);
          assert.throws(() => Object.assign(session, { n: 5 }), NOT_LOADED);
          for (const use of [ () => session.update(() => undefined), () => session.destroy(), () => session.regenerate() ]) {
            await assert.rejects(async () => use(), NOT_LOADED);
          }
          await ctx.loadSession();
          await session.update(data => {
            data.n!++;
          });
          return { n: session.n };
        }, {}, CONTROLLER);
        assert.equal(response.json().n, await n());
      }
      assert.equal(await n(), 4);
    });

    it('works in a router\'s middleware, and in that of the application', async () => {
      assert.deepEqual((await client.run((_, ctx) => ({ n: ctx.session.n }), {}, '/egg/middleware')).json(), { n: 1 });
      around.inner = async (ctx, next) => {
        (await ctx.loadSession()).n = 2;
        await next();
        ctx.session.flash = 'after';
      };
      assert.deepEqual((await client.run((_, ctx) => ({ n: ctx.session.n }), {}, EGG)).json(), { n: 2 });
      around = {};
      assert.deepEqual((await client.run(session => ({ ...session }))).json(), { n: 2, userId: 7, flash: 'after' });
    });

    it('works in middleware that leads to another route', async () => {
      around.inner = async (ctx, next) => {
        if (ctx.query.load) await ctx.loadSession();
        ctx.path = '/with/property';
        await next();
      };
      assert.match((await client.request('/elsewhere')).text, NOT_LOADED);
      assert.deepEqual((await client.request('/elsewhere?load=1')).json(), { n: 2 });
    });

    it('in middleware before the session\'s it rejects, and what such middleware does is not taken for the session', async () => {
      const seen: string[] = [];
      around.outer = async (ctx, next) => {
        await assert.rejects(ctx.loadSession(), /there is no session here: GET \/egg\/run is left out by .*, or it has not reached/);
        void ctx.session;
        await next();
        seen.push(ctx.body as string);
      };
      const response = await client.run(async (_, ctx) => {
        assert.throws(() => ctx.session, NOT_LOADED);
        const { n: loaded } = await ctx.loadSession();
        return { n: loaded };
      }, {}, EGG);
      assert.deepEqual(response.json(), { n: 1 });
      assert.equal(seen.length, 1);
      around = {};
      await client.run(session => assert.equal(session.n, 1));
    });

    it('rejects where there is no session', async () => {
      around.outer = async ctx => {
        ctx.body = await ctx.loadSession().then(() => 'loaded', err => err.message);
      };
      assert.match((await client.request('/egg/answer')).text, /there is no session here: GET \/egg\/answer is left out by config\.session\.enable, match or ignore/);
      const outcomes: string[] = [];
      const load = async (ctx: Context) => {
        outcomes.push(await ctx.loadSession().then(() => 'loaded', err => err.message));
      };
      fixture.job = load;
      await site.app.runInAnonymousContextScope(load);
      assert.match(outcomes[0], /there is no session here: this context was made by the application/);
      await site.app.runSchedule('job');
      assert.match(outcomes[1], /there is no session here: this is a schedule/);
      assert.deepEqual((await site.work()).commands, []);
    });

    it('resolves to the session of app.mockSession()', async () => {
      site.app.mockSession({ n: 41 });
      const browser = site.client.another();
      const response = await browser.run(async (_, ctx) => ({ n: (await ctx.loadSession()).n, plain: ctx.session.n }), {}, EGG);
      assert.deepEqual(response.json(), { n: 41, plain: 41 });
      assert.deepEqual((await browser.run((_, ctx) => ({ n: ctx.session.n }), {}, EGG)).json(), { n: 41 });
      assert.equal((await browser.request('/with/far')).json().n, 42);
      assert.deepEqual((await site.app.mockContext().loadSession()).n, 42);
    });
  });
}
