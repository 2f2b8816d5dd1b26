import { AccessLevel, Prototype } from '@eggjs/tegg';
import type { SessionData } from '../record/SessionData';

/** Selects `injectSession` as the maker of what is injected as `session`. @internal */
export const SESSION_PROTO = 'EGG_TEGG_SESSION';

/**
 * The current request's session, whoever holds it; inject it anywhere as `session`. Its own properties are the data, typed by
 * {@link SessionData}. Where there is no session every use throws an Error: outside a request, in a schedule, on paths that
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
  /** How many fields the data have. */
  declare readonly length: number;
  /** Whether the data have any field. */
  declare readonly populated: boolean;
  /** The session's id in the store; undefined when the session lives in the cookie. */
  declare readonly externalKey: string | undefined;
  /** When the session was created, in ms since 1970; `regenerate()` starts that anew. Egg-mock's sessions have none. */
  declare readonly createdAt: number;
  /** Whether the session is what the store has; false under `onStoreError: 'anonymous'` when the store could not be asked. */
  declare readonly available: boolean;
  /** Whether the session is bound to a device, under `config.session.deviceBound`: a copy of its cookies is worth nothing elsewhere. */
  declare readonly deviceBound: boolean;
  /**
   * This session's lifetime, in place of `config.session.maxAge`: ms, up to 100 years, or `'session'` to end with the browser.
   * Setting it saves the session, and throws a TypeError when the value is no lifetime.
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
   * Moves the data to a new id; the old one is worth nothing when this resolves. Call it at sign-in (ASVS 7.2.4): without it,
   * whoever has planted the old id in the browser is signed in, too. When it fails, the session goes on under the old one, unless
   * it had moved by then.
   *
   * @throws Error when the store fails, once the response has begun, and when the session has ended meanwhile and this request signs nobody
   *   else in
   */
  declare regenerate: (callback?: (err?: Error) => void) => Promise<void>;
  /** Saves the session if it changed; needed once per request under `autoCommit: false`. */
  declare manuallyCommit: () => Promise<void>;

  /** The data as a plain object, a copy: for printing, and for handing on. */
  declare toJSON: () => SessionData;

  /**
   * Reads a field and removes it, such as a message that is shown once. Concurrent requests may all get it: a code that counts once
   * is taken with `update()`.
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
   * Changes the session atomically, as other requests may be changing it too: `fn` is given a copy of the latest data,
   * with what this request has changed, and changes it; what it leaves is stored. It runs again on newer data when another
   * request was faster. It may be async, and should do nothing else that must not happen twice. When it throws, nothing
   * has changed. A session that is not in a store, or not yet, is saved with the response.
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
   * Ends the session, as at sign-out: it is out of the store when this resolves, and the response removes the cookie. What else
   * the request does with it throws a TypeError.
   *
   * @throws Error when the store fails
   */
  declare destroy: () => Promise<void>;
}
/* eslint-enable */
