import { createHash } from 'node:crypto';
import { type Check, requireClient, wrongClient } from './requireClient';
import { SessionStore, type SessionMaxAge, type SessionRecord, type SessionStoreOptions } from './SessionStore';

/** What is used of a Keyv: give it `new Keyv(…)`. */
export interface KeyvClient {
  /** Keyv 5 has it, and it is set to true: an error must not pass for a session that is not there. */
  throwOnErrors?: boolean;
  /** Reads a value; undefined when there is none. */
  get(key: string): Promise<unknown>;
  /** Writes a value for `ttl` ms; false when it could not be written. */
  set(key: string, value: string, ttl: number): Promise<boolean>;
  /** Removes a value. */
  delete(key: string): Promise<boolean>;
  /** Closes the connections. */
  disconnect(): Promise<void>;
}

/**
 * Keeps sessions wherever Keyv (5 or later) has an adapter for: memcached, PostgreSQL, MySQL, SQLite, MongoDB and others.
 *
 * ```ts
 * @SingletonProto()
 * export class AppSessionStore extends KeyvSessionStore {
 *   protected readonly keyv = new Keyv(new KeyvPostgres('postgres://localhost/app'));
 * }
 * ```
 *
 * Keyv has nothing that is atomic: see the optional methods of {@link SessionStore} for what that means. It knows no principals'
 * sessions either: there is no {@link SessionRegistry}.
 */
export abstract class KeyvSessionStore extends SessionStore {
  /** The Keyv instance; it is disconnected when the application closes. */
  protected abstract readonly keyv: KeyvClient;

  private keepsLong = false;

  async get(key: string, _maxAge: SessionMaxAge | undefined, { ctx }: SessionStoreOptions): Promise<SessionRecord | undefined> {
    try {
      const json = await ask(this.keyv, keyv => keyv.get(keyOf(key)));
      return json === undefined || json === null ? undefined : JSON.parse(json as string);
    } catch (err) {
      if (!(err instanceof SyntaxError)) throw err;
      ctx.coreLogger.error('[session][malformed] what is stored for a session is not readable');
      return undefined;
    }
  }

  async set(key: string, record: SessionRecord, maxAge: SessionMaxAge): Promise<void> {
    const ttl = this.ttl(maxAge);
    if (!await ask(this.keyv, keyv => keyv.set(keyOf(key), JSON.stringify(record), ttl))) {
      throw new Error('[egg-tegg-session] Keyv could not write the session');
    }
    if (ttl >= THIRTY_DAYS && !this.keepsLong) await this.proveKept(key, ttl);
  }

  async destroy(key: string): Promise<void> {
    await ask(this.keyv, keyv => keyv.delete(keyOf(key)));
  }

  override async close(): Promise<void> {
    await this.keyv.disconnect();
  }

  /** @internal */
  override async checkAtBoot({ name }: Check): Promise<void> {
    const keyv = requireClient(name, WANTED, () => this.keyv);
    if (!('hooks' in keyv || 'throwOnErrors' in keyv)) throw wrongClient(name, WANTED, 'a Keyv of version 4 or below, or something else');
  }

  /** memcached says yes to a lifetime that it takes for a date in the past. */
  private async proveKept(key: string, ttl: number): Promise<void> {
    this.keepsLong = await ask(this.keyv, keyv => keyv.get(keyOf(key))) !== undefined;
    if (this.keepsLong) return;
    throw new Error(`[egg-tegg-session] nothing was kept of a session for ${ttl} ms: this store takes no maxAge of 30 days or more`);
  }
}

interface Emitter {
  emit(event: string, ...args: unknown[]): unknown;
  on?(event: string, listener: (err: unknown) => void): unknown;
}

/** What an adapter has told of failures, whatever the call. */
interface Told {
  times: number;
  last?: unknown;
}

const toldBy = new WeakMap<KeyvClient, Told>();

/** Listens to a Keyv; when nobody does, Keyv 6 throws out of its adapter's callbacks, which would end the process. */
function listenTo(keyv: KeyvClient): Told {
  let told = toldBy.get(keyv);
  if (!told) {
    const first: Told = { times: 0 };
    (keyv as unknown as Emitter).on?.('error', err => {
      first.times++;
      first.last = err;
    });
    toldBy.set(keyv, told = first);
  }
  if ('throwOnErrors' in keyv) keyv.throwOnErrors = true;
  return told;
}

/**
 * Asks a Keyv, and throws what has failed: Keyv 6, and some adapters, only tell that to those who listen, and make a miss of it. Keyv runs
 * as an object that hears what it tells of this call. What an adapter tells may be of any; a miss is not to be trusted then.
 */
async function ask<T>(keyv: KeyvClient, what: (keyv: KeyvClient) => Promise<T>): Promise<T> {
  const told = listenTo(keyv);
  const before = told.times;
  const { emit } = keyv as unknown as Emitter;
  let failure: { error: unknown } | undefined;
  const call: KeyvClient & Emitter = Object.create(keyv, {
    emit: {
      value(event: string, ...args: unknown[]) {
        if (event !== 'error') return emit.call(keyv, event, ...args);
        failure ??= { error: args[0] };
        const { times } = told;
        try {
          return emit.call(keyv, event, ...args);
        } finally {
          told.times = times; // it was this call's, and no other's
        }
      },
    },
  });
  const result = await what(call);
  if (failure) throw failure.error;
  if (!result && told.times !== before) throw told.last;
  return result;
}

const WANTED = {
  field: 'keyv',
  methods: [ 'get', 'set', 'delete', 'disconnect' ],
  what: 'a Keyv of version 5 or 6, as new Keyv(…) makes it',
};

const THIRTY_DAYS = 30 * 24 * 3600 * 1000;

/** Memcached takes keys of up to 250 printable characters, SQL adapters of up to 255. */
const keyOf = (key: string) =>
  (/^[\w.:-]{1,200}$/.test(key) ? key : `sha256:${createHash('sha256').update(key).digest('base64url')}`);
