import Redis, { type RedisOptions } from 'ioredis';
import { createClient } from 'redis';
import { type RedisClient, RedisSessionStore } from '../..';
import { startRedis, type TestServer } from './servers';

export class TestRedisStore extends RedisSessionStore {
  constructor(protected readonly redis: RedisClient) {
    super();
  }
}

/** Gives Buffers in place of strings, as clients for binary data do. */
export class BufferRedis extends Redis {
  constructor(port: number, options: RedisOptions) {
    super(port, options);
    for (const name of [ 'get', 'evalsha', 'eval', 'zscan', 'scan' ] as const) {
      Object.defineProperty(this, name, { value: (...args: never[]) => this.callBuffer(name, ...args) });
    }
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

/** A client of node-redis with the documented settings. */
export async function connectNodeRedis(port: number) {
  const client = createClient({
    socket: { host: '127.0.0.1', port, connectTimeout: 5000, socketTimeout: 1500, reconnectStrategy: times => Math.min(times * 50, 1000) },
    commandOptions: { timeout: 1500 },
    pingInterval: 1000,
  });
  client.on('error', () => undefined);
  return await client.connect();
}

/** The record or the tombstone under a key; Redis has nothing to say about what is in it. */
export async function recordAt(redis: Pick<Redis, 'get'>, key: string): Promise<Record<string, any>> {
  return JSON.parse((await redis.get(key))!);
}
