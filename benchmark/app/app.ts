import type { Application } from 'egg';
import type { PostgresSessionStore as SqlSessionStore } from 'egg-tegg-session';
import type { Redis } from 'ioredis';
import { AppSessionStore } from './modules/store/AppSessionStore';
import { settings } from './settings';
import { inRedis, MapStore } from './stores';

/** Gives egg-session its store. This plugin finds its own, in modules/store; the benchmark tells when that sweeps. */
export default (app: Application & { redis: Redis }) => {
  const { sessions, kept } = settings;
  process.on('message', async question => {
    if (question === 'sweep') process.send!(await (await app.getEggObject(AppSessionStore) as SqlSessionStore).removeExpired());
  });
  if (sessions === 'egg-session' && kept !== 'cookie') app.sessionStore = kept === 'memory' ? new MapStore() : inRedis(() => app.redis);
};
