import type { Context } from 'egg';
import { LifecycleDestroy } from '@eggjs/tegg';
import { lifetimeOf, ONE_DAY, type SessionChanges, type SessionMaxAge, type SessionRecord, type Tombstone } from '../record/SessionRecord';
import type { Check } from './requireClient';

export type { SessionChanges, SessionMaxAge, SessionRecord, Tombstone };

/** What comes along with a call. */
export interface SessionStoreOptions {
  /** The request that the call is made for; an anonymous context outside a request. */
  ctx: Context;
  /** `config.session.rolling`. */
  rolling?: boolean;
  /** On `set`: whether the data changed, or the session is only renewed. */
  changed?: boolean;
  /**
   * `config.session.absoluteMaxAge`, when it is set: no record should be kept for longer than so many ms after its `_createdAt`,
   * whatever its lifetime. The `maxAge` of `set` and `compareAndSet` allows for it; the other methods that let a record live on may.
   */
  absoluteMaxAge?: number;
}

/**
 * Where sessions are kept. Extend it in a tegg module, decorate the class with `@SingletonProto()`, and it is the
 * application's store, whatever its name and access level; inject into it what it needs.
 *
 * Three methods are enough; `testSessionStore` shows whether they do what is asked here. The optional ones make what
 * the plugin does with a session atomic and cheap; where one is missing, the plugin does without as the method's comment
 * says. A store that has any of them keeps the time of expiry itself: it is given exact lifetimes, and records without
 * `_expire`. When its `get` adds `_expire` (ms since 1970), `renew` can tell how much of the lifetime is left, else
 * `renew` works as `rolling`.
 *
 * A store throws when it can't do its work, as when its server is away: the request fails with that error. A record that
 * is missing, expired or malformed is no error.
 *
 * A key is 43 letters, digits, `-` and `_` for a class that tegg finds, and the session's id for other stores: any string. Calls for one key may come at the same time.
 */
export abstract class SessionStore {
  /**
   * How many bytes a record may take as JSON in UTF-8. What takes more is not sent to the store: the request fails, with an error that
   * names the largest field, and what is stored stays as it was. For servers that drop the old value when the new one is too large, or that
   * hang up. A store with a `merge` of its own is given changes, of which only those that are too large by themselves are refused.
   *
   * @default undefined, no limit
   */
  readonly maxBytes?: number;

  /**
   * Reads a record.
   *
   * @return the record, or null or undefined when there is none, when it has expired, or when what is stored is
   *   malformed (log that). The caller may change what it gets without changing what is stored. A store with `retire`
   *   returns a tombstone as it is: `{ _successor }`.
   */
  abstract get(key: string, maxAge: SessionMaxAge | undefined, options: SessionStoreOptions):
  Promise<SessionRecord | null | undefined>;

  /** Writes a whole record, whether there is one or not, and lets it live for `maxAge`. */
  abstract set(key: string, record: SessionRecord, maxAge: SessionMaxAge, options: SessionStoreOptions): Promise<void>;

  /** Removes a record; does nothing when there is none. */
  abstract destroy(key: string, options: SessionStoreOptions): Promise<void>;

  /**
   * Lets a record live for its own lifetime from now on, without writing its data.
   *
   * Without it, a session that is renewed is merged with no changes.
   *
   * @return the record's lifetime; false, and nothing done, when there is no record
   */
  touch?(key: string, options: SessionStoreOptions): Promise<SessionMaxAge | false>;

  /**
   * Reads a record and lets it live for its own lifetime from now on, in one command. Nothing but a
   * record lives longer by it, and none that has expired by the store's clock.
   *
   * Without it, a session that is renewed on each request (`rolling`) is read, then touched.
   *
   * @return the same as `get`; `_expire`, if there is one, is the new one
   */
  getAndTouch?(key: string, options: SessionStoreOptions): Promise<SessionRecord | null | undefined>;

  /**
   * Applies changes to the record that is stored, atomically, and lets it live for its own lifetime, `_maxAge` or
   * `_session`, which may be among the changes. A record that is replaced keeps its fields whose names start with `_`, unless
   * the changes have them. Under `renew: false` the record ends when it would have ended anyway.
   *
   * Without it, the record is read again just before it is written: what another process writes or destroys between the
   * two is lost or brought back.
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
   * Takes a record away and leaves a tombstone in its place, atomically. While that is there, `get` returns it, and
   * `touch`, `merge` and `compareAndSet` find no record. A tombstone that is there already stays as it is.
   *
   * Without it, the record is read and then destroyed, and nothing tells a late request that the session has moved.
   *
   * @param successor the key that takes the place of this one; null when the session ends
   * @param graceMs how long the tombstone stays, in ms
   * @return what was there: the record, a tombstone, or null or undefined when there was nothing
   */
  retire?(key: string, successor: string | null, graceMs: number, options: SessionStoreOptions):
  Promise<SessionRecord | Tombstone | null | undefined>;

  /**
   * Notes that a principal has the session under this key, for so many ms at least; a later call with less does not shorten
   * that, and 0 takes it off the principal's sessions.
   *
   * Without it and `list`, there is no `SessionRegistry` and no `maxSessions`.
   */
  index?(principal: string, key: string, ms: number, options: SessionStoreOptions): Promise<void>;

  /**
   * The keys that `index` has noted for a principal, or the keys of all sessions of the application, in lists of any length.
   * A key may be given twice, and one whose record is gone. Sessions that begin or end meanwhile may be given or not.
   */
  list?(principal: string | undefined, options: SessionStoreOptions): AsyncIterable<string[]>;

  /** Called when the application closes; does nothing, unless a store has connections of its own to close. */
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
