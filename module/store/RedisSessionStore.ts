import { createHash, randomInt } from 'node:crypto';
import { LONGEST, ONE_DAY, type Tombstone } from '../record';
import {
  SessionStore, type SessionChanges, type SessionMaxAge, type SessionRecord, type SessionStoreOptions,
} from './SessionStore';

/** What is used of an ioredis client: a single one, one behind Sentinel, or a Cluster. */
export interface RedisClient {
  hgetall(key: string): Promise<Record<string, string>>;
  del(key: string): Promise<number>;
  evalsha(sha: string, keys: number, ...args: string[]): Promise<unknown>;
  eval(script: string, keys: number, ...args: string[]): Promise<unknown>;
  zscan(key: string, cursor: string, COUNT: 'COUNT', count: number): Promise<[cursor: string, membersAndScores: string[]]>;
  scan(cursor: string, MATCH: 'MATCH', pattern: string, COUNT: 'COUNT', count: number): Promise<[cursor: string, keys: string[]]>;
  /** Only a Cluster has these. */
  nodes?(role: 'master'): Array<Pick<RedisClient, 'scan'>>;
  readonly options?: { keyPrefix?: string };
}

/** How many keys a SCAN looks at, so that Redis answers others in between. */
const SCAN_COUNT = 500;

/**
 * Keeps sessions in Redis (4.0 or later), each in a hash: one field of JSON for each field of the session. Every call is
 * one command on one key, so that it works on a Cluster. The sessions of a principal are a sorted set beside them.
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

  /**
   * Goes before each key. Override it to change it: of applications that share a Redis, none may have a prefix that begins with
   * another's, as `sessionRegistry.clear()` ends all sessions under its own.
   * @default 'session:'
   */
  protected readonly prefix: string = 'session:';

  async get(key: string, _maxAge: SessionMaxAge | undefined, { ctx }: SessionStoreOptions): Promise<SessionRecord | undefined> {
    try {
      return parse(Object.entries(await this.redis.hgetall(this.prefix + key)));
    } catch (err) {
      if (!(err instanceof SyntaxError) && !/^WRONGTYPE/.test((err as Error).message)) throw err;
      ctx.coreLogger.error('[session][malformed] what is stored for a session is not readable: %s', (err as Error).name);
      return undefined;
    }
  }

  async set(key: string, record: SessionRecord, maxAge: SessionMaxAge): Promise<void> {
    await this.write(key, '', { set: record, unset: [], replace: true }, maxAge);
  }

  async destroy(key: string): Promise<void> {
    await this.redis.del(this.prefix + key);
  }

  override async touch(key: string): Promise<SessionMaxAge | false> {
    return lifetimeIn(await this.run(WRITE, key, 'any', '', String(Date.now()), '0', '1', '0'));
  }

  override async merge(key: string, changes: SessionChanges): Promise<SessionMaxAge | false> {
    return await this.write(key, 'any', changes);
  }

  override async compareAndSet(key: string, { _rev }: SessionRecord, record: SessionRecord, maxAge: SessionMaxAge):
  Promise<boolean> {
    return await this.write(key, String(_rev), { set: record, unset: [], replace: true }, maxAge) !== false;
  }

  override async retire(key: string, successor: string | null, graceMs: number):
  Promise<SessionRecord | Tombstone | undefined> {
    const fields = await this.run(RETIRE, key, JSON.stringify(successor), String(this.ttl(graceMs))) as string[];
    try {
      return parse(Array.from({ length: fields.length / 2 }, (_, i) => [ fields[2 * i], fields[2 * i + 1] ]));
    } catch {
      return undefined; // it was not readable, and is gone
    }
  }

  override async index(principal: string, key: string, ms: number): Promise<void> {
    const now = Date.now();
    await this.run(INDEX, INDEX_PREFIX + principal, key, String(now), ms === 0 ? '' : String(Math.ceil(now + ms)));
  }

  override async* list(principal?: string): AsyncGenerator<string[]> {
    const { redis, prefix } = this;
    if (principal !== undefined) {
      yield* cursors(async cursor => {
        const [ next, found ] = await redis.zscan(prefix + INDEX_PREFIX + principal, cursor, 'COUNT', SCAN_COUNT);
        return [ next, found.filter((_, i) => i % 2 === 0) ];
      });
      return;
    }
    const start = (redis.options?.keyPrefix ?? '') + prefix; // SCAN knows nothing of ioredis' own prefix
    for (const node of redis.nodes?.('master') ?? [ redis ]) {
      yield* cursors(async cursor => {
        const [ next, found ] = await node.scan(cursor, 'MATCH', `${start.replace(/[*?[\]\\]/g, '\\$&')}*`, 'COUNT', SCAN_COUNT);
        return [ next, found.map(key => key.slice(start.length)).filter(key => !key.startsWith(INDEX_PREFIX)) ];
      });
    }
  }

  /**
   * Writes under a condition: the `_rev` that the record must have, 'any' when there must be one, or '' for none. Without
   * `maxAge`, the record's own lifetime counts. Resolves to the lifetime, or to false when the condition does not hold.
   */
  private async write(key: string, condition: string, { set, unset, replace, renew = true }: SessionChanges, maxAge?: SessionMaxAge):
  Promise<SessionMaxAge | false> {
    const pairs = Object.entries({ ...set, _rev: randomInt(2 ** 47) }).filter(([ , value ]) => value !== undefined)
      .flatMap(([ name, value ]) => [ name, JSON.stringify(value) ]);
    const lifetime = maxAge === undefined ? '' : maxAge === 'session' ? maxAge : String(this.ttl(maxAge));
    return lifetimeIn(await this.run(WRITE, key, condition, lifetime, String(Date.now()), replace ? '1' : '0',
      renew ? '1' : '0', String(unset.length), ...unset, ...pairs));
  }

  /** Runs a script by its hash, and sends it only to a server that has not seen it. */
  private async run({ lua, sha }: Script, key: string, ...args: string[]): Promise<unknown> {
    const { redis, prefix } = this;
    return await redis.evalsha(sha, 1, prefix + key, ...args).catch((err: Error) => {
      if (!err.message.startsWith('NOSCRIPT')) throw err;
      return redis.eval(lua, 1, prefix + key, ...args);
    });
  }
}

/** What comes between the prefix and the name of a principal, in the key of the principal's sessions. */
const INDEX_PREFIX = 'principal:';

/** All that a command finds which goes on from a cursor. */
async function* cursors(find: (cursor: string) => Promise<[next: string, found: string[]]>): AsyncGenerator<string[]> {
  let cursor = '0';
  do {
    const [ next, found ] = await find(cursor);
    if (found.length > 0) yield found;
    cursor = next;
  } while (cursor !== '0');
}

/** The record in a hash; undefined when there is none. */
function parse(fields: string[][]): SessionRecord | undefined {
  if (fields.length === 0) return undefined;
  return Object.fromEntries(fields.map(([ name, json ]) => [ name, JSON.parse(json) ]));
}

/** What WRITE returns. */
function lifetimeIn(result: unknown): SessionMaxAge | false {
  if (result === null) return false;
  return result === 'session' ? result : Number(result);
}

interface Script {
  lua: string;
  sha: string;
}

const script = (lua: string): Script => ({ lua, sha: createHash('sha1').update(lua).digest('hex') });

/**
 * ARGV: the condition, the lifetime in ms, or 'session', or '' for the record's own, the time in ms, 1 to remove all
 * other fields, 1 to let the record live on, the number of fields to remove, their names, and the names and values of fields
 * to write. On the condition 'any', fields about the record are not removed with all others.
 *
 * A tombstone has no `_rev`, so that it is no record to any condition. `_expire` is for `renew`, which has to tell how
 * much of the lifetime is left. Nothing is written before it is sure that the key can be given its time to live. SET
 * fails when the server is out of memory; after a DEL, nothing would, and the memory would go on growing.
 */
const WRITE = script(`
  local key, condition, lifetime = KEYS[1], ARGV[1], ARGV[2]
  if condition ~= '' then
    local rev = redis.call('HGET', key, '_rev')
    if not rev or (condition ~= 'any' and condition ~= rev) then return false end
  end
  local fields = 7 + ARGV[6]
  if lifetime == '' then
    local own = redis.call('HMGET', key, '_session', '_maxAge')
    local session, maxAge = own[1], own[2]
    for i = 7, fields - 1 do
      if ARGV[i] == '_session' then session = false elseif ARGV[i] == '_maxAge' then maxAge = false end
    end
    for i = fields, #ARGV, 2 do
      if ARGV[i] == '_session' then session, maxAge = ARGV[i + 1], false
      elseif ARGV[i] == '_maxAge' then session, maxAge = false, ARGV[i + 1] end
    end
    maxAge = tonumber(maxAge) or 0
    if session == 'true' then lifetime = 'session'
    else lifetime = string.format('%.0f', maxAge > 0 and math.min(math.ceil(maxAge), ${LONGEST}) or ${ONE_DAY}) end
  end
  local ttl = lifetime == 'session' and ${ONE_DAY} or tonumber(lifetime) or 0
  if ttl <= 0 or ttl > ${LONGEST} then return redis.error_reply('ERR no lifetime for a session: ' .. lifetime) end

  if ARGV[4] == '1' then
    local about = {}
    if condition == 'any' then
      local record = redis.call('HGETALL', key)
      for i = 1, #record, 2 do
        if string.sub(record[i], 1, 1) == '_' then
          about[#about + 1] = record[i]
          about[#about + 1] = record[i + 1]
        end
      end
    end
    redis.call('SET', key, '')
    redis.call('DEL', key)
    if #about > 0 then redis.call('HSET', key, unpack(about)) end
  end
  for i = fields, #ARGV, 1000 do redis.call('HSET', key, unpack(ARGV, i, math.min(i + 999, #ARGV))) end
  for i = 7, fields - 1, 1000 do redis.call('HDEL', key, unpack(ARGV, i, math.min(i + 999, fields - 1))) end
  if ARGV[5] == '0' then return lifetime end
  if lifetime == 'session' then
    redis.call('HSET', key, '_session', 'true', '_expire', 'null')
    redis.call('HDEL', key, '_maxAge')
  else
    redis.call('HSET', key, '_maxAge', lifetime, '_expire', string.format('%.0f', ARGV[3] + ttl))
    redis.call('HDEL', key, '_session')
  end
  redis.call('PEXPIRE', key, string.format('%.0f', ttl))
  return lifetime
`);

/** ARGV: the successor as JSON, how long the tombstone stays in ms */
const RETIRE = script(`
  local record = redis.pcall('HGETALL', KEYS[1])
  if record.err then -- it is no hash, and no session
    redis.call('DEL', KEYS[1])
    return {}
  end
  if #record == 0 or redis.call('HEXISTS', KEYS[1], '_successor') == 1 then return record end
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], '_successor', ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return record
`);

/** ARGV: the key of a session, the time in ms, until when the session is the principal's, or '' to remove it */
const INDEX = script(`
  local key, session, now, till = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
  if till == '' then redis.call('ZREM', key, session)
  elseif tonumber(till) > tonumber(redis.call('ZSCORE', key, session) or 0) then redis.call('ZADD', key, till, session) end
  local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')
  if last[2] then redis.call('PEXPIRE', key, string.format('%.0f', last[2] - now)) end
`);
