import { strict as assert } from 'node:assert';
import type { RequestListener } from 'node:http';
import type { Context } from 'egg';
import type { Browser, Page } from 'playwright-core';
import type { SessionOptions } from '../..';
import { follow, openPage, startChromium } from '../support/chromium';
import { Problems } from '../support/problems';
import { listenSecurely } from '../support/tls';
import { MODES, start, stop } from '../support/web';

describe('sessions in the cookie, over HTTPS, in Chromium', () => {
  const problems = new Problems();
  let browser: Browser;
  let page: Page;
  let server: Awaited<ReturnType<typeof listenSecurely>>;
  let plain: string;
  let shop: string;
  let evil: string;

  const submit = async (action: string) => {
    await follow(page, `text=${action}`);
    return await page.locator('body').innerText();
  };

  before(async () => {
    const who = (ctx: Context) => {
      ctx.body = ctx.session.user ?? 'nobody';
    };
    const { app, client } = await start({ key: '__Host-sid', maxAge: 'session' }, {
      boot: ({ router }) => {
        router.get('/who', who);
        router.post('/who', who);
        router.post('/sign-in', ctx => {
          ctx.session.user = 'alice';
          who(ctx);
        });
        router.post('/fill', ctx => {
          ctx.session.user = 'x'.repeat(4000);
          who(ctx);
        });
        router.get('/forms', ctx => {
          const forms = [ 'sign-in', 'who', 'fill' ].map(name => `<form method="post" action="${shop}/${name}"><button>${name}</button></form>`);
          ctx.body = `<!doctype html><title>Forms</title>${forms.join('')}<a href="${shop}/who">link</a>`;
        });
      },
    });
    server = await listenSecurely(app.callback() as RequestListener);
    [ shop, evil ] = [ 'shop', 'evil' ].map(name => `https://${name}.test:${server.port}`);
    plain = `http://shop.test:${client.port}`;
    browser = await startChromium();
  });
  beforeEach(async () => {
    page = await openPage(browser, { ignoreHTTPSErrors: true });
    problems.watch(page.context());
    await page.goto(`${shop}/forms`);
    assert.equal(await submit('sign-in'), 'alice');
  });
  afterEach(async () => {
    await page.context().close();
    assert.deepEqual(problems.take(), []);
  });
  after(async () => {
    await browser?.close();
    await server?.close();
    await stop();
  });

  it('a cookie with __Host- is Secure, for this host, and as long as the browser runs; it is not sent over HTTP', async () => {
    const [{ name, httpOnly, sameSite, secure, path, domain, expires }, ...others ] = await page.context().cookies();
    assert.deepEqual({ name, httpOnly, sameSite, secure, path, domain, expires },
      { name: '__Host-sid', httpOnly: true, sameSite: 'Lax', secure: true, path: '/', domain: 'shop.test', expires: -1 });
    assert.deepEqual(others, []);
    for (const [ site, user ] of [[ shop, 'alice' ], [ plain, 'nobody' ], [ shop, 'alice' ]]) {
      await page.goto(`${site}/who`);
      assert.equal(await page.locator('body').innerText(), user);
    }
  });

  it('a form on another site is not signed in; a link there is, and a form of its own', async () => {
    for (const [ site, action, user ] of [[ evil, 'who', 'nobody' ], [ evil, 'link', 'alice' ], [ shop, 'who', 'alice' ]]) {
      await page.goto(`${site}/forms`);
      assert.equal(await submit(action), user, `${action} of ${site}`);
    }
  });

  it('a session that is too large is an error to be seen, and the one from before stays', async () => {
    const cookies = await page.context().cookies();
    await page.goto(`${shop}/forms`);
    assert.match(await submit('fill'), /the session is too large for a cookie/);
    assert.match(problems.take().join(), /status of 500 /);
    assert.deepEqual(await page.context().cookies(), cookies);
    await page.goto(`${shop}/who`);
    assert.equal(await page.locator('body').innerText(), 'alice');
  });
});

for (const [ mode, given ] of MODES) {
  describe(`a change of where the cookie is set, with ${mode}, in Chromium`, () => {
    let browser: Browser;
    before(async () => {
      browser = await startChromium();
    });
    afterEach(stop);
    after(() => browser?.close());

    const CHANGES: Array<[ what: string, before: SessionOptions, after: SessionOptions ]> = [
      [ 'domain is added', {}, { domain: 'shop.test' }],
      [ 'domain is removed, and path is longer', { domain: 'shop.test' }, { path: '/account' }],
      [ 'partitioned is added', { sameSite: 'none', secure: true }, { sameSite: 'none', secure: true, partitioned: true }],
    ];
    for (const [ what, before, after ] of CHANGES) {
      it(`${what}: signing in and out takes effect`, async () => {
        const options = given();
        const page = await openPage(browser, { ignoreHTTPSErrors: true });
        /** Does something as the next deploy answers it. */
        const on = async (session: SessionOptions, use: (visit: (page: string) => Promise<string>) => Promise<void>) => {
          const { app } = await start({ ...options, ...session }, {
            config: { proxy: true },
            boot: ({ router }) => {
              const answer = (path: string, handle: (ctx: Context) => unknown) => router.get(path, async ctx => {
                await handle(ctx);
                ctx.body = `<!doctype html><title>Shop</title>${ctx.session?.user ?? 'nobody'}`;
              });
              answer('/account/who', () => undefined);
              answer('/account/in', async ctx => {
                await ctx.session.regenerate();
                ctx.session.user = ctx.query.user;
              });
              answer('/account/out', ctx => {
                ctx.session = null;
              });
            },
          });
          const server = await listenSecurely((req, res) => {
            req.headers['x-forwarded-proto'] = 'https';
            app.callback()(req as never, res);
          });
          try {
            await use(async path => {
              await page.goto(`https://www.shop.test:${server.port}/account/${path}`);
              return await page.locator('body').innerText();
            });
          } finally {
            await server.close();
          }
        };
        await on(before, async visit => {
          assert.equal(await visit('in?user=alice'), 'alice');
          assert.equal(await visit('who'), 'alice');
        });
        await on(after, async visit => {
          assert.equal(await visit('who'), 'alice');
          for (const user of [ 'bob', 'carol' ]) {
            await visit(`in?user=${user}`);
            assert.equal(await visit('who'), user);
          }
          assert.equal((await page.context().cookies()).length, 2);
          await visit('out');
          assert.equal(await visit('who'), 'nobody');
          assert.deepEqual(await page.context().cookies(), []);
          await visit('in?user=dave');
          assert.equal(await visit('who'), 'dave');
        });
        await on(before, async visit => {
          assert.equal(await visit('who'), 'dave');
          await visit('out');
          assert.equal(await visit('who'), 'nobody');
        });
        await page.context().close();
      });
    }
  });
}
