import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import mm from 'egg-mock';
import { Cluster } from 'ioredis';
import Keyv from 'keyv';
import { KeyvSessionStore, type SessionEvent, type SessionOptions, SessionRegistry } from '../..';
import { type Client, createApp, later } from '../support/app';
import { forEachIndexedStore, INDEXED_STORES, IndexedSite, MEMORY, REDIS, redisStore } from '../support/indexed';
import { MapStore } from '../support/MapStore';
import { quietly } from '../support/quietly';
import { TestRedisStore } from '../support/redis';

let last = 0;
/** A user of the test's own. */
const newUser = () => `user-${++last}`;
const HOUR = 3600_000;

/** What a request may do with a session that it has loaded. */
const WRITES: Record<string, (session: any, ctx: any) => unknown> = {
  'a plain write': session => {
    session.n = 1;
  },
  'save()': session => {
    session.n = 1;
    return session.save();
  },
  'update()': session => session.update((data: any) => {
    data.n = 1;
  }),
  'regenerate()': session => session.regenerate(),
  'a write and regenerate()': session => {
    session.n = 1;
    return session.regenerate();
  },
  'an assignment to ctx.session': (session, ctx) => {
    ctx.session = { ...session.toJSON(), n: 1 };
  },
  'an assignment to ctx.session and regenerate()': (session, ctx) => {
    ctx.session = { ...session.toJSON(), n: 1 };
    return session.regenerate();
  },
  'save() and regenerate()': async session => {
    session.n = 1;
    await session.save().catch(() => undefined);
    await session.regenerate();
  },
  'a longer lifetime': session => {
    session.maxAge = 30 * 24 * HOUR;
  },
  'nothing but reading': session => session.toJSON(),
};

/** While the store gives its keys, something else happens after each list of them. */
function whileListing({ store }: IndexedSite, change: () => unknown, times = 1) {
  const list = store.list!.bind(store);
  mm(store, 'list', async function* (...args: Parameters<typeof list>) {
    for await (const keys of list(...args)) {
      await change();
      for (let i = 0; i < times; i++) yield keys;
    }
  });
}

forEachIndexedStore('sessionRegistry', site => {
  it('an administrator sees a user sign in twice, revokes one session, then all', async () => {
    const user = newUser();
    const phone = await site.signIn(user, undefined, 'phone');
    const laptop = await site.signIn(user, undefined, 'laptop');
    const stranger = await site.signIn(newUser());
    const sessions = await site.registry.list(user);
    assert.deepEqual(sessions.map(({ userAgent }) => userAgent).sort(), [ 'laptop', 'phone' ]);

    const { id } = sessions.find(({ userAgent }) => userAgent === 'phone')!;
    assert.equal(await site.registry.revoke(user, id), true);
    assert.equal(await site.user(phone), null);
    assert.equal(await site.user(laptop), user);
    assert.equal(await site.registry.revoke(user, id), false);
    assert.equal((await site.registry.list(user)).length, 1);

    assert.equal(await site.registry.revokeAll(user), 1);
    assert.equal(await site.user(laptop), null);
    assert.deepEqual(await site.registry.list(user), []);
    assert.notEqual(await site.user(stranger), null);
  });

  it('list() tells when a session was created and last seen, from where, and which is the current one', async () => {
    const user = newUser();
    const before = Date.now();
    const phone = await site.signIn(user, undefined, 'phone');
    await site.signIn(user, undefined, 'x'.repeat(1000));
    const after = Date.now();
    const listed = (await phone.run(async () => await site.registry.list(user))).json();
    assert.deepEqual(listed.map(({ current, userAgent }: any) => [ current, userAgent.length ]).sort(), [[ false, 256 ], [ true, 5 ]]);
    for (const { createdAt, lastSeenAt, ip } of listed) {
      assert.ok(before <= createdAt && createdAt <= lastSeenAt && lastSeenAt <= after);
      assert.equal(ip, '127.0.0.1');
    }
  });

  it('list() shows no more of an address that a header makes up than an address has', async () => {
    const user = newUser();
    mm(site.app.config, 'proxy', true);
    await site.browser().run((session: any) => {
      session.userId = user;
    }, { 'x-forwarded-for': 'x'.repeat(8000) });
    assert.equal((await site.registry.list(user))[0].ip, 'x'.repeat(64));
  });

  it('revokeAll() with exceptCurrent leaves the session that asks', async () => {
    const user = newUser();
    const [ here, there ] = [ await site.signIn(user), await site.signIn(user) ];
    assert.deepEqual((await here.run(async () => ({ count: await site.registry.revokeAll(user, { exceptCurrent: true }) }))).json(), { count: 1 });
    assert.equal(await site.user(there), null);
    assert.equal(await site.user(here), user);
  });

  it('revokeAll() from a session of its own signs that out too, and removes its cookie', async () => {
    const user = newUser();
    const here = await site.signIn(user);
    const response = await here.run(async () => ({ count: await site.registry.revokeAll(user) }));
    assert.deepEqual(response.json(), { count: 1 });
    assert.match(response.setCookies.join(), /^EGG_SESS=;/);
    assert.equal(await site.user(here), null);
  });

  it('clear() ends all sessions, whoever\'s and nobody\'s', async () => {
    const browsers = [ await site.signIn(newUser()), await site.signIn(newUser()) ];
    const anonymous = site.browser();
    await anonymous.run((session: any) => {
      session.cart = [ 'a' ];
    });
    assert.ok(await site.registry.clear() >= 3);
    for (const browser of browsers) assert.equal(await site.user(browser), null);
    assert.equal((await anonymous.run((session: any) => ({ cart: session.cart ?? null }))).json().cart, null);
    assert.equal(await site.registry.clear(), 0);
  });

  it('a session that was seen a minute later says so, without living longer', async () => {
    const user = newUser();
    const browser = await site.signIn(user);
    const [{ lastSeenAt }] = await site.registry.list(user);
    later(59_000);
    await site.user(browser);
    assert.equal((await site.registry.list(user))[0].lastSeenAt, lastSeenAt);
    later(2000);
    await site.user(browser);
    assert.ok((await site.registry.list(user))[0].lastSeenAt >= lastSeenAt + 60_000);
  });

  it('revoke() ends nothing that is another principal\'s, and takes no handle but its own', async () => {
    const [ mallory, victim ] = [ newUser(), newUser() ];
    const browsers = [ await site.signIn(mallory), await site.signIn(victim) ];
    const [{ id }] = await site.registry.list(victim);
    for (const wrong of [ id, '', 'x', `principal:${victim}`, `session:${id}`, '*', '__proto__', 'x'.repeat(2000), undefined, null, {}, { toString: null }, [ id ]]) {
      assert.equal(await site.registry.revoke(mallory, wrong as string), false);
    }
    assert.deepEqual(await Promise.all(browsers.map(browser => site.user(browser))), [ mallory, victim ]);
  });

  it('revoke() finds a session that has moved meanwhile, if the store can tell where, but not one that is another\'s by now', async () => {
    const { hasTombstones } = site.subject;
    for (const heir of [ undefined, newUser() ]) {
      const user = newUser();
      const browser = await site.signIn(user);
      const [{ id }] = await site.registry.list(user);
      for (let i = 0; i < 3; i++) await browser.run(session => session.regenerate());
      await browser.run((session: any) => {
        session.userId = heir ?? user;
      });
      assert.equal(await site.registry.revoke(user, id), hasTombstones && heir === undefined);
      assert.equal(await site.user(browser), heir ?? (hasTombstones ? null : user));
    }
  });

  for (const [ title, write ] of Object.entries(WRITES)) {
    it(`a request that is running can't bring a revoked session back by ${title}`, async () => {
      for (const end of [ 'revoke', 'revokeAll' ] as const) {
        const user = newUser();
        const browser = await site.signIn(user);
        const request = await site.slow(browser, async (session, ctx) => {
          await Promise.resolve(write(session, ctx)).catch((err: Error) => assert.match(err.message, /has ended/));
          return { ok: true };
        });
        const [{ id }] = await site.registry.list(user);
        if (end === 'revoke') assert.equal(await site.registry.revoke(user, id), true);
        else assert.equal(await site.registry.revokeAll(user), 1);
        const after = browser.copy();
        after.cookies.store(new URL('http://127.0.0.1/'), (await request.finish()).setCookies);
        for (const each of [ browser, after ]) assert.equal(await site.user(each), null);
        assert.deepEqual(await site.registry.list(user), []);
        assert.deepEqual(await site.noted(user), []);
      }
    });
  }

  it('list() has no session that is over, for its lifetime or in the store, and takes it off the store\'s index', async () => {
    const user = newUser();
    await site.signIn(user, session => {
      session.maxAge = HOUR;
    });
    await site.signIn(user, undefined, 'lost');
    await site.signIn(user, undefined, 'stays');
    const { id } = (await site.registry.list(user)).find(({ userAgent }) => userAgent === 'lost')!;
    await site.lose(id);
    await site.later(2 * HOUR);
    const listed = await site.registry.list(user);
    assert.deepEqual(listed.map(({ userAgent }) => userAgent), [ 'stays' ]);
    assert.deepEqual(await site.noted(user), listed.map(each => each.id));
    assert.equal(await site.registry.revoke(user, id), false);
    assert.equal(await site.registry.revokeAll(user), 1);
    assert.deepEqual(await site.noted(user), []);
  });

  it('list() gives the session first that was seen last', async () => {
    const user = newUser();
    const first = await site.signIn(user);
    later(2 * 60_000);
    await site.signIn(user);
    later(2 * 60_000);
    await site.user(first);
    const [ head, tail ] = await site.registry.list(user);
    assert.ok(head.createdAt < tail.createdAt && head.lastSeenAt > tail.lastSeenAt);
  });

  it('a key that the store gives twice is one session', async () => {
    const user = newUser();
    await site.signIn(user);
    whileListing(site, () => undefined, 2);
    assert.equal((await site.registry.list(user)).length, 1);
    assert.equal(await site.registry.revokeAll(user), 1);
  });

  it('works in a request that has been answered, and outside of all', async () => {
    const user = newUser();
    const browser = await site.signIn(user);
    await site.signIn(user);
    let done!: Promise<number>;
    await browser.run((_, ctx) => {
      done = new Promise((resolve, reject) => {
        const answered = once(ctx.res, 'finish');
        ctx.runInBackground(async () => {
          await answered;
          await site.registry.revokeAll(user).then(resolve, reject);
        });
      });
    });
    assert.equal(await done, 2);
    assert.equal(await site.user(browser), null);
    assert.equal(await (await site.app.getEggObject(SessionRegistry)).revokeAll(user), 0);
  });

  it('revokeAll() with exceptCurrent ends all when no request asks, or one that has no session', async () => {
    const user = newUser();
    await site.signIn(user);
    assert.equal(await site.registry.revokeAll(user, { exceptCurrent: true }), 1);
    await site.signIn(user);
    const { json } = await site.browser().run(async () => ({ count: await site.registry.revokeAll(user, { exceptCurrent: true }) }));
    assert.deepEqual(json(), { count: 1 });
  });

  it('tells of each session that it ends, once', async () => {
    const user = newUser();
    await site.signIn(user);
    await site.signIn(user);
    const events: Array<SessionEvent & { reason: string }> = [];
    const listener = (event: typeof events[number]) => events.push(event);
    site.app.on('session:destroyed', listener);
    const names = (await site.registry.list(user)).map(({ id }) => id.slice(0, 8)).sort();
    await site.registry.revokeAll(user);
    await site.registry.revokeAll(user);
    await new Promise(resolve => setImmediate(resolve));
    site.app.off('session:destroyed', listener);
    assert.deepEqual(events.map(({ reason, principal, value }) => [ reason, principal, (value as any).userId ]),
      [[ 'revoked', user, user ], [ 'revoked', user, user ]]);
    assert.equal(events.map(({ key }) => key).sort().join(), names.map((name, i) => name.slice(0, events[i].key!.length)).join());
  });

  for (const value of [ undefined, null, '', NaN, Infinity, true, {}, [ 'a' ], () => 'a' ]) {
    it(`refuses ${String(value) || '\'\''} (${typeof value}) as a principal`, async () => {
      const given = value as never;
      for (const call of [ () => site.registry.list(given), () => site.registry.revoke(given, 'x'), () => site.registry.revokeAll(given) ]) {
        await assert.rejects(call, {
          name: 'TypeError', code: 'ERR_SESSION_ARGUMENT',
          message: /sessionRegistry was asked for the sessions of .*; a principal is a string or a number\. Is nobody signed in\?$/,
        });
      }
    });
  }

  it('revokeAll() refuses what it does not know after the principal, and ends nothing', async () => {
    const user = newUser();
    const browser = await site.signIn(user);
    const revokeAll = (options: unknown) => browser.run(async () => ({ ended: await site.registry.revokeAll(user, options as never) }));
    for (const options of [{ exceptcurrent: true }, { exceptCurrent: true, force: true }, { exceptCurrent: 'true' }, { exceptCurrent: null }, true, null, 'exceptCurrent', [ 'exceptCurrent' ]]) {
      await assert.rejects(revokeAll(options), {
        name: 'TypeError', code: 'ERR_SESSION_ARGUMENT',
        message: /^\[egg-tegg-session\] sessionRegistry\.revokeAll\(\) was given .* after the principal; it takes \{ exceptCurrent: true \} or \{ exceptCurrent: false \} there, or nothing$/,
      });
    }
    assert.equal(await site.user(browser), user);
    for (const options of [{ exceptCurrent: true }, { exceptCurrent: undefined }, {}, undefined ]) await revokeAll(options);
    assert.equal(await site.user(browser), null);
  });
}, {}, INDEXED_STORES);

forEachIndexedStore('sessionRegistry and a session that moves', site => {
  for (const action of [ 'list', 'revokeAll' ] as const) {
    it(`while the store gives its keys: ${action}() has it, once`, async () => {
      const user = newUser();
      const browser = await site.signIn(user);
      whileListing(site, () => browser.run(session => session.regenerate()));
      const found = await site.registry[action](user);
      assert.equal(typeof found === 'number' ? found : found.length, 1);
      mm.restore();
      assert.equal(await site.user(browser), action === 'list' ? user : null);
    });
  }

  it('before its own request asks for exceptCurrent: it is kept', async () => {
    const user = newUser();
    const browser = await site.signIn(user);
    await site.signIn(user);
    const request = await site.slow(browser, async () => ({ count: await site.registry.revokeAll(user, { exceptCurrent: true }) }));
    await browser.run(session => session.regenerate());
    assert.deepEqual((await request.finish()).json(), { count: 1 });
    assert.equal(await site.user(browser), user);
  });
}, {}, [ REDIS ]);

forEachIndexedStore('sessionRegistry, under absoluteMaxAge', site => {
  it('list() has no session that is older, however long it would live', async () => {
    const user = newUser();
    const browser = await site.signIn(user, session => {
      session.maxAge = 30 * 24 * HOUR;
    });
    await site.later(23 * HOUR);
    await site.user(browser);
    assert.equal((await site.registry.list(user)).length, 1);
    const [{ id }] = await site.registry.list(user);
    await site.later(HOUR + 11_000); // a store of three methods has it 10 s longer
    assert.deepEqual(await site.registry.list(user), []);
    assert.deepEqual(await site.noted(user), []);
    assert.equal(await site.registry.revoke(user, id), false);
  });

  it('a request that began before can\'t bring it back by regenerate(), also after revokeAll()', async () => {
    const user = newUser();
    const browser = await site.signIn(user, session => {
      session.maxAge = 30 * 24 * HOUR;
    });
    await site.later(23 * HOUR);
    const request = await site.slow(browser, session => session.regenerate());
    await site.later(2 * HOUR);
    assert.equal(await site.registry.revokeAll(user), 0);
    const after = browser.copy();
    after.cookies.store(new URL('http://127.0.0.1/'), (await request.finish()).setCookies);
    for (const each of [ browser, after ]) assert.equal(await site.user(each), null);
    assert.deepEqual(await site.registry.list(user), []);
  });
}, { absoluteMaxAge: 24 * HOUR });

const OTHERS = 'session:stats session:list session: session:a:b sessions other:session:x'.split(' ');

for (const [ title, given ] of Object.entries({
  ' ': {},
  ' on a Cluster': { isCluster: true },
  ' with a keyPrefix of ioredis\'': { keyPrefix: 'shop:' },
  ' on a Cluster with a keyPrefix of ioredis\'': { keyPrefix: 'shop:', isCluster: true },
  ' with glob characters in the prefixes': { keyPrefix: 'a*?[b]\\', prefix: 'c*?[d]\\^-' },
})) {
  forEachIndexedStore('clear()', site => {
    it('ends each of hundreds of sessions, in batches', async () => {
      const users = Array.from({ length: 10 }, newUser);
      const browsers: Client[] = [];
      for (let i = 0; i < 25; i++) browsers.push(...await Promise.all(users.map(user => site.signIn(user))));
      assert.equal((await site.registry.list(users[0])).length, 25);
      let [ running, most ] = [ 0, 0 ];
      const retire = site.store.retire!.bind(site.store);
      mm(site.store, 'retire', async (...args: Parameters<typeof retire>) => {
        most = Math.max(most, ++running);
        try {
          return await retire(...args);
        } finally {
          running--;
        }
      });
      assert.equal(await site.registry.clear(), 250);
      assert.ok(most > 1 && most <= 100, `${most} at a time`);
      for (const browser of browsers.slice(0, 10)) assert.equal(await site.user(browser), null);
      for (const user of users) assert.deepEqual(await site.noted(user), []);
      assert.equal(await site.registry.clear(), 0);
    });

    it('touches no keys of others', async () => {
      await site.signIn(newUser());
      for (const key of OTHERS) await site.redis!.set(key, 'theirs');
      await site.redis!.hset('session:hash', 'n', '1');
      await site.redis!.hset(`${(given as { prefix?: string }).prefix ?? 'session:'}hash`, 'n', '1');
      assert.equal(await site.registry.clear(), 1);
      for (const key of OTHERS) assert.equal(await site.redis!.get(key), 'theirs', key);
      assert.deepEqual(await site.redis!.hgetall('session:hash'), { n: '1' });
      assert.deepEqual(await site.redis!.hgetall(`${(given as { prefix?: string }).prefix ?? 'session:'}hash`), { n: '1' });
    });
  }, {}, [ redisStore(title, given) ]);
}

describe('sessionRegistry where the request has no session', () => {
  let ids = 0;
  const site = new IndexedSite(MEMORY, { genid: () => `id ${++ids}` });
  before(() => site.boot());
  after(() => site.close());

  it('list() makes it no id', async () => {
    await site.signIn('ada');
    const before = ids;
    const response = await site.browser().run(async () => ({ count: (await site.registry.list('ada')).length }));
    assert.deepEqual([ response.json(), ids ], [{ count: 1 }, before ]);
  });
});

describe('sessionRegistry where the request\'s own session could not be read', () => {
  const site = new IndexedSite(MEMORY, { onStoreError: 'anonymous' });
  before(() => site.boot());
  after(() => site.close());

  it('revokeAll() with exceptCurrent rejects, and ends nothing', async () => {
    const client = await site.signIn('ada');
    mm(site.store, 'get', async () => {
      mm.restore();
      throw new Error('it fails once');
    });
    const response = await client.tryRun(() => site.registry.revokeAll('ada', { exceptCurrent: true }));
    assert.equal(response.status, 503);
    assert.equal((await site.registry.list('ada')).length, 1);
  });
});

describe('sessionRegistry where it can\'t work', () => {
  /** A store that could, if tegg had found it. */
  class Unfound extends MapStore {
    override async index() { /* notes nothing */ }
    override async* list() {
      yield [];
    }
  }
  class InKeyv extends KeyvSessionStore {
    protected readonly keyv = new Keyv();
  }
  const CASES: Array<[ title: string, fixture: string, options: SessionOptions, error: RegExp ]> = [
    [ 'sessions are in the cookie', 'web', {}, /sessions are kept in the cookie EGG_SESS/ ],
    [ 'config.session.store is three methods', 'web', { store: new MapStore() }, /sessions are kept in config\.session\.store/ ],
    [ 'config.session.store is Keyv\'s', 'web', { store: new InKeyv() }, /sessions are kept in config\.session\.store/ ],
    [ 'config.session.store has index and list', 'web', { store: new Unfound() }, /sessions are kept in config\.session\.store/ ],
    [ 'the store that tegg has found is three methods', 'store', {}, /sessions are kept in AppSessionStore .*AppSessionStore\.ts/ ],
  ];
  for (const [ title, name, options, error ] of CASES) {
    it(`as ${title}: each method says so, and which stores can`, async () => {
      const app = await createApp(name, { session: { principal: 'userId', ...options } });
      try {
        const registry = await app.getEggObject(SessionRegistry);
        for (const call of [
          () => registry.list('a'), () => registry.revoke('a', 'x'), () => registry.revokeAll('a'), () => registry.clear(),
        ]) {
          await assert.rejects(call, (err: Error) => {
            assert.match(err.message, error);
            assert.match(err.message, /^\[egg-tegg-session\] sessionRegistry needs a store with an index, .*Use one of the stores for Redis, PostgreSQL, MySQL and memory, or/);
            return true;
          });
        }
      } finally {
        await app.close();
      }
    });

    it(`as ${title}: maxSessions stops the boot, and the error says why`, async () => {
      await assert.rejects(quietly(() => createApp(name, { session: { principal: 'userId', maxSessions: 1, ...options } })), (err: Error) => {
        assert.match(err.message, error);
        assert.match(err.message, /^\[egg-tegg-session\] config\.session\.maxSessions needs a store with an index, .*Use one of the stores for Redis, PostgreSQL, MySQL and memory, or/);
        return true;
      });
    });
  }

  it('as app.sessionStore is no class of tegg\'s: each method says so', async () => {
    const app = await createApp('web', {
      session: { principal: 'userId' },
      boot: booting => {
        booting.sessionStore = new Unfound();
      },
    });
    try {
      const registry = await app.getEggObject(SessionRegistry);
      for (const call of [ () => registry.list('a'), () => registry.revokeAll('a'), () => registry.clear() ]) {
        await assert.rejects(call, /sessionRegistry needs a store with an index, and sessions are kept in app\.sessionStore \(Unfound\)\. Use one of the stores for Redis, PostgreSQL, MySQL and memory/);
      }
    } finally {
      await app.close();
    }
  });

  it('as no principal is configured: the error says what to set, and clear() works all the same', async () => {
    const app = await createApp('memory-store');
    try {
      const registry = await app.getEggObject(SessionRegistry);
      for (const call of [ () => registry.list('a'), () => registry.revoke('a', 'x'), () => registry.revokeAll('a') ]) {
        await assert.rejects(call, /sessionRegistry needs config\.session\.principal/);
      }
      assert.equal(await registry.clear(), 0);
    } finally {
      await app.close();
    }
  });
});

describe('sessionRegistry.clear(), with a Cluster of which no node is there', () => {
  it('rejects', async () => {
    const cluster = new Cluster([{ host: '127.0.0.1', port: 1 }], { clusterRetryStrategy: () => null });
    cluster.on('error', () => undefined);
    const list = async () => {
      for await (const keys of new TestRedisStore(cluster).list(undefined)) assert.deepEqual(keys, []);
    };
    await assert.rejects(list());
    cluster.disconnect();
  });
});
