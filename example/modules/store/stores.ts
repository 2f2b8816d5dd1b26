import { Inject, SingletonProto } from '@eggjs/tegg';
import { MemorySessionStore, RedisSessionStore } from 'egg-tegg-session';
import type { Redis } from 'ioredis';

/** An application has one store, and simply decorates its class; here STORE says which one, or sessions are in cookies. */
const IfChosen = (name: string) => (process.env.STORE === name ? SingletonProto() : () => undefined);

@IfChosen('memory')
export class MemoryStore extends MemorySessionStore {}

@IfChosen('redis')
export class RedisStore extends RedisSessionStore {
  @Inject()
  protected readonly redis!: Redis;
}
