import type { Context } from 'egg';

/** What is kept for one session: its data as plain JSON values, and koa-session's own `_expire`, `_maxAge` and `_session`. */
export type SessionRecord = Record<string, unknown>;

/** What koa-session passes along with a store call. */
export interface SessionStoreOptions {
  /** The request this call is made for. */
  ctx: Context;
  /** `config.session.rolling`. */
  rolling?: boolean;
  /** On `set`: whether the data changed, or the session is only renewed. */
  changed?: boolean;
}

/**
 * Where sessions are kept. Extend it in a tegg module, decorate the class with `@SingletonProto()`, and it is the
 * application's store, whatever its name and access level; inject into it what it needs.
 *
 * `maxAge` is in ms; it is `'session'` for a session that ends with the browser.
 * An error that a method throws fails the request.
 */
export abstract class SessionStore {
  /** Resolves to the record under `key`, or to nothing when there is none or it has expired. */
  abstract get(key: string, maxAge: number | 'session' | undefined, options: SessionStoreOptions):
  Promise<SessionRecord | null | undefined>;

  /** Keeps `record` under `key` for `maxAge`. */
  abstract set(key: string, record: SessionRecord, maxAge: number | 'session', options: SessionStoreOptions):
  Promise<void>;

  /** Removes the record under `key`; does nothing when there is none. */
  abstract destroy(key: string, options: SessionStoreOptions): Promise<void>;
}
