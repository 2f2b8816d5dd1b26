import { randomBytes } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { tmp } from './tmp';

process.env.EGG_TYPESCRIPT = 'true';
process.env.MODULE_DUMP_PATH = tmp;

const { STORE = '' } = process.env;
if (![ '', 'memory', 'redis' ].includes(STORE)) fail(new Error(`STORE is ${STORE}; it must be memory or redis, or left out`));

if (!process.env.SESSION_KEYS) {
  process.env.SESSION_KEYS = randomBytes(32).toString('hex');
  console.log('SESSION_KEYS is not set: using a random key, so sessions end when this process does.');
}

async function start() {
  const egg = await import('egg');
  const app = await egg.start({ baseDir: __dirname, ignoreWarning: true });
  const server = app.listen(Number(process.env.PORT || 7001), '127.0.0.1', () => {
    console.log(`The example runs on http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  });
  server.on('error', fail);
}

function fail(err: Error) {
  console.error(err);
  process.exit(1);
}

start().catch(fail);
