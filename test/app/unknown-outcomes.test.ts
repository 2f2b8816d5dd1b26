import { strict as assert } from 'node:assert';
import mm from 'egg-mock';
import { RedisSessionStore, type SessionStore } from '../..';
import type { StoreOperation } from '../../module/store/StoreHealth';
import { IndexedSite, REDIS } from '../support/indexed';
import { until } from '../support/servers';
import { NAME } from '../support/web';

type Call = (...args: unknown[]) => Promise<unknown>;

/** Has the store do what it is asked to next, if at all, and fail all the same. */
function failOnce(store: SessionStore, operation: StoreOperation, err: Error, isDone = true): void {
  const call = RedisSessionStore.prototype[operation as 'set'] as unknown as Call;
  mm(store, operation, async (...args: unknown[]) => {
    mm.restore();
    if (isDone) await call.apply(store, args);
    throw err;
  });
}

const late = () => new Error('Command timed out');

/** What drivers and proxies say that does not tell whether the server has done it. */
const UNCLEAR = [
  late(),
  Object.assign(new Error('Request failed with status code 504'), { name: 'AxiosError', code: 'ERR_BAD_RESPONSE' }),
  Object.assign(new Error('Protocol error, got "H" as reply type byte'), { name: 'ParserError' }),
  new Error('Bad Gateway'),
  new Error('read ECONNRESET'),
];

describe('when nobody knows whether a call of the store has taken effect', () => {
  const site = new IndexedSite(REDIS, { maxSessions: 3 });
  before(() => site.boot());
  afterEach(() => mm.restore());
  after(() => site.close());
  let userId = 100;
  beforeEach(() => {
    userId++;
  });

  for (const err of UNCLEAR) {
    it(`regenerate() goes on under the new id: ${err.name}: ${err.message}`, async () => {
      const browser = await site.signIn(userId);
      const old = browser.copy();
      failOnce(site.store, 'retire', err);
      const response = await browser.tryRun(session => session.regenerate());
      assert.equal(response.status, 503);
      assert.equal(await site.user(browser), userId);
      assert.equal(await site.user(old), null);
    });
  }

  it('regenerate() keeps the old id when the call has taken no effect, and was about this session only', async () => {
    const browser = await site.signIn(userId);
    failOnce(site.store, 'retire', new Error('Bad Gateway'), false);
    const { status, setCookies } = await browser.tryRun(session => session.regenerate());
    assert.deepEqual([ status, setCookies ], [ 503, []]);
    assert.equal(await site.user(browser), userId);
    assert.equal((await site.registry.list(userId)).length, 1);
  });

  it('regenerate() ends the old id once the store answers again', async () => {
    const browser = await site.signIn(userId);
    const old = browser.copy();
    failOnce(site.store, 'retire', late(), false);
    await browser.tryRun(session => session.regenerate());
    assert.equal(await site.user(browser), userId);
    await until('the old id has ended', async () => await site.user(old) === null);
    assert.equal(await site.user(browser), userId);
  });

  for (const isDone of [ true, false ]) {
    it(`regenerate() brings no revoked session back, the call ${isDone ? 'made' : 'lost'}`, async () => {
      const browser = await site.signIn(userId);
      const slow = await site.slow(browser, session => session.regenerate());
      assert.equal(await site.registry.revokeAll(userId), 1);
      failOnce(site.store, 'retire', late(), isDone);
      for (const line of (await slow.finish()).setCookies) browser.cookies.set(NAME, line.slice(NAME.length + 1).split(';')[0]);
      assert.equal(await site.user(browser), null);
      assert.deepEqual(await site.registry.list(userId), []);
    });
  }

  it('a sign-in that was answered with 503 leaves no session that nobody has', async () => {
    const [ one, two ] = [ await site.signIn(userId), await site.signIn(userId) ];
    for (let i = 0; i < 2; i++) {
      failOnce(site.store, 'set', late());
      const { status, setCookies } = await site.browser().tryRun(session => {
        session.userId = userId;
      });
      assert.deepEqual([ status, setCookies ], [ 503, []]);
    }
    await until('two are left', async () => (await site.registry.list(userId)).length === 2);
    await site.signIn(userId);
    assert.deepEqual([ await site.user(one), await site.user(two) ], [ userId, userId ]);
  });

  it('a regenerate() that was answered with 503 leaves none either', async () => {
    const browser = await site.signIn(userId);
    failOnce(site.store, 'set', late());
    assert.equal((await browser.tryRun(session => session.regenerate())).status, 503);
    await until('one is left', async () => (await site.registry.list(userId)).length === 1);
    await browser.run(session => session.destroy());
    assert.deepEqual(await site.registry.list(userId), []);
  });

  it('a sign-in whose second note in the index fails is one', async () => {
    const browser = site.browser();
    await browser.run((session: any) => {
      session.cart = 1;
    });
    let calls = 0;
    const { index } = RedisSessionStore.prototype;
    mm(site.store, 'index', async (...args: Parameters<typeof index>) => {
      if (++calls === 2) throw late();
      await index.apply(site.store as RedisSessionStore, args);
    });
    const { status } = await browser.tryRun(session => {
      session.userId = userId;
    });
    assert.deepEqual([ status, calls, await site.user(browser) ], [ 200, 2, userId ]);
  });
});
