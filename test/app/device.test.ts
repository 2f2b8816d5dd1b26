import { strict as assert } from 'node:assert';
import type { Application } from 'egg';
import mm, { type MockApplication } from 'egg-mock';
import Redis from 'ioredis';
import { type SessionOptions, type SessionRecord, SessionRegistry } from '../..';
import { AppSessionStore as AppRedisStore } from '../fixtures/apps/redis-store/modules/store/AppSessionStore';
import { Client, createApp, later } from '../support/app';
import { bootError } from '../support/boot';
import { Browser } from '../support/Browser';
import { CookieJar } from '../support/CookieJar';
import { DeviceKey, type ProofParts } from '../support/device';
import { listenToEvents } from '../support/events';
import { MapStore } from '../support/MapStore';
import { startRedis, type TestServer } from '../support/servers';
import { HTTPS } from '../support/web';
import { startWorker } from '../support/worker';

const KEY = '__Host-sid';
const BOUND = `${KEY}.device`;
const MINUTE = 60_000;
const OPTIONS: SessionOptions = { key: KEY, principal: 'userId', deviceBound: true };

type Handle = (session: any, ctx: any) => unknown;

const who: Handle = session => ({ userId: session.userId ?? null, deviceBound: session.deviceBound, isNew: session.isNew, n: session.n ?? null });
const NOBODY = { userId: null, deviceBound: false, isNew: true, n: null };
const ALICE = { userId: 'alice', deviceBound: true, isNew: false, n: null };
const signIn = (userId = 'alice'): Handle => async session => {
  await session.regenerate();
  session.userId = userId;
};
const count: Handle = session => {
  session.n = (session.n ?? 0) + 1;
};

const offerIn = (headers: Record<string, unknown>) => {
  const offer = headers['secure-session-registration'] as string | undefined;
  if (offer === undefined) return undefined;
  const [ , path, challenge ] = /^\(ES256 RS256\);path="([^"]+)";challenge="([^"]+)"$/.exec(offer)!;
  return { path, challenge };
};
const challengeIn = (headers: Record<string, unknown>) => {
  const [ , challenge, id ] = /^"([\w-]+)";id="([\w-]+)"$/.exec(headers['secure-session-challenge'] as string)!;
  return { challenge, id };
};

/** A browser with a key of its own, that does what Chromium does. */
class Laptop {
  key = new DeviceKey();
  id?: string;
  challenge?: string;

  constructor(readonly client: Browser) {}

  get cookies() {
    return this.client.cookies;
  }

  /** The application is in this process, and runs what it is given. */
  get inProcess() {
    return this.client as Client;
  }

  /** The same cookies elsewhere, with another key. */
  thief(): Laptop {
    const thief = new Laptop(this.inProcess.copy());
    return Object.assign(thief, { id: this.id });
  }

  run(handle: Handle, headers = {}) {
    return this.inProcess.run(handle, { ...HTTPS, ...headers });
  }

  tryRun(handle: Handle, headers = {}) {
    return this.inProcess.tryRun(handle, { ...HTTPS, ...headers });
  }

  async who() {
    return (await this.run(who)).json();
  }

  async post(path: string, proof?: string, headers: Record<string, string> = {}) {
    const response = await this.client.request(path, {
      method: 'POST',
      headers: { ...HTTPS, ...this.id ? { 'sec-secure-session-id': `"${this.id}"` } : {}, ...proof === undefined ? {} : { 'secure-session-response': proof }, ...headers },
    });
    assert.ok(response.status < 500 || response.status === 503, response.text);
    assert.equal(response.headers['cache-control'], 'no-store');
    return response;
  }

  async offered(handle: Handle = signIn()) {
    return offerIn((await this.run(handle)).headers)!;
  }

  async register(challenge: string, parts?: ProofParts) {
    const response = await this.post('/session/device/register', this.key.registration(challenge, parts));
    if (response.status === 200) this.id = response.json().session_identifier;
    return response;
  }

  /** Signs in, and binds the session. */
  async bind(handle?: Handle) {
    const { challenge } = await this.offered(handle);
    const response = await this.register(challenge);
    assert.equal(response.status, 200);
    return this;
  }

  /** A refresh without a proof. */
  ask(headers?: Record<string, string>) {
    return this.post('/session/device/refresh', undefined, headers);
  }

  prove(challenge: string, parts?: ProofParts) {
    return this.post('/session/device/refresh', this.key.jwt(challenge, parts));
  }

  /** What the browser does when its bound cookie is over. */
  async refresh() {
    const asked = await this.ask();
    return asked.status === 403 ? await this.prove(challengeIn(asked.headers).challenge) : asked;
  }

  /** Its bound cookie runs out. */
  lapse() {
    this.cookies.delete(BOUND);
    return this;
  }
}

/** An application with these options, its store, and what it has told. */
class Site {
  app!: MockApplication;
  registry!: SessionRegistry;
  events!: ReturnType<typeof listenToEvents>;
  private client!: Client;

  async boot(fixture: 'redis-store' | 'memory-store', options: SessionOptions = {}) {
    Object.assign(AppRedisStore, { client: redis, prefix: 'session:' }); // other files of the process have theirs
    this.app = await createApp(fixture, {
      session: { ...OPTIONS, ...options }, config: { proxy: true, security: { csrf: { enable: true } } },
    });
    this.registry = await this.app.getEggObject(SessionRegistry);
    this.client = await Client.of(this.app);
    this.events = listenToEvents(this.app);
    return this;
  }

  laptop() {
    return new Laptop(this.client.another());
  }

  get store(): any {
    return (this.app as unknown as Application).config.session.store;
  }

  /** What was told of devices, as [ event, reason ]. */
  async told() {
    return (await this.events()).filter(({ event }) => /bound|unproven/.test(event)).map(({ event, reason }) => (reason ? [ event, reason ] : [ event ]));
  }

  /** Runs `meanwhile` before the next call of a method of the store. */
  before(method: string, meanwhile: () => Promise<unknown>) {
    const original = this.store[method];
    let done = false;
    mm(this.store, method, async function(this: unknown, ...args: unknown[]) {
      if (!done) {
        done = true;
        await meanwhile();
      }
      return await original.apply(this, args);
    });
  }

  async close() {
    mm.restore();
    await this.client?.close();
    await this.app?.close();
  }
}

let server: TestServer;
let redis: Redis;
before(async () => {
  server = await startRedis();
  redis = new Redis(server.port, '127.0.0.1');
});
after(async () => {
  redis.disconnect();
  await server.stop();
});

for (const fixture of [ 'redis-store', 'memory-store' ] as const) {
  describe(`sessions bound to devices, in the ${fixture}`, () => {
    const site = new Site();
    before(() => site.boot(fixture));
    afterEach(async () => {
      mm.restore();
      await site.events();
    });
    after(() => site.close());

    describe('the offer', () => {
      it('comes with a sign-in, and with a regenerate() of who is signed in, and with no other response', async () => {
        const laptop = site.laptop();
        const NEVER: Handle[] = [ who, count, who, session => session.save(), session => session.regenerate(), who ];
        for (const handle of NEVER) assert.equal(await laptop.offered(handle), undefined);
        assert.equal((await laptop.offered())!.path, '/session/device/register');
        for (const handle of [ who, count, who, (session => session.save()) as Handle ]) assert.equal(await laptop.offered(handle), undefined);
        assert.ok(await laptop.offered(session => session.regenerate()));
      });

      for (const [ how, handle ] of Object.entries<Handle>({
        'without regenerate()': session => {
          session.userId = 'alice';
        },
        'regenerate() after that': async session => {
          session.userId = 'alice';
          await session.regenerate();
        },
        'update()': session => session.update((data: SessionRecord) => {
          data.userId = 'alice';
        }),
        'ctx.session = {}': (_, ctx) => {
          ctx.session = { userId: 'alice' };
        },
      })) {
        it(`comes with a sign-in by ${how}, of a new session and of one that is there`, async () => {
          for (const first of [ who, count ]) {
            const laptop = site.laptop();
            await laptop.run(first);
            await laptop.bind(handle);
            assert.equal((await laptop.who()).deviceBound, true);
          }
        });
      }

      it('does not come over plain HTTP, nor with a session that was ended in the request, nor to one that is bound', async () => {
        const laptop = await site.laptop().bind();
        assert.equal(await laptop.offered(session => session.regenerate()), undefined);
        assert.deepEqual(await laptop.who(), ALICE);
        const { headers } = await site.laptop().run(async (session, ctx) => {
          await signIn()(session, ctx);
          await session.save();
          await session.destroy();
        });
        assert.equal(offerIn(headers), undefined);
      });
    });

    describe('the registration', () => {
      it('binds: with instructions, the bound cookie with just their attributes, a challenge, and no CSRF token', async () => {
        const laptop = site.laptop();
        const { challenge } = await laptop.offered();
        assert.equal((await laptop.who()).deviceBound, false);
        const response = await laptop.register(challenge);
        const { session_identifier: id, ...rest } = response.json();
        assert.deepEqual(rest, {
          refresh_url: '/session/device/refresh',
          scope: { include_site: false, scope_specification: [] },
          credentials: [{ type: 'cookie', name: BOUND, attributes: 'Path=/; Secure; HttpOnly; SameSite=Lax' }],
          allowed_refresh_initiators: [ '*' ],
        });
        assert.match(response.setCookies.join(), /^__Host-sid\.device=[\w-]+; Max-Age=600; Path=\/; Secure; HttpOnly; SameSite=Lax$/);
        assert.equal(challengeIn(response.headers).id, id);
        assert.deepEqual(await laptop.who(), ALICE);
        assert.deepEqual(await site.told(), [[ 'bound' ]]);
        assert.ok((await site.registry.list('alice')).some(({ deviceBound }) => deviceBound));
      });

      it('needs no cookie: after a sign-in at another site the browser sends none', async () => {
        const laptop = site.laptop();
        const { challenge } = await laptop.offered();
        const response = await laptop.inProcess.another().request('/session/device/register', {
          method: 'POST', headers: { ...HTTPS, 'secure-session-response': laptop.key.registration(challenge) },
        });
        laptop.cookies.store(new URL('https://127.0.0.1/'), response.setCookies);
        assert.deepEqual(await laptop.who(), ALICE);
      });

      it('takes RS256', async () => {
        const laptop = site.laptop();
        laptop.key = new DeviceKey('RS256');
        await laptop.bind();
        assert.equal((await laptop.lapse().refresh()).status, 200);
        assert.deepEqual(await laptop.who(), ALICE);
      });

      it('is the first one\'s: of two at the same time, one; a second one is refused and told', async () => {
        const laptop = site.laptop();
        const thief = laptop.thief();
        const { challenge } = await laptop.offered();
        const statuses = (await Promise.all([ laptop.register(challenge), thief.register(challenge) ])).map(({ status }) => status);
        assert.deepEqual(statuses.sort(), [ 200, 403 ]);
        const late = await new Laptop(thief.client).register(challenge);
        assert.equal(late.status, 403);
        assert.deepEqual(late.setCookies, []);
        assert.deepEqual((await site.told()).sort(), [[ 'bound' ], [ 'unproven', 'already bound' ], [ 'unproven', 'already bound' ]]);
      });

      it('is the first one\'s also when another comes in between the reading and the writing', async () => {
        const laptop = site.laptop();
        const { challenge } = await laptop.offered();
        const other = new Laptop(laptop.inProcess.copy());
        site.before('compareAndSet', () => other.register(challenge));
        assert.equal((await laptop.register(challenge)).status, 403);
        assert.ok(other.id);
      });

      it('is kept beside what other requests write at the same time, whatever they write', async () => {
        for (const handle of [ count, (session => session.update((data: SessionRecord) => { data.n = 1; })) as Handle, ((_, ctx) => {
          ctx.session = { userId: 'alice', n: 1 };
        }) as Handle, (session => session.save()) as Handle, (session => { session.maxAge = 5 * MINUTE; }) as Handle ]) {
          for (const when of [ 'before', 'after' ]) {
            const laptop = site.laptop();
            const { challenge } = await laptop.offered();
            const other = new Laptop(laptop.inProcess.copy());
            if (when === 'before') site.before('compareAndSet', () => other.run(handle));
            else {
              await other.run(async (session, ctx) => {
                session.toJSON();
                await laptop.register(challenge);
                await handle(session, ctx);
              });
            }
            if (when === 'before') assert.equal((await laptop.register(challenge)).status, 200);
            mm.restore();
            assert.equal((await laptop.who()).deviceBound, true);
            assert.deepEqual(await new Laptop(laptop.inProcess.copy()).lapse().who(), NOBODY);
          }
        }
      });

      it('of a session that has moved is refused: the move has made its own offer', async () => {
        const laptop = site.laptop();
        const { challenge } = await laptop.offered();
        const next = await laptop.offered(session => session.regenerate());
        assert.equal((await laptop.register(challenge)).status, 403);
        assert.equal((await laptop.register(next.challenge)).status, 200);
      });

      it('while the session moves holds for it, or fails', async () => {
        const laptop = site.laptop();
        const { challenge } = await laptop.offered();
        const registering = new Laptop(laptop.inProcess.another());
        // the request that moves it has read the record without the binding
        await laptop.run(async session => {
          session.toJSON();
          assert.equal((await registering.register(challenge)).status, 200);
          await session.regenerate();
        });
        assert.deepEqual(await laptop.who(), NOBODY);
        laptop.cookies.set(BOUND, registering.cookies.get(BOUND)!);
        assert.deepEqual(await laptop.who(), ALICE);
      });

      it('that came while the session moved, and could not be written there, ends the session: it must not go on without', async () => {
        const laptop = site.laptop();
        const { challenge } = await laptop.offered();
        const before = laptop.thief();
        const response = await laptop.tryRun(async session => {
          session.toJSON();
          assert.equal((await before.register(challenge)).status, 200);
          mm(site.store, 'merge', async () => { throw new Error('Connection is closed'); });
          await session.regenerate();
        });
        mm.restore();
        assert.equal(response.status, 503);
        assert.equal((await laptop.who()).userId, null);
        assert.equal((await before.who()).userId, null);
      });

      it('of one that has ended, is another principal\'s by now, or was revoked is refused', async () => {
        for (const end of [
          (laptop: Laptop) => laptop.run(session => session.destroy()),
          () => site.registry.revokeAll('alice'),
          (laptop: Laptop) => laptop.run(session => {
            session.userId = 'mallory';
          }),
          (laptop: Laptop) => laptop.run(session => {
            delete session.userId;
          }),
        ]) {
          const laptop = site.laptop();
          const { challenge } = await laptop.offered();
          await end(laptop);
          assert.equal((await laptop.register(challenge)).status, 403);
        }
      });

      it('is refused with a challenge that is old, of a refresh, or made up', async () => {
        const laptop = site.laptop();
        const { challenge } = await laptop.offered();
        const bound = await site.laptop().bind();
        const asked = challengeIn((await bound.ask()).headers).challenge;
        for (const each of [ asked, '', 'x', `${challenge}x`, 'x'.repeat(3000) ]) assert.equal((await laptop.register(each)).status, 403);
        later(5 * MINUTE + 1000);
        assert.equal((await laptop.register(challenge)).status, 403);
      });

      it('is refused with a bad proof, and a good one still counts', async () => {
        const laptop = site.laptop();
        const { challenge } = await laptop.offered();
        for (const parts of [
          { head: { alg: 'none' }, signature: '' }, { head: { jwk: laptop.key.privateJwk } }, { head: { jwk: undefined } }, { signature: 'AAAA' },
        ]) assert.equal((await laptop.register(challenge, parts)).status, 403);
        const large = await laptop.post('/session/device/register', 'x'.repeat(50_000));
        assert.equal(large.status, 403);
        assert.equal((await laptop.register(challenge)).status, 200);
      });

      it('is there where the answer of the store was lost, and fails where it does not answer', async () => {
        const laptop = site.laptop();
        const { challenge } = await laptop.offered();
        const original = site.store.compareAndSet;
        mm(site.store, 'compareAndSet', async function(this: unknown, ...args: unknown[]) {
          await original.apply(this, args);
          throw new Error('not heard');
        });
        assert.equal((await laptop.register(challenge)).status, 200);
        mm.restore();
        assert.deepEqual(await laptop.who(), ALICE);
        const other = site.laptop();
        const offer = await other.offered();
        mm(site.store, 'get', async () => { throw new Error('Connection is closed'); });
        assert.equal((await other.register(offer.challenge)).status, 503);
      });
    });

    describe('a request of a bound session', () => {
      let laptop: Laptop;
      beforeEach(async () => {
        laptop = await site.laptop().bind();
        await site.events();
      });

      it('without the bound cookie has no session; no cookie is touched, and with it the session is there', async () => {
        const thief = laptop.thief().lapse();
        const response = await thief.run(who, { 'secure-session-skipped': 'quota_exceeded' });
        assert.deepEqual(response.json(), NOBODY);
        assert.deepEqual(response.setCookies, []);
        const [ told ] = await site.events();
        assert.deepEqual([ told.event, told.reason, told.skipped, told.principal ], [ 'unproven', 'no cookie', 'quota_exceeded', 'alice' ]);
        assert.deepEqual(await laptop.who(), ALICE);
      });

      it('with another\'s, one that is over, or rubbish has none', async () => {
        const other = await site.laptop().bind(signIn('bob'));
        await site.events();
        const own = laptop.cookies.get(BOUND)!;
        for (const value of [ other.cookies.get(BOUND)!, laptop.cookies.get(KEY)!, 'x', `${own}x`, '' ]) {
          laptop.cookies.set(BOUND, value);
          assert.deepEqual(await laptop.who(), NOBODY);
        }
        assert.deepEqual(await site.told(), Array(5).fill([ 'unproven', 'bad cookie' ]));
        laptop.cookies.set(BOUND, own);
        assert.deepEqual(await laptop.who(), ALICE);
        later(10 * MINUTE + 20_000);
        assert.deepEqual(await laptop.who(), NOBODY);
        assert.deepEqual(await site.told(), [[ 'unproven', 'old cookie' ]]);
      });

      it('is refused each write without it, by 403, and the session stays as it is', async () => {
        const thief = laptop.thief().lapse();
        for (const handle of [
          count,
          session => session.save(),
          session => session.destroy(),
          (_, ctx) => { ctx.session = null; },
          (_, ctx) => { ctx.session = { n: 7 }; },
          session => session.update((data: SessionRecord) => { data.n = 1; }),
          session => { session.maxAge = MINUTE; },
          async session => {
            await session.regenerate();
            session.n = 7;
          },
        ] as Handle[]) {
          const response = await thief.tryRun(handle);
          assert.equal(response.status, 403);
          assert.deepEqual(response.setCookies, []);
          assert.match(response.text, /nothing was saved: the session is bound to a device/);
        }
        for (const handle of [ session => session.regenerate(), session => session.externalKey ] as Handle[]) {
          assert.deepEqual((await thief.run(handle)).setCookies, []);
        }
        assert.deepEqual(await laptop.who(), ALICE);
      });

      it('may sign in without it, which begins a new session; the bound one goes on', async () => {
        for (const handle of [ signIn('carol'), session => {
          session.userId = 'carol';
        }, async session => {
          session.userId = 'carol';
          await session.regenerate();
        }, (_, ctx) => {
          ctx.session = { userId: 'carol' };
        } ] as Handle[]) {
          const again = laptop.thief().lapse();
          await again.bind(handle);
          assert.equal((await again.who()).userId, 'carol');
          assert.deepEqual(await laptop.who(), ALICE);
        }
      });

      it('keeps its binding over regenerate(), and the old id is worth nothing', async () => {
        const before = laptop.thief();
        const { headers } = await laptop.run(session => session.regenerate());
        assert.equal((await laptop.prove(challengeIn(headers).challenge)).status, 200); // which the browser has, and need not ask for
        assert.deepEqual(await laptop.who(), ALICE);
        assert.equal((await before.who()).userId, null);
        assert.deepEqual(await laptop.thief().lapse().who(), NOBODY);
        assert.equal((await laptop.lapse().refresh()).status, 200);
        assert.deepEqual(await laptop.who(), ALICE);
      });

      it('loses its binding by a sign-in of somebody else, with an offer: a session that was planted binds nobody', async () => {
        for (const handle of [ signIn('bob'), session => {
          session.userId = 'bob';
        }, async session => {
          session.userId = 'bob';
          await session.regenerate();
        }, session => session.update((data: SessionRecord) => { data.userId = 'bob'; }), (_, ctx) => {
          ctx.session = { userId: 'bob' };
        } ] as Handle[]) {
          const planted = (await site.laptop().bind(signIn('mallory')));
          const victim = new Laptop(planted.inProcess.copy());
          const { challenge } = await victim.offered(handle);
          assert.deepEqual(await victim.lapse().who(), { ...ALICE, userId: 'bob', deviceBound: false });
          assert.equal((await victim.register(challenge)).status, 200);
          assert.equal((await planted.refresh()).status === 200 && (await planted.who()).userId === 'bob', false);
        }
      });

      it('signing out ends it in the browser too', async () => {
        const { setCookies } = await laptop.run(session => session.destroy());
        assert.deepEqual(setCookies.map(line => line.split('=')[0]).sort(), [ KEY, BOUND ]);
        assert.ok(!laptop.cookies.has(KEY) && !laptop.cookies.has(BOUND));
        assert.deepEqual((await laptop.ask()).json(), { continue: false });
      });

      it('signing out with two cookies does not end a bound session whose proof is not there', async () => {
        const thief = await site.laptop().bind(signIn('mallory'));
        const cookie = [ ...thief.cookies ].map(([ name, value ]) => `${name}=${value}`).join('; ');
        await thief.inProcess.run(session => session.destroy(), { ...HTTPS, cookie: `${cookie}; ${KEY}=${laptop.cookies.get(KEY)}` });
        assert.deepEqual(await laptop.who(), ALICE);
      });
    });

    describe('the refresh', () => {
      let laptop: Laptop;
      beforeEach(async () => {
        laptop = await site.laptop().bind();
        await site.events();
      });

      it('first gives a challenge by 403, then the bound cookie and the next challenge', async () => {
        const asked = await laptop.lapse().ask();
        assert.deepEqual([ asked.status, asked.setCookies, challengeIn(asked.headers).id ], [ 403, [], laptop.id ]);
        const proven = await laptop.prove(challengeIn(asked.headers).challenge);
        assert.deepEqual([ proven.status, proven.json().session_identifier, proven.setCookies.length ], [ 200, laptop.id, 1 ]);
        assert.deepEqual(await laptop.who(), ALICE);
        const next = await laptop.prove(challengeIn(proven.headers).challenge);
        assert.equal(next.status, 200);
        assert.deepEqual(await site.told(), []);
      });

      it('takes each challenge once, whichever of several was asked for first', async () => {
        const [ first, second ] = [ await laptop.ask(), await laptop.ask() ].map(({ headers }) => challengeIn(headers).challenge);
        const proof = laptop.key.jwt(first);
        const statuses = (await Promise.all([ 1, 2, 3 ].map(() => laptop.post('/session/device/refresh', proof)))).map(({ status }) => status);
        assert.deepEqual(statuses.sort(), [ 200, 403, 403 ]);
        assert.equal((await laptop.prove(second)).status, 403);
        assert.deepEqual(await site.told(), Array(3).fill([ 'unproven', 'bad challenge' ]));
        assert.equal((await laptop.refresh()).status, 200);
      });

      it('refuses a bad proof by 403 with a challenge, and the binding stays', async () => {
        const { challenge } = challengeIn((await laptop.ask()).headers);
        const other = await site.laptop().bind();
        const theirs = challengeIn((await other.ask()).headers).challenge;
        const key = new DeviceKey();
        await site.events();
        const PROOFS = [
          key.jwt(challenge), laptop.key.registration(challenge), key.registration(challenge), laptop.key.jwt(challenge, { head: { alg: 'none' }, signature: '' }),
          laptop.key.jwt(challenge, { head: { typ: 'JWT' } }), laptop.key.jwt(theirs), other.key.jwt(theirs), laptop.key.jwt('x'), 'x', 'x'.repeat(50_000),
        ];
        for (const proof of PROOFS) {
          const response = await laptop.post('/session/device/refresh', proof);
          assert.deepEqual([ response.status, response.setCookies ], [ 403, []]);
          assert.equal(challengeIn(response.headers).id, laptop.id);
        }
        assert.equal((await site.told()).length, PROOFS.length);
        assert.equal((await laptop.prove(challenge)).status, 200);
      });

      it('refuses a challenge that is older than a proof counts and five minutes', async () => {
        const { challenge } = challengeIn((await laptop.ask()).headers);
        later(14 * MINUTE);
        assert.equal((await laptop.prove(challenge)).status, 200);
        const next = challengeIn((await laptop.ask()).headers).challenge;
        later(16 * MINUTE);
        assert.equal((await laptop.prove(next)).status, 403);
      });

      it('for a binding that is not this session\'s tells the browser to forget it, and removes no cookie', async () => {
        const response = await laptop.ask({ 'sec-secure-session-id': 'another' });
        assert.deepEqual([ response.status, response.json(), response.setCookies ], [ 200, { continue: false }, []]);
        const unbound = site.laptop();
        await unbound.offered();
        assert.deepEqual((await unbound.ask()).json(), { continue: false });
        assert.equal((await unbound.who()).userId, 'alice');
      });

      it('without a cookie removes none: a form of another site signs nobody out', async () => {
        const response = await laptop.inProcess.another().request('/session/device/refresh', { method: 'POST', headers: HTTPS });
        assert.deepEqual([ response.json(), response.setCookies ], [{ continue: false }, []]);
      });

      it('of a session that was revoked ends the binding, and removes both cookies', async () => {
        await site.registry.revokeAll('alice');
        assert.equal((await laptop.who()).userId, null);
        const response = await laptop.ask();
        assert.deepEqual([ response.status, response.json() ], [ 200, { continue: false }]);
        assert.deepEqual(response.setCookies.map(line => line.split('=')[0]).sort(), [ KEY, BOUND ]);
        assert.ok(!laptop.cookies.has(KEY) && !laptop.cookies.has(BOUND));
      });

      it('while it is being revoked brings nothing back', async () => {
        const { challenge } = challengeIn((await laptop.ask()).headers);
        site.before('compareAndSet', () => site.registry.revokeAll('alice'));
        const response = await laptop.prove(challenge);
        assert.deepEqual(response.json(), { continue: false });
        mm.restore();
        assert.equal((await laptop.who()).userId, null);
        assert.deepEqual(await site.registry.list('alice'), []);
      });

      it('while it moves is for the session where it is; a proof for the old id counts once more nowhere', async () => {
        const { challenge } = challengeIn((await laptop.ask()).headers);
        const mover = new Laptop(laptop.inProcess.copy());
        site.before('compareAndSet', () => mover.run(session => session.regenerate()));
        const overtaken = await laptop.prove(challenge);
        assert.equal(overtaken.status, 403);
        mm.restore();
        // with the old id, which leads to the new one for a while
        assert.equal((await laptop.prove(challengeIn(overtaken.headers).challenge)).status, 200);
        assert.equal((await laptop.prove(challenge)).status, 403);
        mover.cookies.set(BOUND, laptop.cookies.get(BOUND)!);
        assert.deepEqual(await mover.who(), ALICE);
        assert.equal((await laptop.who()).userId, null);
      });

      it('after which the request that moves the session has read it, is no second chance for the proof', async () => {
        const { challenge } = challengeIn((await laptop.ask()).headers);
        await laptop.run(async session => {
          session.toJSON();
          assert.equal((await new Laptop(laptop.inProcess.copy()).post('/session/device/refresh', laptop.key.jwt(challenge))).status, 200);
          await session.regenerate();
        });
        assert.equal((await laptop.prove(challenge)).status, 403);
        assert.equal((await laptop.refresh()).status, 200);
      });

      it('while the store is down is a 503, and all is well after that', async () => {
        mm(site.store, 'get', async () => { throw new Error('Connection is closed'); });
        const response = await laptop.ask();
        assert.deepEqual([ response.status, response.setCookies ], [ 503, []]);
        assert.ok(response.headers['retry-after']);
        mm.restore();
        assert.equal((await laptop.refresh()).status, 200);
      });

      it('keeps the data, the age, and the place among the sessions of the principal', async () => {
        await laptop.run(count);
        const [ before ] = await site.registry.list('alice');
        await laptop.refresh();
        assert.deepEqual(await laptop.who(), { ...ALICE, n: 1 });
        const [ after ] = await site.registry.list('alice');
        assert.deepEqual([ after.id, after.createdAt, after.deviceBound ], [ before.id, before.createdAt, true ]);
      });
    });

    it('a thief who has copied all cookies is signed in until the bound one is over, and never again', async () => {
      const laptop = await site.laptop().bind();
      const thief = laptop.thief();
      assert.deepEqual(await thief.who(), ALICE);
      assert.equal(await thief.offered(session => session.toJSON()), undefined);
      const asked = challengeIn((await thief.ask()).headers).challenge;
      assert.equal((await thief.prove(asked)).status, 403);
      later(10 * MINUTE + 20_000);
      assert.deepEqual(await thief.who(), NOBODY);
      assert.equal((await thief.refresh()).status, 403);
      assert.equal((await laptop.refresh()).status, 200);
      assert.deepEqual(await laptop.who(), ALICE);
    });

    it('other methods and paths are the application\'s', async () => {
      const { client } = site.laptop();
      for (const [ method, path ] of [[ 'GET', '/session/device/refresh' ], [ 'POST', '/session/device' ], [ 'POST', '/session/device/refresh/x' ]]) {
        const { status } = await client.request(path, { method, headers: HTTPS });
        assert.ok([ 403, 404 ].includes(status)); // 403 is the CSRF token's
      }
    });
  });
}

describe('sessions bound to devices, with other options', () => {
  let site: Site;
  const boot = async (options: SessionOptions, fixture: 'redis-store' | 'memory-store' = 'redis-store') => {
    site = await new Site().boot(fixture, options);
  };
  afterEach(() => site.close());

  it('required: who is signed in and not bound has no session after two minutes, and may sign in again', async () => {
    await boot({ deviceBound: { required: true } });
    const laptop = await site.laptop().bind();
    const old = site.laptop();
    await old.run(signIn());
    later(MINUTE);
    await old.run(session => session.regenerate()); // is no way to have longer
    await old.run(count);
    assert.equal((await old.who()).userId, 'alice');
    later(MINUTE + 1000);
    await site.events();
    assert.equal((await old.who()).userId, null);
    assert.deepEqual(await site.told(), [[ 'unproven', 'not bound' ]]);
    assert.deepEqual(await laptop.who(), ALICE);
    await old.bind();
    assert.deepEqual(await old.who(), ALICE);
    assert.equal((await site.laptop().run(count)).status, 200);
  });

  for (const [ name, options, resent ] of [[ 'rolling', { rolling: true }, 2 ], [ 'renew', { renew: true }, 2 ], [ 'neither', {}, 1 ]] as const) {
    it(`${name}: a refresh sets ${resent} cookies; without the bound cookie, nothing lives on`, async () => {
      await redis.flushall();
      await boot({ ...options, maxAge: 60 * MINUTE });
      const laptop = await site.laptop().bind();
      const [ key ] = await redis.keys('session:[!p]*');
      const left = () => redis.pttl(key);
      const { setCookies } = await laptop.refresh();
      assert.equal(setCookies.length, resent);
      await redis.pexpire(key, 5 * MINUTE);
      await laptop.thief().lapse().run(who);
      assert.ok(await left() <= 5 * MINUTE);
      assert.deepEqual(await laptop.who(), ALICE);
    });
  }

  it('load: \'injected\' and absoluteMaxAge and maxSessions go with it', async () => {
    await boot({ load: 'injected', absoluteMaxAge: 60 * MINUTE, maxSessions: 1 });
    const first = await site.laptop().bind();
    const second = await site.laptop().bind();
    assert.deepEqual((await first.refresh()).json(), { continue: false });
    assert.equal((await second.refresh()).status, 200);
    assert.deepEqual(await second.who(), ALICE);
    assert.deepEqual(await second.thief().lapse().who(), NOBODY);
  });

  it('a session from before, and one that was never bound, goes on as ever', async () => {
    await boot({ deviceBound: false });
    const laptop = site.laptop();
    await laptop.run(signIn());
    assert.equal((await laptop.who()).deviceBound, false);
    const { status } = await laptop.client.request('/session/device/refresh', { method: 'POST', headers: HTTPS });
    assert.equal(status, 403); // the CSRF token's
    const { cookies } = laptop;
    await site.close();
    await boot({});
    const later = new Laptop(Object.assign(site.laptop().client, { cookies }));
    assert.equal((await later.who()).userId, 'alice');
    await later.run(count);
    assert.equal((await later.who()).n, 1);
  });
});

it('two workers: of two registrations one is bound, and a proof counts on one of them', async () => {
  const client = { host: '127.0.0.1', port: server.port, password: '', db: 0 };
  const workers = await Promise.all([ 0, 1 ].map(() => startWorker({
    plugin: 'egg-redis', library: 'ioredis', store: 'store', redis: { client }, session: OPTIONS, proxy: true,
  })));
  try {
    const jar = new CookieJar();
    const [ here, there ] = workers.map(({ port }) => new Laptop(new Browser(port, jar)));
    const { challenge } = offerIn((await here.client.request('/sign-in?user=7', { headers: HTTPS })).headers)!;
    const both = await Promise.all([ here.register(challenge), there.register(challenge) ]);
    assert.deepEqual(both.map(({ status }) => status).sort(), [ 200, 403 ]);
    const [ winner, loser ] = here.id ? [ here, there ] : [ there, here ];
    Object.assign(loser, { key: winner.key, id: winner.id });
    const userOf = async (laptop: Laptop) => (await laptop.client.request('/session', { headers: HTTPS })).json().userId;
    assert.deepEqual([ await userOf(winner), await userOf(loser) ], [ 7, 7 ]);
    for (let i = 0; i < 5; i++) {
      const asked = challengeIn((await winner.ask()).headers).challenge;
      const proofs = await Promise.all([ winner.prove(asked), loser.prove(asked) ]);
      assert.deepEqual(proofs.map(({ status }) => status).sort(), [ 200, 403 ]);
    }
    jar.delete(BOUND);
    assert.deepEqual([ await userOf(winner), await userOf(loser) ], [ undefined, undefined ]);
    assert.equal((await loser.refresh()).status, 200);
    assert.deepEqual([ await userOf(winner), await userOf(loser) ], [ 7, 7 ]);
  } finally {
    await Promise.all(workers.map(worker => worker.stop()));
  }
});

for (const fixture of [ 'redis-store', 'memory-store' ] as const) {
  describe(`a request that is under way while the session becomes another device's, ${fixture}`, () => {
    const site = new Site();
    before(() => site.boot(fixture));
    afterEach(async () => {
      mm.restore();
      await site.events();
    });
    after(() => site.close());

    const inPlace = (userId: string): Handle => session => {
      session.userId = userId;
    };
    const ASSIGNMENTS: Array<[ how: string, (userId: string) => Handle ]> = [
      [ 'a field', inPlace ],
      [ 'update()', userId => session => session.update((data: SessionRecord) => { data.userId = userId; }) ],
      [ 'ctx.session = { … }', userId => (_, ctx) => { ctx.session = { userId }; } ],
    ];
    const bindAs = async (laptop: Laptop, handle: Handle) => {
      const { challenge } = await laptop.offered(handle);
      assert.equal((await laptop.register(challenge)).status, 200);
    };

    for (const [ how, signInBy ] of ASSIGNMENTS) {
      it(`does not move a planted session that its victim has signed in to by ${how}`, async () => {
        const mallory = await site.laptop().bind(signIn('mallory'));
        const victim = new Laptop(mallory.inProcess.copy());
        await mallory.tryRun(async session => {
          session.toJSON();
          await bindAs(victim, signInBy('bob'));
          await session.regenerate();
        });
        assert.notEqual((await mallory.who()).userId, 'bob');
        await mallory.lapse().refresh();
        assert.notEqual((await mallory.who()).userId, 'bob');
        assert.notEqual((await mallory.thief().who()).userId, 'bob');
      });

      it(`does not move a planted session that was bound no more, and whose victim has signed in by ${how}`, async () => {
        const mallory = await site.laptop().bind(signIn('mallory'));
        const other = new Laptop(mallory.inProcess.copy());
        const victim = site.laptop();
        victim.cookies.set(KEY, mallory.cookies.get(KEY)!);
        await mallory.tryRun(async session => {
          session.toJSON();
          await other.run(inPlace('mallory2'));
          await bindAs(victim, signInBy('bob'));
          await session.regenerate();
        });
        assert.notEqual((await mallory.who()).userId, 'bob');
        later(20 * MINUTE);
        await mallory.lapse().refresh();
        assert.notEqual((await mallory.who()).userId, 'bob');
      });
    }

    it('does not write its data over that of whoever has bound it: a session that was planted binds nobody', async () => {
      const victim = site.laptop();
      await victim.run(inPlace('bob'));
      const mallory = new Laptop(victim.inProcess.copy());
      await victim.run(async (session, ctx) => {
        session.toJSON();
        await mallory.bind(inPlace('mallory'));
        ctx.session = { userId: 'bob', n: 1 };
      });
      assert.equal((await mallory.who()).userId, 'mallory');
    });

    for (const [ before, begin ] of [[ 'nobody', count ], [ 'the same principal, not bound yet', inPlace('bob') ]] as Array<[ string, Handle ]>) {
      it(`takes nothing over of who has bound it when it signs somebody else in: it was loaded as that of ${before}`, async () => {
        const victim = site.laptop();
        const { headers: offered } = await victim.run(begin);
        const thief = new Laptop(victim.inProcess.copy());
        await thief.run(async session => {
          session.toJSON();
          const { challenge } = begin === count ? await victim.offered(inPlace('bob')) : offerIn(offered)!;
          assert.equal((await victim.register(challenge)).status, 200);
          await victim.run(theirs => { theirs.secret = 'of bob'; });
          session.userId = 'mallory';
        });
        assert.deepEqual((await thief.run(session => ({ userId: session.userId, secret: session.secret ?? null }))).json(), { userId: 'mallory', secret: null });
        assert.deepEqual((await victim.run(session => ({ userId: session.userId, secret: session.secret }))).json(), { userId: 'bob', secret: 'of bob' });
      });
    }

    for (const [ what, handle ] of [
      [ 'regenerate()', session => session.regenerate() ], [ 'update()', session => session.update((data: SessionRecord) => { data.planted = 1; }) ],
    ] as Array<[ string, Handle ]>) {
      it(`reads nothing of who has bound it, by ${what}`, async () => {
        const victim = site.laptop();
        await victim.run(count);
        const thief = new Laptop(victim.inProcess.copy());
        let seen: unknown;
        await thief.tryRun(async session => {
          session.toJSON();
          await bindAs(victim, inPlace('bob'));
          await victim.run(theirs => { theirs.secret = 'of bob'; });
          await Promise.resolve(handle(session, undefined)).catch(() => undefined);
          seen = { secret: session.secret, deviceBound: session.deviceBound };
        });
        assert.deepEqual(seen, { secret: undefined, deviceBound: false });
        assert.notEqual((await thief.who()).userId, 'bob');
      });
    }

    it('has no proof, though its own principal has bound the session meanwhile; and goes on', async () => {
      const laptop = site.laptop();
      const { challenge } = await laptop.offered();
      const beside = new Laptop(laptop.inProcess.copy());
      let deviceBound: unknown;
      await beside.run(async session => {
        session.toJSON();
        assert.equal((await laptop.register(challenge)).status, 200);
        await session.update((data: SessionRecord) => { data.n = 1; });
        ({ deviceBound } = session);
      });
      assert.equal(deviceBound, false);
      assert.deepEqual(await laptop.who(), { ...ALICE, n: 1 });
    });

    it('is made no offer when another request has signed in', async () => {
      const victim = site.laptop();
      await victim.run(count);
      const thief = new Laptop(victim.inProcess.copy());
      const { headers } = await thief.run(async session => {
        session.toJSON();
        await victim.run(inPlace('alice'));
        await session.regenerate();
      });
      assert.equal(offerIn(headers), undefined);
    });

    it('is made an offer of its own when the store did not confirm the move, and the session was bound meanwhile', async () => {
      const laptop = site.laptop();
      const { challenge } = await laptop.offered();
      const beside = new Laptop(laptop.inProcess.copy());
      const original = site.store.retire;
      const response = await laptop.tryRun(async session => {
        session.toJSON();
        assert.equal((await beside.register(challenge)).status, 200);
        mm(site.store, 'retire', async function(this: unknown, ...args: unknown[]) {
          await original.apply(this, args);
          throw new Error('not heard');
        });
        await session.regenerate();
      });
      mm.restore();
      assert.equal(response.status, 503);
      assert.equal((await laptop.register(offerIn(response.headers)!.challenge)).status, 200);
      assert.deepEqual(await laptop.who(), ALICE);
    });
  });

  describe(`an old id of a bound session, ${fixture}`, () => {
    const site = new Site();
    before(() => site.boot(fixture));
    afterEach(async () => void await site.events());
    after(() => site.close());

    for (const [ how, handle ] of [[ 'destroy()', session => session.destroy() ], [ 'ctx.session = null', (_, ctx) => { ctx.session = null; } ]] as Array<[ string, Handle ]>) {
      it(`does not end it without a proof, by ${how}`, async () => {
        const laptop = await site.laptop().bind();
        const thief = laptop.thief().lapse();
        await laptop.run(session => session.regenerate());
        await thief.tryRun(handle);
        assert.deepEqual(await laptop.who(), ALICE);
        assert.ok((await site.registry.list('alice')).some(({ deviceBound }) => deviceBound));
      });

      it(`does not end it beside the cookie of another session, by ${how}`, async () => {
        const laptop = await site.laptop().bind();
        const old = laptop.cookies.get(KEY);
        await laptop.run(session => session.regenerate());
        const thief = site.laptop();
        await thief.run(signIn('eve'));
        await thief.inProcess.tryRun(handle, { ...HTTPS, cookie: `${KEY}=${thief.cookies.get(KEY)}; ${KEY}=${old}` });
        assert.deepEqual(await laptop.who(), ALICE);
        assert.deepEqual(await site.registry.list('eve'), []);
      });

      it(`ends it with the proof, by ${how}`, async () => {
        const laptop = await site.laptop().bind();
        const slow = new Laptop(laptop.inProcess.copy());
        await laptop.run(session => session.regenerate());
        await slow.run(handle);
        assert.deepEqual(await laptop.who(), NOBODY);
      });
    }

    it('leaves no proof good for a later binding with the same key', async () => {
      const laptop = await site.laptop().bind();
      const { challenge } = challengeIn((await laptop.ask()).headers);
      assert.equal((await laptop.prove(challenge)).status, 200);
      for (const user of [ 'bob', 'alice' ]) await laptop.bind(session => { session.userId = user; });
      assert.equal((await laptop.prove(challenge)).status, 403);
    });
  });

  describe(`an application whose principal is a function, ${fixture}`, () => {
    const site = new Site();
    before(() => site.boot(fixture, { principal: (data: any) => data.userId }));
    after(() => site.close());

    it('makes no offer to a request that changes something else while another one signs in', async () => {
      const victim = site.laptop();
      await victim.run(count);
      const thief = new Laptop(victim.inProcess.copy());
      const { headers } = await thief.run(async session => {
        session.toJSON();
        await victim.run(theirs => { theirs.userId = 'alice'; });
        session.x = 1;
      });
      assert.equal(offerIn(headers), undefined);
    });
  });
}

describe('config.session.deviceBound at boot', () => {
  const CONFIG = { secure: true, principal: 'userId', deviceBound: true };

  for (const [ deviceBound, acceptedRisks, lines ] of [[ true, [], 0 ], [{ required: true }, [], 1 ], [{ required: true }, [ 'deviceRequired' ], 0 ]] as const) {
    it(`${JSON.stringify(deviceBound)}, accepting ${JSON.stringify(acceptedRisks)}: the review in production warns of required ${lines} times`, async () => {
      let booting!: Application;
      const app = await createApp('memory-store', {
        session: { ...OPTIONS, deviceBound, acceptedRisks },
        boot(each) {
          booting = each;
          (each as MockApplication).mockLog();
          Object.assign(each.config, { env: 'prod' });
        },
      });
      await app.close();
      const told = (booting.logger as unknown as { _mockLogs: string[] })._mockLogs.filter(line => line.includes('deviceRequired'));
      assert.equal(told.length, lines);
      for (const line of told) assert.match(line, /deviceBound\.required is on: users whose browser can't bind a session/);
    });
  }

  it('under mockSession, a session is bound if the test says so', async () => {
    const app = await createApp('memory-store', { session: OPTIONS });
    const client = await Client.of(app);
    try {
      for (const deviceBound of [ true, false ]) {
        app.mockSession({ userId: 7, deviceBound });
        assert.equal((await client.run(who)).json().deviceBound, deviceBound);
        mm.restore();
      }
    } finally {
      await client.close();
      await app.close();
    }
  });

  it('app.sessionStore does not take the place of the store while the application runs', async () => {
    const app = await createApp('memory-store', { session: OPTIONS });
    try {
      for (const store of [ null, new MapStore() ]) {
        assert.throws(() => { (app as unknown as Application).sessionStore = store; }, /deviceBound needs a store with atomic writes/);
      }
    } finally {
      await app.close();
    }
  });

  for (const fixture of [ 'web', 'indexed-store' ]) {
    it(`stops the application of the fixture ${fixture}, whose store can't hold a binding`, async () => {
      assert.match(await bootError(fixture, CONFIG) ?? '', /config\.session\.deviceBound needs a store with atomic writes/);
    });
  }
});
