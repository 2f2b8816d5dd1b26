import { createHash, randomInt } from 'node:crypto';
import {
  SessionStore, type SessionChanges, type SessionMaxAge, type SessionRecord, type SessionStoreOptions,
} from '../SessionStore';

/** What is used of an ioredis client: a single one, one behind Sentinel, or a Cluster. */
export interface RedisClient {
  hgetall(key: string): Promise<Record<string, string>>;
  del(key: string): Promise<number>;
  evalsha(sha: string, keys: number, ...args: string[]): Promise<unknown>;
  eval(script: string, keys: number, ...args: string[]): Promise<unknown>;
}

/**
 * Keeps sessions in Redis (4.0 or later), each in a hash: one field of JSON for each field of the session. Every call is
 * one command on one key, so that it works on a Cluster.
 *
 * ```ts
 * @SingletonProto()
 * export class AppSessionStore extends RedisSessionStore {
 *   @Inject() protected readonly redis: Redis;
 * }
 * ```
 */
export abstract class RedisSessionStore extends SessionStore {
  /** The client, as egg-redis and @eggjs/redis provide it. */
  protected abstract readonly redis: RedisClient;

  /** Goes before each key. Override it to change it. */
  protected readonly prefix: string = 'session:';

  async get(key: string, _maxAge: SessionMaxAge | undefined, { ctx }: SessionStoreOptions): Promise<SessionRecord | null> {
    try {
      const fields = Object.entries(await this.redis.hgetall(this.prefix + key));
      if (fields.length === 0) return null;
      return Object.fromEntries(fields.map(([ name, json ]) => [ name, JSON.parse(json) ]));
    } catch (err) {
      if (!(err instanceof SyntaxError) && !/^WRONGTYPE/.test((err as Error).message)) throw err;
      ctx.coreLogger.error('[session][malformed] what is stored for a session is not readable: %s', (err as Error).name);
      return null;
    }
  }

  async set(key: string, record: SessionRecord, maxAge: SessionMaxAge): Promise<void> {
    await this.write(key, '', { set: record, unset: [], replace: true }, maxAge);
  }

  async destroy(key: string): Promise<void> {
    await this.redis.del(this.prefix + key);
  }

  override async touch(key: string, maxAge: SessionMaxAge): Promise<boolean> {
    return await this.run(TOUCH, key, String(this.ttl(maxAge)), JSON.stringify(expireOf(maxAge)));
  }

  override async merge(key: string, changes: SessionChanges, maxAge: SessionMaxAge): Promise<boolean> {
    return await this.write(key, 'any', changes, maxAge);
  }

  override async compareAndSet(key: string, expected: SessionRecord, record: SessionRecord, maxAge: SessionMaxAge):
  Promise<boolean> {
    return await this.write(key, String(expected._rev), { set: record, unset: [], replace: true }, maxAge);
  }

  private async write(key: string, condition: string, { set, unset, replace }: SessionChanges, maxAge: SessionMaxAge) {
    // _rev tells compareAndSet whether anything was written since
    const fields = { ...set, _expire: expireOf(maxAge), _rev: randomInt(2 ** 47) };
    const pairs = Object.entries(fields).filter(([ , value ]) => value !== undefined)
      .flatMap(([ name, value ]) => [ name, JSON.stringify(value) ]);
    return await this.run(WRITE, key, String(this.ttl(maxAge)), condition, replace ? '1' : '0', String(unset.length),
      ...unset, ...pairs);
  }

  /** Runs a script by its hash, and sends it only to a server that has not seen it. */
  private async run({ lua, sha }: Script, key: string, ...args: string[]): Promise<boolean> {
    const { redis, prefix } = this;
    const result = await redis.evalsha(sha, 1, prefix + key, ...args).catch((err: Error) => {
      if (!err.message.startsWith('NOSCRIPT')) throw err;
      return redis.eval(lua, 1, prefix + key, ...args);
    });
    return result === 1;
  }
}

/** Kept with the record, so that `renew` can tell how much of the lifetime is left; `null` for a browser's session. */
const expireOf = (maxAge: SessionMaxAge) => (maxAge === 'session' ? null : Date.now() + maxAge);

interface Script {
  lua: string;
  sha: string;
}

const script = (lua: string): Script => ({ lua, sha: createHash('sha1').update(lua).digest('hex') });

/** ARGV: lifetime in ms, `_expire` as JSON */
const TOUCH = script(`
  if redis.call('PEXPIRE', KEYS[1], ARGV[1]) == 0 then return 0 end
  redis.call('HSET', KEYS[1], '_expire', ARGV[2])
  return 1
`);

/**
 * ARGV: lifetime in ms, the `_rev` that the record must have, or 'any', or '' to write even where there is none, 1 to
 * remove all other fields, the number of fields to remove, their names, and the names and values of fields to write.
 */
const WRITE = script(`
  if ARGV[2] ~= '' then
    local rev = redis.call('HGET', KEYS[1], '_rev')
    if not rev or (ARGV[2] ~= 'any' and ARGV[2] ~= rev) then return 0 end
  end
  if ARGV[3] == '1' then redis.call('DEL', KEYS[1]) end
  local pairs = 5 + ARGV[4]
  for i = 5, pairs - 1 do redis.call('HDEL', KEYS[1], ARGV[i]) end
  for i = pairs, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
  return 1
`);
