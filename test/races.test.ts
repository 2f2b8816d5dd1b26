import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import Redis from 'ioredis';
import type { Server } from './support/egg-server';
import { startRedis, type TestServer } from './support/servers';
import { startWorker } from './support/worker';
import type { Settings } from './fixtures/apps/scale-out/settings';

const host = '127.0.0.1';
const ROUNDS = 50;
const WRITERS = 10;
/** In ms: when a writer goes on and when the session ends are random moments, each of them may be first. */
const SPREAD = 10;

describe('requests of one session that race, on two worker processes with one Redis', () => {
  let server: TestServer;
  let redis: Redis;
  let workers: Server[] = [];

  before(async () => {
    server = await startRedis();
    redis = new Redis(server.port);
    const settings: Settings = {
      plugin: 'egg-redis', redis: { client: { host, port: server.port, password: '', db: 0 } }, store: 'store',
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
        const [ line ] = response.headers['set-cookie'] ?? [];
        return { cookie: line?.split(';')[0], json: JSON.parse(text) };
      },
    };
  }
  const get = (worker: number, url: string, cookie = '') => open(worker, 'GET', url, cookie).finish();
  /** A new session with `user` in it. */
  const signIn = async () => (await get(0, '/set?field=user')).cookie;
  const times = <T>(count: number, task: (index: number) => T) => Promise.all(Array.from({ length: count }, (_, i) => task(i)));

  it('100 at once that each set a field of their own: 100 fields', async () => {
    const cookie = await signIn();
    await times(100, i => get(i, `/set?field=field${i}`, cookie));
    const { json } = await get(0, '/session', cookie);
    assert.equal(Object.keys(json).filter(field => field.startsWith('field')).length, 100);
  });

  it('100 session.update() at once that each add 1: exactly 100', async () => {
    const cookie = await signIn();
    await times(100, i => get(i, '/atomic-visit', cookie));
    assert.equal((await get(0, '/session', cookie)).json.visits, 100);
  });

  const ENDS: Record<string, (key: string, cookie: string) => Promise<{ cookie?: string }>> = {
    'sign-out': (_, cookie) => get(1, '/sign-out', cookie),
    'regenerate()': (_, cookie) => get(1, '/regenerate', cookie),
    'removal of the record from elsewhere': async key => ({ cookie: `${await redis.del(key)}` }),
  };
  for (const [ title, end ] of Object.entries(ENDS)) {
    it(`${ROUNDS} rounds of ${title} and slow writers: no session comes back`, async () => {
      let late = 0;
      for (let round = 0; round < ROUNDS; round++) {
        await redis.flushall();
        const cookie = await signIn();
        const [ key ] = await redis.keys('*');
        const writers = await times(WRITERS, i => open(i, 'POST', `/slow-set?field=field${i}`, cookie));
        await Promise.all(writers.map(({ loaded }) => loaded));

        const ending = sleep(Math.random() * SPREAD).then(() => end(key, cookie));
        const answers = await times(WRITERS, async i => {
          await (i < 2 ? ending : sleep(Math.random() * SPREAD));
          return await writers[i].finish();
        });

        const dropped = answers.map(answer => answer.cookie === 'EGG_SESS=');
        assert.deepEqual(dropped.slice(0, 2), [ true, true ], 'a worker saved to a session that had ended');
        late += dropped.filter(Boolean).length;

        assert.equal(await redis.exists(key), 0, 'the record is back');
        for (const worker of [ 0, 1 ]) assert.deepEqual((await get(worker, '/session', cookie)).json, {});
        const { cookie: next } = await ending;
        if (title !== 'regenerate()') {
          assert.equal(await redis.dbsize(), 0);
        } else {
          assert.equal(await redis.dbsize(), 1);
          assert.equal((await get(0, '/session', next)).json.user, true);
        }
      }
      const inTime = ROUNDS * WRITERS - late;
      assert.ok(late > 2 * ROUNDS && inTime > 0, `not much of a race: ${inTime} writers in time, ${late} too late`);
    });
  }
});
