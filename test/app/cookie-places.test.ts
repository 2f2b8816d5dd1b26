import { strict as assert } from 'node:assert';
import type { Context } from 'egg';
import type { SessionOptions } from '../..';
import { type AppOptions, type Client, fixture, later } from '../support/app';
import { kindsOfCookies } from '../support/kinds';
import { MapStore } from '../support/MapStore';
import { ToughJar } from '../support/ToughJar';
import { HTTPS, NAME, start as startWeb } from '../support/web';

const HOST = 'www.shop.test';
const AT = { host: HOST };

type Handle = (session: any, ctx: Context) => unknown;

const signIn: Handle = session => {
  session.user = 'alice';
};
const count: Handle = session => {
  session.n = (session.n ?? 0) + 1;
};
const read: Handle = session => ({ user: session.user ?? null });
const signOut: Handle = (_, ctx) => {
  ctx.session = null;
};
/** Does so in one request only, as a handler does. */
const at = (attributes: object, handle: Handle): Handle => (session, ctx) => {
  Object.assign(ctx.sessionOptions, attributes);
  return handle(session, ctx);
};
/** Does so whenever a session is saved. */
const always = (attributes: object): SessionOptions => ({
  beforeSave: ctx => {
    Object.assign(ctx.sessionOptions, attributes);
  },
});

describe('a cookie whose place a request chooses', () => {

  async function start(session: SessionOptions, options: AppOptions = {}) {
    const { client } = await startWeb(session, {
      ...options,
      boot: ({ router }) => {
        router.get('/shop/:page', async ctx => {
          ctx.body = await fixture.handle(ctx.session, ctx);
        });
      },
    });
    return client.another(new ToughJar());
  }
  const run = (browser: Client, path: string, handle: Handle, headers = AT) => browser.run(handle, headers, path);
  const user = async (browser: Client, path: string) => (await run(browser, path, read)).json().user;
  const places = ({ cookies }: Client) => (cookies as ToughJar).places();

  const KINDS = kindsOfCookies();
  const CHOICES: Array<[ what: string, attributes: object, place: string ]> = [
    [ 'a path', { path: '/shop' }, `${HOST}/shop` ],
    [ 'a domain', { domain: 'shop.test' }, '.shop.test/' ],
    [ 'a domain and a path', { domain: '.Shop.test', path: '/shop' }, '.shop.test/shop' ],
  ];

  for (const [ kind, given ] of KINDS) {
    const sig = kind === 'readable data';
    const cookieAt = (...where: string[]) => where.flatMap(place => [ `${NAME} ${place}`, ...sig ? [ `${NAME}.sig ${place}` ] : [] ]).sort();

    describe(`with ${kind}`, () => {
      for (const [ what, attributes, place ] of CHOICES) {
        it(`${what}, in beforeSave: signing out removes it there`, async () => {
          const browser = await start({ ...given(), ...always(attributes) });
          await run(browser, '/shop/in', signIn);
          assert.deepEqual(places(browser), cookieAt(place));
          await run(browser, '/shop/more', count);
          assert.deepEqual(places(browser), cookieAt(place));
          assert.equal(await user(browser, '/shop/page'), 'alice');
          await run(browser, '/shop/out', signOut);
          assert.deepEqual(places(browser), []);
          assert.equal(await user(browser, '/shop/page'), null);
        });

        it(`${what}, in beforeSave: what has expired is removed there`, async () => {
          const browser = await start({ ...given(), ...always(attributes), absoluteMaxAge: 3600_000 });
          await run(browser, '/shop/in', signIn);
          later(3600_001);
          assert.equal(await user(browser, '/shop/page'), null);
          // with three methods, nobody but this process has said that it is over
          assert.deepEqual(places(browser), /three methods/.test(kind) ? cookieAt(place) : []);
        });

        it(`${what}, in beforeSave: it is renewed there`, async () => {
          const browser = await start({ ...given(), ...always(attributes), rolling: true });
          await run(browser, '/shop/in', signIn);
          for (let i = 0; i < 2; i++) {
            later(1000);
            const { setCookies } = await run(browser, '/shop/page', read);
            assert.ok(setCookies.length > 0);
            assert.deepEqual(places(browser), cookieAt(place));
          }
          await run(browser, '/shop/page', async (_, ctx) => {
            await (ctx.session as any).save();
          });
          assert.deepEqual(places(browser), cookieAt(place));
        });

        it(`${what}, in the handler that signs in: signing out removes it there, also from elsewhere`, async () => {
          const browser = await start(given());
          await run(browser, '/shop/in', at(attributes, signIn));
          assert.deepEqual(places(browser), cookieAt(place));
          await run(browser, '/shop/out', signOut);
          assert.deepEqual(places(browser), []);

          await run(browser, '/shop/in', at(attributes, signIn));
          await run(browser, '/shop/more', count); // with the options that are configured
          assert.equal(await user(browser, '/shop/page'), 'alice');
          await run(browser, '/run', signOut);
          assert.deepEqual(places(browser), []);
          assert.equal(await user(browser, '/shop/page'), null);
        });
      }

      it('by the handler that signs out: it is removed there, although the request came without it', async () => {
        const browser = await start(given());
        await run(browser, '/shop/in', at({ path: '/shop' }, signIn));
        await run(browser, '/run', at({ path: '/shop' }, signOut));
        assert.deepEqual(places(browser), []);
      });

      it('in two requests, for two places: signing out removes both', async () => {
        const browser = await start(given());
        await run(browser, '/shop/in', at({ path: '/shop' }, signIn));
        await run(browser, '/shop/more', at({ domain: 'shop.test' }, count));
        await run(browser, '/shop/more', count);
        assert.deepEqual(places(browser), cookieAt('.shop.test/', `${HOST}/`, `${HOST}/shop`));
        await run(browser, '/run', signOut);
        assert.deepEqual(places(browser), []);
      });

      it('stays in the records of a session that moves', async () => {
        const browser = await start(given());
        await run(browser, '/shop/in', at({ path: '/shop' }, signIn));
        await run(browser, '/shop/more', async (_, ctx) => {
          await (ctx.session as any).regenerate();
        });
        await run(browser, '/run', signOut);
        assert.deepEqual(places(browser), []);
      });

      it('partitioned: signing out removes it from its partition', async () => {
        const chrome = { ...HTTPS, ...AT, 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36' };
        const browser = (await start({ ...given(), sameSite: 'none', secure: true }, { config: { proxy: true } })).another();
        await run(browser, '/shop/in', at({ partitioned: true }, signIn), chrome);
        assert.equal(browser.cookies.size, sig ? 2 : 1);
        await run(browser, '/shop/out', signOut, chrome);
        assert.equal(browser.cookies.size, 0);
      });
    });
  }

  it('is not written down where it is the configured one', async () => {
    const store = new MapStore();
    const browser = await start({ store, domain: 'shop.test', ...always({ domain: 'shop.test' }) });
    await run(browser, '/run', signIn);
    assert.deepEqual([ ...store.records.values() ].map(record => Object.keys(record).sort()), [[ '_createdAt', '_expire', '_maxAge', 'user' ]]);
  });
});
