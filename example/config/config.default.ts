import path from 'node:path';
import { tmp } from '../tmp';

export default {
  // Sign and encrypt the cookies. Every worker runs this file and all need the same keys, so a random one can't be made
  // here: start.ts makes it, once, when the environment has none.
  keys: process.env.SESSION_KEYS,

  session: {
    maxAge: 30 * 60 * 1000,
  },

  // with STORE=redis
  redis: {
    client: {
      host: process.env.REDIS_HOST || '127.0.0.1',
      port: Number(process.env.REDIS_PORT || 6379),
      password: process.env.REDIS_PASSWORD || '',
      db: 0,
    },
  },

  rundir: path.join(tmp, 'run'),
  logger: { dir: path.join(tmp, 'logs'), consoleLevel: 'WARN' },
};
