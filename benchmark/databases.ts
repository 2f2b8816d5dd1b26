// What a request costs with sessions in PostgreSQL and MariaDB, beside Keyv and the stores of express-session on the same database: CPU of
// the server and of the database, latency, and requests per second under more load. Prints the rows of docs/performance.md, too.
import type { Subject } from './cases';
import { cpuOf, DATABASES, type DatabaseName, type Engine, ENGINES } from './engines';
import { type Kind, KINDS as ALL_KINDS, runs, urlOf } from './kinds';
import { type Browser, inTurn, measure, send, signIn, strangers } from './load';
import { grouped, markdown, median, progress, quantile, spread, table } from './report';
import { type Server, startServer } from './servers';

const ROUNDS = 7;
const REQUESTS = 250;
/** So many that no two requests at a time change the same one. */
const SESSIONS = 500;
const WARM_UP_REQUESTS = 1500;
/** Of load, at which requests per second are counted. */
const CONNECTIONS = [ 16, 64 ];
const LOAD_ROUNDS = 3;
const LOAD_REQUESTS = 1500;
/** How often a request is made to count its statements. */
const COUNTED = 20;
const BYTES = 200;

interface Contestant extends Pick<Subject, 'name' | 'framework' | 'sessions'> {
  /** That without a session, which it is measured against. */
  bare: number;
}

const STORES = { PostgreSQL: [ 'PostgresSessionStore', 'connect-pg-simple' ], MariaDB: [ 'MysqlSessionStore', 'express-mysql-session' ] } as const;

const contestants = (database: DatabaseName): Contestant[] => [
  { name: 'Egg, no session', framework: 'Egg', sessions: 'none', bare: 0 },
  { name: STORES[database][0], framework: 'Egg', sessions: 'always', bare: 0 },
  { name: 'KeyvSessionStore', framework: 'Egg', sessions: 'keyv', bare: 0 },
  { name: 'Express, no session', framework: 'Express', sessions: 'none', bare: 3 },
  { name: STORES[database][1], framework: 'Express', sessions: 'peer', bare: 3 },
];

const KINDS: Kind[] = Object.values(ALL_KINDS).filter(kind => kind !== ALL_KINDS.regenerateFirst);
/** Only the statements of the others are counted. */
const isCompared = (kind: Kind) => ![ ALL_KINDS.unused, ALL_KINDS.signIn, ALL_KINDS.signOut ].includes(kind);
const LOADED: Kind[] = [ ALL_KINDS.read, ALL_KINDS.write ];

interface Running {
  contestant: Contestant;
  server: Server;
  browsers: Browser[];
}

interface Result {
  kind: Kind;
  contestant: Contestant;
  /** Of each round: of the server, beyond the bare one in the same round, and of the database. */
  cpu: number[];
  databaseCpu: number[];
  latencies: number[];
  perSecond: number[];
  statements: string;
}

interface LoadResult {
  kind: Kind;
  contestant: Contestant;
  connections: number;
  perSecond: number[];
  latencies: number[];
}

/** What there is to paste, by the title of a row or the name of a kind. */
const pasted = new Map<string, { zh: string; cells: string[] }>();
const counts = new Map<string, string[]>();

export async function databases(): Promise<void> {
  for (const database of DATABASES) {
    progress(`start ${database}`);
    const engine = await ENGINES[database]();
    const results: Result[] = [];
    const loads: LoadResult[] = [];
    for (const rolling of [ false, true ]) {
      const running = await Promise.all(contestants(database).map(async contestant => ({
        contestant, browsers: [] as Browser[], server: await startServer(contestant, database, { database: engine.url, update: true }, rolling),
      })));
      for (const each of running) each.browsers = await signIn(each.server, SESSIONS, BYTES);
      const kinds = KINDS.filter(kind => Boolean(kind.rolling) === rolling);
      for (const kind of kinds.filter(isCompared)) results.push(...await compare(database, engine, running, kind));
      for (const kind of kinds.filter(each => LOADED.includes(each))) {
        for (const connections of CONNECTIONS) loads.push(...await load(database, running, kind, connections));
      }
      for (const each of running.filter(({ contestant }) => contestant.sessions !== 'none')) {
        for (const kind of kinds) await count(engine, each, kind, results);
      }
      await Promise.all(running.map(({ server }) => server.stop()));
    }
    await engine.stop();
    print(database, results, loads);
  }
  paste();
}

const urlFor = (kind: Kind, { contestant }: Running) => (kind.eggOnly && contestant.sessions === 'none' ? '/unused' : urlOf(kind, BYTES));
const browsersFor = (kind: Kind, { browsers }: Running, requests: number) => (kind.fresh ? strangers(requests) : browsers);

/** The servers answer in short rounds, each of which begins with another one of them. */
async function compare(database: DatabaseName, engine: Engine, all: Running[], kind: Kind): Promise<Result[]> {
  const competing = all.filter(({ contestant }) => runs(kind, contestant));
  progress(`${database}, ${kind.name}: ${competing.map(({ contestant }) => contestant.name).join(' | ')}`);
  const results = competing.map(({ contestant }): Result => ({ kind, contestant, cpu: [], databaseCpu: [], latencies: [], perSecond: [], statements: '' }));
  for (const each of competing) await send(each.server, urlFor(kind, each), browsersFor(kind, each, WARM_UP_REQUESTS), WARM_UP_REQUESTS);
  const used = cpuOf(engine.pid);
  await inTurn(competing, ROUNDS, async (each, i, round) => {
    used();
    const { cpu, perSecond, latencies } = await measure(each.server, urlFor(kind, each), browsersFor(kind, each, REQUESTS), REQUESTS);
    results[i].cpu[round] = cpu;
    results[i].databaseCpu[round] = used() / REQUESTS;
    results[i].perSecond[round] = perSecond;
    results[i].latencies.push(...latencies);
  });
  return results;
}

async function load(database: DatabaseName, all: Running[], kind: Kind, connections: number): Promise<LoadResult[]> {
  const competing = all.filter(({ contestant }) => contestant.sessions !== 'none');
  progress(`${database}, ${kind.name}, ${connections} connections`);
  const results = competing.map(({ contestant }): LoadResult => ({ kind, contestant, connections, perSecond: [], latencies: [] }));
  await inTurn(competing, LOAD_ROUNDS, async ({ server, browsers }, i) => {
    const { perSecond, latencies } = await measure(server, kind.url, browsers, LOAD_REQUESTS, connections);
    results[i].perSecond.push(perSecond);
    results[i].latencies.push(...latencies);
  });
  return results;
}

async function count(engine: Engine, running: Running, kind: Kind, results: Result[]): Promise<void> {
  const { server, contestant } = running;
  if (!runs(kind, contestant)) return;
  const browsers = kind.fresh ? strangers(COUNTED) : await signIn(server, COUNTED, BYTES);
  await engine.statements();
  await send(server, urlOf(kind, BYTES), browsers, COUNTED, 1);
  const verbs = Object.entries(await engine.statements()).map(([ verb, calls ]): [ string, number ] => [ verb, calls / COUNTED ]);
  const all = verbs.reduce((sum, [ , calls ]) => sum + calls, 0);
  const which = verbs.map(([ verb, calls ]) => (calls === 1 ? verb : `${Number(calls.toFixed(2))} × ${verb}`)).join(', ');
  const result = results.find(each => each.kind === kind && each.contestant.name === contestant.name);
  if (result) result.statements = Number(all.toFixed(2)) + (which && `: ${which}`);
  if (contestant.sessions === 'always') counts.set(kind.name, [ ...counts.get(kind.name) ?? [], all ? `${all}: ${which}` : '0' ]);
}

function print(database: DatabaseName, results: Result[], loads: LoadResult[]): void {
  const all = contestants(database);
  const kinds = KINDS.filter(isCompared);
  const beyond = (result: Result) => {
    const { sessions, bare } = result.contestant;
    const base = results.find(other => other.kind === result.kind && other.contestant.name === all[bare].name)!;
    const own = sessions === 'none' ? result.cpu : result.cpu.map((cpu, round) => cpu - base.cpu[round]);
    return { own, least: Math.min(...result.cpu) - (sessions === 'none' ? 0 : Math.min(...base.cpu)) };
  };
  const ms = (latencies: number[]) => `${Math.min(...latencies).toFixed(2)}, ${spread(latencies, 2)}, ${quantile(latencies, 0.99).toFixed(2)}`;
  table(`Sessions of ${BYTES} bytes in ${database}. CPU of the server: + beyond no session. Minimum, median [quartiles] of ${ROUNDS} rounds of ${REQUESTS}; 8 connections.`,
    [ '', '', 'CPU µs', 'CPU of the database µs', 'ms: min, p50 [quartiles], p99', 'requests/s', 'statements' ],
    kinds.flatMap(kind => results.filter(result => result.kind === kind)).map(result => {
      const { kind, contestant, databaseCpu, latencies, perSecond, statements } = result;
      const { own, least } = beyond(result);
      const bare = contestant.sessions === 'none';
      return [ kind.name, contestant.name, `${bare ? '=' : '+'} ${least.toFixed(0)}, ${spread(own)}`,
        bare ? '' : `${Math.min(...databaseCpu).toFixed(0)}, ${spread(databaseCpu)}`, ms(latencies), median(perSecond).toFixed(0), statements ];
    }));
  table(`Requests per second of one process with sessions in ${database}; 10 connections to the database. Minimum, median [quartiles] of ${LOAD_ROUNDS} rounds of ${LOAD_REQUESTS}.`,
    [ '', '', 'connections', 'requests/s', 'ms: min, p50 [quartiles], p99' ],
    loads.map(({ kind, contestant, connections, perSecond, latencies }) =>
      [ kind.name, contestant.name, String(connections), `${Math.min(...perSecond).toFixed(0)}, ${spread(perSecond)}`, ms(latencies) ]));

  const cells = (title: string, zh: string, cell: (name: string) => string) => pasted.set(title,
    { zh, cells: [ ...pasted.get(title)?.cells ?? [], ...all.filter(({ sessions }) => sessions !== 'none').map(({ name }) => cell(name)) ] });
  const find = (kind: Kind, name: string) => results.find(result => result.kind === kind && result.contestant.name === name);
  for (const kind of kinds) {
    cells(`${kind.name}: CPU µs, ms`, `${kind.zh}：CPU µs，ms`, name => {
      const result = find(kind, name);
      return result ? `${median(beyond(result).own).toFixed(0)}, ${median(result.latencies).toFixed(1)}` : '';
    });
  }
  for (const { name: kind, zh } of LOADED) {
    for (const connections of CONNECTIONS) {
      cells(`${kind}: requests/s, ${connections} connections`, `${zh}：每秒请求数，${connections} 个连接`, name => grouped(median(
        loads.find(each => each.kind.name === kind && each.connections === connections && each.contestant.name === name)!.perSecond)));
    }
    cells(`${kind}: requests/s that a core of the database carries`, `${zh}：数据库一个核每秒承担的请求数`, name =>
      grouped(1e6 / median(find(kinds.find(each => each.name === kind)!, name)!.databaseCpu)));
  }
}

/** Prints the tables of docs/performance.md and its translation. */
function paste(): void {
  const stores = DATABASES.flatMap(database => contestants(database).filter(({ sessions }) => sessions !== 'none').map(({ name }) => `\`${name}\``));
  for (const [ language, [ file, request ]] of Object.entries({ en: [ 'performance.md', 'request' ], zh: [ 'performance.zh-CN.md', '请求' ] })) {
    const kinds = KINDS.filter(({ name }) => counts.has(name));
    markdown(`For docs/${file}, statements`, [ request, ...DATABASES ],
      kinds.map(kind => [ language === 'zh' ? kind.zh : kind.name, ...counts.get(kind.name)! ]));
    markdown(`For docs/${file}, stores`, [ request, ...stores ], [ ...pasted ].map(([ title, { zh, cells }]) => [ language === 'zh' ? zh : title, ...cells ]));
  }
}
