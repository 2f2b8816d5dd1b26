import { strict as assert } from 'node:assert';
import type { Application } from 'egg';
import mm, { type MockApplication } from 'egg-mock';
import { type SessionEvents, type SessionOptions, SessionRegistry } from '../..';
import { Client, createApp, later } from '../support/app';
import { bootError } from '../support/boot';
import { blocksUnder, configOf } from '../support/docs';
import { HTTPS } from '../support/web';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const SID = '__Host-sid';
const TIMEOUTS: SessionOptions = { maxAge: 20 * MINUTE, rolling: true, absoluteMaxAge: 8 * HOUR };

/** Where sessions are kept, with the fixture that keeps them there. */
const MODES = { 'a store': 'memory-store', 'the cookie': 'web' } as const;
type Mode = keyof typeof MODES;

let app: MockApplication;
let server: Client;
let registry: SessionRegistry;
let isOpen = false;

async function close() {
  mm.restore();
  if (!isOpen) return;
  isOpen = false;
  await server.close();
  await app.close();
}

async function boot(mode: Mode, session: SessionOptions = {}, config: Record<string, unknown> = {}) {
  app = await createApp(MODES[mode], { session: { principal: 'userId', ...session }, config });
  server = await Client.of(app);
  isOpen = true;
  registry = await app.getEggObject(SessionRegistry);
}

/** A new browser, or one that has been there before, signs in as applications should. */
async function signIn(userId: string, browser = server.another(), headers?: Record<string, string>) {
  const response = await browser.run(async (session: any) => {
    await session.regenerate();
    session.userId = userId;
  }, headers);
  return { browser, response, id: (await browser.run((session: any) => ({ id: session.externalKey ?? null }), headers)).json().id as string };
}

const signedIn = async (userId: string) => (await signIn(userId)).browser;

/** Who is signed in there; null when nobody is. */
const user = async (browser: Client, headers?: Record<string, string>) =>
  (await browser.run((session: any) => ({ userId: session.userId ?? null }), headers)).json().userId;

/** A browser that has nothing but this cookie. */
function withCookie(name: string, value: string): Client {
  const browser = server.another();
  browser.cookies.set(name, value);
  return browser;
}

function attributesOf({ setCookies }: { setCookies: string[] }): { name: string; value: string; attributes: string[] } {
  assert.equal(setCookies.length, 1);
  const [ pair, ...attributes ] = setCookies[0].split('; ');
  const [ , name, value ] = /^([^=]+)=(.*)$/.exec(pair)!;
  return { name, value, attributes };
}

/** A test for each place where sessions are kept. */
function inBoth(title: string, run: (mode: Mode) => Promise<void>) {
  for (const mode of Object.keys(MODES) as Mode[]) it(`${title}, in ${mode}`, () => run(mode));
}

describe('ASVS 5.0', () => {
  beforeEach(() => mm.consoleLevel('NONE'));
  afterEach(close);

  describe('7.1 what is documented', () => {
    inBoth('7.1.1 the example under Timeouts ends an idle session after 20 minutes, and any after 8 hours', async mode => {
      const { session } = configOf(blocksUnder('docs/sessions.md', '## Timeouts')[0]);
      await boot(mode, session);
      const [ idle, busy ] = [ await signedIn('alice'), await signedIn('alice') ];
      const start = Date.now();
      const at = (minutes: number) => later(start + minutes * MINUTE - Date.now());
      at(19);
      assert.equal(await user(busy), 'alice');
      at(20.1);
      assert.equal(await user(idle), null);
      for (let minutes = 38; minutes < 8 * 60; minutes += 19) {
        at(minutes);
        assert.equal(await user(busy), 'alice');
      }
      at(8 * 60);
      assert.equal(await user(busy), null);
    });

    it('7.1.2 signing in beyond maxSessions ends the session that was not seen for longest', async () => {
      await boot('a store', { maxSessions: 2 });
      const evicted: unknown[] = [];
      (app as unknown as Application).on('session:destroyed', ({ reason, principal }) => evicted.push([ reason, principal ]));
      const stranger = await signedIn('bob');
      const browsers: Client[] = [];
      for (let i = 0; i < 3; i++) {
        browsers.push(await signedIn('alice'));
        later(1000);
      }
      assert.deepEqual(await Promise.all(browsers.map(browser => user(browser))), [ null, 'alice', 'alice' ]);
      assert.equal(await user(stranger), 'bob');
      assert.deepEqual(evicted, [[ 'evicted', 'alice' ]]);
    });

    it('7.1.2 in the cookie, maxSessions stops the application', async () => {
      assert.match((await bootError('web', { principal: 'userId', maxSessions: 2 }))!, /maxSessions needs a store with an index/);
    });
  });

  describe('7.2 tokens', () => {
    inBoth('7.2.1 a cookie that somebody has changed or made up is nobody\'s', async mode => {
      await boot(mode);
      const { browser, id } = await signIn('alice');
      const value = browser.cookies.get('EGG_SESS')!;
      assert.equal(await user(withCookie('EGG_SESS', value)), 'alice');
      for (let at = 0; at < value.length; at += 7) {
        const changed = value.slice(0, at) + (value[at] === 'A' ? 'B' : 'A') + value.slice(at + 1);
        assert.equal(await user(withCookie('EGG_SESS', changed)), null, `character ${at}`);
      }
      const json = Buffer.from('{"userId":"alice","_maxAge":86400000}').toString('base64');
      for (const made of [ id ?? 'id', json ]) assert.equal(await user(withCookie('EGG_SESS', made)), null);
    });

    inBoth('7.2.2 each sign-in makes a token of its own', async mode => {
      await boot(mode);
      const signIns = [];
      for (let i = 0; i < 10; i++) signIns.push(await signIn('alice'));
      assert.equal(new Set(signIns.map(({ browser }) => browser.cookies.get('EGG_SESS'))).size, 10);
      if (mode === 'a store') assert.equal(new Set(signIns.map(({ id }) => id)).size, 10);
    });

    it('7.2.3 ids are 144 random bits', async () => {
      await boot('a store');
      const ids: string[] = [];
      for (let i = 0; i < 64; i++) {
        const { id } = await signIn('alice');
        assert.match(id, /^[\w-]{24}$/);
        ids.push([ ...Buffer.from(id, 'base64url') ].map(byte => byte.toString(2).padStart(8, '0')).join(''));
      }
      for (let bit = 0; bit < 144; bit++) {
        // a bit that is random is the same 64 times with a chance of 2^-63
        assert.equal(new Set(ids.map(bits => bits[bit])).size, 2, `bit ${bit}`);
      }
    });

    inBoth('7.2.4 signing in makes a new token, and a planted one leads to nobody', async mode => {
      await boot(mode);
      const attacker = server.another();
      await attacker.run((session: any) => {
        session.cart = [ 'a' ];
      });
      const victim = attacker.copy();
      const planted = victim.cookies.get('EGG_SESS');
      await signIn('alice', victim);
      assert.notEqual(victim.cookies.get('EGG_SESS'), planted);
      assert.equal(await user(victim), 'alice');
      assert.equal(await user(attacker), null);
    });

    it('7.2.4 signing in again makes a new token, and the one before is dead', async () => {
      await boot('a store');
      const browser = await signedIn('alice');
      const before = browser.copy();
      await signIn('alice', browser);
      assert.equal(await user(before), null);
      assert.equal(await user(browser), 'alice');
    });
  });

  describe('7.3 timeouts', () => {
    inBoth('7.3.1 maxAge with rolling ends a session that no request uses', async mode => {
      await boot(mode, TIMEOUTS);
      const browser = await signedIn('alice');
      for (let i = 0; i < 3; i++) {
        later(19 * MINUTE);
        assert.equal(await user(browser), 'alice');
      }
      later(20 * MINUTE + 1000);
      assert.equal(await user(browser), null);
    });

    inBoth('7.3.2 absoluteMaxAge ends a session that is used all the time, and its cookie', async mode => {
      await boot(mode, TIMEOUTS);
      const browser = await signedIn('alice');
      const start = Date.now();
      for (let minutes = 15; minutes < 8 * 60; minutes += 15) {
        later(start + minutes * MINUTE - Date.now());
        assert.equal(await user(browser), 'alice');
      }
      later(start + 8 * HOUR - Date.now());
      const copy = browser.copy();
      const response = await browser.run((session: any) => ({ userId: session.userId ?? null }));
      assert.equal(response.json().userId, null);
      assert.equal(attributesOf(response).value, '');
      assert.equal(await user(copy), null);
    });
  });

  describe('7.4 ending sessions', () => {
    const signOut = (browser: Client) => browser.run((session: any) => session.destroy());

    it('7.4.1 after sign-out or expiry, a copy of the cookie is nobody\'s', async () => {
      await boot('a store', TIMEOUTS);
      const [ left, expired ] = [ await signedIn('alice'), await signedIn('alice') ];
      const copy = left.copy();
      await signOut(left);
      assert.ok(!left.cookies.has('EGG_SESS'));
      assert.equal(await user(left), null);
      assert.equal(await user(copy), null);
      later(21 * MINUTE);
      assert.equal(await user(expired.copy()), null);
    });

    it('7.4.1 in the cookie, a copy stays good after sign-out, until it expires', async () => {
      await boot('the cookie', TIMEOUTS);
      const browser = await signedIn('alice');
      const copy = browser.copy();
      await signOut(browser);
      assert.equal(await user(browser), null);
      assert.equal(await user(copy.copy()), 'alice');
      later(21 * MINUTE);
      assert.equal(await user(copy), null);
    });

    it('7.4.2 disabling an account ends all its sessions', async () => {
      await boot('a store');
      const browsers = [ await signedIn('alice'), await signedIn('alice') ];
      const stranger = await signedIn('bob');
      assert.equal(await registry.revokeAll('alice'), 2);
      for (const browser of browsers) assert.equal(await user(browser), null);
      assert.equal(await user(stranger), 'bob');
    });

    it('7.4.2 in the cookie, sessionRegistry rejects', async () => {
      await boot('the cookie');
      const browser = await signedIn('alice');
      for (const call of [ registry.list('alice'), registry.revokeAll('alice'), registry.clear() ]) {
        await assert.rejects(call, /needs a store with an index, and sessions are kept in the cookie/);
      }
      assert.equal(await user(browser), 'alice');
    });

    it('7.4.3 after a change of the password, the other devices are signed out', async () => {
      await boot('a store');
      const [ here, there, elsewhere ] = [ await signedIn('alice'), await signedIn('alice'), await signedIn('alice') ];
      const stolen = here.copy();
      const { count } = (await here.run(async (session: any) => {
        await session.regenerate();
        return { count: await registry.revokeAll('alice', { exceptCurrent: true }) };
      })).json();
      assert.equal(count, 2);
      assert.deepEqual(await Promise.all([ here, there, elsewhere, stolen ].map(browser => user(browser))), [ 'alice', null, null, null ]);
    });

    it('7.4.5 an administrator ends the sessions of one user, or of all', async () => {
      await boot('a store');
      const [ alice, bob, carol ] = [ await signedIn('alice'), await signedIn('bob'), await signedIn('carol') ];
      const admin = await signedIn('admin');
      assert.equal((await admin.run(async () => ({ count: await registry.revokeAll('alice') }))).json().count, 1);
      assert.deepEqual(await Promise.all([ alice, bob, admin ].map(browser => user(browser))), [ null, 'bob', 'admin' ]);
      assert.equal(await registry.clear(), 3);
      assert.deepEqual(await Promise.all([ bob, carol, admin ].map(browser => user(browser))), [ null, null, null ]);
    });
  });

  it('7.5.2 a user sees each of their sessions, and ends one', async () => {
    await boot('a store');
    const [ here, there ] = [ await signedIn('alice'), await signedIn('alice') ];
    const bob = await signedIn('bob');
    const list = async (browser: Client) =>
      (await browser.run(async (session: any) => ({ sessions: await registry.list(session.userId) }))).json().sessions as any[];
    const sessions = await list(here);
    assert.deepEqual(sessions.map(({ current }) => current).sort(), [ false, true ]);
    const { id } = sessions.find(({ current }) => !current);

    assert.equal(await registry.revoke('bob', id), false); // it is not his
    assert.equal(await user(there), 'alice');
    await here.run(async (session: any) => ({ ended: await registry.revoke(session.userId, id) }));
    assert.equal(await user(there), null);
    assert.equal(await user(here), 'alice');
    assert.equal((await list(here)).length, 1);
    assert.equal(await user(bob), 'bob');
  });

  describe('3.3 the cookie', () => {
    inBoth('3.3.1 it is Secure over HTTPS, and with a name that says so, never sent over HTTP', async mode => {
      await boot(mode, {}, { proxy: true });
      assert.ok(attributesOf((await signIn('alice', undefined, HTTPS)).response).attributes.includes('secure'));
      for (const key of [ SID, '__Secure-sid' ]) {
        await close();
        await boot(mode, { key }, { proxy: true });
        const { name, attributes } = attributesOf((await signIn('alice', undefined, HTTPS)).response);
        assert.equal(name, key);
        assert.ok(attributes.includes('secure'));
        const response = await server.tryRun((session: any) => {
          session.userId = 'alice';
        });
        assert.equal(response.status, 500);
        assert.deepEqual(response.setCookies, []);
      }
    });

    inBoth('3.3.2 it is SameSite=Lax, unless the options say otherwise', async mode => {
      for (const [ options, expected ] of [[{}, 'samesite=lax' ], [{ sameSite: 'strict' }, 'samesite=strict' ]] as const) {
        await boot(mode, options);
        assert.ok(attributesOf((await signIn('alice')).response).attributes.includes(expected));
        await close();
      }
    });

    inBoth('3.3.3 one whose name starts with __Host- is for one host', async mode => {
      await boot(mode, { key: SID }, { proxy: true });
      const { attributes } = attributesOf((await signIn('alice', undefined, HTTPS)).response);
      assert.ok(attributes.includes('path=/'));
      assert.ok(!attributes.some(attribute => /^domain/i.test(attribute)));
      assert.ok(attributes.includes('secure'));
    });

    it('3.3.3 an application that would share it does not start', async () => {
      assert.match((await bootError('web', { key: SID, domain: 'example.com' }))!, /domain is 'example\.com'; it and .* must be left out/);
      assert.match((await bootError('web', { key: SID, path: '/shop' }))!, /path is '\/shop'; it must be '\/'/);
    });

    inBoth('3.3.4 scripts can\'t read it, and no log line, event, error, body or listing shows the token', async mode => {
      await boot(mode, TIMEOUTS);
      for (const logger of [ 'logger', 'coreLogger' ]) app.mockLog(logger as 'logger');
      const told: string[] = [];
      const names: Array<keyof SessionEvents> = [ 'session:created', 'session:regenerated', 'session:destroyed', 'session:expired',
        'session:invalid', 'session:missed' ];
      for (const name of names) {
        (app as unknown as Application).on(name, event => told.push(`${name} ${JSON.stringify({ ...event, ctx: undefined })}`));
      }
      const { browser, response, id } = await signIn('alice');
      const { attributes, value } = attributesOf(response);
      assert.ok(attributes.includes('httponly'));
      told.push(response.text, JSON.stringify({ ...response.headers, 'set-cookie': '' }));
      const again = await signIn('alice', browser);

      const failed = await browser.tryRun(async (session: any) => {
        session.large = 'x'.repeat(5000);
        throw new Error('it has failed');
      });
      told.push(failed.text);
      const cyclic = await browser.tryRun(async (session: any) => {
        session.self = {};
        session.self.self = session.self;
      });
      told.push(cyclic.text);
      if (mode === 'a store') {
        const listing = await registry.list('alice');
        told.push(JSON.stringify(listing));
        for (const { id: handle } of listing) assert.equal(await user(withCookie('EGG_SESS', handle)), null);
      }
      const latest = browser.cookies.get('EGG_SESS')!;
      await user(withCookie('EGG_SESS', `${latest.slice(0, -1)}!`));
      const other = await signIn('alice');
      await browser.run((session: any) => session.destroy());
      later(21 * MINUTE);
      assert.equal(await user(other.browser), null);
      await new Promise(setImmediate);

      for (const logger of [ 'logger', 'coreLogger' ]) {
        told.push(...(app.getLogger(logger) as unknown as { _mockLogs: string[] })._mockLogs);
      }
      for (const name of names.slice(0, 4)) assert.ok(told.some(text => text.startsWith(name)), name);
      assert.ok(told.some(text => text.includes('[session][')));
      for (const secret of [ value, latest, ...id ? [ id, again.id, other.id ] : [] ]) {
        assert.deepEqual(told.filter(text => text.includes(secret.slice(0, 20))), []);
      }
    });

    it('3.3.5 name and value have up to 4,096 bytes, or the request fails', async () => {
      await boot('the cookie');
      const statuses = new Set<number>();
      for (let size = 2850; size < 2980; size += 3) {
        const response = await server.another().tryRun((session: any) => {
          session.text = 'x'.repeat(size);
        });
        statuses.add(response.status);
        if (response.status === 200) {
          const { name, value } = attributesOf(response);
          assert.ok(Buffer.byteLength(name + value) <= 4096);
        } else {
          assert.deepEqual(response.setCookies, []);
          assert.match(response.json().message, /too large for a cookie/);
        }
      }
      assert.deepEqual([ ...statuses ], [ 200, 500 ]);
    });

    it('3.3.5 the cookie of a session in a store is small, however large the session is', async () => {
      await boot('a store');
      const response = await server.run((session: any) => {
        session.text = 'x'.repeat(1_000_000);
      });
      const { name, value } = attributesOf(response);
      assert.ok(name.length + value.length <= 100);
    });
  });
});
