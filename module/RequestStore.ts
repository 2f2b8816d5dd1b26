import type { Context } from 'egg';
import type { SessionStoreLike } from './SessionConfig';
import type { SessionRecord, SessionStoreOptions } from './SessionStore';

/**
 * Stands between koa-session and the active store for one request; koa-session builds it as its `ContextStore`.
 */
export class RequestStore implements SessionStoreLike {
  private readonly store: SessionStoreLike;
  /** The ids that the store may have a record under. */
  private readonly stored = new Set<string>();

  constructor(private readonly ctx: Context) {
    const { store, ContextStore } = ctx.app.config.session;
    this.store = ContextStore ? new ContextStore(ctx) : store!;
  }

  async get(key: string, maxAge: number | 'session' | undefined, options: SessionStoreOptions) {
    this.stored.add(key);
    return this.store.get(key, maxAge, options);
  }

  async set(key: string, record: SessionRecord, maxAge: number | 'session', options: SessionStoreOptions) {
    this.stored.add(key);
    await this.store.set(key, record, maxAge, options);
    // koa-session leaves `externalKey` at the old id after `regenerate()`
    const { session } = this.ctx;
    if (session.externalKey !== key) Object.defineProperty(session, 'externalKey', { value: key, configurable: true });
  }

  /** koa-session also asks for sessions that were never saved, and once more at the end of a request that destroyed one. */
  async destroy(key: string, options: SessionStoreOptions) {
    if (this.stored.delete(key)) await this.store.destroy(key, options);
  }
}

/** Names that would change what koa-session's session object is, not what it holds. */
const UNSAFE_KEYS = [ '__proto__', 'constructor', 'toJSON' ];

/** Whether a value that was read can be the data of a session: an object without a key that is unsafe to copy. */
export function isRecord(value: unknown): value is SessionRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value) &&
    !UNSAFE_KEYS.some(key => Object.hasOwn(value, key));
}
