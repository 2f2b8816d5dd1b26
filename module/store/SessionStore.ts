import type { Context } from 'egg';
import { LifecycleDestroy } from '@eggjs/tegg';
import { lifetimeOf, ONE_DAY, type SessionChanges, type SessionMaxAge, type SessionRecord, type Tombstone } from '../record/SessionRecord';
import type { Check } from './requireClient';

export type { SessionChanges, SessionMaxAge, SessionRecord, Tombstone };

/** The last argument of each call. */
export interface SessionStoreOptions {
  /** The request's context; an anonymous context outside a request. */
  ctx: Context;
  /** `config.session.rolling`. */
  rolling?: boolean;
  /** On `set`: whether the data changed, or the session is only renewed. */
  changed?: boolean;
  /**
   * `config.session.absoluteMaxAge`, if set: no record should be kept for longer than this many ms after its `_createdAt`, whatever its
   * lifetime. The `maxAge` of `set` and `compareAndSet` already includes this limit; the other methods that renew a record should apply it.
   */
  absoluteMaxAge?: number;
}

/**
 * Where sessions are kept. Extend it in a tegg module, decorate the class with `@SingletonProto()`, and it is the application's store,
 * whatever its name and access level. It can inject other objects.
 *
 * Three methods are enough; `testSessionStore` tests this contract. The optional methods make operations atomic and cheap; the comment of
 * each says how the plugin works without it. A store that has any of them keeps the time of expiry itself: it is given exact lifetimes, and
 * records without `_expire`. If its `get` adds `_expire` (ms since 1970), `renew` can tell how much of the lifetime is left; otherwise
 * `renew` works like `rolling`.
 *
 * A store throws when it fails, for example when its server is down: the request fails with that error. A missing, expired or malformed
 * record is no error.
 *
 * A key is 43 letters, digits, `-` and `_` for a tegg class, and the session's id for other stores: any string. Calls for one key may be concurrent.
 */
export abstract class SessionStore {
  /**
   * The maximum size of a record in bytes, as JSON in UTF-8. A larger record is not sent to the store: the request fails with an error that
   * names the largest field, and the stored record stays. For servers that drop the old value when the new one is too large, or that hang
   * up. In a store with its own `merge`, the limit applies to the changes, not to the whole record.
   *
   * @default undefined, no limit
   */
  readonly maxBytes?: number;

  /**
   * Reads a record.
   *
   * @return the record, or null or undefined if it is missing, expired or malformed (log the last). The caller may change the returned
   *   object without changing the stored record. A store with `retire` returns a tombstone as it is: `{ _successor }`.
   */
  abstract get(key: string, maxAge: SessionMaxAge | undefined, options: SessionStoreOptions):
  Promise<SessionRecord | null | undefined>;

  /** Writes a whole record, whether there is one or not, for `maxAge`. */
  abstract set(key: string, record: SessionRecord, maxAge: SessionMaxAge, options: SessionStoreOptions): Promise<void>;

  /** Removes a record; does nothing when there is none. */
  abstract destroy(key: string, options: SessionStoreOptions): Promise<void>;

  /**
   * Renews a record for its own lifetime from now on, without writing its data.
   *
   * Without it, a session that is renewed is merged with no changes.
   *
   * @return the record's lifetime; false, and nothing done, when there is no record
   */
  touch?(key: string, options: SessionStoreOptions): Promise<SessionMaxAge | false>;

  /**
   * Reads a record and renews it for its own lifetime from now on, in one command. It renews neither a tombstone nor a record that has
   * expired by the store's clock.
   *
   * Without it, a session that is renewed on each request (`rolling`) is read, then touched.
   *
   * @return the same as `get`; `_expire`, if there is one, is the new one
   */
  getAndTouch?(key: string, options: SessionStoreOptions): Promise<SessionRecord | null | undefined>;

  /**
   * Applies changes to the stored record, atomically, and renews it for its own lifetime, `_maxAge` or `_session`, which may be among the
   * changes. A record that is replaced keeps its fields whose names start with `_`, unless the changes have them. With `renew: false`, the
   * record keeps its time of expiry.
   *
   * Without it, the record is read again just before it is written: a write or a destroy of another process between the two is lost.
   *
   * @return the record's lifetime; false, and nothing done, when there is no record
   */
  merge?(key: string, changes: SessionChanges, options: SessionStoreOptions): Promise<SessionMaxAge | false>;

  /**
   * Writes a whole record if the stored one is still `expected`, as `get` returned it, atomically.
   *
   * Without it, `session.update()` is atomic only among the requests of one process.
   *
   * @return false, and nothing done, when the record has changed or is gone
   */
  compareAndSet?(key: string, expected: SessionRecord, record: SessionRecord, maxAge: SessionMaxAge,
    options: SessionStoreOptions): Promise<boolean>;

  /**
   * Removes a record and leaves a tombstone in its place, atomically. While the tombstone exists, `get` returns it, and `touch`, `merge`
   * and `compareAndSet` find no record. An existing tombstone stays as it is.
   *
   * Without it, the record is read and then destroyed, and a late request can't know that the session has moved.
   *
   * @param successor the key that takes the place of this one; null when the session ends
   * @param graceMs how long the tombstone stays, in ms
   * @return what was there: the record, a tombstone, or null or undefined when there was nothing
   */
  retire?(key: string, successor: string | null, graceMs: number, options: SessionStoreOptions):
  Promise<SessionRecord | Tombstone | null | undefined>;

  /**
   * Adds the session with this key to the index of a principal, for at least `ms`; a later call with a smaller `ms` does not shorten that,
   * and 0 removes the key.
   *
   * Without it and `list`, there is no `SessionRegistry` and no `maxSessions`.
   */
  index?(principal: string, key: string, ms: number, options: SessionStoreOptions): Promise<void>;

  /**
   * The keys in the index of a principal, or with undefined the keys of all sessions of the application, in lists of any length. A key may
   * appear twice, and a key whose record is gone may appear. Sessions that begin or end meanwhile may be missing.
   */
  list?(principal: string | undefined, options: SessionStoreOptions): AsyncIterable<string[]>;

  /** Called when the application closes; does nothing by default. Override it to close connections. */
  @LifecycleDestroy() // tegg would call `destroy`
  async close(): Promise<void> { /* nothing to close */ }

  /**
   * Checks whether the store can do its work; one whose server is away passes.
   *
   * @return why it has not answered
   * @throws Error that says what the store lacks
   * @internal
   */
  checkAtBoot?(check: Check): Promise<string | undefined>;

  /** The time to keep a record, in whole ms. */
  protected ttl(maxAge: SessionMaxAge): number {
    return maxAge === 'session' ? ONE_DAY : Math.ceil(maxAge);
  }

  /** The lifetime in a record's fields. */
  protected lifetime(record: SessionRecord): SessionMaxAge {
    return lifetimeOf(record);
  }
}

/** What the plugin needs of a store: all that {@link SessionStore} has, from any object. */
export type SessionStoreLike = Omit<SessionStore, 'close' | 'checkAtBoot'>;
