import { createHash } from 'node:crypto';
import { SessionStore, type SessionMaxAge, type SessionRecord, type SessionStoreOptions } from './SessionStore';

/** What is used of Keyv. */
export interface KeyvClient {
  throwOnErrors: boolean;
  get(key: string): Promise<unknown>;
  set(key: string, value: string, ttl: number): Promise<boolean>;
  delete(key: string): Promise<boolean>;
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
 * Keyv has nothing that is atomic: see the optional methods of `SessionStore` for what that means.
 */
export abstract class KeyvSessionStore extends SessionStore {
  /** The Keyv instance; it is disconnected when the application closes. */
  protected abstract readonly keyv: KeyvClient;

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
    if (!await this.client.set(keyOf(key), JSON.stringify(record), this.ttl(maxAge))) {
      throw new Error('[egg-tegg-session] Keyv could not write the session');
    }
  }

  async destroy(key: string): Promise<void> {
    await this.client.delete(keyOf(key));
  }

  override async close(): Promise<void> {
    await this.keyv.disconnect();
  }

  private get client(): KeyvClient {
    // Keyv's default is to take an error for a miss
    this.keyv.throwOnErrors = true;
    return this.keyv;
  }
}

/** Memcached takes keys of up to 250 printable characters, SQL adapters of up to 255. */
const keyOf = (key: string) =>
  (/^[\w.:-]{1,200}$/.test(key) ? key : `sha256:${createHash('sha256').update(key).digest('base64url')}`);
