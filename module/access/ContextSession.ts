import type { Context } from 'egg';
import { createSession, SessionOptions } from 'koa-session';
import { isSealed } from '../cookie/SessionCookie';
import type { SessionConfig } from '../options/SessionConfig';
import { coded } from '../record/errors';
import { kindOf } from '../record/kindOf';
import type { ContextSession } from '../record/SessionData';
import { assertName, isField, type SessionRecord } from '../record/SessionRecord';
import type { SessionEnvironment, SessionMethods } from '../request/environment';
import { RequestSession } from '../request/RequestSession';

export type Callback = (err?: Error) => void;

/** The options as koa-session completes them, and a function that creates its object of data, bound to the request's session. */
export function koaSession(config: SessionConfig): Pick<SessionEnvironment, 'options' | 'createSession'> {
  const options: Record<string, unknown> = {
    // koa-session adds what is missing, which would make an object that is slow to copy, and each request has a copy
    ...SessionOptions.parse({}),
    ...config,
    ...(isSealed(config) ? { encrypt: false, signed: false } : {}),
    store: undefined,
    ContextStore: undefined,
    externalKey: undefined,
    // koa-session refuses true and false, and deletes undefined, which would make each request's copy slow
    ...('sameSite' in config ? { sameSite: 'lax' } : {}),
  };
  // in place of the application's, where koa-session would add a property to each request's
  const context = {} as { session: object };
  createSession(options, { context, use() { /* koa-session only looks for it */ } });
  if ('sameSite' in config) options.sameSite = config.sameSite;
  context.session = {}; // koa-session exports its class only by such an object
  const Session = extend(context.session.constructor as KoaSession);
  return { options, createSession: (request, ctx, data) => new Session(request, ctx, data) as unknown as ContextSession };
}

/**
 * Defines `ctx.session` and `ctx.sessionOptions`. To be called once tegg has loaded: tegg would turn a `session` that it finds on the
 * context into a singleton, and every user would see the session of the first.
 */
export function defineContextSession(env: SessionEnvironment): void {
  const { app: { context } } = env;
  Object.defineProperty(context, 'session', {
    configurable: true,
    get(this: Context) {
      return RequestSession.for(this, env).read();
    },
    set(this: Context, value: SessionRecord | null) {
      if (typeof value !== 'object') {
        throw coded('ERR_SESSION_ARGUMENT', new Error(`[egg-tegg-session] this.session can only be set as null or an object. ctx.session was set to ${kindOf(value)}: ` + // koa-session's words
          'set a field, like ctx.session.user = …; null ends the session'));
      }
      RequestSession.for(this, env).assign(value);
    },
  });
  Object.defineProperty(context, 'sessionOptions', {
    get(this: Context) {
      return RequestSession.for(this, env).options;
    },
  });
}

/** koa-session's class of data. */
type KoaSession = new (of: { ctx: Context }, data: SessionRecord) => object;

/** For koa-session, no data at all would mean a new session. */
const NO_FIELDS: SessionRecord = {};

/** koa-session's class, with its members that store something, or say what is stored, as the request's. */
function extend(Base: KoaSession) {
  class Session extends Base {
    readonly #request: SessionMethods;

    constructor(request: SessionMethods, ctx: Context, data: SessionRecord) {
      super({ ctx }, NO_FIELDS);
      this.#request = request;
      // koa-session would do so by Reflect.set, which takes several times as long
      for (const name of Object.keys(data)) (this as SessionRecord)[name] = data[name];
    }

    save(callback?: Callback) {
      return withCallback(this.#request.save(), callback);
    }

    regenerate(callback?: Callback) {
      return withCallback(this.#request.regenerate(), callback);
    }

    manuallyCommit() {
      return this.#request.commit();
    }

    commit(options?: unknown, callback?: Callback) {
      const request = this.#request;
      const { save, regenerate } = (typeof options === 'object' ? options : {}) as { save?: boolean; regenerate?: boolean };
      const promise = regenerate ? request.regenerate() : save ? request.save() : request.commit();
      return withCallback(promise, typeof options === 'function' ? options as Callback : callback);
    }

    get externalKey() {
      return this.#request.externalKey;
    }

    get maxAge() {
      return this.#request.maxAge;
    }

    set maxAge(value: unknown) {
      this.#request.maxAge = value;
    }

    // all sessions share what this would lead to, and a visitor may have chosen the names in ctx.session[a][b] = c
    get ['__proto__']() {
      return undefined;
    }

    set ['__proto__'](_: unknown) {
      assertName('__proto__', isField);
    }
  }
  for (const { prototype } of [ Base, Session ]) Object.preventExtensions(prototype); // `constructor` leads there too
  return Session;
}

/** What a method returns that may be called with a callback, as koa-session's may. */
export const withCallback = (promise: Promise<void>, callback?: Callback) => {
  if (!callback) return promise;
  promise.then(() => callback(), callback);
  return undefined;
};

/** Gives plain data, which egg-mock's `mockSession` puts in place of `ctx.session`, the methods that resolve to nothing. */
export function completeMock<T>(session: T): T {
  if (typeof session !== 'object' || session === null) return session;
  const done = (callback?: Callback) => withCallback(Promise.resolve(), callback);
  for (const name of [ 'save', 'regenerate', 'manuallyCommit' ]) {
    if (!(name in session)) Object.defineProperty(session, name, { value: done, configurable: true });
  }
  return session;
}
