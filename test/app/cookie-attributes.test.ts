import { strict as assert } from 'node:assert';
import { inspect } from 'node:util';
import type { MockApplication } from 'egg-mock';
import type { SessionOptions } from '../..';
import { resolveConfig } from '../../module/options/SessionConfig';
import type { Client } from '../support/app';
import { bootError } from '../support/boot';
import { MapStore } from '../support/MapStore';
import { count, HTTPS, MODES, read, start, stop } from '../support/web';

describe('a cookie name with a prefix', () => {
  afterEach(stop);

  const PROXY = { config: { proxy: true } };

  for (const key of [ '__Host-sid', '__HOST-sid', '__host-sid', '__Secure-sid', '__sEcUrE-sid' ]) {
    it(`${key}: is secure and works over HTTPS, and over plain HTTP the error says so`, async () => {
      const { app, client, run } = await start({ key }, PROXY);
      app.mockLog();
      const http = await client.tryRun(count);
      assert.equal(http.status, 500);
      assert.deepEqual(http.setCookies, []);
      app.expectLog(`the cookie ${key} is for HTTPS only, by config.session.key, and this request came over plain HTTP. In development, set that ` +
        'option in config.prod only; if a proxy in front speaks HTTPS, set config.proxy to true');
      const https = await run(count, HTTPS);
      assert.match(https.setCookies[0], new RegExp(`^${key}=[^;]+; path=/; max-age=86400; expires=[^;]+; samesite=lax; secure; httponly$`));
      assert.deepEqual((await run(count, HTTPS)).json(), { n: 2 });
      assert.equal((await run(read, HTTPS)).json().n, 2);
      assert.equal(client.cookies.size, 1);
    });
  }

  it('works with the id of a session in a store', async () => {
    const { run } = await start({ key: '__Host-sid', store: new MapStore() }, PROXY);
    assert.match((await run(count, HTTPS)).setCookies[0], /^__Host-sid=.*; secure; httponly$/);
    assert.deepEqual((await run(count, HTTPS)).json(), { n: 2 });
  });

  const message = (name: string, value: string, rule: string) => `[egg-tegg-session] config.session.${name} is ${value}; ${rule}`;
  const host = 'as config.session.key is \'__Host-sid\'';
  const secure = 'as config.session.key is \'__Secure-sid\'';
  const REFUSED: Array<[ session: SessionOptions & { key: string }, cookies: object, error: string ]> = [
    [{ key: '__Host-sid', secure: false }, {}, message('secure', 'false', `it must be true ${host}`) ],
    [{ key: '__Secure-sid', secure: false }, {}, message('secure', 'false', `it must be true ${secure}`) ],
    [{ key: '__Host-sid', domain: 'a.example' }, {},
      message('domain', '\'a.example\'', `it and config.cookies.domain must be left out ${host}`) ],
    [{ key: '__Host-sid' }, { domain: 'a.example' },
      message('domain', '\'a.example\'', `it and config.cookies.domain must be left out ${host}`) ],
    [{ key: '__Host-sid', path: '/app' }, {}, message('path', '\'/app\'', `it must be '/' ${host}`) ],
    [{ key: '__Host-sid' }, { path: '/app' }, message('path', '\'/app\'', `it must be '/' ${host}`) ],
  ];
  for (const [ session, cookies, error ] of REFUSED) {
    it(`is refused: config.session ${JSON.stringify(session)}, config.cookies ${JSON.stringify(cookies)}`, () => {
      assert.throws(() => resolveConfig(session, cookies), { name: 'TypeError', message: error });
      const key = session.key.toUpperCase();
      assert.throws(() => resolveConfig({ ...session, key }, cookies), { message: error.replace(session.key, key) });
    });
  }

  for (const [ session, cookies, error ] of [ REFUSED[2], REFUSED[5] ]) {
    it(`stops the application: config.session ${JSON.stringify(session)}, config.cookies ${JSON.stringify(cookies)}`, async () => {
      assert.equal(await bootError('web', session, { EGG_APP_CONFIG: JSON.stringify({ cookies }) }), error);
    });
  }

  it('allows __Host- what is no attribute, and __Secure- a domain and a path', () => {
    const allowed: Array<[ SessionOptions, object ]> = [
      [{ key: '__Host-sid', path: '/', domain: null, secure: true }, {}],
      [{ key: '__Host-sid', path: '/' }, { path: '/app' }],
      [{ key: '__Host-sid' }, { secure: false }],
      [{ key: '__Secure-sid', path: '/app', domain: 'a.example' }, { domain: 'b.example' }],
      [{ key: 'my__Host-sid', path: '/app', secure: false }, {}],
    ];
    for (const [ session, cookies ] of allowed) {
      const { secure } = resolveConfig(session, cookies);
      assert.equal(secure, session.key![0] === '_');
    }
  });

  it('refuses a domain that is a function', () => {
    assert.throws(() => resolveConfig({ key: '__HOST-sid', domain: () => 'a.example' }), /config\.session\.domain is \[Function/);
  });
});

describe('SameSite', () => {
  afterEach(stop);

  for (const [ session, cookies, expected ] of [
    [{}, {}, 'lax' ],
    [{}, { httpOnly: true }, 'lax' ],
    [{ store: new MapStore() }, {}, 'lax' ],
    [{ sameSite: 'strict' }, {}, 'strict' ],
    [{ sameSite: true }, {}, 'strict' ],
    [{ sameSite: false }, {}, undefined ],
    [{}, { sameSite: 'strict' }, 'strict' ],
    [{}, { sameSite: false }, undefined ],
    [{ sameSite: null }, { sameSite: 'strict' }, 'strict' ],
    [{ sameSite: 'lax' }, { sameSite: 'strict' }, 'lax' ],
  ] as Array<[ SessionOptions, object, string | undefined ]>) {
    it(`is ${expected ?? 'left out'} with config.session ${inspect(session, { depth: 0 })}, config.cookies ${inspect(cookies)}`, async () => {
      const { run } = await start(session, { config: { cookies } });
      assert.equal(/; samesite=(\w+)/.exec((await run(count)).setCookies[0])?.[1], expected);
    });
  }
});

for (const [ mode, given ] of MODES) {
  describe(`SameSite=None that is left out over plain HTTP, with ${mode} in the cookie`, () => {
    afterEach(stop);

    const lines = (app: MockApplication) =>
      (app.getLogger('coreLogger') as unknown as { _mockLogs: string[] })._mockLogs.filter(line => line.includes('SameSite=None'));

    for (const [ session, cookies, headers, isTold ] of [
      [{ sameSite: 'none' }, {}, {}, true ],
      [{ sameSite: 'None', rolling: true }, {}, {}, true ],
      [{}, { sameSite: 'none' }, {}, true ],
      [{ sameSite: 'none', secure: false }, {}, HTTPS, true ],
      [{ sameSite: 'none' }, {}, HTTPS, false ],
      [{ sameSite: 'none', secure: true }, {}, HTTPS, false ],
      [{ sameSite: 'lax' }, { sameSite: 'none' }, {}, false ],
      [{}, {}, {}, false ],
    ] as Array<[ SessionOptions, object, Record<string, string>, boolean ]>) {
      it(`${inspect(session)}, config.cookies ${inspect(cookies)}${headers === HTTPS ? ' over HTTPS' : ''}: the log ${isTold ? 'says so once' : 'says nothing'}`, async () => {
        const { app, client, run } = await start({ ...given(), ...session }, { config: { proxy: true, cookies } });
        app.mockLog('coreLogger');
        await client.another().run(read, headers);
        assert.deepEqual(lines(app), []);
        for (let i = 0; i < 3; i++) {
          const { setCookies } = await run(count, headers);
          assert.equal(/samesite=none/.test(setCookies[0]), headers === HTTPS && !isTold);
        }
        await run((_, ctx) => {
          ctx.session = null;
        }, headers);
        assert.equal(lines(app).length, isTold ? 1 : 0);
        if (isTold) assert.match(lines(app)[0], /WARN .*\[egg-tegg-session\] the cookie EGG_SESS was sent without SameSite=None, .* \(GET \/run\): .*config\.proxy/);
      });
    }

    it('on signing out only: the log says nothing', async () => {
      const { app, run } = await start({ ...given(), sameSite: 'none' });
      app.mockLog('coreLogger');
      await run((_, ctx) => {
        ctx.session = null;
      });
      assert.deepEqual(lines(app), []);
    });
  });

  describe(`Cache-Control and Vary, with ${mode} in the cookie`, () => {
    afterEach(stop);

    const caching = ({ headers: { 'cache-control': control, vary } }: Awaited<ReturnType<Client['request']>>) =>
      ({ control, vary });
    const NOT_CACHED = { control: 'private', vary: 'Cookie' };
    const UNTOUCHED = { control: undefined, vary: undefined };

    it('keep a response that sets the cookie out of shared caches', async () => {
      const { run } = await start(given());
      assert.deepEqual(caching(await run(count)), NOT_CACHED);
      assert.deepEqual(caching(await run(count)), NOT_CACHED);
    });

    it('are left alone in a response that does not', async () => {
      const { client, run } = await start(given());
      assert.deepEqual(caching(await run(read)), UNTOUCHED);
      await run(count);
      assert.deepEqual(caching(await run(read)), UNTOUCHED);
      assert.deepEqual(caching(await client.request('/no-such-page')), UNTOUCHED);
      const own = await run((_, ctx) => ctx.cookies.set('mine', '1') && { ok: true });
      assert.equal(own.setCookies.length, 2);
      assert.deepEqual(caching(own), UNTOUCHED);
    });

    it('keep a response that removes the cookie out of shared caches', async () => {
      const { run } = await start(given());
      await run(count);
      const response = await run(session => session.destroy());
      assert.match(response.setCookies[0], /^EGG_SESS=;/);
      assert.deepEqual(caching(response), NOT_CACHED);
    });

    it('keep a response out of shared caches when the handler saved the session itself', async () => {
      const { run } = await start({ ...given(), autoCommit: false });
      assert.deepEqual(caching(await run(count)), UNTOUCHED);
      assert.deepEqual(caching(await run(async session => {
        session.n = 1;
        await session.manuallyCommit();
      })), NOT_CACHED);
    });

    it('keep an error that sets the cookie out of shared caches', async () => {
      const { client } = await start(given());
      const response = await client.tryRun(session => {
        session.n = 1;
        throw new Error('after the session was changed');
      }, { accept: 'application/json' });
      assert.equal(response.status, 500);
      assert.equal(response.setCookies.length, 1);
      assert.deepEqual(caching(response), NOT_CACHED);
    });

    for (const [ control, vary, expected ] of [
      [ 'no-store', undefined, { control: 'no-store', vary: 'Cookie' }],
      [ 'public, max-age=60', undefined, { control: 'private, max-age=60', vary: 'Cookie' }],
      [ 'Public', undefined, { control: 'private', vary: 'Cookie' }],
      [ 'max-age=60,s-maxage=60 ,PUBLIC', undefined, { control: 'private, max-age=60', vary: 'Cookie' }],
      [ 'private, max-age=60', undefined, { control: 'private, max-age=60', vary: 'Cookie' }],
      [ 'no-store, public', undefined, { control: 'no-store', vary: 'Cookie' }],
      [ undefined, 'Accept-Encoding', { control: 'private', vary: 'Accept-Encoding, Cookie' }],
      [ undefined, 'cookie, Accept', { control: 'private', vary: 'cookie, Accept' }],
      [ undefined, '*', { control: 'private', vary: '*' }],
      [ 'no-cache', 'Origin', { control: 'private, no-cache', vary: 'Origin, Cookie' }],
    ] as const) {
      it(`keep what the application has set, but never public: ${control}, ${vary}`, async () => {
        const { run } = await start(given());
        assert.deepEqual(caching(await run((session, ctx) => {
          session.n = 1;
          if (control) ctx.set('cache-control', control);
          if (vary) ctx.set('vary', vary);
        })), expected);
      });
    }
  });
}
