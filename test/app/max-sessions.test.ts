import { strict as assert } from 'node:assert';
import type { Application, Context } from 'egg';
import mm from 'egg-mock';
import { type SessionEvent } from '../..';
import { resolveConfig } from '../../module/options/SessionConfig';
import { later } from '../support/app';
import { forEachIndexedStore, INDEXED_STORES, REDIS } from '../support/indexed';
import { MapStore } from '../support/MapStore';
import { quietly } from '../support/quietly';
import { start, stop } from '../support/web';

let last = 0;
/** A user of the test's own. */
const newUser = () => `user-${++last}`;

/** The ways to sign in. */
const SIGN_IN: Record<string, (session: any, ctx: Context, user: string) => unknown> = {
  'an assignment': session => session,
  'an assignment to ctx.session': (_, ctx, user) => {
    ctx.session = { userId: user };
  },
  'regenerate()': session => session.regenerate(),
  'update()': (session, _, user) => session.update((data: any) => {
    data.userId = user;
  }),
  'save()': session => session.save(),
};

forEachIndexedStore('maxSessions', site => {
  it('signing in once more ends the session that was not seen for longest, and tells so', async () => {
    const user = newUser();
    const [ first, second, third ] = [ await site.signIn(user), await site.signIn(user), await site.signIn(user) ];
    later(2 * 60_000);
    for (const browser of [ first, third ]) assert.equal(await site.user(browser), user);
    const { id } = (await site.registry.list(user)).at(-1)!;
    const ended = new Promise<SessionEvent & { reason: string }>(resolve => {
      site.app.once('session:destroyed', resolve);
    });
    const fourth = await site.signIn(user);
    const { reason, key, principal } = await ended;
    assert.deepEqual([ reason, principal, id.startsWith(key!) ], [ 'evicted', user, true ]);
    assert.equal(await site.user(second), null);
    for (const browser of [ first, third, fourth ]) assert.equal(await site.user(browser), user);
    assert.equal((await site.noted(user)).length, 3);
  });

  for (const [ title, how ] of Object.entries(SIGN_IN)) {
    it(`holds for ${title}, in a new session and in one of nobody's`, async () => {
      const user = newUser();
      for (let i = 0; i < 5; i++) {
        const browser = site.browser();
        if (i % 2) {
          await browser.run((session: any) => {
            session.cart = [ 'a' ];
          });
        }
        later(1000);
        await browser.run(async (session: any, ctx) => {
          if (title !== 'update()') session.userId = user;
          await how(session, ctx, user);
        });
        assert.equal((await site.registry.list(user)).length, Math.min(i + 1, 3));
        assert.equal(await site.user(browser), user);
      }
    });
  }

  it('regenerate(), writes and sign-ins of others end nobody\'s session', async () => {
    const user = newUser();
    const browsers = [ await site.signIn(user), await site.signIn(user), await site.signIn(user) ];
    for (const browser of browsers) {
      for (let i = 0; i < 3; i++) await browser.run(session => session.regenerate());
      await browser.run((session: any) => {
        session.n = 1;
      });
      await browser.run(session => session.save());
      await site.signIn(newUser());
    }
    for (const browser of browsers) assert.equal(await site.user(browser), user);
    await Promise.all(browsers.map(browser => browser.run(session => session.regenerate())));
    for (const browser of browsers) assert.equal(await site.user(browser), user);
  });

  it('the sessions are counted when somebody signs in, and not with each write', async () => {
    const browser = await site.signIn(newUser());
    const list = site.store.list!.bind(site.store);
    let times = 0;
    mm(site.store, 'list', (...args: Parameters<typeof list>) => {
      times++;
      return list(...args);
    });
    await browser.run((session: any) => {
      session.n = 1;
    });
    await browser.run(session => session.regenerate());
    assert.equal(times, 0);
    await site.signIn(newUser());
    assert.equal(times, 1);
  });

  it('what has ended does not count', async () => {
    const user = newUser();
    const stays = await site.signIn(user);
    const out = await site.signIn(user);
    await out.run(session => session.destroy());
    await site.signIn(user);
    const { id } = (await site.registry.list(user))[0];
    await site.lose(id);
    await site.signIn(user, session => {
      session.maxAge = 60_000;
    });
    await site.later(71_000); // a store of three methods has it 10 s longer
    await site.signIn(user);
    await site.signIn(user);
    assert.equal(await site.user(stays), user);
    assert.equal((await site.noted(user)).length, 3);
  });

  it('a session that becomes another principal\'s counts there', async () => {
    const [ before, after ] = [ newUser(), newUser() ];
    const browser = await site.signIn(before);
    const oldest = await site.signIn(after);
    later(1000);
    await site.signIn(after);
    await site.signIn(after);
    await browser.run((session: any) => {
      session.userId = after;
    });
    assert.equal(await site.user(oldest), null);
    assert.equal(await site.user(browser), after);
    assert.deepEqual(await site.registry.list(before), []);
  });

  it('a request that is running can\'t bring back a session that had to go', async () => {
    for (const write of [
      (session: any) => {
        session.n = 1;
      },
      (session: any) => session.regenerate(),
    ]) {
      const user = newUser();
      const browser = await site.signIn(user);
      const request = await site.slow(browser, async session => {
        await write(session);
        return { ok: true };
      });
      later(1000);
      for (let i = 0; i < 3; i++) await site.signIn(user);
      assert.equal(await site.user(browser), null);
      browser.cookies.store(new URL('http://127.0.0.1/'), (await request.finish()).setCookies);
      assert.equal(await site.user(browser), null);
      assert.equal((await site.registry.list(user)).length, 3);
    }
  });

  it('a sign-in goes on when the others can\'t be counted, and the next one ends them', async () => {
    const user = newUser();
    for (let i = 0; i < 3; i++) await site.signIn(user);
    mm(site.store, 'list', () => {
      throw new Error('the index is not to be read');
    });
    const browser = site.browser();
    await quietly(async () => {
      for (let i = 0; i < 2; i++) {
        await browser.run((session: any) => {
          session.userId = i ? user : undefined;
          return session.regenerate();
        });
      }
    });
    mm.restore();
    assert.equal(await site.user(browser), user);
    assert.equal((await site.registry.list(user)).length, 4);
    await site.signIn(user);
    assert.equal((await site.registry.list(user)).length, 3);
  });

  it('20 sign-ins at once leave as many as there may be', async () => {
    const user = newUser();
    const browsers = await Promise.all(Array.from({ length: 20 }, () => site.signIn(user)));
    assert.equal((await site.registry.list(user)).length, 3);
    const users = await Promise.all(browsers.map(browser => site.user(browser)));
    assert.equal(users.filter(each => each === user).length, 3);
  });
}, { maxSessions: 3 }, INDEXED_STORES);

forEachIndexedStore('maxSessions: 1', site => {
  it('is one device at a time', async () => {
    const user = newUser();
    let before = await site.signIn(user);
    for (let i = 0; i < 3; i++) {
      later(1000);
      const browser = await site.signIn(user);
      assert.equal(await site.user(before), null);
      assert.equal(await site.user(browser), user);
      before = browser;
    }
    await before.run(session => session.regenerate());
    assert.equal(await site.user(before), user);
  });

  it('20 sign-ins at once leave one', async () => {
    const user = newUser();
    const browsers = await Promise.all(Array.from({ length: 20 }, () => site.signIn(user)));
    const users = await Promise.all(browsers.map(browser => site.user(browser)));
    assert.equal(users.filter(each => each === user).length, 1);
    assert.equal((await site.noted(user)).length, 1);
  });
}, { maxSessions: 1 });

describe('maxSessions that can\'t be', () => {
  for (const maxSessions of [ 0, -1, 1.5, NaN, Infinity, '3', true ]) {
    it(`${typeof maxSessions} ${maxSessions} is refused`, () => {
      assert.throws(() => resolveConfig({ principal: 'userId', maxSessions: maxSessions as never }),
        { name: 'TypeError', message: /config\.session\.maxSessions is .*; it must be a whole number above 0/ });
    });
  }

  it('is refused without principal, and the error names that', () => {
    assert.throws(() => resolveConfig({ maxSessions: 1 }),
      { name: 'TypeError', message: /config\.session\.maxSessions is 1; it needs config\.session\.principal/ });
  });
});

describe('maxSessions, and the store', () => {
  afterEach(stop);

  it('asks nothing of it when sessions are disabled', async () => {
    await start({ enable: false, principal: 'userId', maxSessions: 3 });
  });
});

forEachIndexedStore('maxSessions, once the application runs', site => {
  it('refuses a store that can\'t count, and the one before stays', async () => {
    const app = site.app as unknown as Application;
    const { sessionStore } = app;
    for (const store of [ new MapStore(), null ]) {
      assert.throws(() => {
        app.sessionStore = store;
      }, { code: 'ERR_SESSION_NO_STORE', message: /config\.session\.maxSessions needs a store with an index/ });
    }
    assert.equal(app.sessionStore, sessionStore);
  });
}, { maxSessions: 1 }, [ REDIS ]);
