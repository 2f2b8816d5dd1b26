import { createHash } from 'node:crypto';
import { requireFit } from '../record/tooLarge';
import { type Check, requireClient, wrongClient } from './requireClient';
import { SessionStore, type SessionMaxAge, type SessionRecord, type SessionStoreOptions } from './SessionStore';

/** The part of a Keyv that the store uses: assign `new Keyv(…)`. */
export interface KeyvClient {
  /** Keyv 5 and some adapters have it; the store sets it to true, so that an error does not look like a missing session, or like a write that was done. */
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
 * Keeps sessions in any server for which Keyv (5 or 6) has an adapter: memcached, PostgreSQL, MySQL, SQLite, MongoDB and others.
 *
 * ```ts
 * @SingletonProto()
 * export class AppSessionStore extends KeyvSessionStore {
 *   protected readonly keyv = new Keyv(new KeyvPostgres('postgres://localhost/app'));
 * }
 * ```
 *
 * Keyv has no atomic operations: see the optional methods of {@link SessionStore} for the consequences. It has no index either, so {@link
 * SessionRegistry} does not work with it.
 */
export abstract class KeyvSessionStore extends SessionStore {
  /** The Keyv instance; it is disconnected when the application closes. */
  protected abstract readonly keyv: KeyvClient;

  /**
   * The maximum size of a session in bytes, as Keyv sends it: its JSON, in JSON. A larger session is refused before it is sent, and the
   * stored one stays.
   *
   * @default what memcached is set to (`-I`), less 512 bytes for the key and its own; undefined with others, no limit
   */
  override readonly maxBytes?: number;

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
    const json = JSON.stringify(record);
    if (json.length > SMALL || this.maxBytes !== undefined) await this.requireFit(record, json, ttl);
    if (!await ask(this.keyv, keyv => keyv.set(keyOf(key), json, ttl))) {
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
  override async checkAtBoot({ name }: Check): Promise<undefined> {
    const keyv = requireClient(name, WANTED, () => this.keyv);
    if (!('hooks' in keyv || 'throwOnErrors' in keyv)) throw wrongClient(name, WANTED, 'a Keyv of version 4 or below, or something else');
  }

  /** memcached drops what is stored when it refuses what is to take its place. */
  private async requireFit(record: SessionRecord, json: string, ttl: number): Promise<void> {
    const { keyv } = this;
    const maxBytes = this.maxBytes ?? await limitOf(keyv);
    // JSON in JSON is no more than twice as long, and Base64 of that no more than three times
    if (maxBytes === undefined || 3 * Buffer.byteLength(json) + AROUND <= maxBytes) return;
    requireFit(record, await bytesOf(keyv, { value: json, expires: Date.now() + ttl }), maxBytes);
  }

  /** memcached says yes to a lifetime that it takes for a date in the past. */
  private async proveKept(key: string, ttl: number): Promise<void> {
    this.keepsLong = await ask(this.keyv, keyv => keyv.get(keyOf(key))) !== undefined;
    if (this.keepsLong) return;
    throw new Error(`[egg-tegg-session] a session with a maxAge of ${ttl} ms was not stored: this store takes less than 30 days`);
  }
}

interface Emitter {
  emit(event: string, ...args: unknown[]): unknown;
  on?(event: string, listener: (err: unknown) => void): unknown;
}

/** Its adapter, and the one in that: Keyv 6 puts an object around some. */
function adaptersOf(keyv: KeyvClient): Adapter[] {
  const { store } = keyv as Adapter;
  return [ store, store?.store ].filter(each => typeof each === 'object');
}

interface Adapter {
  store?: Adapter;
  throwOnErrors?: boolean;
  client?: Memjs;
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
  for (const each of [ keyv, ...adaptersOf(keyv) ]) if ('throwOnErrors' in each) each.throwOnErrors = true;
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

/** Up to so many characters of JSON, no server is set to take less. */
const SMALL = 16_000;

/** The most bytes that Keyv puts around a value. */
const AROUND = 100;

/** The bytes of an item that memcached needs for the key, with its namespace, and for itself. */
const OVERHEAD = 512;
const DEFAULT_ITEM_SIZE = 1024 * 1024;

/** The part of memjs that is used, the client of @keyv/memcache. */
interface Memjs {
  servers?: unknown[];
  statsWithKey(key: string, callback: (err: unknown, server: string, stats?: Record<string, string>) => void): void;
}

const limits = new WeakMap<object, number>();

/** The most bytes that memcached takes, which is asked once; undefined when it is another server. */
async function limitOf(keyv: KeyvClient): Promise<number | undefined> {
  const client = adaptersOf(keyv).find(each => typeof each.client?.statsWithKey === 'function')?.client;
  if (!client) return undefined;
  let limit = limits.get(client);
  if (limit === undefined) {
    const sizes = await itemSizesOf(client);
    limit = Math.min(...sizes.length > 0 ? sizes : [ DEFAULT_ITEM_SIZE ]) - OVERHEAD;
    if (sizes.length > 0) limits.set(client, limit);
  }
  return limit;
}

/** What each server says that answers. */
function itemSizesOf(client: Memjs): Promise<number[]> {
  const sizes: number[] = [];
  let left = client.servers?.length ?? 1;
  return new Promise(resolve => client.statsWithKey('settings', (_err, _server, stats) => {
    const size = Number(stats?.item_size_max);
    if (size > 0) sizes.push(size);
    if (--left === 0) resolve(sizes);
  }));
}

/** The number of bytes that Keyv sends for a value: it may compress or encrypt it. */
async function bytesOf(keyv: KeyvClient, data: { value: string; expires: number }): Promise<number> {
  const { serializeData, encode } = keyv as { serializeData?: (data: object) => unknown; encode?: (data: object) => unknown };
  const sent = await (serializeData ?? encode ?? JSON.stringify).call(keyv, data);
  return typeof sent === 'string' || sent instanceof Uint8Array ? Buffer.byteLength(sent) : Buffer.byteLength(JSON.stringify(sent));
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
