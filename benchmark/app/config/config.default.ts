import Redis from 'ioredis';
import { settings } from '../settings';

export default () => ({
  keys: 'a key, an older key',
  proxy: true,
  security: { csrf: { enable: false } },
  logger: { dir: settings.dir },
  rundir: settings.dir,
  redis: { Redis, client: { host: '127.0.0.1', port: settings.redis, password: '', db: 0 } },
  session: {
    ...(settings.rolling ? { rolling: true } : {}),
    ...(settings.sessions === 'device-bound' ? { secure: true, principal: 'userId', deviceBound: true } : {}),
    ...(settings.sessions === 'injected' ? { load: 'injected' } : {}),
  },
});
