// How long it takes to delete a million expired sessions among those in use, and what requests notice of it.
import { setTimeout as sleep } from 'node:timers/promises';
import { DATABASES, type DatabaseName, type Engine, ENGINES } from './engines';
import { setBatch } from './build';
import { send, signIn, steadily } from './load';
import { markdown, progress, quantile, table } from './report';
import { startServer } from './servers';
import type { Options } from './options';

const LIVE_PER_EXPIRED = 0.1;
const CHUNKS = 10;
/** Half of the requests write. */
const URLS = [ '/write', '/read' ];
const PER_SECOND = 100;
const BESIDE_MS = 20_000;
const BROWSERS = 500;
const WARM_UP_REQUESTS = 3000;
const BYTES = 200;

/** Inserts copies of a session that the plugin has written, numbered `i` from `from` to before `to`; `expiresAt` is SQL, in which `i` may be used. */
const FILL: Record<DatabaseName, (from: number, to: number, expiresAt: string) => string> = {
  PostgreSQL: (from, to, expiresAt) => `INSERT INTO sessions (session_key, data, meta, lifetime, created_at, expires_at, rev)
    SELECT md5(i::text), data, meta, lifetime, created_at, ${expiresAt}, i
    FROM (SELECT * FROM sessions WHERE data IS NOT NULL LIMIT 1) AS s, generate_series(${from}, ${to - 1}) AS i`,
  MariaDB: (from, to, expiresAt) => `INSERT INTO sessions (session_key, data, meta, lifetime, created_at, expires_at, rev)
    SELECT md5(i.seq), data, meta, lifetime, created_at, ${expiresAt.replace('i %', 'i.seq %')}, i.seq
    FROM (SELECT * FROM sessions WHERE data IS NOT NULL LIMIT 1) AS s, seq_${from}_to_${to - 1} AS i`,
};

export async function sweep({ expired, batch, database: only }: Options): Promise<void> {
  if (batch) setBatch(batch);
  const rows: string[][] = [];
  const pasted: string[][] = [];
  for (const database of DATABASES.filter(name => (only ?? name) === name)) {
    progress(`start ${database}`);
    const engine = await ENGINES[database]();
    const server = await startServer({ framework: 'Egg', sessions: 'always' }, database, { database: engine.url });
    const browsers = await signIn(server, BROWSERS, BYTES);
    await fill(database, engine, expired);
    for (const url of URLS) await send(server, url, browsers, WARM_UP_REQUESTS);

    progress(`${database}: ${PER_SECOND} requests per second`);
    const before = await steadily(server, URLS, browsers, PER_SECOND, sleep(BESIDE_MS));
    progress(`${database}: the same, and the sweep`);
    const start = performance.now();
    const swept = server.sweep();
    const during = await steadily(server, URLS, browsers, PER_SECOND, swept, `${database}: sweep`);
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    const removed = await swept;
    progress(`${database}: without it again`);
    const after = await steadily(server, URLS, browsers, PER_SECOND, sleep(BESIDE_MS));
    if (removed !== expired) throw new Error(`${removed} sessions were removed, of ${expired}`);
    for (const [ when, latencies ] of [[ 'before', before ], [ 'during', during ], [ 'after', after ]] as const) {
      rows.push([ database, when, when === 'during' ? `${seconds} s` : '', String(latencies.length),
        ...[ 0.5, 0.99, 0.999, 1 ].map(part => quantile(latencies, part).toFixed(1)), String(latencies.filter(ms => ms > 50).length) ]);
    }
    const beside = [ ...before, ...after ];
    pasted.push([ database, `${seconds} s`, ...[ 0.99, 1 ].flatMap(part => [ beside, during ].map(latencies => quantile(latencies, part).toFixed(1))) ]);
    await server.stop();
    await engine.stop();
  }
  table(`removeExpired() of ${expired} sessions, beside ${expired * LIVE_PER_EXPIRED} that live${batch ? `, ${batch} at once` : ''}; ${PER_SECOND} requests per second, half of which write`,
    [ '', '', 'takes', 'requests', 'p50 ms', 'p99 ms', 'p99.9 ms', 'slowest ms', 'over 50 ms' ], rows);
  markdown('For docs/performance.md', [ 'database', 'the sweep takes', 'p99 ms without it', 'during it', 'slowest ms without it', 'during it' ], pasted);
  markdown('For docs/performance.zh-CN.md', [ '数据库', '清理用时', '没有清理时的 p99 ms', '清理时', '没有清理时最慢 ms', '清理时' ], pasted);
}

async function fill(database: DatabaseName, { query }: Engine, expired: number): Promise<void> {
  const now = Date.now();
  const live = expired * LIVE_PER_EXPIRED;
  for (let i = 0; i < CHUNKS; i++) {
    progress(`${database}: fill, ${i + 1} of ${CHUNKS}`);
    const [ from, to ] = [ i, i + 1 ].map(part => 1 + part * expired / CHUNKS);
    await query(FILL[database](from, to, `${now - 1000} - i % 86400000`));
    const [ liveFrom, liveTo ] = [ i, i + 1 ].map(part => expired + 1 + part * live / CHUNKS);
    await query(FILL[database](liveFrom, liveTo, `${now + 86_400_000} + i % 86400000`));
  }
  await query(database === 'PostgreSQL' ? 'VACUUM ANALYZE sessions' : 'ANALYZE TABLE sessions');
}
