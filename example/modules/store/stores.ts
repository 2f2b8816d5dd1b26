import { Inject, SingletonProto } from '@eggjs/tegg';
import { MemorySessionStore, RedisSessionStore } from 'egg-tegg-session';
import type { Redis } from 'ioredis';

@SingletonProto()
class MemoryStore extends MemorySessionStore {}

@SingletonProto()
class RedisStore extends RedisSessionStore {
  @Inject()
  protected readonly redis!: Redis;
}

const { STORE } = process.env;

/** An application has one store, and simply exports its class; here STORE says which one, or sessions are in cookies. */
export const AppSessionStore = STORE === 'redis' ? RedisStore : STORE === 'memory' ? MemoryStore : undefined;
