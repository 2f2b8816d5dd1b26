export default {
  teggConfig: { enable: true, package: '@eggjs/tegg-config' },
  tegg: { enable: true, package: '@eggjs/tegg-plugin' },
  teggController: { enable: true, package: '@eggjs/tegg-controller-plugin' },
  session: { enable: true, package: 'egg-tegg-session' },
  redis: { enable: process.env.STORE === 'redis', package: 'egg-redis' },
};
