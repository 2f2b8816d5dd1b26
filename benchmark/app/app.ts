import type { Application } from 'egg';
import type { Redis } from 'ioredis';
import { settings } from './settings';
import { inRedis, MapStore } from './stores';

/** Gives egg-session its store. This plugin finds its own, in modules/store. */
export default (app: Application & { redis: Redis }) => {
  const { sessions, kept } = settings;
  if (sessions === 'egg-session' && kept !== 'cookie') app.sessionStore = kept === 'memory' ? new MapStore() : inRedis(() => app.redis);
};
