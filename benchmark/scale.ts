// A million sessions in Redis: what one takes there, beside egg-session's, and whether anything takes longer than
// with a thousand.
import { strict as assert } from 'node:assert';
import { randomInt, randomUUID } from 'node:crypto';
import Redis from 'ioredis';
import { RedisSessionStore, type SessionOptions, type SessionStore } from '..';
import { IndexedSite, REDIS } from '../test/support/indexed';
import { keyOf } from '../test/support/keyOf';
import { USER_AGENT } from './cases';
import { microsIn } from './redis';
import { median, progress, quantile, table } from './report';
import type { Options } from './options';

const DAY = 24 * 3600 * 1000;
const BATCH = 5000;
const SAMPLES = 2000;
const FEW = 1000;
const REVOKED = 200;

const SHORT = {
  userId: 1234567, name: 'Ada Lovelace', email: 'ada@example.com', roles: [ 'editor', 'reviewer' ], locale: 'en-GB',
  csrfToken: 'q3Xh0cZ1n8sVbT5yLw7KdR2u', signedInAt: 1764000000000, theme: 'dark', n: 0,
};
const { n, userId, ...user } = SHORT;
const DATA = { 'short fields': SHORT, 'a field over 64 bytes': { n, userId, user } };

class Store extends RedisSessionStore {
  constructor(protected readonly redis: Redis) {
    super();
  }
}

export async function scale({ scale: count }: Options): Promise<void> {
  const rows: string[][] = [];
  for (const [ title, data ] of Object.entries(DATA)) {
    const ours = await inSite({}, data, async ({ redis, add }) => await fill(redis, 0, count, title, i => add(`${i}`)));
    const theirs = await inSite({}, data, async ({ redis, addTheirs }) => await fill(redis, 0, count, `${title}, egg-session`, addTheirs));
    rows.push([ title, String(JSON.stringify(data).length), ...[ theirs, ours ].map(bytes => bytes.toFixed(0)), (ours / theirs).toFixed(2) ]);
  }
  table(`Memory of Redis for a session, of ${count}, in bytes`, [ '', 'JSON', 'egg-session', 'egg-tegg-session', 'ratio' ], rows);
  await inSite({ principal: 'userId' }, SHORT, async site => await speed(site, [ FEW, count ]));
}

async function speed({ site, redis, maxAge, add }: Filled, sizes: number[]): Promise<void> {
  const counted = site.redis as Redis;
  const { sendCommand } = counted;
  let sent: string[] = [];
  counted.sendCommand = (...args) => {
    sent.push(args[0].name);
    return sendCommand.apply(counted, args);
  };
  const own = site.store as Required<SessionStore>;
  const call = { ctx: site.app.createAnonymousContext() };
  const CALLS: Array<[ string, (principal: string) => Promise<unknown> ]> = [
    [ 'read: get()', principal => own.get(keyOf(principal), maxAge, call) ],
    [ 'renew: touch()', principal => own.touch(keyOf(principal), call) ],
    [ 'write: merge() of a field', principal => own.merge(keyOf(principal), { set: { n: randomInt(10) }, unset: [], replace: false }, call) ],
    [ 'registry.list()', async principal => (await site.registry.list(principal)).length === 1 ],
    [ 'registry.revoke()', async principal => await site.registry.revoke(principal, keyOf(principal)) ],
  ];

  const name = (i: number) => `${1_000_000 + i}`;
  const cells = new Map<string, string[]>(CALLS.map(([ title ]) => [ title, []]));
  let filled = 0;
  let bytes = 0;
  for (const size of sizes) {
    bytes = await fill(redis, filled, size, `${size} sessions, with their index`, i => add(name(i)));
    filled = size - REVOKED; // revoke() comes last, and takes the newest
    for (const [ title, run ] of CALLS) {
      progress(`${title}, of ${size}`);
      const principals = title.includes('revoke')
        ? Array.from({ length: REVOKED }, (_, i) => name(filled + i))
        : Array.from({ length: SAMPLES }, () => name(randomInt(filled)));
      await redis.config('RESETSTAT');
      sent = [];
      const micros: number[] = [];
      for (const principal of principals) {
        const start = performance.now();
        assert(await run(principal), `${title} of ${principal}`);
        micros.push((performance.now() - start) * 1000);
      }
      const inRedis = await microsIn(redis, sent) / principals.length;
      cells.get(title)!.push(median(micros).toFixed(0), quantile(micros, 0.99).toFixed(0), inRedis.toFixed(0), (sent.length / principals.length).toFixed(0));
    }
  }
  table(`A call of the store or the registry, one after the other, in µs. With its index, a session takes ${bytes.toFixed(0)} bytes`,
    [ '', ...sizes.flatMap(size => [ `median, of ${size}`, 'p99', 'in Redis', 'commands' ]) ], [ ...cells ].map(([ title, row ]) => [ title, ...row ]));
}

interface Filled {
  site: IndexedSite;
  /** For much at a time. */
  redis: Redis;
  maxAge: number;
  /** Adds a session of the data, as the plugin stores it; with `principal`, that of another user, and in the index. */
  add(name: string): Promise<void>;
  /** Adds one as egg-session stores it. */
  addTheirs(i: number): Promise<unknown>;
}

/** Runs with an application on an empty Redis server of its own. */
export async function inSite<T>(options: SessionOptions, data: object, run: (filled: Filled) => Promise<T>): Promise<T> {
  const site = new IndexedSite(REDIS);
  await site.boot({ principal: undefined, ...options });
  const { set } = site.store;
  let written: Parameters<typeof set> | undefined;
  site.store.set = async (...args) => {
    written = args;
    await set.apply(site.store, args);
  };
  await site.browser().run(session => void Object.assign(session, data), { 'user-agent': USER_AGENT });
  assert(written, 'the plugin has not stored the session by set()');
  const [ , record ] = written;
  const maxAge = written[2] as number;
  const redis = (site.redis as Redis).duplicate({ enableAutoPipelining: true });
  await redis.flushdb();
  const store = new Store(redis) as Required<Store>;
  const result = await run({
    site, redis, maxAge,
    async add(name) {
      if (!options.principal) return await store.set(keyOf(name), record, maxAge);
      await store.set(keyOf(name), { ...record, userId: name, _principal: name }, maxAge);
      await store.index(name, keyOf(name), maxAge);
    },
    addTheirs: i => redis.set(randomUUID(), JSON.stringify({ ...data, _expire: Date.now() + i, _maxAge: DAY }), 'PX', DAY + 10_000),
  });
  redis.disconnect();
  await site.close();
  return result;
}

/** Adds sessions, and resolves to what each takes of Redis' memory, in bytes. */
export async function fill(redis: Redis, from: number, to: number, what: string, add: (i: number) => Promise<unknown>): Promise<number> {
  progress(`fill: ${what}`);
  const used = async () => Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))![1]);
  const before = await used();
  for (let i = from; i < to; i += BATCH) {
    await Promise.all(Array.from({ length: Math.min(BATCH, to - i) }, (_, j) => add(i + j)));
  }
  return (await used() - before) / (to - from);
}
