import { strict as assert } from 'node:assert';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SessionStore } from '../..';
import type { Client } from '../support/app';
import { IndexedSite, REDIS } from '../support/indexed';
import { NAME } from '../support/web';

/** In ms. */
const TIMEOUT = 600;
const STALLS = [ TIMEOUT / 6, 2 * TIMEOUT ];

type Step = 'get' | 'set' | 'index' | 'merge' | 'compareAndSet' | 'retire' | 'list';
type Handle = (session: any, ctx: any) => unknown;

/** What a signed-in user does, and the calls of the store in which Redis may stall meanwhile. */
const OPERATIONS: Array<[ title: string, steps: Step[], handle: Handle ]> = [
  [ 'regenerate()', [ 'index', 'set', 'retire' ], session => session.regenerate() ],
  [ 'a change and regenerate()', [ 'index', 'set', 'retire' ], async session => {
    session.n = 1;
    await session.regenerate();
  } ],
  [ 'regenerate() and a change', [ 'index', 'set', 'retire', 'merge' ], async session => {
    await session.regenerate();
    session.n = 1;
  } ],
  [ 'update()', [ 'get', 'compareAndSet' ], session => session.update((data: any) => void (data.n = 1)) ],
  [ 'save()', [ 'merge' ], async session => {
    session.n = 1;
    await session.save();
  } ],
  [ 'a change', [ 'merge' ], session => void (session.n = 1) ],
  [ 'a sign-in as another user', [ 'index', 'merge' ], session => void (session.userId = 8) ],
];

describe('a session, when Redis stalls', () => {
  const site = new IndexedSite(REDIS, { storeTimeout: TIMEOUT });
  let pid: number;
  before(async () => {
    await site.boot();
    pid = Number(/^process_id:(\d+)/m.exec(await (site.redis as any).info('server'))![1]);
  });
  after(() => site.close());
  afterEach(() => void process.kill(pid, 'SIGCONT'));

  /** Stops Redis for `ms` when the store is next called so. Resolves when Redis has done all that it was sent. */
  function stall(step: Step, ms: number): Promise<void> {
    const store = site.store as SessionStore & Record<Step, (...args: any[]) => any>;
    return new Promise(resolve => {
      store[step] = (...args: any[]) => {
        delete (store as Partial<typeof store>)[step];
        process.kill(pid, 'SIGSTOP');
        void sleep(ms).then(async () => {
          process.kill(pid, 'SIGCONT');
          await site.redis!.ping();
          resolve();
        });
        return store[step](...args);
      };
    });
  }

  /** What the session has, once the store is asked again. */
  async function read(browser: Client) {
    for (;;) {
      const response = await browser.tryRun(session => session.toJSON());
      if (response.status !== 503) return response.json();
      await sleep(100);
    }
  }

  /** A user, and the answer to a request of his in which Redis stalls. */
  async function during(step: Step, ms: number, handle: Handle) {
    await site.registry.clear();
    const browser = await site.signIn(7, session => void (session.cart = [ 'a' ]));
    const slow = await site.slow(browser, handle); // has loaded the session
    const over = stall(step, ms);
    const response = await slow.finish();
    await over;
    for (const line of response.setCookies) browser.cookies.set(NAME, line.slice(NAME.length + 1).split(';')[0]);
    return { browser, status: response.status };
  }

  for (const [ title, steps, handle ] of OPERATIONS) {
    for (const step of steps) {
      for (const ms of STALLS) {
        it(`for ${ms} ms in ${step} of ${title}: it goes on with its data`, async () => {
          const { browser, status } = await during(step, ms, handle);
          assert.equal(status, ms < TIMEOUT ? 200 : 503);
          const { userId, cart } = await read(browser);
          assert.deepEqual(cart, [ 'a' ]);
          assert.ok(userId === 7 || (userId === 8 && /another/.test(title)), `${userId}`);
          // and none of it is out of the reach of revokeAll
          for (const user of [ 7, 8 ]) await site.registry.revokeAll(user);
          assert.deepEqual(await read(browser), {});
          assert.deepEqual(await living(), []);
        });
      }
    }
  }

  for (const ms of STALLS) {
    it(`for ${ms} ms in retire of a sign-out: it ends, or goes on`, async () => {
      const { browser, status } = await during('retire', ms, session => session.destroy());
      assert.equal(status, ms < TIMEOUT ? 200 : 503);
      assert.deepEqual(await read(browser), {}, 'Redis has got round to it');
    });

    for (const step of [ 'list', 'get', 'retire' ] as const) {
      it(`for ${ms} ms in ${step} of revokeAll(): what it has not ended goes on, and ends when it is tried again`, async () => {
        await site.registry.clear();
        const browsers = [ await site.signIn(7), await site.signIn(7) ];
        const over = stall(step, ms);
        const result = await site.registry.revokeAll(7).catch((err: Error) => err.message);
        await over;
        if (ms < TIMEOUT) assert.equal(result, 2);
        else assert.match(String(result), new RegExp(`has not answered for ${TIMEOUT} ms`));
        for (const browser of browsers) {
          const { userId = null } = await read(browser);
          assert.ok(userId === 7 || userId === null);
        }
        await site.registry.revokeAll(7);
        for (const browser of browsers) assert.deepEqual(await read(browser), {});
        assert.deepEqual(await living(), []);
      });
    }
  }

  /** The records that are left. */
  async function living() {
    const keys = (await site.redis!.keys('session:*')).filter(key => !key.startsWith('session:principal:'));
    const texts = await Promise.all(keys.map(key => site.redis!.get(key)));
    return texts.filter(text => text && !text.includes('_successor'));
  }
});
