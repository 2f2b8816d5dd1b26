// What one Redis carries: memory of a session, and requests per second of one core, by kind of request.
import { dataOf, sizesIn, type Subject, SUBJECTS } from './cases';
import { cpuOf } from './engines';
import { type Kind, KINDS, runs, urlOf } from './kinds';
import { inTurn, send, signIn, strangers } from './load';
import { grouped, machine, markdown, median, progress, spread, table } from './report';
import { count } from './redis';
import { fill, inSite } from './scale';
import { startServer } from './servers';
import type { Options } from './options';

const SESSIONS = 50_000;
const GB = 2 ** 30;
/** Of load: with one, Redis reads a command at a time, and each costs it more. */
const CONNECTIONS = 16;
const WARM_UP_ROUNDS = 1;
/** So many that no two requests at a time change the same one. */
const BROWSERS = 500;

const COMPARED = SUBJECTS.filter(({ sessions }) => sessions === 'egg-session' || sessions === 'always');
const SIZES = sizesIn('Redis');
const SHOWN: Kind[] = Object.values(KINDS).filter(kind => kind !== KINDS.regenerateFirst);

export async function sizing(options: Options, redis: number, redisPid: number): Promise<void> {
  const bytes = await memory();
  const results = await load(options, redis, redisPid);
  table(`CPU of Redis for a request, in µs: median [quartiles] and minimum of ${options.rounds} rounds of ${options.requests} requests; ${CONNECTIONS} connections`,
    [ '', '', 'commands', 'CPU of Redis µs', 'min' ],
    results.map(({ kind, size, subject, commands, cpu }) =>
      [ `${kind.name}, ${size} B`, subject.name, String(commands), spread(cpu, 1), Math.min(...cpu).toFixed(1) ]));
  for (const { language, text } of LANGUAGES) {
    markdown(`For docs/performance${language}.md, memory (${machine()})`, text.memory, bytes.map(({ name, perSession }) =>
      [ text[name], ...perSession.flatMap(each => [ grouped(each), grouped(GB / each) ]) ]));
    markdown(`For docs/performance${language}.md, requests`, text.requests, SHOWN.flatMap(kind => SIZES.map(size => {
      const figures = (sessions: Subject['sessions']) => {
        const result = find(results, kind, size, sessions);
        return result ? [ String(result.commands), median(result.cpu).toFixed(0), grouped(1e6 / median(result.cpu)) ] : [ '', '', '' ];
      };
      return [ text.kind(kind, size), ...figures('always'), ...figures('egg-session') ];
    })));
  }
}

const LANGUAGES = [
  {
    language: '',
    text: {
      theirs: 'egg-session', ours: 'egg-tegg-session', indexed: 'egg-tegg-session, with `principal`',
      memory: [ 'sessions of', ...SIZES.flatMap(size => [ `${grouped(size)} B: bytes in Redis`, 'sessions per GB' ]) ],
      requests: [ 'request', 'commands', 'CPU of Redis, µs', 'requests/s of a core', ...[ 'commands', 'CPU of Redis, µs', 'requests/s of a core' ].map(title => `egg-session: ${title}`) ],
      kind: ({ name }: Kind, size: number) => `${name}, ${grouped(size)} B`,
    },
  },
  {
    language: '.zh-CN',
    text: {
      theirs: 'egg-session', ours: 'egg-tegg-session', indexed: 'egg-tegg-session，设置了 `principal`',
      memory: [ 'session', ...SIZES.flatMap(size => [ `${grouped(size)} 字节：占 Redis 字节数`, '每 GB 的 session 数' ]) ],
      requests: [ '请求', '命令数', 'Redis 的 CPU，µs', '一个核每秒的请求数', ...[ '命令数', 'Redis 的 CPU，µs', '一个核每秒的请求数' ].map(title => `egg-session：${title}`) ],
      kind: ({ zh }: Kind, size: number) => `${zh}，${grouped(size)} 字节`,
    },
  },
];

/** What a session takes in Redis, in bytes. */
async function memory() {
  const rows = [ 'theirs', 'ours', 'indexed' ].map(name => ({ name: name as 'theirs' | 'ours' | 'indexed', perSession: [] as number[] }));
  for (const size of SIZES) {
    for (const { name, perSession } of rows) {
      const principal = name === 'indexed' ? 'userId' : undefined;
      perSession.push(await inSite({ principal }, dataOf(size), async ({ redis, add, addTheirs }) =>
        await fill(redis, 0, SESSIONS, `${SESSIONS} sessions of ${size} bytes, ${name}`, i => (name === 'theirs' ? addTheirs(i) : add(`${1_000_000 + i}`)))));
    }
  }
  return rows;
}

interface Result {
  kind: Kind;
  size: number;
  subject: Subject;
  commands: number;
  /** Of Redis for a request, in µs, by round. */
  cpu: number[];
}

const find = (results: Result[], kind: Kind, size: number, sessions: Subject['sessions']) =>
  results.find(each => each.kind === kind && each.size === size && each.subject.sessions === sessions);

async function load({ rounds, requests }: Options, redis: number, redisPid: number): Promise<Result[]> {
  const results: Result[] = [];
  for (const rolling of [ false, true ]) {
    const kinds = SHOWN.filter(kind => Boolean(kind.rolling) === rolling);
    for (const subject of COMPARED) {
      progress(`commands of ${subject.name}${rolling ? ', with rolling' : ''}`);
      for (const { kind, bytes, commands } of await count(subject, rolling, kinds, redis)) {
        results.push({ kind, size: bytes, subject, commands: commands.length, cpu: [] });
      }
    }
    const servers = await Promise.all(COMPARED.map(async subject =>
      ({ subject, server: await startServer(subject, 'Redis', { redis, update: true }, rolling) })));
    const used = cpuOf(redisPid);
    for (const kind of kinds) {
      for (const size of SIZES) {
        const competing = await Promise.all(servers.filter(({ subject }) => runs(kind, subject)).map(async ({ subject, server }) => ({
          subject, server, browsers: await signIn(server, BROWSERS, size),
        })));
        progress(`${kind.name}, ${size} bytes: ${competing.map(({ subject }) => subject.name).join(' | ')}`);
        await inTurn(competing, WARM_UP_ROUNDS + rounds, async ({ subject, server, browsers }, _, round) => {
          const of = kind.fresh ? strangers(requests) : kind.ends ? await signIn(server, requests, size) : browsers;
          used();
          await send(server, urlOf(kind, size), of, requests, CONNECTIONS);
          if (round >= WARM_UP_ROUNDS) find(results, kind, size, subject.sessions)!.cpu.push(used() / requests);
        });
      }
    }
    await Promise.all(servers.map(({ server }) => server.stop()));
  }
  return results;
}
