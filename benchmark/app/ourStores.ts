import type { Redis } from 'ioredis';
import { Inject, SingletonProto } from '@eggjs/tegg';
import { MemorySessionStore, RedisSessionStore, SessionStore } from 'egg-tegg-session';
import { inRedis, MapStore } from './stores';

@SingletonProto()
export class InMemory extends MemorySessionStore {}

@SingletonProto()
export class InRedis extends RedisSessionStore {
  @Inject()
  protected readonly redis!: Redis;
}

/** A store with what must be there, and nothing else: the same as egg-session has. */
abstract class ThreeMethodStore extends SessionStore {
  protected abstract readonly inner: Pick<MapStore, 'get' | 'set' | 'destroy'>;

  async get(key: string) {
    return await this.inner.get(key);
  }

  async set(key: string, value: object, maxAge: number | 'session') {
    await this.inner.set(key, value, maxAge);
  }

  async destroy(key: string) {
    await this.inner.destroy(key);
  }
}

@SingletonProto()
export class ThreeMethodsInMemory extends ThreeMethodStore {
  protected readonly inner = new MapStore();
}

@SingletonProto()
export class ThreeMethodsInRedis extends ThreeMethodStore {
  @Inject()
  private readonly redis!: Redis;

  protected readonly inner = inRedis(() => this.redis);
}
