import { settings } from '../settings';

// tegg is there for all, so that the session is the only difference
export default {
  teggConfig: { enable: true, package: '@eggjs/tegg-config' },
  tegg: { enable: true, package: '@eggjs/tegg-plugin' },
  redis: { enable: settings.redis !== undefined, package: 'egg-redis' },
  session: settings.plugin === 'none' ? false : { enable: true, package: settings.plugin },
};
