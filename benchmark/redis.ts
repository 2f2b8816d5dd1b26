// What a request sends to Redis, and how long Redis works on it, by Redis' own counters: MONITOR and INFO.
import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import Redis from 'ioredis';
import { sizesIn, type Subject, subjects } from './cases';
import { type Kind, KINDS, runs, urlOf } from './kinds';
import { send, signIn, strangers } from './load';
import { progress, table } from './report';
import { startServer } from './servers';
import type { Options } from './options';

/** How often each request is made, each time with another session. */
const REQUESTS = 50;

/** The most commands that this plugin may send. */
const MOST = new Map<Kind, number>([[ KINDS.read, 1 ], [ KINDS.renew, 2 ], [ KINDS.firstWrite, 1 ], [ KINDS.write, 2 ], [ KINDS.signIn, 3 ]]);
const most = (kind: Kind, sessions: Subject['sessions']) => (kind === KINDS.unused && sessions === 'injected' ? 0 : MOST.get(kind));

/** Of the bytes that egg-session sends for a renewal of a large session, as a ratio. */
const MOST_BYTES_OF_RENEWAL = 0.05;

interface Result {
  kind: Kind;
  bytes: number;
  subject: Subject;
  commands: string[];
  sent: number;
  micros: number;
}

export async function redis(_: Options, port: number): Promise<void> {
  const results: Result[] = [];
  for (const subject of subjects().filter(({ sessions, kept }) => sessions !== 'none' && kept.includes('Redis'))) {
    progress(`commands of ${subject.name}`);
    for (const rolling of [ false, true ]) {
      results.push(...await count(subject, rolling, Object.values(KINDS), port));
    }
  }
  const rows = Object.values(KINDS).flatMap(kind => sizesIn('Redis').flatMap(bytes => results.filter(result => result.kind === kind && result.bytes === bytes)))
    .map(result => row(result, results));
  table('What a request sends to Redis. ⅹ: target missed.',
    [ '', '', 'commands', 'target', 'bytes', 'target', 'µs in Redis', 'which' ], rows);
}

function row({ kind, bytes, subject, commands, sent, micros }: Result, results: Result[]): string[] {
  const goal = (limit: number | undefined, value: number) => (limit === undefined ? '' : `≤ ${limit} ${value <= limit ? ' ' : 'ⅹ'}`);
  const ours = [ 'always', 'injected' ].includes(subject.sessions);
  const theirs = results.find(other => other.kind === kind && other.bytes === bytes && other.subject.sessions === 'egg-session');
  const mostBytes = ours && kind === KINDS.renew && bytes > 1000 ? Math.round(theirs!.sent * MOST_BYTES_OF_RENEWAL) : undefined;
  return [ `${kind.name}, ${bytes} B`, subject.name, String(commands.length), ours ? goal(most(kind, subject.sessions), commands.length) : '',
    sent.toFixed(0), goal(mostBytes, sent), micros.toFixed(0), commands.join(' ') ];
}

/** What those of the kinds send that this server has. */
export async function count(subject: Subject, rolling: boolean, kinds: Kind[], port: number): Promise<Result[]> {
  const client = new Redis(port);
  const number = async (section: string, pattern: RegExp) => Number(pattern.exec(await client.info(section))?.[1] ?? 0);
  const received = () => number('stats', /^total_net_input_bytes:(\d+)/m);
  const monitor = await client.duplicate().monitor();
  const seen: string[] = [];
  monitor.on('monitor', (_, [ command ], source) => source !== 'lua' && seen.push(command.toLowerCase()));
  const allSeen = async () => {
    await client.echo('');
    while (seen.at(-1) !== 'echo') await once(monitor, 'monitor');
  };

  const server = await startServer(subject, 'Redis', { redis: port, update: true }, rolling);
  const results: Result[] = [];
  for (const kind of kinds.filter(each => Boolean(each.rolling) === rolling && runs(each, subject))) {
    for (const bytes of sizesIn('Redis')) {
      const url = urlOf(kind, bytes);
      const browsers = async (sessions: number) =>
        (kind.fresh ? strangers(sessions) : await signIn(server, sessions, bytes));
      await send(server, url, await browsers(1)); // which loads the scripts
      const all = await browsers(REQUESTS);
      const ownBytes = -await received() + await received();
      await allSeen();
      seen.length = 0;
      await client.config('RESETSTAT');
      const before = await received();
      await send(server, url, all, REQUESTS, 1);
      const bytesSent = await received() - before - ownBytes;
      await allSeen();
      const commands = seen.filter(command => ![ 'info', 'echo', 'config' ].includes(command));
      assert.equal(commands.length % REQUESTS, 0, `${subject.name}, ${kind.name}: ${commands.join(' ')}`);
      results.push({
        kind, bytes, subject, commands: commands.slice(0, commands.length / REQUESTS), sent: bytesSent / REQUESTS,
        micros: await microsIn(client, commands) / REQUESTS,
      });
    }
  }
  await server.stop();
  monitor.disconnect();
  client.disconnect();
  return results;
}

/**
 * How long Redis has worked on these commands since its counters were reset, in µs. A script's time includes the commands that it
 * calls; those of them that are in `commands` too count twice.
 */
export async function microsIn(client: Redis, commands: Iterable<string>): Promise<number> {
  const stats = await client.info('commandstats');
  return [ ...new Set(commands) ].reduce((all, name) => all + Number(new RegExp(`^cmdstat_${name}:.*usec=(\\d+)`, 'm').exec(stats)?.[1] ?? 0), 0);
}
