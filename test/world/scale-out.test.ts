import { strict as assert } from 'node:assert';
import ts from 'typescript';
import { Browser } from '../support/Browser';
import { CookieJar } from '../support/CookieJar';
import { blocksUnder } from '../support/docs';
import type { Server } from '../support/egg-server';
import { Proxy } from '../support/Proxy';
import { redisCli, startRedis, startRedisCluster, startRedisSentinel, until } from '../support/servers';
import { startWorker } from '../support/worker';
import type { Settings } from '../fixtures/apps/scale-out/settings';

const host = '127.0.0.1';

describe('several processes with one Redis', () => {
  /** What the current test has started. */
  const stops: Array<() => Promise<void> | void> = [];
  afterEach(async () => {
    for (const stop of stops.splice(0).reverse()) await stop();
  });
  const use = async <T extends { stop(): Promise<void> }>(starting: Promise<T>) => {
    const started = await starting;
    stops.push(() => started.stop());
    return started;
  };

  const start = (settings: Settings): Promise<Worker> => use(startWorker(settings));
  const startTwoWorkers = async (settings: Settings) => {
    const workers = await Promise.all([ start(settings), start(settings) ]);
    assert.notEqual(workers[0].port, workers[1].port);
    return workers;
  };

  for (const [ name, library ] of [[ 'its own ioredis 4', undefined ], [ 'ioredis 5', 'ioredis' ]] as const) {
    describe(`through egg-redis with ${name}`, () => {
      it('serves a user from whichever worker, keeps what both write at once, and signs out on both', async () => {
        const { port } = await use(startRedis());
        await servesOneUser(await startTwoWorkers({
          plugin: 'egg-redis', library, redis: { client: { host, port, password: '', db: 0 } }, store: 'store',
        }));
      });

      it('spreads sessions over the masters of a Redis Cluster', async () => {
        const { ports, masters } = await use(startRedisCluster());
        const workers = await startTwoWorkers({
          plugin: 'egg-redis', library, store: 'store',
          redis: { client: { cluster: true, nodes: ports.map(port => ({ host, port, password: '', db: 0 })) } },
        });
        const browsers = Array.from({ length: 60 }, () => new Visitor());
        for (const worker of workers) {
          for (const browser of browsers) await browser.visit(worker);
        }
        for (const browser of browsers) assert.equal(await browser.visit(workers[0]), 3);
        const sizes = await Promise.all(masters.map(async port => Number(await redisCli(port, 'DBSIZE'))));
        assert.ok(sizes.every(size => size > 0), `sessions on the masters: ${sizes}`);
        assert.equal(sizes.reduce((a, b) => a + b), browsers.length);
        await servesOneUser(workers);
      });

      it('keeps sessions when Sentinel makes a replica the master', async () => {
        const { port, name, master, replica } = await use(startRedisSentinel());
        const workers = await startTwoWorkers({
          plugin: 'egg-redis', library, store: 'store',
          redis: { client: { sentinels: [{ host, port }], name, password: '', db: 0 } },
        });
        const browser = new Visitor();
        for (const worker of workers) await browser.visit(worker);
        await until('the replica has everything', async () =>
          await replicated(master.port) === await replicated(replica.port));

        await master.stop('SIGKILL');
        for (const worker of workers) {
          await until('the worker uses the new master', async () => await browser.visit(worker) > 0);
        }
        assert.equal(await browser.visit(workers[0]), 5);
        await servesOneUser(workers);
      });
    });
  }

  it('uses the client of @eggjs/redis', async () => {
    const { port } = await use(startRedis());
    const client = { host, port, password: '', db: 0 };
    const worker = await start({ plugin: '@eggjs/redis', redis: { client }, store: 'store' });
    await servesOneUser([ worker, worker ]);
  });

  for (const [ library, blocks, what ] of [[ 'ioredis', 4000, 'starts on a machine that takes its time' ], [ 'ioredis6', 0, 'serves a user' ], [ 'iovalkey', 0, 'serves a user' ]] as const) {
    it(`with ${library} and the settings of docs/stores.md, ${what}`, async () => {
      const { port } = await use(startRedis());
      const { code } = blocksUnder('docs/stores.md', '## Redis').find(block => block.code.includes('maxRetriesPerRequest'))!;
      const readme = ts.transpile(`({${code}})`, { target: ts.ScriptTarget.ES2022 }).replace(/;\s*$/, '');
      const worker = await start({ plugin: 'egg-redis', library, readme, redis: { client: { port } }, blocks, store: 'store' });
      await until('the worker has a connection', async () => (await new Visitor().visit(worker).catch(() => 0)) > 0);
      await servesOneUser([ worker, worker ]);
    });
  }

  it('with the settings of docs/stores.md, replaces a connection that has fallen silent', async () => {
    const proxy = await Proxy.to((await use(startRedis())).port);
    stops.push(() => proxy.close());
    const { code } = blocksUnder('docs/stores.md', '## Redis').find(block => block.code.includes('maxRetriesPerRequest'))!;
    const readme = ts.transpile(`({${code}})`, { target: ts.ScriptTarget.ES2022 }).replace(/;\s*$/, '');
    const worker = await start({ plugin: 'egg-redis', library: 'ioredis', readme, redis: { client: { port: proxy.port } }, store: 'store' });
    const browser = new Visitor();
    await browser.visit(worker);
    proxy.stall();
    const begin = Date.now();
    await assert.rejects(browser.visit(worker), /503/);
    assert.ok(Date.now() - begin >= 1400, 'it was commandTimeout that ended it');
    await new Promise(resolve => { setTimeout(resolve, 3000); }); // socketTimeout
    proxy.pass();
    let visits!: number;
    await until('the worker has another connection', async () => (visits = await browser.visit(worker).catch(() => 0)) > 0);
    assert.equal(visits, 2);
    await servesOneUser([ worker, worker ]);
  });

  for (const plugin of [ 'egg-redis', '@eggjs/redis' ] as const) {
    it(`uses a named client of ${plugin}`, async () => {
      const { port } = await use(startRedis());
      const clients = { sessions: { host, port, password: '', db: 0 } };
      const worker = await start({ plugin, redis: { clients }, store: 'named-store' });
      await servesOneUser([ worker, worker ]);
    });
  }
});

type Worker = Server;

/** Keeps its cookies, whichever worker it speaks to: a browser behind a load balancer. */
class Visitor {
  constructor(private readonly cookies = new CookieJar()) {}

  copy() {
    return new Visitor(this.cookies.copy());
  }

  async get(worker: Worker, url: string) {
    const { status, text } = await new Browser(worker.port, this.cookies).request(url);
    if (status !== 200) throw new Error(`GET ${url}: ${status} ${text}`);
    return JSON.parse(text);
  }

  /** How often this browser has been here. */
  async visit(worker: Worker): Promise<number> {
    return (await this.get(worker, '/visit')).visits;
  }
}

async function servesOneUser([ a, b ]: Worker[]) {
  const browser = new Visitor();
  for (let visits = 1; visits <= 6; visits++) assert.equal(await browser.visit(visits % 2 ? a : b), visits);

  const fields = Array.from({ length: 20 }, (_, i) => `field${i}`);
  // a few at a time: the settings of docs/stores.md give Redis and a worker that are busy 1.5 s for an answer
  for (let from = 0; from < fields.length; from += 5) {
    await Promise.all(fields.slice(from, from + 5).flatMap((field, i) => [
      browser.get(i % 2 ? a : b, `/set?field=${field}`),
      browser.get(i % 2 ? a : b, '/atomic-visit'),
    ]));
  }
  const { visits, ...set } = await browser.get(a, '/session');
  assert.equal(visits, 6 + fields.length);
  assert.deepEqual(Object.keys(set).sort(), fields.sort());

  const cookieThief = browser.copy();
  await browser.get(a, '/sign-out');
  assert.equal(await cookieThief.visit(b), 1);
}

/** How much of the data's history a master or a replica has. */
const replicated = async (port: number) => /master_repl_offset:\d+/.exec(await redisCli(port, 'INFO', 'replication'))?.[0];
