import type { Redis } from 'ioredis';

/** A store in memory as egg-session's users write it. */
export class MapStore {
  private readonly entries = new Map<string, { json: string; expires: number }>();

  async get(key: string) {
    const entry = this.entries.get(key);
    return entry && entry.expires > Date.now() ? JSON.parse(entry.json) : null;
  }

  async set(key: string, value: object, maxAge: number | 'session') {
    this.entries.set(key, { json: JSON.stringify(value), expires: Date.now() + Number(maxAge) });
  }

  async destroy(key: string) {
    this.entries.delete(key);
  }
}

/** The store in the README of egg-session. */
export const inRedis = (redis: () => Redis) => ({
  async get(key: string) {
    const res = await redis().get(key);
    if (!res) return null;
    return JSON.parse(res);
  },
  async set(key: string, value: object, maxAge: number | 'session') {
    await redis().set(key, JSON.stringify(value), 'PX', Number(maxAge));
  },
  async destroy(key: string) {
    await redis().del(key);
  },
});
