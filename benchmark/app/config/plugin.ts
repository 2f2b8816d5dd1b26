import { ours, settings } from '../settings';

// tegg is there for all, so that the session is the only difference
export default {
  teggConfig: { enable: true, package: '@eggjs/tegg-config' },
  tegg: { enable: true, package: '@eggjs/tegg-plugin' },
  teggController: { enable: true, package: '@eggjs/tegg-controller-plugin' },
  redis: { enable: settings.kept === 'Redis', package: 'egg-redis' },
  session: settings.sessions === 'none' ? false : { enable: true, package: ours ? 'egg-tegg-session' : 'egg-session' },
};
