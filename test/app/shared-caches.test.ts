import { strict as assert } from 'node:assert';
import type { SessionOptions } from '../..';
import type { Client } from '../support/app';
import { MapStore } from '../support/MapStore';
import { count, type Handle, HTTPS, KEYS, NAME, read, start, stop } from '../support/web';

const PUBLIC = 'public, max-age=60, s-maxage=600';

/** A page that is the same for all, and does not look at the session. */
const page: Handle = (_, ctx) => {
  ctx.set('cache-control', PUBLIC);
  return { page: true };
};

/** The same, on a site that greets its users. */
const greeting: Handle = (session, ctx) => {
  ctx.set('cache-control', PUBLIC);
  return { n: session.n ?? null };
};

const caching = ({ headers }: Awaited<ReturnType<Client['request']>>) =>
  [ headers['cache-control'], headers.vary, headers['set-cookie'] ];

const FORMS: Array<[ form: string, options: SessionOptions, config?: Record<string, unknown> ]> = [
  [ 'sealed', {}],
  [ 'signed', { encrypt: false }],
  [ 'encrypted by Egg', { encode: JSON.stringify, decode: JSON.parse }],
  [ 'sealed, with a twin', { sameSite: 'none' }, { cookies: { autoChips: true }, proxy: true }],
  [ 'signed, with a twin', { sameSite: 'none', encrypt: false }, { cookies: { autoChips: true }, proxy: true }],
];
const CHROME = {
  ...HTTPS,
  'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36',
};

for (const [ form, options, config ] of FORMS) {
  for (const [ mode, given ] of [
    [ 'the data', () => ({ ...options }) ],
    [ 'an id', () => ({ ...options, store: new MapStore() }) ],
  ] as Array<[ string, () => SessionOptions ]>) {
    describe(`shared caches, and a cookie with ${mode} that is ${form}`, () => {
      afterEach(stop);

      /** A session whose cookie is under a key that is not the first any more. */
      async function rotated(more: SessionOptions = {}) {
        const shared = { ...given(), ...more };
        const before = await start(shared, { config });
        await before.client.run(count, CHROME);
        const after = await start(shared, { config, keys: [ 'a new key', ...KEYS ] });
        return { app: after.app, client: after.client.another(before.client.cookies), shared };
      }

      it('get a public page as it is, also when the keys have changed, and from nobody a cookie', async () => {
        for (const more of [{}, { rolling: true }, { renew: true }, { autoCommit: false }]) {
          const { client } = await rotated(more);
          for (let i = 0; i < 2; i++) assert.deepEqual(caching(await client.run(page, CHROME)), [ PUBLIC, undefined, undefined ]);
        }
      });

      it('get a public page as it is, also with cookies that were changed', async () => {
        const { client } = await rotated();
        const original = client.cookies.copy();
        for (const name of original.keys()) {
          for (const value of [ 'x', original.get(name)!.replace(/.$/, last => (last === 'A' ? 'B' : 'A')), '' ]) {
            const browser = client.another(original.copy());
            browser.cookies.set(name, value);
            assert.deepEqual(caching(await browser.run(page, CHROME)), [ PUBLIC, undefined, undefined ], `${name}=${value}`);
          }
        }
      });

      it('get nothing that sets a cookie of the session', async () => {
        const { client } = await rotated();
        const original = client.cookies.copy();
        const variants = original.keys().flatMap(name => [ 'x', '' ].map(value => original.copy().set(name, value)));
        const HANDLES: Handle[] = [
          greeting,
          (session, ctx) => Object.assign(session, { n: 5 }) && greeting(session, ctx),
          async (session, ctx) => {
            session.n = 5;
            await session.save();
            return greeting(session, ctx);
          },
          async (session, ctx) => {
            await session.regenerate();
            return greeting(session, ctx);
          },
          async (session, ctx) => {
            greeting(session, ctx);
            await session.destroy();
          },
        ];
        let set = 0;
        for (const cookies of [ original, ...variants ]) {
          for (const handle of HANDLES) {
            const [ control, vary, lines ] = caching(await client.another(cookies.copy()).run(handle, CHROME));
            if (!lines) {
              assert.deepEqual([ control, vary ], [ PUBLIC, undefined ]);
              continue;
            }
            set++;
            assert.deepEqual([ control, vary ], [ 'private, max-age=60', 'Cookie' ]);
            for (const line of lines) assert.match(line as string, /^(_CHIPS-)?EGG_SESS(\.sig)?=/);
          }
        }
        assert.ok(set >= HANDLES.length - 1, `${set} responses with a cookie`);
      });

      if (form !== 'encrypted by Egg') {
        it('get no part in renewing it under the new key, which the first page does that uses the session', async () => {
          const { client, shared } = await rotated();
          const response = await client.run(read, CHROME);
          assert.deepEqual(response.json(), { n: 1, isNew: false });
          assert.ok(response.setCookies.some(line => line.startsWith(`${NAME}=`)));
          assert.equal(response.headers['cache-control'], 'private');
          assert.deepEqual((await client.run(read, CHROME)).setCookies, []);
          const after = await start(shared, { config, keys: [ 'a new key' ] });
          const later = after.client.another(client.cookies);
          assert.deepEqual((await later.run(count, CHROME)).json(), { n: 2 });
        });
      }
    });
  }
}

describe('Cache-Control as a list of headers', () => {
  afterEach(stop);

  it('is one', async () => {
    const { run } = await start();
    const { headers } = await run((session, ctx) => {
      session.n = 1;
      ctx.set('cache-control', [ 'public', 'max-age=60' ]);
    });
    assert.equal(headers['cache-control'], 'private, max-age=60');
  });

  it('a quoted comma is no end', async () => {
    const { run } = await start();
    const { headers } = await run((session, ctx) => {
      session.n = 1;
      ctx.set('cache-control', 'public, private="x-a, x-b", max-age=60');
    });
    assert.equal(headers['cache-control'], 'private, private="x-a, x-b", max-age=60');
  });
});

const FOR_CDNS = [
  'CDN-Cache-Control', 'Cloudflare-CDN-Cache-Control', 'VERCEL-CDN-CACHE-CONTROL', 'netlify-cdn-cache-control', 'Surrogate-Control',
  'X-Accel-Expires', 'Edge-Control', 'X-LiteSpeed-Cache-Control',
];

describe('shared caches get no response that sets the cookie', () => {
  afterEach(stop);

  it('but their headers stay in one that does not', async () => {
    const { client, run } = await start();
    client.cookies.set('EGG_SESS', 'of another application');
    const { headers } = await run((session, ctx) => {
      for (const name of FOR_CDNS) ctx.set(name, `max-age=600, n=${session.n}`);
      return {};
    });
    for (const name of FOR_CDNS) assert.equal(headers[name.toLowerCase()], 'max-age=600, n=undefined');
  });

  const PAGES: Record<string, Handle> = {
    'an error with headers of its own': (session, ctx) => {
      session.n = 1;
      ctx.throw(404, 'not here', { headers: { 'cache-control': PUBLIC } });
    },
    'headers that are sent before the end': async (session, ctx) => {
      session.n = 1;
      await session.save();
      ctx.set('cache-control', PUBLIC);
      ctx.flushHeaders();
      return {};
    },
    'headers that are given to writeHead()': async (session, ctx) => {
      session.n = 1;
      await session.save();
      ctx.respond = false;
      ctx.res.writeHead(200, { 'cache-control': PUBLIC });
      ctx.res.end('{}');
    },
    'a quoted string in the header': (session, ctx) => {
      session.n = 1;
      ctx.set('cache-control', `ext="a,private,b", ${PUBLIC}`);
    },
    'thousands of saves': async session => {
      for (session.n = 0; session.n < 12_000; session.n++) await session.save();
    },
    'headers for CDNs': (session, ctx) => {
      session.n = 1;
      for (const name of FOR_CDNS) ctx.set(name, 'public, max-age=600');
    },
    'headers for CDNs that are given to writeHead()': async (session, ctx) => {
      session.n = 1;
      await session.save();
      ctx.respond = false;
      ctx.res.writeHead(200, Object.fromEntries(FOR_CDNS.map(name => [ name, 'public, max-age=600' ])));
      ctx.res.end('{}');
    },
  };
  for (const [ title, handle ] of Object.entries(PAGES)) {
    it(`with ${title}`, async () => {
      const { client } = await start({ store: new MapStore() });
      const { headers, setCookies } = await client.tryRun(handle);
      assert.equal(setCookies.length, 1);
      assert.match(headers['cache-control']!.replace(/"[^"]*"/g, ''), /\bprivate\b/);
      assert.doesNotMatch(headers['cache-control']!, /public|s-maxage/);
      for (const name of FOR_CDNS) assert.equal(headers[name.toLowerCase()], undefined, name);
    });
  }
});
