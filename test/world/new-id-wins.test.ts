import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SessionOptions } from '../..';
import type { Server } from '../support/egg-server';
import { forEachIndexedStore, REDIS } from '../support/indexed';
import { startRedis, type TestServer } from '../support/servers';
import { NAME } from '../support/web';
import { startWorker } from '../support/worker';

const host = '127.0.0.1';
const ROUNDS = 200;

/** A browser's cookie, which is what the last answer that came says. */
class Jar {
  cookie = '';
  constructor(private readonly workers: Server[]) {}

  async get(worker: number, path: string): Promise<any> {
    const request = http.get({ host, port: this.workers[worker].port, path, headers: { cookie: this.cookie }, agent: false });
    const [ response ] = await once(request, 'response') as [ http.IncomingMessage ];
    for (const line of response.headers['set-cookie'] ?? []) [ this.cookie ] = line.split(';');
    let text = '';
    for await (const chunk of response.setEncoding('utf8')) text += chunk;
    assert.equal(response.statusCode, 200, text);
    return JSON.parse(text);
  }
}

describe('a sign-in on one worker, as pages are read on another, with rolling', () => {
  let redis: TestServer;
  let workers: Server[] = [];
  before(async () => {
    redis = await startRedis();
    const settings = {
      plugin: 'egg-redis', redis: { client: { host, port: redis.port, password: '', db: 0 } }, store: 'store',
      session: { principal: 'userId', rolling: true },
    } as const;
    workers = await Promise.all([ startWorker(settings), startWorker(settings) ]);
  });
  after(async () => {
    await Promise.all(workers.map(worker => worker.stop()));
    await redis.stop();
  });

  const between = (low: number, high: number) => low + Math.floor(Math.random() * (high - low + 1));

  async function round(longest: number) {
    const jar = new Jar(workers);
    await jar.get(1, '/set?field=visited');
    const ms = between(1, longest);
    const reads = Array.from({ length: between(1, 20) }, () => jar.get(1, `/wait?ms=${between(1, ms)}`));
    await sleep(Math.random() * ms);
    await Promise.all([ jar.get(0, '/sign-in?user=7'), ...reads ]);
    const { userId } = await jar.get(between(0, 1), '/session');
    return userId;
  }

  // quick rounds keep a worker busy: with many at a time, it would hold a response up for longer than the new id waits
  for (const [ longest, atOnce, title ] of [[ 2000, 8, 'that take up to 2 s' ], [ 30, 2, 'that end with it' ]] as const) {
    it(`holds after all of ${ROUNDS} rounds of reads ${title}`, async () => {
      const users: unknown[] = [];
      await Promise.all(Array.from({ length: atOnce }, async () => {
        for (let i = 0; i < ROUNDS / atOnce; i++) users.push(await round(longest));
      }));
      assert.deepEqual(users, Array(ROUNDS).fill(7));
    });
  }
});

const LATE = 30;

/** Under which options, and how, a request sends the old id beside a sign-in. */
const SENDERS: Array<[ title: string, options: SessionOptions, send: (session: any) => unknown ]> = [
  [ 'renew', { renew: true, maxAge: 3000 }, session => ({ v: session.v }) ],
  [ 'a write', { maxAge: 3000 }, session => { session.w = 1; } ],
  [ 'a lifetime', { maxAge: 3000 }, session => { session.maxAge = 4000; } ],
  [ 'update()', { maxAge: 3000 }, session => session.update((data: any) => { data.w = 1; }) ],
];

for (const [ title, options, send ] of SENDERS) {
  forEachIndexedStore(`a response that comes ${LATE} ms late, beside a sign-in, by ${title}`, site => {
    it('takes the new id from no browser', async () => {
      await Promise.all(Array.from({ length: 12 }, async (_, i) => {
        await sleep(60 * i);
        const browser = site.browser();
        await browser.run((session: any) => {
          session.v = 1;
        });
        await sleep(1600); // renew: more than half is over
        let cookie = browser.cookies.get(NAME)!;
        const take = ({ setCookies }: { setCookies: string[] }) => {
          for (const line of setCookies) cookie = line.slice(NAME.length + 1).split(';')[0];
        };
        const slow = browser.copy().tryRun(send).then(async response => {
          await sleep(LATE);
          take(response);
        });
        await sleep(Math.random() * 6);
        const signIn = browser.copy().run(async (session: any) => {
          session.userId = 7;
          await session.regenerate();
        }).then(take);
        await Promise.all([ slow, signIn ]);
        browser.cookies.set(NAME, cookie);
        assert.equal(await site.user(browser), 7);
      }));
    });
  }, options, [ REDIS ]);
}
