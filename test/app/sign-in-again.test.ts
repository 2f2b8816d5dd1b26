import { strict as assert } from 'node:assert';
import { setImmediate } from 'node:timers/promises';
import { later } from '../support/app';
import { forEachIndexedStore, type IndexedSite, MEMORY, REDIS } from '../support/indexed';
import { setsNoCookie } from '../support/concurrent';
import { listen } from '../support/web';

const HOUR = 3600_000;

/** Ends the session of a browser, by something else than this browser. */
type End = (site: IndexedSite, browser: ReturnType<IndexedSite['browser']>) => Promise<unknown>;
const ENDS: Record<string, End> = {
  'revoke()': async ({ registry }) => {
    const [{ id }] = await registry.list(7);
    assert.ok(await registry.revoke(7, id));
  },
  'revokeAll()': async ({ registry }) => assert.equal(await registry.revokeAll(7), 1),
  'clear()': ({ registry }) => registry.clear(),
  'a sign-out in another tab': (_, browser) => browser.copy().run(session => session.destroy()),
  'a regenerate() in another tab': (_, browser) => browser.copy().run(session => session.regenerate()),
  'another that took its place in maxSessions': async site => {
    for (const now = Date.now(); Date.now() === now;) await setImmediate(); // of those seen in one ms, any is the oldest
    for (let i = 0; i < 2; i++) await site.signIn(7);
  },
  'its expiry': async ({ redis, registry }) => {
    if (!redis) return later(2 * HOUR);
    for (const { id } of await registry.list(7)) await redis.pexpire(`session:${id}`, 1); // its own clock counts
    while ((await registry.list(7)).length > 0);
  },
};

const SIGN_INS: Record<string, (session: any, ctx: any) => unknown> = {
  'session.userId = 7': session => void (session.userId = 7),
  'ctx.session.userId = 7': (_, ctx) => void (ctx.session.userId = 7),
  'ctx.session = { userId: 7 }': (_, ctx) => void (ctx.session = { userId: 7 }),
  'session.userId = 7 and save()': async session => {
    session.userId = 7;
    await session.save();
  },
  'update()': session => session.update((data: any) => void (data.userId = 7)),
  'session.userId = 7 and regenerate()': async session => {
    session.userId = 7;
    await session.regenerate();
  },
  'regenerate() and session.userId = 7': async session => {
    await session.regenerate();
    session.userId = 7;
  },
};

forEachIndexedStore('a session that has ended elsewhere', site => {
  for (const [ end, endIt ] of Object.entries(ENDS)) {
    for (const [ title, signIn ] of Object.entries(SIGN_INS)) {
      it(`by ${end}: its browser signs in at once with ${title}`, async () => {
        await site.registry.clear();
        const browser = await site.signIn(7, session => void (session.secret = 'of the session that has ended'));
        await endIt(site, browser);
        const response = await browser.run(signIn);
        assert.equal(response.setCookies.length, 1);
        assert.deepEqual((await browser.run(session => session.toJSON())).json(), { userId: 7 });
        assert.equal((await site.registry.list(7)).some(({ current }) => current), false);
        assert.equal((await browser.run(async (_, ctx) => ({
          mine: (await site.registry.list(7)).filter(({ current }) => current).length, agent: ctx.get('user-agent'),
        }))).json().mine, 1);
      });
    }
  }
}, { maxSessions: 2, maxAge: HOUR }, [ MEMORY, REDIS ]);

forEachIndexedStore('a session that ends while a request of it runs', site => {
  for (const [ title, signIn ] of Object.entries(SIGN_INS)) {
    it(`is replaced when that request signs in with ${title}, with nothing but what it has assigned`, async () => {
      const browser = site.browser();
      await browser.run(session => void Object.assign(session, { cart: [ 'a' ], page: { visits: 1 } }));
      const slow = await site.slow(browser, async (session, ctx) => {
        ctx.session.own = 1;
        await signIn(session, ctx);
      });
      await browser.run(session => session.destroy());
      const response = await slow.finish();
      assert.equal(response.setCookies.length, 1);
      const data = (await browser.another(browser.cookies.copy()).run(session => session.toJSON(), {
        cookie: response.setCookies[0].split(';')[0],
      })).json();
      assert.equal(data.userId, 7);
      assert.equal(data.cart, undefined);
    });
  }

  it('is replaced when that request signs in inside a field that was there', async () => {
    const browser = site.browser();
    await browser.run(session => void (session.page = { visits: 1 }));
    const slow = await site.slow(browser, session => void Object.assign(session, { userId: 7, page: { visits: 2 } }));
    await browser.run(session => session.destroy());
    assert.equal((await slow.finish()).setCookies.length, 1);
  });

  const SAME = (session: any) => void (session.userId = 7); // as it was

  it('stays ended when that request writes anything else, and the log says so', async () => {
    for (const write of [
      (session: any) => void (session.cart = [ 'a' ]),
      SAME,
      (session: any) => void (session.maxAge = HOUR),
      (_: any, ctx: any) => void (ctx.session = { ...ctx.session.toJSON(), cart: [] }),
      async (session: any) => void await session.save().catch((err: Error) => assert.match(err.message, /has ended/)),
      async (session: any) => void await session.update((data: any) => void (data.n = 1))
        .catch((err: Error) => assert.match(err.message, /has ended/)),
    ]) {
      await site.registry.clear();
      const browser = await site.signIn(7);
      const { lines } = listen(site.app);
      const before = lines().length;
      const slow = await site.slow(browser, write);
      assert.equal(await site.registry.revokeAll(7), 1);
      setsNoCookie(await slow.finish());
      assert.deepEqual(await site.registry.list(7), []);
      const isTold = write !== SAME && write.constructor.name !== 'AsyncFunction'; // else nothing changes, or it rejects
      if (isTold) assert.match(lines().slice(before).join('\n'), /^[^\n]*INFO.*nothing was saved: the session has ended[^\n]*\n$/);
    }
  });

  it('is not brought back by a request that saves it twice', async () => {
    await site.registry.clear();
    const browser = await site.signIn(7);
    const slow = await site.slow(browser, async session => {
      for (const n of [ 1, 2 ]) {
        session.n = n;
        await session.save().catch(() => undefined);
      }
      session.n = 3;
    });
    assert.equal(await site.registry.revokeAll(7), 1);
    setsNoCookie(await slow.finish());
    assert.deepEqual(await site.registry.list(7), []);
  });

  it('is replaced when another user signs in, with nothing of the first one\'s', async () => {
    await site.registry.clear();
    const browser = await site.signIn(7, session => void (session.secret = 'of 7'));
    const slow = await site.slow(browser, session => void (session.userId = 8));
    assert.equal(await site.registry.revokeAll(7), 1);
    const { setCookies: [ line ] } = await slow.finish();
    const data = (await site.browser().run(session => session.toJSON(), { cookie: line.split(';')[0] })).json();
    assert.deepEqual(data, { userId: 8 });
    assert.deepEqual(await site.registry.list(7), []);
    assert.equal((await site.registry.list(8)).length, 1);
  });
}, { maxAge: HOUR }, [ MEMORY, REDIS ]);

forEachIndexedStore('a request whose session ends, and whose response has begun', site => {
  it('is told that it can\'t sign in any more', async () => {
    const browser = site.browser();
    await browser.run(session => void (session.n = 1));
    let told: Error | undefined;
    const slow = await site.slow(browser, async (session, ctx) => {
      ctx.res.flushHeaders();
      session.userId = 7;
      await session.save().catch(err => {
        told = err;
      });
      ctx.respond = false;
      ctx.res.end();
    });
    await browser.run(session => session.destroy());
    setsNoCookie(await slow.finish());
    assert.match(told!.message, /has to set a cookie, and the response has begun/);
    assert.deepEqual(await site.registry.list(7), []);
  });
}, {}, [ MEMORY ]);
