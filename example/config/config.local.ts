import type { EggAppConfig, PowerPartial } from 'egg';

export default (): PowerPartial<EggAppConfig> => ({
  keys: process.env.SESSION_KEYS || 'for development only',
  cluster: { listen: { hostname: '127.0.0.1', port: 7001 } }, // everybody knows the users' passwords
});
