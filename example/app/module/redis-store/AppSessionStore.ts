import { Inject, SingletonProto } from '@eggjs/tegg';
import { RedisSessionStore } from 'egg-tegg-session';
import type { Redis } from 'ioredis';

@SingletonProto()
export class AppSessionStore extends RedisSessionStore {
  @Inject()
  protected readonly redis: Redis;
}
