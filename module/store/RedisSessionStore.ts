import type { Application, Context } from 'egg';
import { hasLifetime, type Tombstone } from '../record/SessionRecord';
import { warnOfEviction } from './redisBoot';
import { commandsOf } from './nodeRedis';
import type { IoredisClient, RedisClient } from './RedisClient';
import {
  argsOf, COMPARE_AND_SET, CREATE, INDEX, MERGE, recordIn, RETIRE, type Script, textIn, textOf, TOUCH,
} from './redisLayout';
import { checkRedis } from './redisRights';
import type { Check } from './requireClient';
import {
  SessionStore, type SessionChanges, type SessionMaxAge, type SessionRecord, type SessionStoreOptions,
} from './SessionStore';
import { requireLifetime } from './written';

/** The number of keys that a SCAN looks at, so that Redis answers others in between. */
const SCAN_COUNT = 500;

/**
 * Keeps sessions in Redis (4.0 or later), each as a string of JSON, in which scripts change single fields. Every call is one command on one
 * key, so that it works on a Cluster. The index of a principal's sessions is a sorted set.
 *
 * ```ts
 * @SingletonProto()
 * export class AppSessionStore extends RedisSessionStore {
 *   @Inject() protected readonly redis: Redis;
 * }
 * ```
 */
export abstract class RedisSessionStore extends SessionStore {
  /** The client: of ioredis or iovalkey, as egg-redis and @eggjs/redis provide it, or of node-redis, whose `connect()` you have to call. */
  protected abstract readonly redis: RedisClient;

  private known?: { readonly redis: RedisClient; readonly commands: IoredisClient };

  /**
   * The prefix of each key. Override it to change it. If applications share a Redis, no prefix may begin with another one, as
   * `sessionRegistry.clear()` ends all sessions under its own prefix.
   * @default 'session:'
   */
  protected readonly prefix: string = 'session:';

  get(key: string, _maxAge: SessionMaxAge | undefined, { ctx }: SessionStoreOptions): Promise<SessionRecord | undefined> {
    return this.read(ctx, () => this.commands.get(this.prefix + key)); // each request pays for every promise
  }

  async set(key: string, record: SessionRecord, maxAge: SessionMaxAge, options?: SessionStoreOptions): Promise<void> {
    const ms = requireLifetime(this.ttl(maxAge));
    if (options?.absoluteMaxAge === undefined) {
      await this.commands.set(this.prefix + key, textOf(record, maxAge, ms), 'PX', ms);
    } else {
      await this.run(CREATE, key, this.textOf(record, maxAge, options), String(ms), String(Date.now()));
    }
  }

  async destroy(key: string): Promise<void> {
    await this.commands.del(this.prefix + key);
  }

  override async touch(key: string, options?: SessionStoreOptions): Promise<SessionMaxAge | false> {
    return lifetimeIn(await this.run(TOUCH, key, limitOf(options), '0').catch(noneIfWrongType));
  }

  override getAndTouch(key: string, options: SessionStoreOptions): Promise<SessionRecord | undefined> {
    return this.read(options.ctx, () => this.run(TOUCH, key, limitOf(options), '1'));
  }

  override async merge(key: string, changes: SessionChanges, options?: SessionStoreOptions): Promise<SessionMaxAge | false> {
    const { set } = changes;
    const lifetime = hasLifetime(set) ? this.lifetime(set) : undefined;
    return lifetimeIn(await this.run(MERGE, key, ...argsOf(changes, lifetime, limitOf(options))).catch(noneIfWrongType));
  }

  override async compareAndSet(key: string, { _rev, _createdAt }: SessionRecord, record: SessionRecord, maxAge: SessionMaxAge,
    options?: SessionStoreOptions): Promise<boolean> {
    const text = this.textOf(record, maxAge, options);
    const now = typeof _createdAt === 'number' ? '' : String(Date.now());
    return textIn(await this.run(COMPARE_AND_SET, key, String(_rev), text, limitOf(options), now).catch(noneIfWrongType)) !== null;
  }

  override async retire(key: string, successor: string | null, graceMs: number):
  Promise<SessionRecord | Tombstone | undefined> {
    const text = await this.run(RETIRE, key, JSON.stringify({ _successor: successor } satisfies Tombstone), String(this.ttl(graceMs)));
    try {
      return recordIn(textIn(text));
    } catch {
      return undefined; // it was not readable, and is gone
    }
  }

  override async index(principal: string, key: string, ms: number, { ctx }: Partial<SessionStoreOptions> = {}): Promise<void> {
    await this.run(INDEX, INDEX_PREFIX + principal, key, ms === 0 ? '' : String(Math.ceil(ms)))
      .catch(err => this.nameIndex(err, principal, ctx));
  }

  override async* list(principal?: string, { ctx }: Partial<SessionStoreOptions> = {}): AsyncGenerator<string[]> {
    const { commands: redis, prefix } = this;
    if (principal !== undefined) {
      yield* cursors(async cursor => {
        const [ next, found ] = await redis.zscan(prefix + INDEX_PREFIX + principal, cursor, 'COUNT', SCAN_COUNT)
          .catch(err => this.nameIndex(err, principal, ctx));
        return [ next, found.filter((_, i) => i % 2 === 0).map(String) ];
      });
      return;
    }
    const start = (redis.options?.keyPrefix ?? '') + prefix; // SCAN knows nothing of ioredis' own prefix
    for (const node of await this.masters()) {
      yield* cursors(async cursor => {
        const [ next, found ] = await node.scan(cursor, 'MATCH', `${start.replace(/[*?[\]\\]/g, '\\$&')}*`, 'COUNT', SCAN_COUNT);
        return [ next, found.map(key => String(key).slice(start.length)).filter(key => !key.startsWith(INDEX_PREFIX)) ];
      });
    }
  }

  /** @throws Error when a Cluster can't be reached: it knows no master until then, and there would seem to be no sessions */
  private async masters(): Promise<Array<Pick<IoredisClient, 'scan'>>> {
    const { commands: redis } = this;
    if (!redis.nodes) return [ redis ];
    if (redis.nodes('master').length === 0) await redis.get(this.prefix); // it connects with the first command
    return redis.nodes('master');
  }

  /** Warns at boot of what the server would do to sessions. @internal */
  async reviewServer(logger: Application['coreLogger']): Promise<void> {
    const { commands: redis } = this;
    const masters = redis.nodes?.('master') ?? [];
    await warnOfEviction(masters.length > 0 ? masters : [ redis ], logger);
  }

  /** @internal */
  override async checkAtBoot(check: Check): Promise<string | undefined> {
    return await checkRedis(check, () => this.redis, this.prefix);
  }

  /** The client's commands; it may be another one at any time, as `redis` may be a getter. */
  private get commands(): IoredisClient {
    const { redis } = this;
    if (this.known?.redis !== redis) this.known = { redis, commands: commandsOf(redis) };
    return this.known.commands;
  }

  private async read(ctx: Context, ask: () => Promise<unknown>): Promise<SessionRecord | undefined> {
    try {
      return recordIn(textIn(await ask()));
    } catch (err) {
      if (!(err instanceof SyntaxError)) noneIfWrongType(err);
      ctx.coreLogger.error('[session][malformed] what is stored for a session is not readable: %s', (err as Error).name);
      return undefined;
    }
  }

  /** Says which key it is, when something else has the name of a principal's index. */
  private nameIndex(err: Error, principal: string, ctx?: Context): never {
    if (!isWrongType(err)) throw err;
    const { logValue } = (ctx?.app as Application | undefined)?.config.session ?? {};
    const key = `${this.commands.options?.keyPrefix ?? ''}${this.prefix}${INDEX_PREFIX}${logValue === false ? '…' : principal}`;
    throw new Error(`${JSON.stringify(key)} is not a sorted set, as the index of a principal's sessions must be: remove that key, or ` +
      `rename it in the code that writes it (${err.message})`, { cause: err });
  }

  /** With the record's own lifetime under `absoluteMaxAge`: `maxAge` then is what that leaves of it. */
  private textOf(record: SessionRecord, maxAge: SessionMaxAge, options?: SessionStoreOptions): string {
    const lifetime = options?.absoluteMaxAge !== undefined && hasLifetime(record) ? this.lifetime(record) : maxAge;
    return textOf(record, lifetime, requireLifetime(this.ttl(lifetime)));
  }

  /** Runs a script by its hash, and sends it only to a server that has not seen it. */
  private run({ lua, sha }: Script, key: string, ...args: string[]): Promise<unknown> {
    const { commands: redis, prefix } = this;
    return redis.evalsha(sha, 1, prefix + key, ...args).catch((err: Error) => {
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
    cursor = String(next);
  } while (cursor !== '0');
}

/** `absoluteMaxAge` as the scripts take it. */
const limitOf = (options?: SessionStoreOptions) =>
  (options?.absoluteMaxAge === undefined ? '' : String(Math.ceil(options.absoluteMaxAge)));

/** What TOUCH and MERGE return. */
function lifetimeIn(reply: unknown): SessionMaxAge | false {
  const text = textIn(reply);
  if (text === null) return false;
  return text === 'session' ? text : Number(text);
}

/** Something else under a session's key, as a hash of another layout, is no record. */
function noneIfWrongType(err: unknown): null {
  if (isWrongType(err)) return null;
  throw err;
}

const isWrongType = (err: unknown) => /\bWRONGTYPE\b/.test((err as Error).message);
