// The benchmark: npm run benchmark [-- [part …] [--kept cookie|memory|Redis] [--rounds n] [--requests n] [--sessions n]]
import { parseArgs } from 'node:util';
import { startRedis } from '../test/support/servers';
import { boot } from './boot';
import { compile, installPeers } from './build';
import { KEPT, type Kept } from './cases';
import { device } from './device';
import type { Options } from './options';
import { progress } from './report';
import { redis } from './redis';
import { registry } from './registry';
import { requests } from './requests';
import { scale } from './scale';
import { seal } from './seal';

const PARTS: Record<string, (options: Options, redis: number) => Promise<void> | void> = { requests, redis, device, boot, seal, registry, scale };

async function main() {
  const number = (byDefault: number) => ({ type: 'string', default: String(byDefault) }) as const;
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { kept: { type: 'string' }, rounds: number(15), requests: number(800), sessions: number(64), scale: number(1_000_000) },
  });
  const { kept, ...numbers } = values;
  const options = { kept, ...Object.fromEntries(Object.entries(numbers).map(([ name, value ]) => [ name, Number(value) ])) } as unknown as Options;
  const wrong = [ ...positionals.filter(part => !(part in PARTS)), ...(kept && !KEPT.includes(kept as Kept) ? [ kept ] : []) ];
  if (wrong.length > 0) throw new RangeError(`${wrong} is unknown; parts: ${Object.keys(PARTS).join(', ')}; kept: ${KEPT.join(', ')}`);

  compile();
  installPeers();
  const server = await startRedis();
  for (const part of positionals.length > 0 ? positionals : Object.keys(PARTS)) {
    progress(part);
    await PARTS[part](options, server.port);
  }
  await server.stop();
}

main().then(() => process.exit(), err => { console.error(err instanceof RangeError ? err.message : err); process.exit(1); });
