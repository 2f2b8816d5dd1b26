import { strict as assert } from 'node:assert';
import type { AppOptions } from '../support/app';
import {
  asEggSession, chrome, cookies, count, destroy, type Handle, type Headers, HTTPS, read, start, stop,
} from '../support/subjects';

asEggSession(subject => {
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
      [{ domain: 'example.com' }, 'EGG_SESS; path=/; max-age=86400; expires; domain=example.com; httponly', { host: 'example.com' }],
      [{ domain: () => 'example.org' }, 'EGG_SESS; path=/; max-age=86400; expires; domain=example.org; httponly', { host: 'www.example.org' }],
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
      it(`with ${given}${headers === HTTPS ? ' over HTTPS' : ''}: ${expected}`, async () => {
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
      const { tryRun } = await start(subject, { session: { secure: true } });
      const response = await tryRun(count);
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
      const session = { sameSite: 'none' as const, secure: true, partitioned: true, removeUnpartitioned: true };
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
});
