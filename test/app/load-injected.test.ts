import { strict as assert } from 'node:assert';
import type { Context } from 'egg';
import mm from 'egg-mock';
import type { SessionOptions } from '../..';
import { Client, later } from '../support/app';
import type { Request } from '../support/Browser';
import { KEPT, loadingSite, NOT_LOADED, NOTHING } from '../support/load';
import { NAME } from '../support/web';

const WITH = [
  '/with/property', '/with/constructor', '/with/singleton', '/with/context', '/with/far', '/with/named', '/with/params/1/and/2',
  '/with/pointcut', '/with/crosscut', '/with/advice', '/with/class-advice', '/with/function',
];

const WITHOUT: Array<[ path: string, status?: number, method?: string ]> = [
  [ '/without/answer' ], [ '/without/answer', 200, 'HEAD' ], [ '/without/answer', 404, 'OPTIONS' ], [ '/without/form', 200, 'POST' ],
  [ '/without/params/5' ], [ '/without/function' ], [ '/without/advised' ], [ '/egg/answer' ], [ '/nowhere', 404 ],
  [ '/with/nowhere', 404 ], [ '/with/property', 404, 'POST' ], [ '/with/params/1', 404 ], [ '/WITH/property', 404 ],
];

for (const kept of KEPT) {
  describe(`load: 'injected', the session ${kept.name}`, () => {
    const site = loadingSite(kept);
    let client: Client;
    beforeEach(async () => {
      client = await site.signIn();
    });

    for (const path of WITH) {
      it(`${path}: is loaded, and saved`, async () => {
        const response = await client.request(path);
        assert.equal(response.status, 200, response.text);
        assert.equal(response.json().n, 2);
        const { commands, opened } = await site.work();
        assert.ok(opened > 0);
        assert.equal(commands.length > 0, kept.isStore);
        assert.equal((await client.run((_, ctx) => ({ n: ctx.session.n }))).json().n, 2);
      });
    }

    it('is loaded for HEAD, where Egg has the route for GET answer', async () => {
      const response = await client.request('/with/property', { method: 'HEAD' });
      assert.equal(response.status, 200);
      assert.equal((await client.request('/with/property')).json().n, 3);
    });

    it('is loaded for HEAD, where a controller of tegg answers', async () => {
      const { status, headers } = await client.request('/with/head', { method: 'HEAD' });
      assert.deepEqual([ status, headers['x-n'] ], [ 204, '2' ]);
    });

    it('is loaded for a form that stands for another method', async () => {
      const response = await client.request('/with/put', { method: 'POST', body: new URLSearchParams({ _method: 'PUT' }) });
      assert.equal(response.text, '{"n":2}');
    });

    it('is loaded, or not, by the host whose controller answers', async () => {
      const header = (host: string): Request => ({ headers: { host, cookie: client.cookies.header(new URL('http://127.0.0.1/')) } });
      assert.equal((await client.request('/host', header('with.example'))).json().n, 2);
      await site.work();
      assert.deepEqual((await client.request('/host', header('without.example'))).json(), { host: 'without.example' });
      assert.deepEqual(await site.work(), NOTHING);
    });

    it('is loaded by a route that only reads it, with one command', async () => {
      await client.run(session => ({ n: session.n }));
      const { commands } = await site.work();
      assert.equal(commands.length, kept.isStore ? 1 : 0, commands.join());
    });

    const USES: Record<string, (session: any) => unknown> = {
      'ctx.session.n': ctx => ctx.session.n,
      'ctx.session = {}': ctx => Object.assign(ctx, { session: { n: 5 } }),
      'ctx.session = null': ctx => Object.assign(ctx, { session: null }),
      'ctx.session.save()': ctx => ctx.session.save(),
    };
    for (const [ what, use ] of Object.entries(USES)) {
      it(`${what} throws where it was not loaded, and the session stays as it was`, async () => {
        for (const path of [ '/without/run', '/egg/run' ]) {
          const response = await client.run(async (_, ctx) => {
            await assert.rejects(async () => use(ctx), NOT_LOADED);
            await assert.rejects(async () => use(ctx), NOT_LOADED);
          }, {}, path);
          assert.deepEqual(response.setCookies, []);
          assert.deepEqual(await site.work(), NOTHING);
        }
        assert.equal((await client.run(session => ({ n: session.n }))).json().n, 1);
      });
    }

    it('is left alone, though a middleware has looked at it before it could be loaded', async () => {
      const { middleware } = site.app as unknown as { middleware: unknown[] };
      let looks = 0;
      middleware.unshift((ctx: Context, next: () => Promise<void>) => {
        if (ctx.session) looks++;
        return next();
      });
      const early = await Client.of(site.app);
      const browser = early.another(client.cookies);
      const response = await browser.tryRun((_, ctx) => {
        ctx.session.other = 1;
      }, {}, '/egg/run');
      assert.equal(looks, 1);
      assert.equal(response.status, 500, 'as without that middleware');
      assert.deepEqual(response.setCookies, []);
      middleware.shift();
      await early.close();
      const { n, other } = (await client.run(session => ({ ...session }))).json();
      assert.deepEqual([ n, other ], [ 1, undefined ]);
    });

    it('ctx.session that throws in a handler is answered with 500', async () => {
      const response = await client.tryRun((_, ctx) => ctx.session.n, {}, '/egg/run');
      assert.equal(response.status, 500);
      assert.match(response.text, NOT_LOADED);
    });
  });
}

const VARIANTS: Array<[ what: string, options: SessionOptions, needsStore?: boolean ]> = [
  [ 'rolling', { rolling: true }],
  [ 'renew', { renew: true }],
  [ 'absoluteMaxAge', { absoluteMaxAge: 1000 }],
  [ 'principal and maxSessions', { principal: 'userId', maxSessions: 1 }, true ],
  [ 'encrypt: false', { encrypt: false, rolling: true }],
];

for (const kept of KEPT) {
  for (const [ what, options, needsStore ] of VARIANTS) {
    if (needsStore && !kept.isStore) continue;
    describe(`load: 'injected', a route without the session, the session ${kept.name}, with ${what}`, () => {
      const site = loadingSite(kept, options);
      afterEach(() => mm.restore());

      it('costs nothing and changes nothing, whatever cookie comes', async () => {
        const client = await site.signIn();
        const real = client.cookies.get(NAME)!;
        later(20 * 3600 * 1000); // less than half of maxAge is left
        for (const cookie of [ real, `${real.slice(0, -2)}AA`, 'garbage', '', undefined ]) {
          for (const [ path, status = 200, method = 'GET' ] of WITHOUT) {
            const browser = client.another();
            const response = await browser.request(path, { method, headers: cookie === undefined ? {} : { cookie: `${NAME}=${cookie}` } });
            const message = `${method} ${path} ${cookie}`;
            assert.equal(response.status, status, message);
            assert.deepEqual(response.setCookies, [], message);
            assert.equal(response.headers['cache-control'], undefined, message);
            assert.doesNotMatch(String(response.headers.vary), /cookie/i, message);
          }
        }
        assert.deepEqual(await site.work(), NOTHING);
      });
    });
  }
}
