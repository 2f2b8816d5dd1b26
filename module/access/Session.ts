import { AccessLevel, Prototype } from '@eggjs/tegg';
import type { SessionData } from '../record/SessionData';

/** Selects `injectSession` as the maker of what is injected as `session`. @internal */
export const SESSION_PROTO = 'EGG_TEGG_SESSION';

/**
 * The current request's session, also in a singleton; inject it anywhere as `session`. Its own properties are the data, typed by
 * {@link SessionData}. Where there is no session, every use throws an Error: outside a request, in a schedule, on paths that
 * `config.session.match` or `ignore` leave out, and after the request.
 *
 * ```ts
 * @Inject()
 * private readonly session: Session;
 * ```
 */
// the interface is how the data that an application declares become properties of the class
/* eslint-disable @typescript-eslint/no-unsafe-declaration-merging, @typescript-eslint/no-empty-interface, no-redeclare */
export interface Session extends SessionData {}

@Prototype({ name: 'session', accessLevel: AccessLevel.PUBLIC, protoImplType: SESSION_PROTO })
export class Session {
  /** Whether the session began with this request. */
  declare readonly isNew: boolean;
  /** The number of fields of the data. */
  declare readonly length: number;
  /** Whether the data has any field. */
  declare readonly populated: boolean;
  /** The session's id in the store; undefined when the session lives in the cookie. */
  declare readonly externalKey: string | undefined;
  /** When the session was created, in ms since 1970; `regenerate()` resets it. Egg-mock's sessions have none. */
  declare readonly createdAt: number;
  /** Whether the session could be read; false only with `onStoreError: 'anonymous'`, when the store has failed. */
  declare readonly available: boolean;
  /** Whether the session is bound to a device, with `config.session.deviceBound`, so that a copy of its cookies is worthless elsewhere. */
  declare readonly deviceBound: boolean;
  /**
   * This session's lifetime, in place of `config.session.maxAge`: ms, up to 100 years, or `'session'` to end with the browser. Setting it
   * saves the session, and throws a TypeError for an invalid value.
   */
  declare maxAge: number | 'session' | undefined;

  /**
   * Saves the session now, changed or not, as before a slow step that may fail. Otherwise it is saved when the request ends, if
   * it has changed.
   *
   * @throws Error when the store fails, when the session has ended meanwhile, or when it needs a cookie after the response began
   */
  declare save: (callback?: (err?: Error) => void) => Promise<void>;
  /**
   * Moves the data to a new id; the old id has ended when this resolves. Call it at sign-in (ASVS 7.2.4): without it, an attacker who
   * planted the old id in the browser is signed in, too. If it fails, the session keeps the old id, unless it had already moved.
   *
   * @throws Error when the store fails, once the response has begun, and when the session has ended meanwhile and this request signs nobody
   *   else in
   */
  declare regenerate: (callback?: (err?: Error) => void) => Promise<void>;
  /** Saves the session if it changed; needed once per request under `autoCommit: false`. */
  declare manuallyCommit: () => Promise<void>;

  /** A copy of the data as a plain object, to print it or pass it on. */
  declare toJSON: () => SessionData;

  /**
   * Reads a field and removes it, such as a message that is shown once. Concurrent requests may all get it: take a one-time code with
   * `update()`.
   */
  pop<K extends keyof SessionData>(key: K): SessionData[K] | undefined;
  pop(key: string): unknown;
  pop(key: string): unknown {
    const data = this as Record<string, unknown>;
    const value = data[key];
    delete data[key];
    return value;
  }

  /**
   * Changes the session atomically among concurrent requests: `fn` is given a copy of the latest data, with this request's changes, and
   * changes it; the result is stored. It runs again on newer data when another request was faster. It may be async, and should have no side
   * effects that must not happen twice. If it throws, nothing changes. A session that is not in a store, or not yet, is saved with the
   * response.
   *
   * ```ts
   * await session.update(data => { data.visits = (data.visits ?? 0) + 1; });
   * ```
   *
   * @throws Error when the session has ended, and after 10 s
   * @throws TypeError when `fn` returns an object instead of changing the one that it is given
   */
  declare update: (fn: (data: SessionData) => unknown) => Promise<void>;

  /**
   * Ends the session, as at sign-out: it has been removed from the store when this resolves, and the response removes the cookie. Using it
   * afterwards in this request throws a TypeError.
   *
   * @throws Error when the store fails
   */
  declare destroy: () => Promise<void>;
}
/* eslint-enable */
