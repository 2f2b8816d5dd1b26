import type { EggPlugin } from 'egg';
import { STORE } from './store';

const plugin: EggPlugin = {
  teggConfig: { enable: true, package: '@eggjs/tegg-config' },
  tegg: { enable: true, package: '@eggjs/tegg-plugin' },
  teggController: { enable: true, package: '@eggjs/tegg-controller-plugin' },
  session: { enable: true, package: 'egg-tegg-session' },
  nunjucks: { enable: true, package: 'egg-view-nunjucks' },
  redis: { enable: STORE === 'redis', package: 'egg-redis' },
};

export default plugin;
