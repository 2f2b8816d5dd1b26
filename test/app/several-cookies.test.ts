import { strict as assert } from 'node:assert';
import type { Context } from 'egg';
import type { MockApplication } from 'egg-mock';
import type { SessionOptions } from '../..';
import { Sealer } from '../../module/cookie/Sealer';
import { type Client, Client as Browsers, createApp, later } from '../support/app';
import { CookieJar } from '../support/CookieJar';
import { IndexedSite, INDEXED_STORES } from '../support/indexed';
import { kindsOfCookies } from '../support/kinds';
import { MapStore } from '../support/MapStore';
import { redisOfSuite, TestRedisStore } from '../support/redis';
import { ToughJar } from '../support/ToughJar';
import { DAY, HTTPS, KEYS, NAME, start, stop } from '../support/web';

const HOST = 'www.shop.test';
const AT = { host: HOST };
const CHROME = {
  ...HTTPS, ...AT,
  'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36',
};

type Session = Record<string, any>;
type Headers = Record<string, string>;

const who = async (browser: Client, headers: Headers = AT): Promise<string | null> =>
  (await browser.run(({ user }: Session) => ({ user: user ?? null }), headers)).json().user;
const signIn = (browser: Client, user: string, headers: Headers = AT) => browser.run(async (session: Session) => {
  await session.regenerate();
  session.user = user;
}, headers);
const signInPlainly = (browser: Client, user: string, headers: Headers = AT) => browser.run((session: Session) => {
  session.user = user;
}, headers);
const signOut = (browser: Client, headers: Headers = AT) => browser.run((_: unknown, ctx: Context) => {
  ctx.session = null;
}, headers);

describe('several cookies of the name', () => {
  const redis = redisOfSuite();

  const KINDS = [ ...kindsOfCookies(), [ 'the id of a session in Redis', () => ({ store: new TestRedisStore(redis.client) }) ] as const ];

  /** Each is where the cookie is set before a deploy, and after it. */
  const CHANGES: Array<[ what: string, before: SessionOptions, after: SessionOptions ]> = [
    [ 'domain is added', {}, { domain: 'shop.test' }],
    [ 'domain is removed', { domain: 'shop.test' }, {}],
    [ 'domain is one above', { domain: HOST }, { domain: 'shop.test' }],
    [ 'domain is one below, and a function', { domain: '.shop.test' }, { domain: () => HOST }],
    [ 'path is longer', { path: '/' }, { path: '/run' }],
    [ 'path is shorter', { path: '/run' }, {}],
    [ 'domain and path are others', { domain: 'shop.test', path: '/run' }, { domain: HOST }],
  ];

  for (const [ kind, given ] of KINDS) {
    describe(`with ${kind}`, () => {
      for (const [ what, before, after ] of CHANGES) {
        it(`when ${what}, sign-in and sign-out take effect, and a way back is open`, async () => {
          const shared = given();
          const old = await start({ ...shared, ...before });
          const browsers = [ 'regenerate', 'plain', 'out', 'shown' ].map(() => old.client.another(new ToughJar()));
          for (const browser of browsers) {
            await signIn(browser, 'alice');
            assert.equal(await who(browser), 'alice');
          }

          const deployed = await start({ ...shared, ...after });
          const [ regenerates, plain, out, shown ] = browsers.map(({ cookies }) => deployed.client.another(cookies));
          for (const [ browser, enter ] of [[ regenerates, signIn ], [ plain, signInPlainly ]] as const) {
            assert.equal(await who(browser), 'alice');
            for (const user of [ 'bob', 'carol' ]) {
              await enter(browser, user);
              assert.equal(await who(browser), user);
            }
          }
          await signOut(out);
          assert.equal(await who(out), null);
          await signIn(out, 'dave');
          assert.equal(await who(out), 'dave');
          await signOut(out);
          assert.equal(await who(out), null);
          await signIn(shown, 'erin');

          const again = await start({ ...shared, ...before });
          const [ one, two, three, four ] = [ regenerates, plain, out, shown ].map(({ cookies }) => again.client.another(cookies));
          assert.deepEqual([ await who(one), await who(two), await who(three), await who(four) ], [ 'carol', 'carol', null, 'erin' ]);
          for (const browser of [ one, two, three ]) {
            await signOut(browser);
            assert.equal(await who(browser), null);
            await signIn(browser, 'frank');
            assert.equal(await who(browser), 'frank');
          }

          const last = await start({ ...shared, ...after });
          for (const { cookies } of [ one, two, three ]) assert.equal(await who(last.client.another(cookies)), 'frank');
          const gone = last.client.another(four.cookies);
          await signOut(gone);
          assert.equal(await who(gone), null);
          for (const { cookies } of browsers) assert.deepEqual((cookies as ToughJar).refused, []);
        });
      }

      for (const [ before, after ] of [[ false, true ], [ true, false ]]) {
        it(`when partitioned becomes ${after}, sign-in and sign-out take effect`, async () => {
          const options = { ...given(), secure: true, sameSite: 'none' as const };
          const config = { config: { proxy: true } };
          const old = await start({ ...options, partitioned: before }, config);
          const { cookies } = old.client.another();
          await signIn(old.client.another(cookies), 'alice', CHROME);
          const out = cookies.copy();
          const { client } = await start({ ...options, partitioned: after }, config);
          const browser = client.another(cookies);
          assert.equal(await who(browser, CHROME), 'alice');
          await signIn(browser, 'bob', CHROME);
          assert.equal(cookies.size, 'encrypt' in options ? 4 : 2);
          assert.equal(await who(browser, CHROME), 'bob');
          await signOut(browser, CHROME);
          assert.equal(await who(browser, CHROME), null);
          assert.equal(cookies.size, 0);
          await signOut(client.another(out), CHROME);
          assert.equal(await who(client.another(out), CHROME), null);
        });
      }

      it('in whatever order they come, what was signed in last counts', async () => {
        const { client } = await start(given());
        const values: string[] = [];
        for (const user of [ 'alice', 'bob', 'carol' ]) {
          const browser = client.another();
          await signIn(browser, user);
          values.push(browser.cookies.header(new URL(`http://${HOST}/run`)));
          later(1000);
        }
        for (const order of [[ 0, 2 ], [ 2, 0 ], [ 0, 1, 2 ], [ 2, 1, 0 ], [ 1, 2, 0 ]]) {
          assert.equal(await who(client.another(), { ...AT, cookie: order.map(i => values[i]).join('; ') }), 'carol', order.join());
        }
        assert.equal(await who(client.another(), { ...AT, cookie: [ values[1], values[0], values[1] ].join('; ') }), 'bob');
      });
    });
  }

  for (const [ kind, given ] of KINDS.slice(2)) {
    it(`with ${kind}: a genuine cookie of an ended session that another host has planted signs nobody out, and nobody in`, async () => {
      const { client } = await start(given());
      const [ mine, other ] = [ client.another(new ToughJar()), client.another() ];
      await signIn(mine, 'alice');
      await signIn(other, 'mallory');
      const planted = other.cookies.get(NAME)!;
      await signOut(other);
      const evil = new URL('http://evil.shop.test/');
      mine.cookies.store(evil, [ `${NAME}=${planted}; domain=shop.test; path=/run` ]);
      mine.cookies.store(evil, [ `${NAME}=${planted}; domain=shop.test; path=/` ]);
      assert.equal(mine.cookies.header(new URL(`http://${HOST}/run`)).split(';').length, 3);
      assert.equal(await who(mine), 'alice');
      await signIn(mine, 'bob');
      assert.equal(await who(mine), 'bob');
      await signOut(mine);
      assert.equal(await who(mine), null);
    });
  }

  it('with the data: what can\'t be removed, as it was planted for another path, is over once the user has signed out', async () => {
    for (const maxAge of [ 60_000, 'session' ] as const) {
      const { client } = await start({ maxAge });
      const mine = client.another(new ToughJar());
      await signIn(mine, 'alice');
      const other = client.another();
      await signIn(other, 'mallory');
      mine.cookies.store(new URL('http://evil.shop.test/'), [ `${NAME}=${other.cookies.get(NAME)!}; domain=shop.test; path=/run` ]);
      for (const user of [ 'bob', 'carol' ]) {
        await signOut(mine);
        assert.equal(await who(mine), null);
        assert.deepEqual((mine.cookies as ToughJar).places(), [ `${NAME} .shop.test/run`, `${NAME} ${HOST}/` ]);
        assert.equal((await mine.run(({ isNew }) => ({ isNew }), AT)).json().isNew, true);
        await signIn(mine, user);
        assert.equal(await who(mine), user);
      }
    }
  });

  it('with the data: the youngest counts under a clock that is an hour slow, too', async () => {
    const old = await start();
    const { cookies } = old.client.another(new ToughJar());
    later(3600_000);
    const other = old.client.another();
    await signIn(other, 'mallory');
    const planted = `${NAME}=${other.cookies.get(NAME)!}; domain=shop.test; path=/run`;
    await signIn(old.client.another(cookies), 'alice');
    const { client } = await start({ domain: 'shop.test' });
    const browser = client.another(cookies);
    await signIn(browser, 'bob');
    assert.equal(await who(browser), 'bob');
    await signOut(browser);
    assert.equal(await who(browser), null);
    cookies.store(new URL('http://evil.shop.test/'), [ planted ]);
    assert.equal(await who(browser), 'mallory');
    await signIn(browser, 'carol');
    assert.equal(await who(browser), 'carol');
    await signOut(browser);
    assert.equal(await who(browser), null);
  });

  it('with the data: when the youngest has expired, an older one is nobody\'s', async () => {
    const { client } = await start();
    const [ first, last ] = [ client.another(), client.another() ];
    await signIn(first, 'alice');
    await last.run((session: Session) => Object.assign(session, { user: 'bob', maxAge: 60_000 }), AT);
    const cookie = [ first, last ].map(({ cookies }) => `${NAME}=${cookies.get(NAME)}`).join('; ');
    assert.equal(await who(client.another(), { ...AT, cookie }), 'bob');
    later(61_000);
    assert.equal(await who(client.another(), { ...AT, cookie }), null);
  });

  for (const [ kind, given ] of KINDS) {
    it(`with ${kind}: signing out over HTTP works after secure was added, too`, async () => {
      const shared = given();
      const old = await start(shared);
      const { cookies } = old.client.another(new ToughJar());
      await signIn(old.client.another(cookies), 'alice');
      const { client } = await start({ ...shared, secure: true });
      const browser = client.another(cookies);
      assert.equal(await who(browser), 'alice');
      await signOut(browser);
      assert.equal(await who(browser), null);
      assert.deepEqual((cookies as ToughJar).places(), []);
    });

    it(`with ${kind}: when none of them counts any more, there is a new session`, async () => {
      const { client } = await start({ ...given(), maxAge: 1000 });
      const browsers = [ client.another(), client.another() ];
      for (const browser of browsers) await signIn(browser, 'alice');
      const cookie = browsers.map(({ cookies }) => cookies.header(new URL(`http://${HOST}/run`))).join('; ');
      later(60_000);
      if (kind.includes('Redis')) await redis.client.flushall(); // its own clock counts
      assert.equal(await who(client.another(), { ...AT, cookie }), null);
    });
  }

  for (const subject of INDEXED_STORES.slice(0, 2)) {
    it(`in ${subject.name}: signing out ends the sessions of all of them, and tells of each`, async () => {
      const site = new IndexedSite(subject);
      await site.boot();
      try {
        const ended: unknown[] = [];
        (site.app as any).on('session:destroyed', ({ principal, reason }: any) => ended.push(`${principal} ${reason}`));
        const browsers = [ await site.signIn(7), await site.signIn(8), await site.signIn(9) ];
        const cookie = browsers.map(({ cookies }) => `${NAME}=${cookies.get(NAME)}`).join('; ');
        assert.equal((await browsers[0].another().run(session => ({ id: session.userId }), { cookie })).json().id, 9);
        const { setCookies } = await browsers[0].another().run(session => session.destroy(), { cookie });
        assert.match(setCookies[0], new RegExp(`^${NAME}=;`));
        for (const browser of browsers) assert.equal(await site.user(browser), null);
        for (const id of [ 7, 8, 9 ]) assert.deepEqual(await site.registry.list(id), []);
        await new Promise(setImmediate);
        assert.deepEqual(ended.sort(), [ '7 logout', '8 logout', '9 logout' ]);
      } finally {
        await site.close();
      }
    });
  }

  it('signing out after regenerate() in the same request ends all of them, too', async () => {
    const store = new MapStore();
    const { client } = await start({ store });
    const browsers = [ client.another(), client.another() ];
    for (const browser of browsers) await signIn(browser, 'alice');
    const cookie = browsers.map(({ cookies }) => `${NAME}=${cookies.get(NAME)}`).join('; ');
    const { setCookies } = await client.another().run(async session => {
      await session.regenerate();
      await session.destroy();
    }, { cookie });
    for (const line of setCookies) assert.match(line, new RegExp(`^${NAME}=; .*expires=Thu, 01 Jan 1970`));
    for (const browser of browsers) assert.equal(await who(browser), null);
    for (const record of store.records.values()) assert.equal(record.user, undefined);
  });

  it('are one session when they hold one id, and need one read of the store', async () => {
    const store = new MapStore();
    const { client } = await start({ store });
    await signIn(client, 'alice');
    const { get } = store;
    let reads = 0;
    store.get = key => {
      reads++;
      return get.call(store, key);
    };
    const value = client.cookies.get(NAME)!;
    const again = new Sealer(KEYS).seal(`${NAME} id`, new Sealer(KEYS).open(`${NAME} id`, value)!.text);
    for (const cookie of [ `${NAME}=${value}`, `${NAME}=${value}; ${NAME}=${value}`, `${NAME}=${value}; ${NAME}=${again}` ]) {
      reads = 0;
      const response = await client.another().run(session => ({ user: session.user }), { ...AT, cookie });
      assert.deepEqual([ response.json().user, response.setCookies, reads ], [ 'alice', [], 1 ], cookie);
    }
  });

  for (const odd of [ '"_savedAt":1e999', '"_savedAt":-1e999', '"_savedAt":"x"', '"_expire":1e999,"_maxAge":86400000', '"_expire":"x"', '"_cookie":7', '"_cookie":[7,null,{"path":"x;"}]' ]) {
    it(`with readable data that nobody signs: ${odd} does no harm`, async () => {
      const { client } = await start({ encrypt: false, signed: false });
      const value = Buffer.from(`{"user":"alice",${odd}}`).toString('base64');
      const jar = new ToughJar();
      const browser = client.another(jar);
      jar.store(new URL(`http://${HOST}/`), [ `${NAME}=${value}; path=/` ]);
      assert.equal(await who(browser), 'alice');
      await signInPlainly(browser, 'bob');
      assert.equal(await who(browser), 'bob');
      await signOut(browser);
      assert.deepEqual(jar.places(), []);
    });
  }

  it('are told of once in the log, with the ways out', async () => {
    const { app, client } = await start();
    app.mockLog('coreLogger');
    const values = [];
    for (const user of [ 'alice', 'bob' ]) {
      await signIn(client, user);
      values.push(`${NAME}=${client.cookies.get(NAME)}`);
    }
    await who(client);
    const lines = () => (app.getLogger('coreLogger') as any)._mockLogs.filter((line: string) => line.includes('several cookies'));
    assert.deepEqual(lines(), []);
    for (let i = 0; i < 3; i++) await who(client.another(), { ...AT, cookie: values.join('; ') });
    assert.equal(lines().length, 1);
    assert.match(lines()[0], /WARN .*\[egg-tegg-session\] a request came with several cookies EGG_SESS that open: .*domain, path or partitioned.*config\.keys.*set config\.session\.key to another name.*__Host-/);
    for (const value of values) assert.ok(!lines()[0].includes(value.slice(9, 30)));
  });

  it('with the data of 1.0.0, which do not say where they are, beside another application\'s: the session is over, and theirs stays', async () => {
    const { client } = await start({ domain: 'shop.test' });
    const now = Date.now();
    const value = new Sealer(KEYS).seal(NAME, JSON.stringify({ user: 'alice', _expire: now + DAY - 1000, _maxAge: DAY, _createdAt: now - 1000 }));
    for (const [ mine, theirs ] of [[ '; domain=shop.test', '' ], [ '', '; domain=shop.test; path=/run' ]]) {
      const jar = new ToughJar();
      const browser = client.another(jar);
      const url = new URL(`http://${HOST}/`);
      jar.store(url, [ `${NAME}=${value}; path=/${mine}`, `${NAME}=2theirs; path=/${theirs}` ]);
      assert.equal(await who(browser), 'alice');
      await signOut(browser);
      assert.equal(await who(browser), null);
      assert.ok(jar.header(new URL(`http://${HOST}/run`)).includes('2theirs'));
      await signIn(browser, 'bob');
      assert.equal(await who(browser), 'bob');
    }
  });

  for (const [ what, cookies ] of [[ 'one of this host', 1 ], [ 'several', 2 ]] as const) {
    it(`are no reason to remove another application's when it has ${what}`, async () => {
      const { client } = await start({ domain: 'shop.test' });
      const jar = new ToughJar();
      const browser = client.another(jar);
      await signIn(browser, 'alice');
      jar.store(new URL(`http://${HOST}/`), [ `${NAME}=2theirs; path=/` ]);
      if (cookies > 1) jar.store(new URL(`http://${HOST}/`), [ `${NAME}=2theirs; path=/run` ]);
      assert.equal(await who(browser), 'alice');
      await signOut(browser);
      assert.equal(await who(browser), null);
      assert.equal(jar.places().length, cookies);
      assert.ok(!jar.places().includes(`${NAME} .shop.test/`));
    });
  }
});

describe('two applications with the same keys and the same name', () => {
  const apps: MockApplication[] = [];
  const clients: Client[] = [];
  afterEach(async () => {
    for (const client of clients.splice(0)) await client.close();
    for (const app of apps.splice(0)) await app.close();
  });

  async function boot(session: SessionOptions) {
    const app = await createApp('two', { session, config: { keys: KEYS.join() } });
    app.loggers.disableConsole();
    apps.push(app);
    const client = await Browsers.of(app);
    clients.push(client);
    return client;
  }

  for (const [ kind, given ] of [
    [ 'the data', () => ({}) ],
    [ 'stores of their own', () => ({ store: new MapStore() }) ],
  ] as Array<[ string, () => SessionOptions ]>) {
    it(`${kind}: signing in and out takes effect in each, also where the other's cookie comes first`, async () => {
      const [ main, shop ] = [ await boot({ ...given(), domain: 'shop.test' }), await boot(given()) ];
      const jar = new ToughJar();
      const [ there, here ] = [ main.another(jar), shop.another(jar) ];
      const THERE = { host: 'shop.test' };
      await signIn(there, 'alice', THERE);
      assert.equal(await who(there, THERE), 'alice');
      await signIn(here, 'bob');
      assert.equal(await who(here), 'bob');
      assert.equal(await who(there, THERE), 'alice');
      await signOut(here);
      assert.equal(await who(here), null);
      await signIn(here, 'carol');
      assert.equal(await who(here), 'carol');
      await signIn(there, 'dave', THERE);
      assert.equal(await who(there, THERE), 'dave');
      await signOut(there, THERE);
      assert.equal(await who(there, THERE), null);
    });
  }
});

it('a cookie of version 1.0.0 opens among others, and 1.0.0 opens those of today', async () => {
  try {
    const { client } = await start({ domain: 'shop.test' });
    const now = Date.now();
    const seal = (record: object) => new Sealer(KEYS).seal(NAME, JSON.stringify(record));
    const old = (user: string, at: number) => seal({ user, _expire: at + DAY, _maxAge: DAY, _createdAt: at });
    const cookie = (...values: string[]) => ({ ...AT, cookie: values.map(value => `${NAME}=${value}`).join('; ') });
    assert.equal(await who(client.another(), cookie(old('alice', now - 2000), old('bob', now - 1000))), 'bob');
    assert.equal(await who(client.another(), cookie(old('alice', now - 1000), old('bob', now - 2000))), 'alice');
    const browser = client.another(new CookieJar());
    browser.cookies.store(new URL(`http://${HOST}/`), [ `${NAME}=${old('alice', now - 1000)}; path=/` ]);
    await signIn(browser, 'bob');
    // 1.0.0 seals the same JSON for the same name, and ignores names that begin with _
    const { user, _expire, _maxAge, _createdAt, ...rest } = JSON.parse(new Sealer(KEYS).open(NAME,
      [ ...browser.cookies ].map(([ , value ]) => value).find(value => value !== old('alice', now - 1000))!)!.text) as Record<string, any>;
    assert.ok(user && Object.keys(rest).every(name => name[0] === '_'));
    assert.ok(_expire > now && _maxAge === DAY && _createdAt >= now - 1000);
  } finally {
    await stop();
  }
});
