import { strict as assert } from 'node:assert';
import type { Context } from 'egg';
import mm from 'egg-mock';
import { RedisSessionStore, type SessionEvent, type SessionRecord } from '../..';
import { type Client, later } from '../support/app';
import { forEachIndexedStore, MEMORY, REDIS } from '../support/indexed';
import { TestRedisStore } from '../support/redis';

type Run = (session: any, ctx: Context, user: string) => unknown;

let last = 0;
/** A user of the test's own. */
const newUser = () => `user-${++last}`;
const HOUR = 3600_000;

/** The ways in which a request says whose session it is from now on. */
const SAYS: Record<string, Run> = {
  'an assignment': (session, _, user) => {
    session.userId = user;
  },
  'an assignment to ctx.session': (_, ctx, user) => {
    ctx.session = { userId: user };
  },
  'regenerate() and an assignment': async (session, _, user) => {
    await session.regenerate();
    session.userId = user;
  },
  'an assignment and regenerate()': async (session, _, user) => {
    session.userId = user;
    await session.regenerate();
  },
  'update()': (session, _, user) => session.update((data: any) => {
    data.userId = user;
  }),
  'save()': async (session, _, user) => {
    session.userId = user;
    await session.save();
  },
  'manuallyCommit()': async (session, _, user) => {
    session.userId = user;
    await session.manuallyCommit();
  },
};

/** The ways in which a request says that it is nobody's any more. */
const DENIES: Record<string, Run> = {
  delete: session => {
    delete session.userId;
  },
  null: session => {
    session.userId = null;
  },
  'an empty string': session => {
    session.userId = '';
  },
  'an assignment to ctx.session': (_, ctx) => {
    ctx.session = { cart: [ 'b' ] };
  },
  'delete and regenerate()': async session => {
    delete session.userId;
    await session.regenerate();
  },
  'update()': session => session.update((data: any) => {
    delete data.userId;
  }),
  'destroy()': session => session.destroy(),
  'ctx.session = null': (_, ctx) => {
    ctx.session = null;
  },
};

forEachIndexedStore('principal', site => {
  /** A browser that has a session of nobody's. */
  async function anonymous() {
    const browser = site.browser();
    await browser.run((session: any) => {
      session.cart = [ 'a' ];
    });
    return browser;
  }
  /** The sessions that the registry has, which are those that the store has noted. */
  async function count(user: string) {
    const noted = await site.noted(user); // before list() repairs it
    const listed = await site.registry.list(user);
    assert.deepEqual(noted.sort(), listed.map(({ id }) => id).sort());
    return listed.length;
  }

  for (const [ title, run ] of Object.entries(SAYS)) {
    it(`appears by ${title}`, async () => {
      for (const browser of [ site.browser(), await anonymous() ]) {
        const user = newUser();
        await browser.run((session, ctx) => run(session, ctx, user));
        assert.equal(await count(user), 1);
        assert.equal(await site.user(browser), user);
      }
    });

    it(`changes by ${title}, which ends the session of the one before`, async () => {
      const [ before, after ] = [ newUser(), newUser() ];
      const browser = await site.signIn(before);
      const ended = new Promise<SessionEvent & { reason: string }>(resolve => {
        site.app.once('session:destroyed', resolve);
      });
      await browser.run((session, ctx) => run(session, ctx, after));
      assert.deepEqual([ await count(before), await count(after) ], [ 0, 1 ]);
      const { reason, principal } = await ended;
      assert.deepEqual([ reason, principal ], [ 'replaced', before ]);
      assert.equal(await site.registry.revokeAll(before), 0);
      assert.equal(await site.user(browser), after);
    });
  }

  for (const [ title, run ] of Object.entries(DENIES)) {
    it(`goes by ${title}`, async () => {
      const user = newUser();
      const [ browser, other ] = [ await site.signIn(user), await site.signIn(user) ];
      await browser.run((session, ctx) => run(session, ctx, user));
      assert.equal(await count(user), 1);
      assert.equal(await site.user(other), user);
      await other.run((session, ctx) => run(session, ctx, user));
      assert.equal(await count(user), 0);
    });
  }

  it('has a session whose data a slower request replaces as a whole, and nobody else has', async () => {
    for (const heir of [ undefined, newUser() ]) {
      const user = newUser();
      const browser = await site.signIn(user);
      const request = await site.slow(browser, (session, ctx) => {
        ctx.session = { ...session.toJSON(), n: 1 };
      });
      await browser.run((session: any) => {
        session.userId = heir;
      });
      await request.finish();
      if (heir) assert.deepEqual(await site.registry.list(heir), []);
      assert.equal(await count(user), 1);
      assert.equal(await site.registry.revokeAll(user), 1);
      assert.equal(await site.user(browser), null);
    }
  });

  it('has a session in which somebody signs in while a slower request signs out', async () => {
    const user = newUser();
    const browser = await site.signIn(user);
    const index = site.store.index!.bind(site.store);
    mm(site.store, 'index', async (...args: Parameters<typeof index>) => {
      if (args[2] === 0) {
        mm.restore();
        await browser.run((session: any) => {
          session.userId = user;
        });
      }
      return await index(...args);
    });
    await browser.copy().run((session: any) => {
      delete session.userId;
    });
    assert.equal(await site.user(browser), user);
    assert.equal(await count(user), 1);
    assert.equal(await site.registry.revokeAll(user), 1);
    assert.equal(await site.user(browser), null);
  });

  it('has a session in which somebody signs in, when a slower request that signs out takes it off first', async () => {
    const user = newUser();
    const browser = await site.signIn(user);
    const index = site.store.index!.bind(site.store);
    let signOut!: () => void;
    const noted = new Promise<void>(resolve => {
      signOut = resolve;
    });
    let isLast = false;
    mm(site.store, 'index', async (...args: Parameters<typeof index>) => {
      if (args[2] !== 0) {
        await index(...args);
        if (!isLast) {
          isLast = true;
          signOut();
          await out;
        }
        return;
      }
      signIn = browser.run((session: any) => {
        session.userId = user;
      });
      await noted;
      await index(...args);
    });
    let signIn: Promise<unknown> | undefined;
    const out: Promise<unknown> = browser.copy().run((session: any) => {
      delete session.userId;
    });
    await out;
    await signIn;
    assert.equal(await site.user(browser), user);
    assert.equal(await count(user), 1);
  });

  it('leaves regenerate() and sign-out as they are when an entry can\'t be taken off the index', async () => {
    const user = newUser();
    const browser = await site.signIn(user);
    const index = site.store.index!.bind(site.store);
    mm(site.store, 'index', async (...args: Parameters<typeof index>) => {
      if (args[2] === 0) throw new Error('the index is not to be written');
      await index(...args);
    });
    await browser.run(session => session.regenerate());
    assert.equal(await site.user(browser), user);
    await browser.run(session => session.destroy());
    mm.restore();
    assert.equal(await site.user(browser), null);
    assert.deepEqual(await site.registry.list(user), []);
  });

  it('is the same as a number and as a string', async () => {
    const number = 1000 + ++last;
    const browsers = [ await site.signIn(number), await site.signIn(String(number)) ];
    for (const principal of [ number, String(number) ]) assert.equal((await site.registry.list(principal)).length, 2);
    assert.equal(await site.registry.revokeAll(number), 2);
    for (const browser of browsers) assert.equal(await site.user(browser), null);
  });

  it('0 is one, and no session is of nobody\'s name', async () => {
    const browser = await site.signIn(0);
    await anonymous();
    assert.equal(await site.registry.revokeAll(0), 1);
    assert.equal(await site.user(browser), null);
    for (const name of [ 'undefined', 'null' ]) assert.deepEqual(await site.registry.list(name), []);
  });

  it('names that are none of Redis\' or JavaScript\'s business are as good as others', async () => {
    for (const name of [ '__proto__', 'constructor', '*', 'a b\n', '{tag}', '用户', ':', 'x'.repeat(5000) ]) {
      const browser = await site.signIn(name);
      assert.equal(await count(name), 1);
      assert.equal(await site.registry.revokeAll(name), 1);
      assert.equal(await site.user(browser), null);
    }
  });

  it('is what JSON makes of it', async () => {
    const user = newUser();
    await site.signIn({ toJSON: () => user } as never);
    assert.equal(await count(user), 1);
  });

  for (const value of [ true, {}, [], [ 'a' ], { id: 1 }, NaN, Infinity ]) {
    it(`that is ${Number.isNaN(value) ? 'NaN' : value === Infinity ? value : JSON.stringify(value)} is refused by a TypeError, and nothing is saved`, async () => {
      const browser = await anonymous();
      const response = await browser.tryRun((session: any) => {
        session.userId = value;
      });
      assert.equal(response.status, 500);
      assert.match(response.text, /TypeError/);
      assert.match(response.text, /config\.session\.principal gives .* for this session; it must be a string or a number, or undefined/);
      assert.deepEqual((await browser.run(session => session.toJSON())).json(), { cart: [ 'a' ] });
    });
  }

  it('can\'t be forged through fields with the names that records have', async () => {
    const [ mallory, victim ] = [ newUser(), newUser() ];
    const browser = await site.signIn(mallory);
    const forged = { _principal: victim, _createdAt: 1, _seenAt: 1, _ip: 'x', _successor: 'x' };
    const attempts: Run[] = [
      session => Object.assign(session, forged),
      (_, ctx) => Object.assign(ctx.session, forged),
      session => session.update((data: any) => Object.assign(data, forged)),
      (_, ctx) => {
        ctx.session = { userId: mallory, ...forged };
      },
    ];
    for (const attempt of attempts) {
      await browser.tryRun((session, ctx) => attempt(session, ctx, mallory));
      assert.deepEqual([ await count(mallory), await count(victim) ], [ 1, 0 ]);
      assert.equal((await site.registry.list(mallory))[0].ip, '127.0.0.1');
    }
  });

  it('that another request signs in just before regenerate() has the session at once', async () => {
    const user = newUser();
    const browser = await anonymous();
    const mover = await site.slow(browser, async session => {
      await session.regenerate();
      return { count: (await site.registry.list(user)).length };
    });
    await browser.run((session: any) => {
      session.userId = user;
    });
    assert.deepEqual((await mover.finish()).json(), { count: 1 });
    assert.equal(await site.registry.revokeAll(user), 1);
  });

  it('that another request signs out just before regenerate() has the session no more', async () => {
    const user = newUser();
    const browser = await site.signIn(user);
    const mover = await site.slow(browser, async session => {
      await session.regenerate();
      return { count: await count(user) };
    });
    await browser.run((session: any) => {
      delete session.userId;
    });
    assert.deepEqual((await mover.finish()).json(), { count: 0 });
  });
});

forEachIndexedStore('principal, under autoCommit: false', site => {
  it('has the session once manuallyCommit() or save() has written it, and not before', async () => {
    for (const method of [ 'manuallyCommit', 'save' ] as const) {
      const user = newUser();
      const browser = site.browser();
      await browser.run((session: any) => {
        session.userId = user;
      });
      assert.deepEqual(await site.registry.list(user), []);
      await browser.run(async (session: any) => {
        session.userId = user;
        await session[method]();
        assert.equal((await site.registry.list(user)).length, 1);
      });
      assert.equal(await site.registry.revokeAll(user), 1);
      assert.equal(await site.user(browser), null);
    }
  });
}, { autoCommit: false }, [ MEMORY, REDIS ]);

/** Whether `principal` is configured; what was before is as if it had not been. */
let isConfigured = true;

forEachIndexedStore('principal that is a function', site => {
  afterEach(() => {
    isConfigured = true;
  });

  it('is asked with the data as they are stored', async () => {
    const user = newUser();
    const browser = site.browser();
    await browser.run(async (session: any) => {
      await session.regenerate();
      session.account = new class Account {
        toJSON = () => ({ id: user });
      }();
    });
    assert.equal((await site.registry.list(user)).length, 1);
    assert.equal(await site.registry.revokeAll(user), 1);
  });

  it('must not be async', async () => {
    const response = await site.browser().tryRun((session: any) => {
      session.account = { id: 'a promise' };
    });
    assert.equal(response.status, 500);
    assert.match(response.text, /config\.session\.principal returned a promise; it must not be async/);
  });

  it('knows a session that was signed in before it was configured, once a request has read that', async () => {
    const user = newUser();
    isConfigured = false;
    const browser = site.browser();
    await browser.run((session: any) => {
      session.account = { id: user };
    });
    isConfigured = true;
    assert.deepEqual(await site.registry.list(user), []);
    later(HOUR);
    await browser.run((session: any) => ({ id: session.account.id }));
    const [{ createdAt, lastSeenAt }] = await site.registry.list(user);
    assert.ok(createdAt < lastSeenAt - HOUR / 2);
    assert.equal(await site.registry.revokeAll(user), 1);
    assert.deepEqual((await browser.run(session => session.toJSON())).json(), {});
  });
}, {
  principal: ({ account }: any) => (account?.id === 'a promise' ? Promise.resolve('a') as never : isConfigured ? account?.id : undefined),
});

forEachIndexedStore('principal that is a function of two fields', site => {
  it('has a session that requests at the same time have made its own by the fields of both', async () => {
    const [ user, other, actingAs ] = [ newUser(), newUser(), newUser() ];
    const browser = await site.signIn(user);
    const request = await site.slow(browser, (session: any) => {
      session.userId = other;
    });
    await browser.run((session: any) => {
      session.actingAs = actingAs;
    });
    await request.finish();
    assert.deepEqual(await site.registry.list(other), []);
    const [{ id }] = await site.registry.list(actingAs);
    assert.equal(await site.registry.revoke(other, id), false);
    assert.equal(await site.registry.revoke(actingAs, id), true);
    assert.equal(await site.user(browser), null);
  });
}, { principal: ({ actingAs, userId }: any) => actingAs ?? userId });

/** Of a tenant, and a user there. */
const TWO_FIELDS = { principal: ({ tenant, user }: any) => (tenant && user ? `${tenant}:${user}` : undefined) };

forEachIndexedStore('principal that is made of two fields', site => {
  /** The ways to change one field. */
  const CHANGES: Record<string, (session: any, field: string, value: string | undefined) => unknown> = {
    'a write': (session, field, value) => void (session[field] = value),
    'save()': (session, field, value) => {
      session[field] = value;
      return session.save();
    },
    'update()': (session, field, value) => session.update((data: any) => void (data[field] = value)),
    'a write and regenerate()': (session, field, value) => {
      session[field] = value;
      return session.regenerate();
    },
  };
  async function signedIn(tenant: string, user: string) {
    const browser = site.browser();
    await browser.run((session: any) => void Object.assign(session, { tenant, user }));
    return browser;
  }
  /** What is stored of these users' sessions; a request would note whose they are. */
  async function stored(users: string[]): Promise<Array<Record<string, unknown>>> {
    const found = new Set<string>();
    for await (const keys of site.store.list!(undefined, {} as never)) for (const key of keys) found.add(key);
    const records = await Promise.all([ ...found ].map(key => site.store.get(key, undefined, {} as never)));
    return records.filter(record => record && users.includes(record.user as string)) as Array<Record<string, unknown>>;
  }
  /** Whoever the session is by what is stored has it, and can end it. */
  async function isOf(browser: Client, users: string[], principal?: string) {
    const [{ tenant, user }, ...more ] = await stored(users);
    assert.deepEqual(more, []);
    const own = `${tenant}:${user}`;
    if (principal) assert.equal(own, principal);
    assert.equal((await site.registry.list(own)).length, 1);
    assert.equal(await site.registry.revokeAll(own), 1);
    assert.deepEqual((await browser.run(session => session.toJSON())).json(), {});
  }

  for (const [ how, change ] of Object.entries(CHANGES)) {
    for (const [ other, changeToo ] of Object.entries(CHANGES)) {
      if (how.includes('regenerate') && other.includes('regenerate')) continue; // one of them begins a session of its own
      it(`is what ${how} and ${other} have made of it, in requests at the same time`, async () => {
        for (const atOnce of [ true, false ]) {
          const [ tenant, user, nextTenant, nextUser ] = [ newUser(), newUser(), newUser(), newUser() ];
          const browser = await signedIn(tenant, user);
          const requests = [
            await site.slow(browser, session => change(session, 'tenant', nextTenant)),
            await site.slow(browser, session => changeToo(session, 'user', nextUser)),
          ];
          const finish = async ({ finish: go }: typeof requests[number]) => {
            const { setCookies } = await go();
            if (how.includes('regenerate') || other.includes('regenerate')) browser.cookies.store(new URL('http://127.0.0.1/'), setCookies);
          };
          if (atOnce) await Promise.all(requests.map(finish));
          else for (const request of requests.reverse()) await finish(request);
          // what comes with an id that has moved is not saved
          const moves = how.includes('regenerate') || other.includes('regenerate');
          await isOf(browser, [ user, nextUser ], moves ? undefined : `${nextTenant}:${nextUser}`);
        }
      });
    }
  }

  it('is nobody when one request has removed one of them and another has changed the other', async () => {
    const [ tenant, user ] = [ newUser(), newUser() ];
    const browser = await signedIn(tenant, user);
    const requests = [
      await site.slow(browser, (session: any) => void delete session.tenant),
      await site.slow(browser, (session: any) => void (session.user = newUser())),
    ];
    await Promise.all(requests.map(request => request.finish()));
    assert.equal((await browser.run(session => session.toJSON())).json().tenant, undefined);
    assert.equal(await site.registry.revokeAll(`${tenant}:${user}`), 0);
  });

  it('is known as well when what was merged can\'t be read, once the session is used', async () => {
    const [ tenant, user, nextTenant, nextUser ] = [ newUser(), newUser(), newUser(), newUser() ];
    const browser = await signedIn(tenant, user);
    const request = await site.slow(browser, (session: any) => void (session.tenant = nextTenant));
    await browser.run((session: any) => void (session.user = nextUser));
    mm(site.store, 'get', async () => {
      throw new Error('it can\'t be read');
    });
    // a store of three methods merges by reading
    assert.equal((await request.finish()).status, site.subject.hasTombstones ? 200 : 503);
    mm.restore();
    if (!site.subject.hasTombstones) return;
    await browser.run((session: any) => ({ user: session.user }));
    await isOf(browser, [ user, nextUser ], `${nextTenant}:${nextUser}`);
  });

  it('costs a read more for requests that change a field, and for no others', async () => {
    if (!site.subject.hasTombstones) return;
    const browser = await signedIn(newUser(), newUser());
    const get = site.store.get.bind(site.store);
    let reads = 0;
    mm(site.store, 'get', async (...args: Parameters<typeof get>) => {
      reads++;
      return await get(...args);
    });
    for (const [ handle, expected ] of [
      [ (session: any) => ({ user: session.user }), 1 ],
      [ (session: any) => session.save(), 2 ], // and whether the id is still good
      [ (session: any) => session.update((data: any) => void (data.n = 1)), 3 ],
      [ (session: any, ctx: Context) => void (ctx.session = { ...session.toJSON(), n: 2 }), 2 ],
      [ (session: any) => void (session.n = 3), 2 ],
    ] as Array<[ (session: any, ctx: Context) => unknown, number ]>) {
      reads = 0;
      await browser.run(handle);
      assert.equal(reads, expected, String(handle));
    }
  });
}, TWO_FIELDS);

forEachIndexedStore('principal that is made of two fields, under maxSessions', site => {
  it('has no more sessions than that when requests at the same time make another one its own', async () => {
    const [ tenant, user ] = [ newUser(), newUser() ];
    const signIn = async (data: object) => {
      const browser = site.browser();
      await browser.run((session: any) => void Object.assign(session, data));
      return browser;
    };
    const before = await signIn({ tenant, user });
    await site.later(1000);
    const browser = await signIn({ tenant: newUser(), user: newUser() });
    const requests = [
      await site.slow(browser, (session: any) => void (session.tenant = tenant)),
      await site.slow(browser, (session: any) => void (session.user = user)),
    ];
    await Promise.all(requests.map(request => request.finish()));
    assert.equal((await site.registry.list(`${tenant}:${user}`)).length, 1);
    assert.deepEqual((await before.run(session => session.toJSON())).json(), {});
    assert.deepEqual((await browser.run(session => session.toJSON())).json(), { tenant, user });
  });
}, { ...TWO_FIELDS, maxSessions: 1 }, [ MEMORY, REDIS ]);

forEachIndexedStore('principal that is one field', site => {
  it('is who signs in while another request signs out, in whatever order', async () => {
    for (const order of [ 0, 1, 2 ]) {
      const [ user, next ] = [ newUser(), newUser() ];
      const browser = await site.signIn(user);
      const requests = [
        await site.slow(browser, (session: any) => void delete session.userId),
        await site.slow(browser, (session: any) => void (session.userId = next)),
      ];
      if (order === 2) await Promise.all(requests.map(request => request.finish()));
      else for (const request of order ? requests : requests.reverse()) await request.finish();
      const now = await site.user(browser);
      assert.ok(now === null || now === next);
      assert.deepEqual(await site.registry.list(user), []);
      assert.equal((await site.registry.list(next)).length, now === null ? 0 : 1);
      assert.equal(await site.registry.revokeAll(next), now === null ? 0 : 1);
      assert.equal(await site.user(browser), null);
    }
  });
}, {}, [ MEMORY, REDIS ]);

forEachIndexedStore('the index of principals in Redis', site => {
  it('outlives each of its sessions, and is gone when the last one is', async () => {
    const redis = site.redis!;
    const user = newUser();
    const index = `session:principal:${user}`;
    /** Whether each session lives less long than the index. */
    async function outlives() {
      const ttl = await redis.pttl(index);
      for (const key of await site.noted(user)) {
        const own = await redis.pttl(`session:${key}`);
        assert.ok(own > 0 && own < ttl, `a session for ${own} ms, in an index for ${ttl} ms`);
      }
    }
    const short = await site.signIn(user, session => {
      session.maxAge = HOUR;
    });
    await outlives();
    const long = await site.signIn(user);
    await outlives();
    await long.run(session => {
      session.maxAge = 30 * 24 * HOUR;
    });
    await outlives();
    await site.signIn(user, session => {
      session.maxAge = 'session';
    });
    await outlives();
    await long.run(session => session.destroy());
    await outlives();
    await short.run(session => session.destroy());
    await outlives();
    assert.equal(await site.registry.revokeAll(user), 1);
    assert.equal(await redis.exists(index), 0);
  });

  for (const action of [ 'regenerate', 'save', 'update' ] as const) {
    it(`outlives a session whose lifetime another request has lengthened before ${action}()`, async () => {
      const user = newUser();
      const browser = await site.signIn(user, session => {
        session.maxAge = HOUR;
      });
      const slower = await site.slow(browser, async (session: any) => {
        session.userId = `${user}-now`;
        if (action === 'update') await session.update(() => undefined);
        else await session[action]();
      });
      await browser.run(session => {
        session.maxAge = 30 * 24 * HOUR;
      });
      assert.equal((await slower.finish()).status, 200);
      const [ key ] = await site.noted(`${user}-now`);
      const own = await site.redis!.pttl(`session:${key}`);
      assert.ok(own > 29 * 24 * HOUR && own < await site.redis!.pttl(`session:principal:${user}-now`));
    });
  }

  it('lives by the clock of Redis, as the sessions do', async () => {
    const user = newUser();
    later(-24 * HOUR);
    await site.signIn(user);
    assert.equal((await site.registry.list(user)).length, 1);
    assert.ok(await site.redis!.pttl(`session:principal:${user}`) > 24 * HOUR);
  });
}, {}, [ REDIS ]);

forEachIndexedStore('a principal that can\'t be told', site => {
  it('shows no data in the error', async () => {
    const { status, text } = await site.browser().tryRun((session: any) => {
      session.user = { id: 7, email: 'secret@example.com' };
    });
    assert.equal(status, 500);
    assert.match(text, /config\.session\.principal gives an object for this session/);
    assert.doesNotMatch(text, /secret/);
  });
}, { principal: 'user' }, [ REDIS ]);

forEachIndexedStore('a principal of the whole data', site => {
  it('sends no old id when the session has moved before its data were read again', async () => {
    const browser = await site.signIn(7);
    const slow = await site.slow(browser, session => {
      session.n = 1;
    });
    const { get } = RedisSessionStore.prototype;
    mm(site.store, 'get', async (...args: Parameters<typeof get>) => {
      mm.restore();
      // another process, whose changes no clock of this one knows
      const other = new TestRedisStore(site.redis!);
      const left = await other.retire(args[0], 'another key', 30_000) as SessionRecord;
      await other.set('another key', left, HOUR);
      return await get.apply(site.store as RedisSessionStore, args);
    });
    assert.deepEqual((await slow.finish()).setCookies, []);
  });
}, { principal: data => data.userId as number }, [ REDIS ]);

/** What whoever only reads may need to have written. */
for (const renewal of [ 'rolling', 'renew' ] as const) {
  forEachIndexedStore(`under ${renewal}, a principal that fails for what is stored`, site => {
    it('lets the session be read, and signed out', async () => {
      const browser = await site.signIn(7);
      const [{ id }] = await site.registry.list(7);
      await site.store.merge!(id, { set: { broken: true }, unset: [], replace: false }, {} as never);
      if (renewal === 'renew') later(13 * HOUR);
      assert.equal(await site.user(browser), 7);
      assert.equal((await browser.tryRun(session => session.destroy())).status, 200);
    });
  }, { [renewal]: true, principal: (data: any) => (data.broken ? data.nobody.id : data.userId) }, [ MEMORY, REDIS ]);
}
