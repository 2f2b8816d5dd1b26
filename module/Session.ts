import { inspect } from 'node:util';
import type { Application, Context } from 'egg';
import { AccessLevel, Prototype } from '@eggjs/tegg';
import { RequestStore } from './RequestStore';

/**
 * The data of a session. An application declares its own:
 *
 * ```ts
 * declare module 'egg-tegg-session' {
 *   interface SessionData { userId: number }
 * }
 * ```
 */
// eslint-disable-next-line @typescript-eslint/no-empty-interface
export interface SessionData {}

/** `ctx.session`, as koa-session makes it, or plain data under egg-mock's `mockSession`. */
type RequestSession = Record<string, unknown> & { manuallyCommit?(): Promise<void> };

/** Selects {@link injectSession} as the maker of what is injected as `session`. */
export const SESSION_PROTO = 'EGG_TEGG_SESSION';

/**
 * The current request's session; inject it anywhere with `@Inject() session: Session`. Its own properties are the data.
 * Outside a request every use throws.
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
  /** This session's lifetime in ms, or `'session'` to end with the browser. Setting it saves the session. */
  declare maxAge: number | 'session' | undefined;

  /** Saves the session now, changed or not. */
  declare save: (callback?: (err?: Error) => void) => Promise<void>;
  /** Moves the data to a new id, and removes the old one from the store: call it at sign-in (ASVS 7.2.4). */
  declare regenerate: (callback?: (err?: Error) => void) => Promise<void>;
  /** Saves the session if it changed; needed once per request under `autoCommit: false`. */
  declare manuallyCommit: () => Promise<void>;

  /** The data as a plain object. */
  toJSON(): SessionData {
    return { ...this };
  }

  /** Reads a field and removes it, as for a message that is shown once. */
  pop<K extends keyof SessionData>(key: K): SessionData[K] | undefined;
  pop(key: string): unknown;
  pop(key: string): unknown {
    const data = this as Record<string, unknown>;
    const value = data[key];
    delete data[key];
    return value;
  }

  /**
   * Changes the session atomically, as other requests may be changing it too: `fn` is given the latest data and changes
   * them, and runs again on newer data when another request was faster. It may be async, and should do nothing else that
   * must not happen twice. Afterwards the session shows what was stored, together with the changes of this request that
   * are still to be saved. A session that is not in a store, or not yet, is simply given to `fn`.
   *
   * ```ts
   * await session.update(data => { data.visits = (data.visits ?? 0) + 1; });
   * ```
   *
   * @throws when the session has ended meanwhile, and after 100 attempts
   */
  declare update: (fn: (data: SessionData) => unknown) => Promise<void>;

  /** Ends the session: it is out of the store when this resolves, and the response removes the cookie. */
  declare destroy: () => Promise<void>;
}
/* eslint-enable */

const RESERVED = new Set([
  'isNew', 'length', 'populated', 'externalKey', 'save', 'regenerate', 'manuallyCommit', 'commit', 'toJSON',
  'createdAt', 'destroy', 'update', 'pop', 'constructor', '__proto__',
]);
const KOA_METHODS = [ 'save', 'regenerate', 'manuallyCommit' ];

/** Whether `key` is a field of the data: what koa-session's own `toJSON` keeps. */
function isField(session: RequestSession | null, key: PropertyKey): key is string {
  return session !== null && typeof key === 'string' && key !== 'isNew' && key[0] !== '_' &&
    Object.prototype.propertyIsEnumerable.call(session, key) && typeof session[key] !== 'function';
}

/** The one object that is injected as `session`: it has no state, and passes everything on to the current request's. */
export function injectSession(app: Application): Session {
  const request = () => {
    const ctx = app.currentContext;
    if (ctx) return ctx as unknown as { session: RequestSession | null };
    throw new Error('[egg-tegg-session] the session was used outside a request: there is none to belong to. ' +
      'Use it in code that a request calls, or pass on the values that are needed');
  };
  const current = () => request().session;
  const alive = () => {
    const session = current();
    if (session) return session;
    throw new TypeError('[egg-tegg-session] the session was destroyed earlier in this request');
  };

  async function destroy() {
    const ctx = request();
    const session = ctx.session;
    ctx.session = null;
    await session?.manuallyCommit?.();
  }

  async function update(fn: (data: SessionData) => unknown) {
    alive();
    const store = RequestStore.of(request() as unknown as Context);
    await (store ? store.update(fn, injected) : fn(injected));
  }

  const target = {
    [inspect.custom]: () => (app.currentContext ? { ...injected } : '[session: outside a request]'),
  };
  const injected: Session = new Proxy(target as unknown as Session, {
    get(_, key) {
      if (key === 'destroy') return destroy;
      if (key === 'update') return update;
      if (key === 'pop' || key === 'toJSON') return Session.prototype[key].bind(injected);
      if (key === 'then' && !app.currentContext) return undefined; // awaiting the object is not a use of it
      const session = KOA_METHODS.includes(key as string) ? alive() : current();
      if (!isField(session, key) && key in Object.prototype) return Reflect.get(Object.prototype, key);
      const value = session?.[key as string];
      return typeof value === 'function' ? value.bind(session) : value;
    },
    set(_, key, value) {
      if (RESERVED.has(key as string) || String(key)[0] === '_') {
        throw new TypeError(`[egg-tegg-session] session.${String(key)} is reserved and can't hold data; ` +
          'use another name');
      }
      return Reflect.set(alive(), key, value);
    },
    has: (_, key) => isField(current(), key) || key in Object.prototype,
    deleteProperty: (_, key) => !isField(current(), key) || Reflect.deleteProperty(alive(), key),
    ownKeys: () => Object.keys(current() ?? {}).filter(key => isField(current(), key)),
    getOwnPropertyDescriptor(_, key) {
      const session = current();
      return isField(session, key)
        ? { value: session![key], writable: true, enumerable: true, configurable: true }
        : undefined;
    },
    defineProperty: (_, key, { value }) => Reflect.set(injected, key, value),
    getPrototypeOf: () => Object.prototype,
    preventExtensions() {
      throw new TypeError('[egg-tegg-session] the session can\'t be frozen, sealed or made non-extensible, as all requests ' +
        'share the injected object: freeze a copy, session.toJSON()');
    },
  });
  return injected;
}
