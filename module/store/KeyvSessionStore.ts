import { createHash } from 'node:crypto';
import { SessionStore, type SessionMaxAge, type SessionRecord, type SessionStoreOptions } from './SessionStore';

/** What is used of a Keyv: give it `new Keyv(…)`. */
export interface KeyvClient {
  /** Is set to true: an error must not pass for a session that is not there. */
  throwOnErrors: boolean;
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
      const json = await this.client.get(keyOf(key));
      return json === undefined || json === null ? undefined : JSON.parse(json as string);
    } catch (err) {
      if (!(err instanceof SyntaxError)) throw err;
      ctx.coreLogger.error('[session][malformed] what is stored for a session is not readable');
      return undefined;
    }
  }

  async set(key: string, record: SessionRecord, maxAge: SessionMaxAge): Promise<void> {
    const ttl = this.ttl(maxAge);
    if (!await this.client.set(keyOf(key), JSON.stringify(record), ttl)) {
      throw new Error('[egg-tegg-session] Keyv could not write the session');
    }
    if (ttl >= THIRTY_DAYS && !this.keepsLong) await this.proveKept(key, ttl);
  }

  async destroy(key: string): Promise<void> {
    await this.client.delete(keyOf(key));
  }

  override async close(): Promise<void> {
    await this.keyv.disconnect();
  }

  /** memcached says yes to a lifetime that it takes for a date in the past. */
  private async proveKept(key: string, ttl: number): Promise<void> {
    this.keepsLong = await this.client.get(keyOf(key)) !== undefined;
    if (this.keepsLong) return;
    throw new Error(`[egg-tegg-session] nothing was kept of a session for ${ttl} ms: this store takes no maxAge of 30 days or more`);
  }

  private get client(): KeyvClient {
    // Keyv's default is to take an error for a miss
    this.keyv.throwOnErrors = true;
    return this.keyv;
  }
}

const THIRTY_DAYS = 30 * 24 * 3600 * 1000;

/** Memcached takes keys of up to 250 printable characters, SQL adapters of up to 255. */
const keyOf = (key: string) =>
  (/^[\w.:-]{1,200}$/.test(key) ? key : `sha256:${createHash('sha256').update(key).digest('base64url')}`);
