import { strict as assert } from 'node:assert';
import type { SessionOptions } from '../..';
import { Sealer } from '../../module/cookie/Sealer';
import { type Client, later } from '../support/app';
import { count, DAY, EMPTY, KEYS, listen, MODES, NAME, read, start, startEggSession, stop } from '../support/web';

describe('acceptLegacyCookie', () => {
  afterEach(stop);

  const FORMS: Array<[ form: string, options: SessionOptions ]> = [
    [ 'encrypted', {}],
    [ 'signed', { encrypt: false }],
  ];

  for (const [ mode, given, sealedFor ] of MODES) {
    const inCookie = sealedFor === NAME;
    for (const [ form, options ] of FORMS) {
      describe(`a cookie that egg-session ${form}, with ${mode}`, () => {
        /** A session of egg-session's, then the application with this plugin in its place. */
        async function migrate(acceptLegacyCookie: boolean | undefined, more: SessionOptions = {}) {
          const shared = given();
          const before = await startEggSession({ ...shared, ...options, ...more });
          await before.run(count);
          const { cookies } = before.client;
          assert.equal(cookies.has(`${NAME}.sig`), form === 'signed');
          const started = await start({ ...shared, ...more, acceptLegacyCookie });
          for (const [ name, value ] of cookies) started.client.cookies.set(name, value);
          return started;
        }

        for (const [ what, handle, answer ] of [
          [ 'read', read, { n: 1, isNew: false }],
          [ 'changed', count, { n: 2 }],
        ] as const) {
          it(`true: is ${what}, and sealed in that response`, async () => {
            const { app, client, run } = await migrate(true);
            const { events } = listen(app);
            const response = await run(handle);
            assert.deepEqual(response.json(), answer);
            assert.match(response.setCookies.join('\n'), /^EGG_SESS=2[\w-]{60,};[^\n]*$/);
            const again = await run(read);
            assert.deepEqual(again.json(), { n: answer.n, isNew: false });
            assert.deepEqual(again.setCookies, []);
            assert.deepEqual(events, []);
            assert.equal(new Sealer(KEYS).open(sealedFor, client.cookies.get(NAME)!)?.stale, false);
          });
        }

        for (const acceptLegacyCookie of [ false, undefined ]) {
          it(`${acceptLegacyCookie}: is a new session`, async () => {
            const { app, run } = await migrate(acceptLegacyCookie);
            const { events } = listen(app);
            const response = await run(read);
            assert.deepEqual(response.json(), EMPTY);
            assert.deepEqual(response.setCookies, []);
            assert.deepEqual(events, []);
            assert.deepEqual((await run(count)).json(), { n: 1 });
          });
        }

        it('true: is refused when it has expired', async () => {
          const { run } = await migrate(true, { maxAge: 1000 });
          later(60_000);
          const response = await run(read);
          assert.deepEqual(response.json(), EMPTY);
          assert.deepEqual(response.setCookies, []);
        });

        it('true: is refused when valid says so, and no cookie is set', async () => {
          const { run } = await migrate(true, { valid: () => false });
          const response = await run(read);
          assert.deepEqual(response.json(), EMPTY);
          assert.deepEqual(response.setCookies, []);
        });

        for (const [ days, kept ] of [[ 0.5, 0.5 ], [ 3, inCookie ? 1 : 3 ]]) {
          it(`true: the lifetime of ${days} days that egg-session gave it becomes ${kept}`, async () => {
            const shared = given();
            const before = await startEggSession({ ...shared, ...options });
            await before.run(session => Object.assign(session, { n: 1, maxAge: days * DAY }));
            const { client, run } = await start({ ...shared, acceptLegacyCookie: true });
            for (const [ name, value ] of before.client.cookies) client.cookies.set(name, value);
            assert.match((await run(read)).setCookies[0], new RegExp(`; max-age=${kept * DAY / 1000};`));
            assert.deepEqual((await run(session => ({ maxAge: session.maxAge }))).json(), { maxAge: kept * DAY });
          });
        }

        it('true: opens under an older key too', async () => {
          const { client: { cookies } } = await migrate(true);
          const shared = given();
          const before = await startEggSession({ ...shared, ...options });
          await before.run(count);
          for (const [ name, value ] of before.client.cookies) cookies.set(name, value);
          const { client, run } = await start({ ...shared, acceptLegacyCookie: true }, { keys: [ 'a new key', ...KEYS ] });
          for (const [ name, value ] of cookies) client.cookies.set(name, value);
          assert.deepEqual((await run(read)).json(), { n: 1, isNew: false });
        });

        it('true: is refused under other keys', async () => {
          const shared = given();
          const before = await startEggSession({ ...shared, ...options });
          await before.run(count);
          const { app, client, run } = await start({ ...shared, acceptLegacyCookie: true }, { keys: [ 'one', 'two' ] });
          const { events } = listen(app);
          for (const [ name, value ] of before.client.cookies) client.cookies.set(name, value);
          const response = await run(read);
          assert.deepEqual(response.json(), EMPTY);
          assert.deepEqual(response.setCookies, []);
          assert.equal(events.length, 0);
        });
      });
    }
  }

  for (const [ mode, given ] of MODES) {
    it(`true: an encrypted cookie with ${mode} opens under an older key, also when a newer one seems to fit`, async () => {
      const shared = given();
      const { client, run } = await startEggSession(shared);
      let keys!: { decrypt(data: Buffer, key: string): unknown };
      await run((_, ctx) => {
        ({ keys } = ctx.cookies as any);
      });
      // one in 256 decrypts under another key, to nonsense
      const fits = ({ cookies }: Client) => keys.decrypt(Buffer.from(cookies.get(NAME)!, 'base64'), 'a newer key') !== false;
      let browser: Client;
      do {
        browser = client.another();
        await browser.run(count);
      } while (!fits(browser));
      const after = await start({ ...shared, acceptLegacyCookie: true }, { keys: [ 'a newer key', ...KEYS ] });
      assert.deepEqual((await after.client.another(browser.cookies).run(read)).json(), { n: 1, isNew: false });
    });
  }

  it('true: a cookie that somebody forged lives no longer than config.maxAge', async () => {
    const forge = (record: object) => Buffer.from(JSON.stringify(record)).toString('base64');
    let forged: string[] = [];
    const before = await startEggSession();
    const century = 100 * 365 * DAY;
    await before.run((_, ctx) => {
      forged = [
        { n: 1, _maxAge: century, _expire: Date.now() + century },
        { n: 1, _expire: Date.now() + century },
        { n: 1, _session: true },
        { n: 1, _maxAge: 'long' },
        { n: 1 },
      ].map(record => (ctx.cookies as any).keys.encrypt(forge(record)).toString('base64'));
    });
    const { client } = await start({ acceptLegacyCookie: true, maxAge: 60_000 });
    for (const value of forged) {
      const browser = client.another();
      browser.cookies.set(NAME, value);
      const response = await browser.run(read);
      assert.deepEqual(response.json(), { n: 1, isNew: false });
      assert.match(response.setCookies[0], /; max-age=60;/);
      const sealed = JSON.parse(new Sealer(KEYS).open(NAME, browser.cookies.get(NAME)!)!.text);
      assert.equal(sealed._maxAge, 60_000);
      assert.ok(sealed._expire <= Date.now() + 60_000);
    }
  });

  it('true: a signed cookie that was changed is refused', async () => {
    const before = await startEggSession({ encrypt: false });
    await before.run(count);
    const { client, run } = await start({ acceptLegacyCookie: true });
    const value = Buffer.from('{"n":7}').toString('base64');
    for (const sig of [ before.client.cookies.get(`${NAME}.sig`)!, '', 'x' ]) {
      client.cookies.set(NAME, value).set(`${NAME}.sig`, sig);
      assert.deepEqual((await run(read)).json(), EMPTY);
    }
  });

  it('true: the cookie chooses neither its lifetime nor its age, also under maxAge: \'session\'', async () => {
    const { app, client, run } = await start({ acceptLegacyCookie: true, maxAge: 'session', absoluteMaxAge: DAY });
    const value = Buffer.from(JSON.stringify({ n: 7, _expire: Date.now() + 1e11, _maxAge: 1e11, _createdAt: Date.now() + 1e12 })).toString('base64');
    client.cookies.set(NAME, value).set(`${NAME}.sig`, (app.createAnonymousContext().cookies as any).keys.sign(`${NAME}=${value}`));
    const { setCookies } = await run(session => {
      session.n++;
    });
    assert.doesNotMatch(setCookies.join(), /max-age|expires/i);
    later(2 * DAY);
    assert.deepEqual((await run(read)).json(), EMPTY);
  });
});
