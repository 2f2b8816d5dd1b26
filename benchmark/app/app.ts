import type { Application } from 'egg';
import type { Redis } from 'ioredis';
import { MemorySessionStore, RedisSessionStore } from 'egg-tegg-session';
import { settings } from './settings';

class OurRedisStore extends RedisSessionStore {
  constructor(protected readonly redis: Redis) {
    super();
  }
}

class OurMemoryStore extends MemorySessionStore {}

/** A store as egg-session's users write it. */
class MapStore {
  private readonly entries = new Map<string, { json: string; expires: number }>();

  async get(key: string) {
    const entry = this.entries.get(key);
    return entry && entry.expires > Date.now() ? JSON.parse(entry.json) : null;
  }

  async set(key: string, value: object, maxAge: number) {
    this.entries.set(key, { json: JSON.stringify(value), expires: Date.now() + maxAge });
  }

  async destroy(key: string) {
    this.entries.delete(key);
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
  const { plugin, kept } = settings;
  if (plugin === 'none' || kept === 'cookie') return;
  const ours = plugin === 'egg-tegg-session';
  const store = kept === 'memory' ? ours ? new OurMemoryStore() : new MapStore()
    : ours ? new OurRedisStore(app.redis) : readmeStore(app.redis);
  app.sessionStore = store as never;
};
