import { strict as assert } from 'node:assert';
import mm from 'egg-mock';
import { RedisSessionStore } from '../..';
import { later } from '../support/app';
import { listenToEvents } from '../support/events';
import { forEachIndexedStore, IndexedSite, MEMORY, REDIS } from '../support/indexed';
import { until } from '../support/servers';
import { NAME } from '../support/web';

const DAY = 24 * 3600_000;
const MONTH = 30 * DAY;

/** What a request does with the session of user 7 that has ended meanwhile, without signing anybody else in. */
const GOES_ON: Record<string, (session: any, ctx: any) => unknown> = {
  'copies the user, and regenerates': async session => {
    session.user = { ...session.user, mfa: true };
    await session.regenerate();
  },
  'changes the user, and regenerates': async session => {
    session.user.mfa = true;
    await session.regenerate();
  },
  'copies the user': session => {
    session.user = { ...session.user, mfa: true };
  },
  'regenerates, and copies the user': async session => {
    const { user } = session;
    await session.regenerate();
    session.user = { ...user, mfa: true };
  },
  'replaces the session, and regenerates': async (session, ctx) => {
    ctx.session = { user: { ...session.user } };
    await ctx.session.regenerate();
  },
  'updates, and regenerates': async session => {
    await session.update((data: any) => {
      data.user = { ...data.user, mfa: true };
    }).catch(() => undefined);
    await session.regenerate();
  },
};

const principal = (data: any) => data.user?.id;

forEachIndexedStore('a session that ends while a request goes on with it', site => {
  const signIn = async () => {
    const browser = site.browser();
    await browser.run(async (session: any) => {
      await session.regenerate();
      session.user = { id: 7 };
    });
    return browser;
  };
  const userOf = async (browser: Awaited<ReturnType<typeof signIn>>) =>
    (await browser.run((session: any) => ({ user: session.user?.id ?? null }))).json().user;
  const takeCookies = (browser: Awaited<ReturnType<typeof signIn>>, setCookies: string[]) => {
    for (const line of setCookies) browser.cookies.set(NAME, line.slice(NAME.length + 1).split(';')[0]);
  };

  for (const [ what, handle ] of Object.entries(GOES_ON)) {
    for (const end of [ 'revokeAll()', 'destroy()' ]) {
      it(`stays ended by ${end}: the request ${what}`, async () => {
        const browser = await signIn();
        const slow = await site.slow(browser, handle);
        if (end === 'revokeAll()') await site.registry.revokeAll(7);
        else await browser.copy().run(session => session.destroy());
        takeCookies(browser, (await slow.finish()).setCookies);
        assert.equal(await userOf(browser), null);
        assert.deepEqual(await site.registry.list(7), []);
      });
    }
  }

  it('is replaced when the request signs somebody else in', async () => {
    const browser = await signIn();
    const slow = await site.slow(browser, async (session: any) => {
      session.user = { id: 8 };
      await session.regenerate();
    });
    await site.registry.revokeAll(7);
    const { status, setCookies } = await slow.finish();
    takeCookies(browser, setCookies);
    assert.deepEqual([ status, await userOf(browser) ], [ 200, 8 ]);
  });

  it('tells a sign-in of the same user that it did not take place', async () => {
    const browser = await signIn();
    const slow = await site.slow(browser, async (session: any) => {
      session.user = { id: 7 };
      await session.regenerate();
    });
    await site.registry.revokeAll(7);
    const { status } = await slow.finish();
    assert.equal(status, 500);
    await browser.run(async (session: any) => {
      session.user = { id: 7 };
      await session.regenerate();
    });
    assert.equal(await userOf(browser), 7, 'the next try is one');
  });
}, { principal }, [ MEMORY, REDIS ]);

describe('a session that its own request ends', () => {
  let made = 0;
  const site = new IndexedSite(REDIS, { genid: () => `an-id-of-the-tests-${++made}-${Math.random()}` });
  before(() => site.boot());
  afterEach(() => mm.restore());
  after(() => site.close());

  it('is not begun anew by the first use of it at the same time', async () => {
    const browser = await site.signIn(7);
    const copy = browser.copy();
    await browser.run(async session => {
      const { retire } = RedisSessionStore.prototype;
      mm(site.store, 'retire', async (...args: Parameters<typeof retire>) => {
        mm.restore();
        const left = retire.apply(site.store as RedisSessionStore, args);
        session.lastAction = 'revoke';
        return await left;
      });
      await site.registry.revokeAll(7);
    });
    assert.deepEqual([ await site.user(copy), await site.user(browser), (await site.registry.list(7)).length ], [ null, null, 0 ]);
  });

  it('needs no id, whether somebody listens or not', async () => {
    const browser = await site.signIn(8);
    const take = listenToEvents(site.app);
    const before = made;
    await browser.run(session => session.destroy());
    assert.deepEqual((await take()).map(({ event }) => event), [ 'destroyed' ]);
    assert.equal(made, before);
  });

  it('leaves its lifetime to no other', async () => {
    const browser = await site.signIn(9, session => {
      session.maxAge = MONTH;
    });
    const { setCookies } = await browser.run(async (session, ctx) => {
      await session.destroy();
      ctx.session = { userId: 10 };
    });
    assert.match(setCookies.join(), /max-age=86400;/);
  });

  it('leaves its lifetime to no sign-in after a revocation', async () => {
    const browser = await site.signIn(11, session => {
      session.maxAge = MONTH;
    });
    const slow = await site.slow(browser, session => {
      session.userId = 12;
    });
    await site.registry.revokeAll(11);
    assert.match((await slow.finish()).setCookies.join(), /max-age=86400;/);
  });

  it('is told of under the key that it had, when regenerate() gives it to another principal', async () => {
    const browser = await site.signIn(13);
    const [{ id }] = await site.registry.list(13);
    const take = listenToEvents(site.app);
    await browser.run(async session => {
      session.userId = 14;
      await session.regenerate();
    });
    const replaced = (await take()).find(({ reason }) => reason === 'replaced')!;
    assert.ok(id.startsWith(replaced.key!), `${replaced.key} is not ${id}`);
  });
});

describe('the cookie of a session that is over', () => {
  const site = new IndexedSite(REDIS, { absoluteMaxAge: 1700 });
  before(() => site.boot());
  afterEach(() => mm.restore());
  after(() => site.close());

  it('is not removed by a slow response: somebody may have signed in since', async () => {
    const browser = await site.signIn(7);
    later(5000);
    const slow = await site.slow(browser, session => void session.userId);
    mm.restore();
    await until('Redis drops the session', async () => (await site.registry.list(7)).length === 0);
    assert.deepEqual((await slow.finish()).setCookies, []);
  });
});
