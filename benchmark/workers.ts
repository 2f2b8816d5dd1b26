// How the sessions in one Redis scale with the processes that serve them. The servers, Redis and the load are processes of their own.
import { setTimeout as sleep } from 'node:timers/promises';
import { SUBJECTS } from './cases';
import { cpuOf } from './engines';
import { inTurn, measure, send, signIn, steadily } from './load';
import { grouped, machine, markdown, median, progress, quantile, ratioOf, spread, table } from './report';
import { startServer } from './servers';
import { ACTIONS, draw, type Scaled } from './workersPicture';
import type { Options } from './options';

const PROCESSES = [ 1, 2, 4 ];
const BYTES = 200;
/** So many that no two requests at a time use the same one. */
const SESSIONS = 500;
/** Of each process. */
const CONNECTIONS = 8;
const WARM_UP_REQUESTS = 4000;
/** For latency, in each round: at full load, it is the time in the queue. */
const STEADY_MS = 2000;

const COMPARED = SUBJECTS.filter(({ sessions }) => sessions === 'egg-session' || sessions === 'always');

export async function workers(options: Options, redis: number, redisPid: number): Promise<void> {
  const results: Scaled[] = [];
  for (const processes of PROCESSES) results.push(...await scaled(processes, options, redis, redisPid));
  print(results, options);
  if (options.all) draw(results);
}

async function scaled(processes: number, { rounds, requests, rate }: Options, redis: number, redisPid: number): Promise<Scaled[]> {
  progress(`${processes} of each: start`);
  const running = await Promise.all(COMPARED.map(async subject => {
    const servers = await Promise.all(Array.from({ length: processes }, () => startServer(subject, 'Redis', { redis })));
    return { subject, servers, browsers: await signIn(servers, SESSIONS, BYTES) };
  }));
  const used = cpuOf(redisPid);
  const results: Scaled[] = [];
  for (const action of ACTIONS) {
    progress(`${processes} of each: ${action}, at full load, then at ${rate * processes} requests per second`);
    const own = running.map(({ subject }): Scaled => ({ processes, action, subject, perSecond: [], cpu: [], redisCpu: [], loadCpu: [], latencies: [] }));
    for (const { servers, browsers } of running) await send(servers, `/${action}`, browsers, WARM_UP_REQUESTS * processes, CONNECTIONS * processes);
    await inTurn(running, rounds, async ({ servers, browsers }, i) => {
      const count = requests * processes;
      const { perSecond, cpu, redisCpu, loadCpu, latencies } = own[i];
      const before = process.cpuUsage();
      used();
      const figures = await measure(servers, `/${action}`, browsers, count, CONNECTIONS * processes);
      redisCpu.push(used() / count);
      const { user, system } = process.cpuUsage(before);
      loadCpu.push((user + system) / count);
      perSecond.push(figures.perSecond);
      cpu.push(figures.cpu);
      latencies.push(...await steadily(servers, [ `/${action}` ], browsers, rate * processes, sleep(STEADY_MS)));
    });
    results.push(...own);
  }
  await Promise.all(running.flatMap(({ servers }) => servers.map(server => server.stop())));
  return results;
}

function print(results: Scaled[], { rounds, requests, rate }: Options): void {
  const ms = (latencies: number[]) => [ 0.5, 0.95, 0.99 ].map(part => quantile(latencies, part).toFixed(2));
  table(`Processes that share one Redis; sessions of ${BYTES} bytes. Requests per second and CPU at full load with ${CONNECTIONS} connections for each process: ` +
    `minimum, median [quartiles] of ${rounds} rounds of ${requests} requests for each; latency at ${rate} requests per second for each.\n` +
    'CPU in µs for a request; where load × requests/s comes near 1,000,000, the load is what limits them.',
  [ '', '', 'requests/s', '× egg-session [95 %]', 'CPU of servers', 'of Redis', 'of the load', 'p50 ms', 'p95 ms', 'p99 ms' ],
  results.map(({ processes, action, subject, perSecond, cpu, redisCpu, loadCpu, latencies }) => {
    const theirs = results.find(each => each.processes === processes && each.action === action && each.subject.sessions === 'egg-session')!;
    const { value, low, high } = ratioOf(perSecond, theirs.perSecond);
    return [ `${processes} × ${action}`, subject.name, `${Math.min(...perSecond).toFixed(0)}, ${spread(perSecond)}`,
      subject === theirs.subject ? '' : `${value.toFixed(2)} [${low.toFixed(2)}–${high.toFixed(2)}]`,
      spread(cpu), spread(redisCpu, 1), spread(loadCpu), ...ms(latencies) ];
  }));
  for (const { language, head, actions } of LANGUAGES) {
    markdown(`For docs/performance${language}.md (${machine()})`, head(rate), results.map(({ processes, action, subject, perSecond, cpu, redisCpu, latencies }) =>
      [ String(processes), actions[action], subject.name, grouped(median(perSecond)), ...ms(latencies), median(cpu).toFixed(0), median(redisCpu).toFixed(1), grouped(1e6 / median(redisCpu)) ]));
  }
}

const LANGUAGES = [
  {
    language: '',
    actions: { read: 'reads', write: 'changes' },
    head: (rate: number) => [ 'processes', 'request', 'sessions', 'requests/s', `p50 ms, at ${rate}/s for each`, 'p95 ms', 'p99 ms', 'CPU of the servers, µs', 'CPU of Redis, µs', 'requests/s of a core of Redis' ],
  },
  {
    language: '.zh-CN',
    actions: { read: '读取', write: '修改' },
    head: (rate: number) => [ '进程数', '请求', 'session', '每秒请求数', `p50 ms，每个进程每秒 ${rate} 个请求`, 'p95 ms', 'p99 ms', '服务进程的 CPU，µs', 'Redis 的 CPU，µs', 'Redis 一个核每秒的请求数' ],
  },
];
