import type { Application } from 'egg';
import type { Redis } from 'ioredis';
import { RedisSessionStore } from 'egg-tegg-session';
import { settings } from './settings';

class TeggSessionStore extends RedisSessionStore {
  constructor(protected readonly redis: Redis) {
    super();
  }
}

/** The store in the README of egg-session. */
const readmeStore = (redis: Redis) => ({
  async get(key: string) {
    const res = await redis.get(key);
    if (!res) return null;
    return JSON.parse(res);
  },
  async set(key: string, value: object, maxAge: number) {
    if (!maxAge) maxAge = 24 * 60 * 60 * 1000;
    await redis.set(key, JSON.stringify(value), 'PX', maxAge);
  },
  async destroy(key: string) {
    await redis.del(key);
  },
});

export default (app: Application & { redis: Redis }) => {
  if (settings.redis === undefined) return;
  app.sessionStore = (settings.plugin === 'egg-session' ? readmeStore(app.redis) : new TeggSessionStore(app.redis)) as never;
};
