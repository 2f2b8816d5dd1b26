import { strict as assert } from 'node:assert';
import mm from 'egg-mock';
import { type SessionStore } from '../..';
import { type Client } from '../support/app';
import { keyOf } from '../support/keyOf';
import { forEachIndexedStore, type IndexedSite, REDIS } from '../support/indexed';

let last = 0;
/** A user of the test's own. */
const newUser = () => `user-${++last}`;

type Method = 'index' | 'set' | 'get' | 'retire';

/** What another request does while one is under way: before or after this call, of those that are made with the method from now on. */
function during({ store }: IndexedSite, method: Method, when: 'before' | 'after', number: number, other: () => Promise<unknown>) {
  const methods = store as unknown as Record<Method, (...args: unknown[]) => Promise<unknown>>;
  const real = methods[method];
  let count = 0;
  let done: Promise<unknown> | undefined;
  mm(store, method, async (...args: unknown[]) => {
    const isIt = ++count === number;
    if (isIt && when === 'before') await (done = other());
    const result = await real.apply(store, args);
    if (isIt && when === 'after') await (done = other());
    return result;
  });
  return {
    /** Whether the call was made. */
    async wasReached() {
      await done;
      mm.restore();
      return done !== undefined;
    },
  };
}

const regenerate = (browser: Client) => browser.run(session => session.regenerate());

/** The calls of the store that can be under way. Those of a store without tombstones wait for one another, and so would the test. */
const momentsOf = ({ subject: { hasTombstones } }: IndexedSite): Array<[ method: Method, when: 'before' | 'after', number: number ]> =>
  (hasTombstones ? [ 'index', 'set', 'get', 'retire' ] as const : [ 'index', 'set' ] as const).flatMap(method =>
    ([ 'before', 'after' ] as const).flatMap(when => [ 1, 2, 3 ].map(number => [ method, when, number ] as [ Method, 'before' | 'after', number ])));

forEachIndexedStore('revokeAll() with exceptCurrent', site => {
  const others = (user: string) => Promise.all(Array.from({ length: 2 }, () => site.signIn(user)));
  const exceptCurrent = async (user: string) => ({ count: await site.registry.revokeAll(user, { exceptCurrent: true }) });
  /** Two times over, a case has to leave the session that asks, and no other. */
  async function check(user: string, own: Client, ended: Client[], count: number) {
    assert.equal(await site.user(own), user, 'the session that asks');
    for (const each of ended) assert.equal(await site.user(each), null, 'another session');
    assert.equal(count, ended.length);
  }

  for (const [ method, when, number ] of momentsOf(site)) {
    it(`leaves the session that asks, which another request moves: ${when} the call ${number} of ${method} by regenerate()`, async () => {
      const user = newUser();
      const own = await site.signIn(user);
      const ended = await others(user);
      const request = await site.slow(own, () => exceptCurrent(user));
      let answer: { json(): any } | undefined;
      const moment = during(site, method, when, number, async () => {
        answer = await request.finish();
      });
      await regenerate(own);
      await moment.wasReached();
      answer ??= await request.finish();
      await check(user, own, ended, answer.json().count);
    });

    it(`leaves the session that asks, which another request moves ${when} its own call ${number} of ${method}`, async () => {
      const user = newUser();
      const own = await site.signIn(user);
      const ended = await others(user);
      const request = await site.slow(own, () => exceptCurrent(user));
      const moment = during(site, method, when, number, () => regenerate(own));
      const { count } = (await request.finish()).json();
      if (!await moment.wasReached()) await regenerate(own);
      await check(user, own, ended, count);
    });

    it(`ends another session that moves ${when} its call ${number} of ${method}`, async () => {
      const user = newUser();
      const own = await site.signIn(user);
      const ended = await others(user);
      const request = await site.slow(own, () => exceptCurrent(user));
      const moment = during(site, method, when, number, () => regenerate(ended[0]));
      const { count } = (await request.finish()).json();
      await moment.wasReached();
      await check(user, own, ended, count);
    });

    it(`ends another session while that moves: ${when} the call ${number} of ${method} by regenerate()`, async () => {
      const user = newUser();
      const own = await site.signIn(user);
      const ended = await others(user);
      const request = await site.slow(own, () => exceptCurrent(user));
      let answer: { json(): any } | undefined;
      const moment = during(site, method, when, number, async () => {
        answer = await request.finish();
      });
      await regenerate(ended[0]);
      await moment.wasReached();
      answer ??= await request.finish();
      await check(user, own, ended, answer.json().count);
    });
  }

  it('leaves the session that asks, when that has moved before the request came', async () => {
    if (!site.subject.hasTombstones) return;
    const user = newUser();
    const own = await site.signIn(user);
    const ended = await others(user);
    const before = own.copy();
    await regenerate(own);
    const { count } = (await before.run(() => exceptCurrent(user))).json();
    await check(user, own, ended, count);
  });

  it('leaves the session that asks, when its own request moves it at the same time', async () => {
    for (const order of [ 0, 1 ]) {
      const user = newUser();
      const own = await site.signIn(user);
      const ended = await others(user);
      const response = await own.run(async session => {
        assert.equal(session.userId, user);
        const calls: Array<() => Promise<any>> = [ () => session.regenerate(), () => exceptCurrent(user) ];
        if (order) calls.reverse();
        const done = await Promise.all(calls.map(call => call()));
        return done[1 - order];
      });
      await check(user, own, ended, response.json().count);
    }
  });

  it('ends a session that moves between the lists that the store gives, so that it is in none of them', async () => {
    const user = newUser();
    const own = await site.signIn(user);
    const ended = await others(user);
    const { store } = site;
    const list = store.list!.bind(store);
    mm(store, 'list', async function* (...args: Parameters<NonNullable<SessionStore['list']>>) {
      mm.restore();
      const keys: string[] = [];
      for await (const some of list(...args)) keys.push(...some);
      const [ moving, mine ] = await Promise.all([ ended[1], own.copy() ].map(async browser =>
        keyOf((await browser.run(session => ({ id: session.externalKey }))).json().id)));
      yield keys.filter(key => key !== moving && key !== mine);
      await regenerate(ended[1]);
      yield [ mine ];
    });
    const { count } = (await own.run(() => exceptCurrent(user))).json();
    await check(user, own, ended, count);
  });

  it('list() knows the session that asks, which has moved meanwhile', async () => {
    const user = newUser();
    const own = await site.signIn(user);
    await site.signIn(user);
    const request = await site.slow(own, () => site.registry.list(user));
    await regenerate(own);
    const listed = (await request.finish()).json();
    assert.equal(listed.length, 2);
    assert.equal(listed.filter(({ current }: any) => current).length, site.subject.hasTombstones ? 1 : 0);
  });

  it('revoke() of the session that asks ends it, also when it has moved meanwhile', async () => {
    if (!site.subject.hasTombstones) return;
    const user = newUser();
    const own = await site.signIn(user);
    const other = await site.signIn(user);
    const [{ id }] = (await own.run(() => site.registry.list(user))).json().filter(({ current }: any) => current);
    const request = await site.slow(own, async () => ({ revoked: await site.registry.revoke(user, id) }));
    await regenerate(own);
    assert.deepEqual((await request.finish()).json(), { revoked: true });
    assert.equal(await site.user(own), null);
    assert.equal(await site.user(other), user);
  });
});

forEachIndexedStore('a session that begins or moves while others list the sessions of its principal', site => {
  for (const [ title, begin ] of Object.entries<(browser: Client, user: string) => Promise<unknown>>({
    'a sign-in': (browser, user) => browser.run((session: any) => void (session.userId = user)),
    'regenerate()': browser => regenerate(browser),
  })) {
    for (const [ method, when, number ] of momentsOf(site)) {
      it(`is in the index all the same: ${when} the call ${number} of ${method} by ${title}`, async () => {
        const user = newUser();
        const browser = title === 'regenerate()' ? await site.signIn(user) : site.browser();
        const moment = during(site, method, when, number, () => site.registry.list(user));
        await begin(browser, user);
        await moment.wasReached();
        assert.equal((await site.noted(user)).length, 1);
        assert.equal(await site.registry.revokeAll(user), 1);
        assert.equal(await site.user(browser), null);
      });
    }
  }
});

forEachIndexedStore('maxSessions and a session that moves', site => {
  for (const [ method, when, number ] of momentsOf(site)) {
    it(`counts it once, when somebody signs in ${when} the call ${number} of ${method} by regenerate()`, async () => {
      const user = newUser();
      const first = await site.signIn(user);
      await site.later(1000);
      const second = await site.signIn(user);
      await site.later(1000);
      const third: Client[] = [];
      const moment = during(site, method, when, number, async () => {
        mm(site.store, method, Object.getPrototypeOf(site.store)[method]);
        third.push(await site.signIn(user));
      });
      await regenerate(second);
      await moment.wasReached();
      if (third.length === 0) third.push(await site.signIn(user));
      const users = await Promise.all([ first, second, third[0] ].map(browser => site.user(browser)));
      assert.deepEqual(users, [ null, user, user ]);
    });
  }
}, { maxSessions: 2 }, [ REDIS ]);

