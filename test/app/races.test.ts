import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import Redis from 'ioredis';
import type { Server } from '../support/egg-server';
import { keyOf } from '../support/keyOf';
import { recordAt } from '../support/redis';
import { startRedis, type TestServer } from '../support/servers';
import { startWorker } from '../support/worker';
import type { Settings } from '../fixtures/apps/scale-out/settings';

const host = '127.0.0.1';
const ROUNDS = 50;
/** Of races between two requests. */
const PAIRS = 200;
const WRITERS = 10;
/** In ms: when a request goes on and when the session ends are random moments, each of them may be first. */
const SPREAD = 10;
/** For how many ms an id that ended is remembered. */
const REMEMBERED = 30_000;

describe('requests of one session that race, on two worker processes with one Redis', () => {
  let server: TestServer;
  let redis: Redis;
  let workers: Server[] = [];

  before(async () => {
    server = await startRedis();
    redis = new Redis(server.port);
    const settings: Settings = {
      plugin: 'egg-redis', redis: { client: { host, port: server.port, password: '', db: 0 } }, store: 'store',
      session: { principal: 'userId', maxSessions: 3 },
    };
    workers = await Promise.all([ startWorker(settings), startWorker(settings) ]);
    assert.notEqual(workers[0].port, workers[1].port);
  });
  beforeEach(() => redis.flushall());
  after(async () => {
    await Promise.all(workers.map(worker => worker.stop()));
    redis.disconnect();
    await server.stop();
  });

  /** Sends a request, all but its end, to one of the workers. */
  function open(worker: number, method: string, url: string, cookie: string) {
    const { port } = workers[worker % workers.length];
    const request = http.request({ host, port, method, path: url, headers: { cookie }, agent: false });
    request.flushHeaders();
    const responding = once(request, 'response') as Promise<[ http.IncomingMessage ]>;
    return {
      /** Resolves when the worker has loaded the session. */
      loaded: Promise.race([ once(request, 'information'), responding ]),
      async finish() {
        request.end();
        const [ response ] = await responding;
        let text = '';
        for await (const chunk of response.setEncoding('utf8')) text += chunk;
        assert.equal(response.statusCode, 200, text);
        const lines = response.headers['set-cookie'] ?? [];
        assert.ok(lines.length < 2, lines.join());
        return { cookie: lines[0]?.split(';')[0], attributes: lines[0], json: JSON.parse(text) };
      },
    };
  }
  const get = (worker: number, url: string, cookie = '') => open(worker, 'GET', url, cookie).finish();
  /** A request that has loaded the session when this resolves. */
  async function slow(worker: number, url: string, cookie: string) {
    const request = open(worker, 'POST', url, cookie);
    await request.loaded;
    return request;
  }
  /** A new session with `user` in it, and its key. */
  async function signIn() {
    await redis.flushall();
    const cookie = (await get(0, '/set?field=user')).cookie;
    const [ key ] = await redis.keys('*');
    return { cookie, key };
  }
  const times = <T>(count: number, task: (index: number) => T) => Promise.all(Array.from({ length: count }, (_, i) => task(i)));
  const randomly = () => sleep(Math.random() * SPREAD);
  const either = () => Math.round(Math.random());

  /** What a tombstone names. */
  async function successorIn(key: string): Promise<string | null> {
    const { _successor, ...rest } = await recordAt(redis, key);
    assert.deepEqual(rest, {}, 'the record is back');
    const ttl = await redis.pttl(key);
    assert.ok(ttl > 0 && ttl <= REMEMBERED, `${ttl} ms`);
    return _successor;
  }
  /** A request with the id of a session that ended finds no session, begins none, and leaves the browser's cookie alone. */
  async function isDead(cookie: string) {
    for (const worker of [ 0, 1 ]) {
      for (const url of [ '/session', '/set?field=late' ]) {
        const answer = await get(worker, url, cookie);
        assert.deepEqual(answer.json, {});
        assert.equal(answer.cookie, undefined);
      }
    }
  }
  /** The keys of the records that are no tombstones, and what is in these. */
  async function records() {
    const all = await Promise.all((await redis.keys('*')).map(async key => [ key, await recordAt(redis, key) ] as const));
    return all.filter(([ , record ]) => !('_successor' in record));
  }

  it('100 at once that each set a field of their own: 100 fields', async () => {
    const { cookie } = await signIn();
    await times(100, i => get(i, `/set?field=field${i}`, cookie));
    const { json } = await get(0, '/session', cookie);
    assert.equal(Object.keys(json).filter(field => field.startsWith('field')).length, 100);
  });

  it('100 session.update() at once that each add 1: exactly 100', async () => {
    const { cookie } = await signIn();
    await times(100, i => get(i, '/atomic-visit', cookie));
    assert.equal((await get(0, '/session', cookie)).json.visits, 100);
  });

  it('the fn of update() sees what its request has changed, on top of what the other worker has stored', async () => {
    const { cookie } = await signIn();
    await get(1, '/atomic-visit', cookie);
    await get(1, '/set?field=theirs', cookie);
    await get(0, '/pending-visit', cookie);
    assert.deepEqual((await get(1, '/session', cookie)).json, { user: true, visits: 6, theirs: true });
  });

  it('an update() whose fn never ends is given up after 10 s, and meanwhile no other waits for it', async () => {
    const { cookie } = await signIn();
    const endless = open(0, 'GET', '/endless-update', cookie);
    const answer = endless.finish();
    await endless.loaded;
    let given = false;
    void answer.then(() => {
      given = true;
    });
    await times(10, i => get(i, '/atomic-visit', cookie));
    assert.equal(given, false);
    const { json, cookie: written } = await answer;
    assert.match(json.rejected, /took longer than 10 s/);
    assert.equal(written, undefined);
    await get(0, '/atomic-visit', cookie);
    assert.equal((await get(1, '/session', cookie)).json.visits, 11);
  });

  for (const [ ms, title ] of [[ 60_000, 'shortened' ], [ 30 * 24 * 3600_000, 'lengthened' ]] as const) {
    for (const action of [ 'set', 'update', 'regenerate' ]) {
      it(`a slower ${action} leaves a lifetime that the other worker has ${title}`, async () => {
        const { cookie, key } = await signIn();
        const slower = await slow(0, `/slow/${action}?field=n`, cookie);
        await get(1, `/live-for?ms=${ms}`, cookie);
        const { attributes, json } = await slower.finish();
        assert.match(attributes, new RegExp(`max-age=${ms / 1000};`));
        const now = json.id ? `session:${keyOf(json.id)}` : key;
        assert.equal((await recordAt(redis, now))._maxAge, ms);
        const ttl = await redis.pttl(now);
        assert.ok(ttl > ms - 30_000 && ttl <= ms, `${ttl} ms`);
      });
    }
  }

  const ENDS: Record<string, (key: string, cookie: string) => Promise<{ cookie?: string }>> = {
    'sign-out': (_, cookie) => get(1, '/sign-out', cookie),
    'regenerate()': (_, cookie) => get(1, '/regenerate', cookie),
    'removal of the record from elsewhere': async key => {
      await redis.del(key);
      return {};
    },
  };
  for (const [ title, end ] of Object.entries(ENDS)) {
    it(`${ROUNDS} rounds of ${title} and slow writers: no session comes back, and no writer that is late sets a cookie`, async () => {
      let late = 0;
      for (let round = 0; round < ROUNDS; round++) {
        const { cookie, key } = await signIn();
        const writers = await times(WRITERS, i => slow(i, `/slow/set?field=field${i}`, cookie));

        const ending = randomly().then(() => end(key, cookie));
        const answers = await times(WRITERS, async i => {
          await (i < 2 ? ending : randomly());
          return await writers[i].finish();
        });

        const silent = answers.map(answer => answer.cookie === undefined);
        assert.deepEqual(silent.slice(0, 2), [ true, true ], 'a worker saved to a session that had ended');
        late += silent.filter(Boolean).length;

        const { cookie: next } = await ending;
        if (title === 'removal of the record from elsewhere') {
          assert.equal(await redis.dbsize(), 0, 'the record is back');
          for (const worker of [ 0, 1 ]) assert.deepEqual((await get(worker, '/session', cookie)).json, {});
          continue;
        }
        await isDead(cookie);
        const successor = await successorIn(key);
        const alive = await records();
        if (title === 'sign-out') {
          assert.equal(successor, null);
          assert.equal(next, 'EGG_SESS=');
          assert.deepEqual(alive, []);
        } else {
          assert.deepEqual(alive.map(([ name ]) => name), [ `session:${successor}` ]);
          const { user, ...rest } = (await get(0, '/session', next)).json;
          assert.equal(user, true);
          // what a writer that was in time has written has moved too; on a busy machine, its answer may come after that, without a cookie
          assert.ok(Object.keys(rest).length >= silent.filter(each => !each).length);
        }
      }
      const inTime = ROUNDS * WRITERS - late;
      assert.ok(late > 2 * ROUNDS && inTime > 0, `not much of a race: ${inTime} writers in time, ${late} too late`);
    });
  }

  const PAIR: Record<string, (cookie: string) => Promise<() => Promise<{ cookie?: string; json: any }>>> = {
    'sent at once': async cookie => () => get(either(), '/sign-out', cookie),
    'that had loaded the session before': async cookie => (await slow(either(), '/slow/sign-out', cookie)).finish,
  };
  for (const [ title, prepare ] of Object.entries(PAIR)) {
    for (const loaded of [ false, true ]) {
      it(`${PAIRS} rounds of sign-out, ${title}, against regenerate()${loaded ? ', that had loaded it too' : ''}: none is undone`, async () => {
        const first = { signOut: 0, regenerate: 0 };
        for (let round = 0; round < PAIRS; round++) {
          const { cookie, key } = await signIn();
          const signOut = await prepare(cookie);
          const mover = loaded ? await slow(either(), '/slow/regenerate', cookie) : undefined;
          const [ signedOut, moved ] = await Promise.all([
            randomly().then(signOut),
            randomly().then(() => (mover ? mover.finish() : get(either(), '/regenerate', cookie))),
          ]);

          const successor = await successorIn(key);
          if (successor === null) {
            first.signOut++;
            assert.equal(signedOut.cookie, 'EGG_SESS=');
          } else {
            first.regenerate++;
            assert.equal(signedOut.cookie, undefined, 'the sign-out came too late to remove the cookie');
            assert.equal(successor, keyOf(moved.json.id));
            assert.equal(await successorIn(`session:${successor}`), null, 'regenerate() has undone the sign-out');
          }
          for (const [ name, record ] of await records()) assert.ok(!('user' in record), `data of the old session in ${name}`);
          await isDead(cookie);
          assert.equal((await get(either(), '/session', moved.cookie)).json.user, undefined);
        }
        assert.ok(first.signOut > 0 && first.regenerate > 0, `not much of a race: ${JSON.stringify(first)}`);
      });
    }
  }

  it(`${PAIRS} rounds of two regenerate() at once: one gets the data`, async () => {
    for (let round = 0; round < PAIRS; round++) {
      const { cookie, key } = await signIn();
      const movers = await times(2, i => slow(i, '/slow/regenerate', cookie));
      const moved = await Promise.all(movers.map(({ finish }) => finish()));
      const successor = await successorIn(key);
      const winner = moved.findIndex(({ json }) => keyOf(json.id) === successor);
      assert.notEqual(winner, -1);
      assert.deepEqual((await get(0, '/session', moved[winner].cookie)).json, { user: true });
      assert.deepEqual((await get(0, '/session', moved[1 - winner].cookie)).json, {});
      assert.deepEqual((await records()).filter(([ , record ]) => 'user' in record).map(([ name ]) => name), [ `session:${successor}` ]);
      await isDead(cookie);
    }
  });

  it(`${PAIRS} rounds of a write against regenerate(): none is lost that was answered`, async () => {
    let counted = 0;
    for (let round = 0; round < PAIRS; round++) {
      const { cookie } = await signIn();
      const writer = await slow(0, '/slow/set?field=n', cookie);
      const mover = await slow(1, '/slow/regenerate', cookie);
      const [ written, moved ] = await Promise.all([ randomly().then(writer.finish), randomly().then(mover.finish) ]);
      const { n } = (await get(either(), '/session', moved.cookie)).json;
      assert.equal(n, written.cookie === undefined ? undefined : true);
      if (n) counted++;
    }
    assert.ok(counted > 0 && counted < PAIRS, `not much of a race: ${counted} writes before regenerate()`);
  });

  /** The keys of the sessions that a user has, as both workers list them. */
  async function listed(user: string): Promise<string[]> {
    const [ one, other ] = await times(2, async worker => (await get(worker, `/list?user=${user}`)).json.map(({ id }: any) => id));
    assert.deepEqual(one.sort(), other.sort());
    return one;
  }

  it('20 sign-ins at once never leave more than maxSessions', async () => {
    for (let round = 0; round < 10; round++) {
      const cookies = await times(20, async i => (await get(i, '/sign-in?user=7')).cookie);
      assert.equal((await listed('7')).length, 3);
      const users = await times(20, async i => (await get(i, '/session', cookies[i])).json.userId);
      assert.equal(users.filter(user => user === 7).length, 3);
      await redis.flushall();
    }
  });

  const REVOKE: Record<string, (id: string) => Promise<{ json: any }>> = {
    'revoke()': id => get(1, `/revoke?user=7&id=${id}`),
    'revokeAll()': () => get(1, '/revoke-all?user=7'),
  };
  for (const [ title, revoke ] of Object.entries(REVOKE)) {
    it(`${ROUNDS} rounds of ${title} and slow requests that write, update and regenerate: the session never comes back`, async () => {
      const first = { revoke: 0, request: 0 };
      for (let round = 0; round < ROUNDS; round++) {
        await redis.flushall();
        const { cookie } = await get(0, '/sign-in?user=7');
        const [ id ] = await listed('7');
        const actions = [ 'set', 'update', 'set', 'update', 'set', 'regenerate' ];
        const requests = await times(actions.length, i => slow(i, `/slow/${actions[i]}?field=field${i}`, cookie!));
        const [ revoked, ...answers ] = await Promise.all([
          randomly().then(() => revoke(id)),
          ...requests.map(async ({ finish }) => {
            await randomly();
            return await finish();
          }),
        ]);
        for (const { json: { rejected } } of answers) if (rejected) assert.match(rejected, /update\(\): the session has ended/);
        assert.deepEqual(revoked.json, { count: 1 });
        first[answers.some(answer => answer.cookie) ? 'request' : 'revoke']++;
        for (const each of [ cookie, ...answers.map(answer => answer.cookie) ]) {
          assert.equal((await get(either(), '/session', each)).json.userId, undefined);
        }
        assert.deepEqual(await listed('7'), []);
        for (const [ name, record ] of await records()) assert.ok(!('userId' in record), `the session is back in ${name}`);
        assert.equal(await redis.exists('session:principal:7'), 0);
      }
      assert.ok(first.request > 0, `not much of a race: ${JSON.stringify(first)}`);
    });
  }

  it(`${ROUNDS} rounds of revokeAll() except the current session, while that moves, and another one: it goes on, and no other does`, async () => {
    for (let round = 0; round < ROUNDS; round++) {
      await redis.flushall();
      const [ own, other, moving ] = await times(3, async i => (await get(i, '/sign-in?user=7')).cookie!);
      const request = await slow(1, '/slow/regenerate', own);
      const [ revoked, moved, movedToo ] = await Promise.all([
        randomly().then(() => get(0, '/revoke-all?user=7&exceptCurrent=yes', own)),
        randomly().then(() => request.finish()),
        randomly().then(() => get(1, '/regenerate', moving)),
      ]);
      assert.equal(revoked.cookie, undefined);
      assert.equal((await get(either(), '/session', moved.cookie)).json.userId, 7, `the current one, in round ${round}`);
      for (const cookie of [ other, moving, movedToo.cookie ]) {
        assert.equal((await get(either(), '/session', cookie)).json.userId, undefined, `another one, in round ${round}`);
      }
      assert.deepEqual(revoked.json, { count: 2 });
      assert.equal((await listed('7')).length, 1);
    }
  });

  it('list() while sessions begin, move, expire and end has no session that is over, and does not fail', async () => {
    let isOver = false;
    const seen = new Set<string>();
    const churn = times(4, async i => {
      for (let round = 0; round < 15; round++) {
        const { cookie } = await get(i, `/sign-in?user=7&ms=${20 + Math.round(Math.random() * 60)}`);
        const { cookie: next } = await get(i + 1, '/regenerate', cookie);
        await randomly();
        if (round % 2) await get(i, '/sign-out', next);
      }
    }).finally(() => {
      isOver = true;
    });
    while (!isOver) {
      const before = Date.now();
      const { json } = await get(either(), '/list?user=7');
      for (const { id, createdAt, lastSeenAt } of json) {
        seen.add(id);
        assert.ok(createdAt <= lastSeenAt && before - lastSeenAt < 80, `a session that was seen ${before - lastSeenAt} ms ago lives for 80 at most`);
      }
      assert.equal(new Set(json.map(({ id }: any) => id)).size, json.length);
    }
    await churn;
    assert.ok(seen.size > 5, `not much of a race: ${seen.size} sessions`);
    await sleep(100);
    assert.deepEqual(await listed('7'), []);
    assert.equal(await redis.exists('session:principal:7'), 0);
  });
});
