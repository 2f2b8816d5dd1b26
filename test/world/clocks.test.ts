import { strict as assert } from 'node:assert';
import mm from 'egg-mock';
import Redis from 'ioredis';
import type { SessionMaxAge, SessionOptions, SessionRecord } from '../..';
import { Browser } from '../support/Browser';
import { CookieJar } from '../support/CookieJar';
import type { Server } from '../support/egg-server';
import { MapStore } from '../support/MapStore';
import { startRedis, type TestServer } from '../support/servers';
import { EMPTY, read, start, stop } from '../support/web';
import { startWorker } from '../support/worker';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const MAX_AGE = 20 * MINUTE;

type Which = 'right' | 'ahead' | 'behind';
/** By how much the clocks of the workers differ from Redis' own: by more than a session lives. */
const OFFSETS: Record<Which, number> = { right: 0, ahead: HOUR, behind: -HOUR };

const CASES: Array<[ title: string, options: SessionOptions, refusesOld?: boolean ]> = [
  [ 'maxAge', {}],
  [ 'rolling', { rolling: true }],
  [ 'renew', { renew: true }],
  [ 'absoluteMaxAge', { absoluteMaxAge: 30 * MINUTE, rolling: true }, true ],
];

let last = 100;
/** A user of the test's own. */
const newUser = () => ++last;

for (const [ title, options, isLimited = false ] of CASES) {
  describe(`workers whose clocks differ by an hour, with one Redis and ${title}`, () => {
    let server: TestServer;
    let redis: Redis;
    const workers = {} as Record<Which, Server>;

    before(async () => {
      server = await startRedis();
      redis = new Redis(server.port);
      await Promise.all(Object.entries(OFFSETS).map(async ([ which, clockOffset ]) => {
        workers[which as Which] = await startWorker({
          plugin: 'egg-redis', redis: { client: { host: '127.0.0.1', port: server.port, password: '', db: 0 } }, store: 'store', clockOffset,
          session: { principal: 'userId', maxAge: MAX_AGE, maxSessions: 3, ...options },
        });
      }));
    });
    after(async () => {
      await Promise.all(Object.values(workers).map(worker => worker.stop()));
      redis.disconnect();
      await server.stop();
    });

    /** A browser, whichever worker answers. */
    class Visitor {
      private readonly cookies = new CookieJar();

      async get(which: Which, url: string) {
        const { status, text } = await new Browser(workers[which].port, this.cookies).request(url);
        assert.equal(status, 200, text);
        return JSON.parse(text);
      }

      /** Who is signed in, as this worker sees it. */
      async user(which: Which): Promise<number | undefined> {
        return (await this.get(which, '/session')).userId;
      }
    }

    async function signIn(which: Which, user: number) {
      const visitor = new Visitor();
      await visitor.get(which, `/sign-in?user=${user}`);
      return visitor;
    }

    const list = (which: Which, user: number): Promise<unknown[]> => new Visitor().get(which, `/list?user=${user}`);
    const revokeAll = async (which: Which, user: number): Promise<number> => (await new Visitor().get(which, `/revoke-all?user=${user}`)).count;
    const noted = (user: number) => redis.zrange(`session:principal:${user}`, 0, -1);

    /** That the session of a user is kept for as long as it should be, and its index for longer. */
    async function isKept(user: number) {
      const keys = await noted(user);
      assert.equal(keys.length, 1);
      const ttl = await redis.pttl(`session:${keys[0]}`);
      assert.ok(ttl > MAX_AGE - 5 * MINUTE && ttl <= MAX_AGE, `${ttl} ms`);
      const [ , score ] = await redis.zrange(`session:principal:${user}`, 0, -1, 'WITHSCORES');
      const [ seconds ] = await redis.time();
      const left = Number(score) - seconds * 1000;
      assert.ok(left > ttl && left < 2 * MAX_AGE + HOUR / 2, `${left} ms`);
      assert.ok(await redis.pttl(`session:principal:${user}`) > ttl);
    }

    for (const which of [ 'ahead', 'behind' ] as const) {
      /** Whether this worker takes sessions that others have made for over: it must not be that for others. */
      const refuses = isLimited && which === 'ahead';

      it(`a read by the one that is ${which} ends no session, and takes none off the index`, async () => {
        const user = newUser();
        const visitor = await signIn('right', user);
        for (let i = 0; i < 3; i++) {
          assert.equal(await visitor.user(which), refuses ? undefined : user);
          assert.equal((await list(which, user)).length, refuses ? 0 : 1);
          assert.equal(await visitor.user('right'), user);
          assert.equal((await list('right', user)).length, 1);
        }
        await isKept(user);
        assert.equal(await revokeAll('right', user), 1);
        assert.equal(await visitor.user('right'), undefined);
      });

      it(`revokeAll() at the one that is ${which} ends what is in use`, async () => {
        const user = newUser();
        const visitor = await signIn('right', user);
        assert.equal(await revokeAll(which, user), 1);
        assert.equal(await visitor.user('right'), undefined);
        assert.deepEqual(await noted(user), []);
      });

      it(`signing in at the one that is ${which} is good for all`, async () => {
        const user = newUser();
        const visitor = await signIn(which, user);
        for (const each of [ 'right', which, 'right' ] as const) assert.equal(await visitor.user(each), user);
        await isKept(user);
        assert.equal((await list('right', user)).length, 1);
        assert.equal(await revokeAll('right', user), 1);
        assert.equal(await visitor.user('right'), undefined);
      });

      if (options.renew) {
        it(`the one that is ${which} renews a session of which there is little left`, async () => {
          const user = newUser();
          const visitor = await signIn('right', user);
          const [ name ] = await noted(user);
          const left = 5 * MINUTE;
          const [ seconds ] = await redis.time();
          const text = (await redis.get(`session:${name}`))!;
          await redis.set(`session:${name}`, text.replace(/"_expire":\d+/, `"_expire":${seconds * 1000 + left}`), 'PX', left);
          assert.equal(await visitor.user(which), user);
          await isKept(user);
        });
      }

      if (refuses) continue; // what it writes begins a new session
      it(`a session goes on through writes, update() and regenerate() at the one that is ${which}`, async () => {
        const user = newUser();
        const visitor = await signIn(which, user);
        for (const url of [ '/set?field=a', '/atomic-visit', '/visit', '/regenerate', '/set?field=b', '/atomic-visit' ]) {
          for (const each of [ which, 'right' ] as const) {
            await visitor.get(each, url);
            assert.equal(await visitor.user('right'), user, `${url} at the one that is ${each}`);
          }
        }
        const { visits, a, b } = await visitor.get('right', '/session');
        assert.deepEqual([ visits, a, b ], [ 6, true, true ]);
        await isKept(user);
      });

      it(`maxSessions at the one that is ${which} ends others, and not the session that signs in`, async () => {
        const user = newUser();
        const visitors = [];
        for (let i = 0; i < 3; i++) visitors.push(await signIn('right', user));
        const latest = await signIn(which, user);
        assert.equal(await latest.user('right'), user);
        const users = await Promise.all(visitors.map(visitor => visitor.user('right')));
        assert.deepEqual(users, [ undefined, user, user ]);
        assert.equal((await list('right', user)).length, 3);
      });
    }
  });
}

const { now: right } = Date;

/** Three methods, to a server whose clock is right. */
class ServerStore extends MapStore {
  override async get(key: string): Promise<SessionRecord | undefined> {
    const entry = this.entries.get(key);
    return entry && entry.expires > right() ? JSON.parse(entry.json) : undefined;
  }

  override async set(key: string, record: SessionRecord, maxAge: SessionMaxAge) {
    this.entries.set(key, { json: JSON.stringify(record), expires: right() + this.ttl(maxAge) });
  }
}

describe('a process whose clock is an hour ahead, with a store of three methods', () => {
  afterEach(stop);

  it('does not shorten the life of a session as it notes when that was created', async () => {
    const store = new ServerStore();
    const { run } = await start({ store, absoluteMaxAge: HOUR });
    await run(session => void (session.n = 1));
    const [ key ] = store.entries.keys();
    const ends = right() + 10 * MINUTE;
    await store.set(key, { n: 1, _maxAge: MAX_AGE, _expire: ends }, MAX_AGE);
    mm(Date, 'now', () => right() + 9 * MINUTE);
    assert.deepEqual((await run(read)).json(), { n: 1, isNew: false });
    const { json, expires } = store.entries.get(key)!;
    const { _createdAt, _expire } = JSON.parse(json);
    assert.deepEqual([ typeof _createdAt, _expire ], [ 'number', ends ]);
    assert.ok(expires >= ends);
  });

  for (const [ title, options ] of CASES.slice(2)) {
    it(`refuses a session that it takes for over, and leaves it to the others, with ${title}`, async () => {
      const store = new ServerStore();
      const { client, run } = await start({ store, maxAge: MAX_AGE, ...options });
      await run(session => void (session.n = 1));
      const [ before ] = store.entries.values();
      mm(Date, 'now', () => right() + HOUR);
      for (const handle of [ read, () => ({ unused: true }) ]) assert.deepEqual((await run(handle)).setCookies, []);
      assert.deepEqual((await client.copy().run(read)).json(), EMPTY);
      assert.deepEqual([ ...store.entries.values() ], [ before ]);
      mm(Date, 'now', right);
      assert.deepEqual((await run(read)).json(), { n: 1, isNew: false });
    });
  }
});
