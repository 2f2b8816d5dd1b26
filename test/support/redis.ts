import Redis, { type Cluster } from 'ioredis';
import { RedisSessionStore } from '../..';
import { startRedis, type TestServer } from './servers';

export class TestRedisStore extends RedisSessionStore {
  constructor(protected readonly redis: Redis | Cluster) {
    super();
  }
}

/** Starts a Redis server for the tests of the suite that calls this, and stops it after them. */
export function redisOfSuite(): { readonly client: Redis } {
  let server: TestServer;
  const suite = {} as { client: Redis };
  before(async () => {
    server = await startRedis();
    suite.client = new Redis(server.port, '127.0.0.1');
  });
  after(async () => {
    suite.client.disconnect();
    await server.stop();
  });
  return suite;
}

/** The record or the tombstone under a key; Redis has nothing to say about what is in it. */
export async function recordAt(redis: Pick<Redis, 'get'>, key: string): Promise<Record<string, any>> {
  return JSON.parse((await redis.get(key))!);
}
