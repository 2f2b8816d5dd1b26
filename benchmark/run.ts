// The benchmark: npm run benchmark [-- [part …] [--all] [--kept cookie|memory|Redis] [--rounds n] [--requests n] [--sessions n]
// [--rate n] [--scale n] [--database PostgreSQL|MariaDB] [--expired n] [--batch n]]
import { parseArgs } from 'node:util';
import { startRedis } from '../test/support/servers';
import { boot } from './boot';
import { compile, installPeers } from './build';
import { KEPT, type Kept } from './cases';
import { databases } from './databases';
import { device } from './device';
import { DATABASES, type DatabaseName } from './engines';
import { floods } from './floods';
import type { Options } from './options';
import { progress } from './report';
import { redis } from './redis';
import { registry } from './registry';
import { requests } from './requests';
import { scale } from './scale';
import { seal } from './seal';
import { sizing } from './sizing';
import { sweep } from './sweep';
import { workers } from './workers';

const PARTS: Record<string, (options: Options, redis: number, redisPid: number) => Promise<void> | void> = {
  requests, redis, floods, device, boot, seal, registry, scale, workers, sizing, databases, sweep,
};

async function main() {
  const number = (byDefault: number) => ({ type: 'string', default: String(byDefault) }) as const;
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      all: { type: 'boolean', default: false }, kept: { type: 'string' }, database: { type: 'string' }, rounds: number(0), requests: number(500), sessions: number(64),
      scale: number(1_000_000), rate: number(200), expired: number(1_000_000), batch: number(0),
    },
  });
  const { all, kept, database, ...numbers } = values;
  const options = { all, kept, database, ...Object.fromEntries(Object.entries(numbers).map(([ name, value ]) => [ name, Number(value) ])) } as unknown as Options;
  const wrong = [
    ...positionals.filter(part => !(part in PARTS)), ...(kept && !KEPT.includes(kept as Kept) ? [ kept ] : []),
    ...(database && !DATABASES.includes(database as DatabaseName) ? [ database ] : []),
  ];
  if (wrong.length > 0) {
    throw new RangeError(`${wrong} is unknown; parts: ${Object.keys(PARTS).join(', ')}; kept: ${KEPT.join(', ')}; database: ${DATABASES.join(', ')}`);
  }

  options.rounds ||= all ? 15 : 8;
  const parts = positionals.length > 0 ? positionals : all ? Object.keys(PARTS) : [ 'requests' ];
  compile();
  if (all || parts.some(part => [ 'redis', 'databases' ].includes(part))) installPeers();
  const server = await startRedis();
  for (const [ i, part ] of parts.entries()) {
    progress(`${part}, part ${i + 1} of ${parts.length}`);
    await PARTS[part](options, server.port, server.pid);
  }
  await server.stop();
}

main().then(() => process.exit(), err => { console.error(err instanceof RangeError ? err.message : err); process.exit(1); });
