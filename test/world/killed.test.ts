import { strict as assert } from 'node:assert';
import mm from 'egg-mock';
import Redis from 'ioredis';
import { Browser } from '../support/Browser';
import { type Client } from '../support/app';
import { IndexedSite, REDIS } from '../support/indexed';
import { Proxy } from '../support/Proxy';
import { startRedis, type TestServer } from '../support/servers';
import { startWorker } from '../support/worker';

/** Whoever is signed in somewhere has that session in his index, or nobody could end it. */
async function allAreIndexed(redis: Redis): Promise<number> {
  let living = 0;
  for (const key of await redis.keys('session:*')) {
    if (key.startsWith('session:principal:')) continue;
    const record = JSON.parse((await redis.get(key))!);
    if ('_successor' in record || record.userId === undefined) continue;
    living++;
    const score = await redis.zscore(`session:principal:${record.userId}`, key.slice('session:'.length));
    assert.ok(score !== null, `a session of ${record.userId} is in no index`);
  }
  return living;
}

type Write = (client: Client, user: string) => Promise<unknown>;

/** Each way in which a record becomes a principal's, or takes the place of one. */
const WRITES: Record<string, Write> = {
  'an assignment': (client, user) => client.tryRun((session: any) => void (session.userId = user)),
  'save()': (client, user) => client.tryRun((session: any) => {
    session.userId = user;
    return session.save();
  }),
  'regenerate(), and an assignment after it': (client, user) => client.tryRun(async (session: any) => {
    await session.regenerate();
    session.userId = user;
  }),
  'an assignment, and regenerate() after it': (client, user) => client.tryRun((session: any) => {
    session.userId = user;
    return session.regenerate();
  }),
  'update()': (client, user) => client.tryRun((session: any) => session.update((data: any) => void (data.userId = user))),
  'an assignment to ctx.session': (client, user) => client.tryRun((_, ctx) => void (ctx.session = { userId: user })),
  'a longer lifetime': (client, user) => client.tryRun((session: any) => {
    session.userId = user;
    session.maxAge = 30 * 24 * 3600 * 1000;
  }),
  'regenerate()': client => client.tryRun(session => session.regenerate()),
};

let last = 0;
const newUser = () => `user-${++last}`;

describe('a process that dies while it writes a session', () => {
  const site = new IndexedSite(REDIS);
  before(() => site.boot());
  afterEach(() => mm.restore());
  after(() => site.close());

  const BEFORE: Record<string, (browser: Client) => Promise<unknown>> = {
    'no session': async () => undefined,
    'a session of nobody\'s': browser => browser.run((session: any) => void (session.cart = [])),
    'a session of somebody else\'s': browser => browser.run((session: any) => void (session.userId = newUser())),
  };
  for (const [ what, write ] of Object.entries(WRITES)) {
    for (const [ with_, begin ] of Object.entries(BEFORE)) {
      it(`leaves no session outside the index, after any command of ${what}, in a browser with ${with_}`, async () => {
        const redis = site.redis as Redis;
        const { port } = redis.options;
        const other = new Redis(port!);
        try {
          let living = 0;
          for (let commands = 0, isCut = true; isCut; commands++) {
            isCut = false;
            await redis.flushall();
            const browser = site.browser();
            await begin(browser);
            let sent = 0;
            const send = redis.sendCommand;
            mm(redis, 'sendCommand', (...args: Parameters<typeof send>) => {
              if (args[0].name !== 'get' && ++sent > commands) {
                isCut = true;
                return Promise.reject(new Error('nothing of this process reaches the server any more'));
              }
              return send.apply(redis, args);
            });
            const user = newUser();
            await write(browser, user);
            mm.restore();
            living = await allAreIndexed(other);
            assert.ok(commands < 20);
          }
          assert.equal(living, what === 'regenerate()' && !with_.includes('else') ? 0 : 1, 'when nothing is cut off');
        } finally {
          other.disconnect();
        }
      });
    }
  }
});

describe('kill -9 of a worker while it writes a session', () => {
  let server: TestServer;
  let redis: Redis;
  before(async () => {
    server = await startRedis();
    redis = new Redis(server.port);
  });
  after(async () => {
    redis.disconnect();
    await server.stop();
  });

  for (const [ url, commands, living ] of [
    [ '/sign-in?user=7', 4, 0 ], [ '/regenerate', 2, 1 ], [ '/regenerate', 3, 2 ], [ '/regenerate', 4, 2 ],
  ] as const) {
    it(`after ${commands} commands of ${url}: no session is outside the index`, async () => {
      await redis.flushall();
      const proxy = await Proxy.to(server.port);
      const worker = await startWorker({
        plugin: 'egg-redis', redis: { client: { host: '127.0.0.1', port: proxy.port, password: '', db: 0 } }, store: 'store',
        session: { principal: 'userId' },
      });
      try {
        const browser = new Browser(worker.port);
        const { pid } = JSON.parse((await browser.request('/visit')).text);
        if (url === '/regenerate') await browser.request('/sign-in?user=7');
        proxy.after(commands, () => process.kill(pid, 'SIGKILL'));
        await assert.rejects(browser.request(url), /hang up|ECONNRESET/);
        assert.equal(await allAreIndexed(redis), living);
      } finally {
        await worker.stop();
        await proxy.close();
      }
    });
  }
});

