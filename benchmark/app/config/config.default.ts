import { settings } from '../settings';

export default () => ({
  keys: 'a key, an older key',
  security: { csrf: { enable: false } },
  logger: { dir: settings.dir },
  rundir: settings.dir,
  redis: { client: { host: '127.0.0.1', port: settings.redis, password: '', db: 0 } },
});
