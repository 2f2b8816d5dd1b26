// Users visit two workers while the server of their sessions is killed, stalled and cut off; each answer is compared with what came before.
import { setTimeout as sleep } from 'node:timers/promises';
import { Browser } from './Browser';
import { Proxy } from './Proxy';
import { redisCli, startMysql, startPostgres, startRedis, startRedisCluster, startRedisSentinel, type TestServer, until } from './servers';
import { startWorker } from './worker';
import type { Settings } from '../fixtures/apps/scale-out/settings';

const host = '127.0.0.1';
const WORKERS = 2;
/** How many visits a user makes in a session, about, before another one begins. */
const VISITS = 20;

/** In ms. */
const STORE_TIMEOUT = 500;

/** What a run of the chaos suite has seen. */
export interface Report {
  requests: number;
  perSecond: number;
  statuses: Record<string, number>;
  /** In ms. */
  slowest: number;
  sessions: number;
  /** Changes that were answered with a 2xx. */
  committed: number;
  /** Sessions that lacked such a change later, or that were gone. */
  wrong: number;
}

/** A session of a user who counts visits, one after the other, and knows what each answer allows the count to be. */
class Visits {
  private browser?: Browser;
  /** The count that was answered last; what an unsuccessful request since then may have added. */
  private count = 0;
  private unsure = 0;

  constructor(private readonly ports: number[], private readonly report: Report) {}

  async visit(): Promise<void> {
    const { report } = this;
    const port = this.ports[Math.floor(Math.random() * this.ports.length)];
    const browser = new Browser(port, this.browser?.cookies);
    const start = performance.now();
    const { status, text } = await browser.request('/visit').catch((err: Error) => ({ status: 0, text: err.message }));
    report.requests++;
    report.slowest = Math.max(report.slowest, performance.now() - start);
    report.statuses[status || text] = (report.statuses[status || text] ?? 0) + 1;
    if (status !== 200) {
      this.unsure++;
      return;
    }
    const { visits } = JSON.parse(text) as { visits: number };
    if (!this.browser) report.sessions++;
    else if (visits <= this.count || visits > this.count + this.unsure + 1) report.wrong++;
    this.browser = browser;
    this.count = visits;
    this.unsure = 0;
    report.committed++;
  }

  /** One more visit, once all is well: is the session as it was answered? */
  async check(): Promise<void> {
    if (this.browser) await this.visit();
  }
}

type Attack = (moment: () => Promise<unknown>) => Promise<unknown>;

/** Has users visit two workers for so long, while the attacks come one after the other. */
async function run(seconds: number, users: number, settings: Settings, attacks: Attack[]): Promise<Report> {
  const report: Report = { requests: 0, perSecond: 0, statuses: {}, slowest: 0, sessions: 0, committed: 0, wrong: 0 };
  const workers = await Promise.all(Array.from({ length: WORKERS }, () => startWorker({ ...settings, session: { storeTimeout: STORE_TIMEOUT } })));
  try {
    const ports = workers.map(({ port }) => port);
    const sessions: Visits[] = [];
    let isOver = false;
    const start = performance.now();
    const visits = Array.from({ length: users }, async () => {
      let session: Visits | undefined;
      while (!isOver) {
        if (!session || Math.random() < 1 / VISITS) sessions.push(session = new Visits(ports, report));
        await session.visit();
        await sleep(20 * Math.random());
      }
    });
    // an attack takes part of its turn, and the store is well for the rest of it
    const turn = seconds * 1000 / attacks.length;
    for (const attack of attacks) {
      const end = performance.now() + turn;
      await attack(() => sleep(turn / 3));
      await sleep(Math.max(0, end - performance.now()));
    }
    isOver = true;
    await Promise.all(visits);
    report.perSecond = report.requests / (performance.now() - start) * 1000;
    // every session must be there, as it was answered, once all is well again
    for (const port of ports) await until('all is well', async () => (await new Browser(port).request('/visit')).status === 200);
    const underAttack = { requests: report.requests, statuses: { ...report.statuses }, committed: report.committed };
    for (const session of sessions) await session.check();
    return { ...report, ...underAttack };
  } finally {
    await Promise.all(workers.map(worker => worker.stop()));
  }
}

const withRedis = (redis: object): Settings => ({ plugin: 'egg-redis', library: 'ioredis', store: 'store', redis });

/** What a store's server can be, each so that a crash of it loses nothing. */
const SERVERS = {
  Redis: {
    start: (): Promise<TestServer> => startRedis([ '--appendonly', 'yes', '--appendfsync', 'always' ]),
    settings: (port: number) => withRedis({
      client: { host, port, password: '', db: 0, maxRetriesPerRequest: 1, commandTimeout: STORE_TIMEOUT, autoResendUnfulfilledCommands: false },
    }),
  },
  PostgreSQL: {
    start: (): Promise<TestServer> => startPostgres(),
    settings: (port: number): Settings => ({ store: 'postgres-store', url: `postgres://postgres@${host}:${port}/postgres` }),
  },
  MariaDB: {
    start: (): Promise<TestServer> => startMysql([ '--innodb-flush-log-at-trx-commit=1' ]),
    settings: (port: number): Settings => ({ store: 'mysql-store', url: `mysql://shop:secret@${host}:${port}/shop` }),
  },
};
export const SERVER_NAMES = Object.keys(SERVERS) as Array<keyof typeof SERVERS>;

/** A server that keeps each write on disk is killed and started again three times, stalled, and cut off by the network. */
export async function chaosOfOne(seconds: number, users: number, name: keyof typeof SERVERS): Promise<Report> {
  const server = await SERVERS[name].start();
  const proxy = await Proxy.to(server.port);
  const kill: Attack = async moment => {
    const start = await server.restart('SIGKILL');
    await moment();
    await start();
  };
  const stall: Attack = async moment => {
    process.kill(server.pid, 'SIGSTOP');
    await moment();
    process.kill(server.pid, 'SIGCONT');
  };
  const network = (cut: () => void): Attack => async moment => {
    cut();
    await moment();
    proxy.pass();
    proxy.reset();
  };
  try {
    return await run(seconds, users, SERVERS[name].settings(proxy.port), [
      kill, stall, network(() => proxy.stall()), kill, network(() => proxy.refuse()), network(() => proxy.truncate()), kill,
    ]);
  } finally {
    await proxy.close();
    await server.stop();
  }
}

/**
 * A master that is killed, and a replica that takes its place by Sentinel. What the master had not passed on yet is lost by Redis
 * itself, and counts as wrong here.
 */
export async function chaosOfFailover(seconds: number, users: number): Promise<Report> {
  const { port, name, master, stop } = await startRedisSentinel();
  try {
    return await run(seconds, users, withRedis({
      client: { sentinels: [{ host, port }], name, password: '', db: 0, maxRetriesPerRequest: 1, commandTimeout: STORE_TIMEOUT, autoResendUnfulfilledCommands: false },
    }), [
      async moment => {
        process.kill(master.pid, 'SIGKILL');
        await until('the replica is the master', async () =>
          !(await redisCli(port, 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', name)).includes(String(master.port)));
        await moment();
      },
    ]);
  } finally {
    await stop();
  }
}

/** A master of a Cluster that is killed, and its replica that takes its place. The same counts as wrong. */
export async function chaosOfCluster(seconds: number, users: number): Promise<Report> {
  const { ports, masters, stop } = await startRedisCluster();
  const [ killed, witness ] = masters;
  try {
    return await run(seconds, users, withRedis({ client: {
      cluster: true, nodes: ports.map(port => ({ host, port, password: '', db: 0 })), redisOptions: { commandTimeout: STORE_TIMEOUT, autoResendUnfulfilledCommands: false },
    } }), [
      async () => {
        await redisCli(killed, 'SHUTDOWN', 'NOSAVE').catch(() => undefined);
        await until('the replica is a master', async () => {
          const nodes = (await redisCli(witness, 'CLUSTER', 'NODES')).split('\n');
          return nodes.some(line => line.includes(`:${killed}@`) && line.includes('fail')) &&
            nodes.filter(line => /master - /.test(line) && !/fail/.test(line)).length === masters.length;
        });
      },
    ]);
  } finally {
    await stop();
  }
}
