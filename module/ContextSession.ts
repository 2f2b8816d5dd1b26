import type { Context } from 'egg';
import { createSession } from 'koa-session';
import { RequestSession } from './RequestSession';
import type { ContextSession } from './SessionData';
import type { SessionEnvironment } from './SessionEnvironment';
import type { SessionRecord } from './store/SessionStore';

type Callback = (err?: Error) => void;

/**
 * Has koa-session define `ctx.session` and `ctx.sessionOptions`, and puts `ctx.session` into the hands of the request's
 * session. To be called once tegg has loaded: tegg would turn a `session` that it finds on the context into a singleton,
 * and every user would see the session of the first.
 *
 * @return makes koa-session's object of data
 */
export function defineContextSession(env: SessionEnvironment): SessionEnvironment['createSession'] {
  const { app, config, cookie } = env;
  const options: Record<string, unknown> = {
    ...config,
    ...(cookie.sealed ? { encrypt: false, signed: false } : {}),
    store: undefined,
    ContextStore: undefined,
    externalKey: undefined,
    // koa-session refuses true and false, and deletes undefined, which would make each request's copy slow
    ...('sameSite' in config ? { sameSite: 'lax' } : {}),
  };
  createSession(options, app);
  if ('sameSite' in config) options.sameSite = config.sameSite;

  const koa = Object.getOwnPropertyDescriptor(app.context, 'session')!;
  Object.defineProperty(app.context, 'session', {
    configurable: true,
    get(this: Context) {
      return RequestSession.for(this, env).read();
    },
    set(this: Context, value: SessionRecord | null) {
      if (value !== null && typeof value !== 'object') koa.set!.call(this, value); // throws
      RequestSession.for(this, env).assign(value);
    },
  });

  let prototype: object | undefined;
  return (ctx, data) => {
    koa.set!.call(ctx, data);
    const session = koa.get!.call(ctx) as ContextSession;
    prototype ??= Object.create(Object.getPrototypeOf(session), MEMBERS) as object;
    // not a WeakMap: one entry per request would make each garbage collection slow
    Object.defineProperty(session, OWNER, { value: RequestSession.for(ctx, env) });
    return Object.setPrototypeOf(session, prototype);
  };
}

const OWNER = Symbol('egg-tegg-session owner');
type Owned = { [OWNER]: RequestSession };

const withCallback = (promise: Promise<void>, callback?: Callback) => {
  if (!callback) return promise;
  promise.then(() => callback(), callback);
  return undefined;
};

/** koa-session's members that store something, or say what is stored: these are the request's. */
const MEMBERS: PropertyDescriptorMap = {
  save: method((request, callback) => withCallback(request.save(), callback)),
  regenerate: method((request, callback) => withCallback(request.regenerate(), callback)),
  manuallyCommit: method(request => request.commit()),
  commit: method((request, options, callback) => {
    const { save, regenerate } = (typeof options === 'object' ? options : {}) as { save?: boolean; regenerate?: boolean };
    const promise = regenerate ? request.regenerate() : save ? request.save() : request.commit();
    return withCallback(promise, typeof options === 'function' ? options as Callback : callback);
  }),
  externalKey: {
    get: of(request => request.externalKey),
    configurable: true,
  },
  maxAge: {
    get: of(request => request.maxAge),
    set(this: Owned, value: unknown) {
      this[OWNER].maxAge = value;
    },
    configurable: true,
  },
};

function of<T>(get: (request: RequestSession) => T) {
  return function(this: Owned) {
    return get(this[OWNER]);
  };
}

function method(run: (request: RequestSession, ...args: any[]) => unknown): PropertyDescriptor {
  return {
    value(this: Owned, ...args: unknown[]) {
      return run(this[OWNER], ...args);
    },
    writable: true,
    configurable: true,
  };
}

/** Gives plain data, which egg-mock's `mockSession` puts in place of `ctx.session`, the methods that resolve to nothing. */
export function completeMock<T>(session: T): T {
  if (typeof session !== 'object' || session === null) return session;
  const done = (callback?: Callback) => withCallback(Promise.resolve(), callback);
  for (const name of [ 'save', 'regenerate', 'manuallyCommit' ]) {
    if (!(name in session)) Object.defineProperty(session, name, { value: done, configurable: true });
  }
  return session;
}
