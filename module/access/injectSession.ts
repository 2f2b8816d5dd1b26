import { IncomingMessage } from 'node:http';
import { inspect } from 'node:util';
import type { Context } from 'egg';
import { coded } from '../record/errors';
import { kindOf } from '../record/kindOf';
import { currentApp, currentContext } from '../application/applications';
import type { SessionData } from '../record/SessionData';
import { assertName, changesBetween, copyOf, isInjectedField, type SessionRecord } from '../record/SessionRecord';
import { Snapshot } from '../record/Snapshot';
import { assertStorable } from '../record/storable';
import { environmentOf } from '../request/environment';
import { RequestSession } from '../request/RequestSession';
import { type Callback, completeMock, withCallback } from './ContextSession';
import { Session } from './Session';

/** `ctx.session`, as koa-session makes it, or plain data under egg-mock's `mockSession`. */
type ContextSession = Record<string, unknown>;

const LOST = '[egg-tegg-session] the session was saved when the request ended, and this change would be lost: call save() before ' +
  'that, or session.update() here';
const OVER = '[egg-tegg-session] the session was used after its request had ended, by work that the request had started and not ' +
  'awaited, as a timer. Pass on the values that are needed, or run the work by ctx.runInBackground() or BackgroundTaskHelper';

const KOA_METHODS = [ 'save', 'regenerate', 'manuallyCommit' ];

/** Whether `key` is a field of the data: what koa-session's own `toJSON` keeps. */
function isField(session: ContextSession | null, key: PropertyKey): key is string {
  return session !== null && typeof key === 'string' && key !== 'isNew' && key[0] !== '_' &&
    Object.prototype.propertyIsEnumerable.call(session, key) && typeof session[key] !== 'function';
}

/** The one object that is injected as `session`: it has no state, and passes everything on to the current request's. */
export function injectSession(): Session {
  const requestContext = () => {
    const ctx = currentContext();
    if (ctx) return ctx;
    throw coded('ERR_SESSION_OUTSIDE_REQUEST', new Error('[egg-tegg-session] the session was used outside a request: there is no ' +
      'session. Use it in code that a request calls, or pass on the values that are needed'));
  };
  const current = (): ContextSession | null => usable(requestContext()).session;
  /** Awaiting the object is not a use of it. */
  const then = () => {
    try {
      return current()?.then;
    } catch {
      return undefined;
    }
  };
  const alive = () => {
    const session = current();
    if (session) return session;
    throw coded('ERR_SESSION_ENDED', new TypeError('[egg-tegg-session] the session was destroyed earlier in this request: use it before, or begin ' +
      'another one by ctx.session = {}'));
  };
  const writable = () => {
    const session = alive();
    const { request } = usable(requestContext());
    if (request?.phase === 'done' && request.commitsItself) throw coded('ERR_SESSION_REQUEST_OVER', new Error(LOST));
    return session;
  };

  const createdAt = () => {
    const { request, session } = usable(requestContext());
    return session && request ? request.createdAt : session?.createdAt;
  };

  const deviceBound = () => {
    const { request, session } = usable(requestContext());
    return request ? request.deviceBound : Boolean(session?.deviceBound);
  };

  async function end() {
    const ctx = requestContext();
    const { request, session } = usable(ctx);
    if (request) await request.destroy();
    else if (session) ctx.session = null;
  }
  const destroy = (callback?: Callback) => withCallback(end(), callback);

  async function update(fn: (data: SessionData) => unknown) {
    if (typeof fn !== 'function') {
      throw coded('ERR_SESSION_ARGUMENT', new TypeError(`[egg-tegg-session] session.update() was given ${kindOf(fn)}; it takes a function that changes the data, like ` +
        'update(data => { data.n = 1; })'));
    }
    alive();
    const { request, session } = usable(requestContext());
    const run = (data: SessionRecord) => callUpdate(fn, data);
    if (request) return await request.update(run);
    const before = JSON.parse(JSON.stringify(session)); // plain data, from mockSession
    const { set, unset } = changesBetween(before, await run(copyOf(before)));
    Object.assign(session!, set);
    for (const name of unset) delete session![name];
  }

  const target = {
    [inspect.custom]() {
      try {
        return { ...injected };
      } catch (err) {
        return `[session: ${(err as Error).message}]`;
      }
    },
  };
  const injected: Session = new Proxy(target as unknown as Session, {
    get(_, key) {
      if (typeof key === 'symbol') return Reflect.get(target, key);
      if (key === 'then') return then();
      if (key === 'destroy') return destroy;
      if (key === 'update') return update;
      if (key === 'pop') return Session.prototype.pop.bind(injected);
      if (key === 'createdAt') return createdAt();
      if (key === 'available') return usable(requestContext()).request?.available ?? true;
      if (key === 'deviceBound') return deviceBound();
      if (key === 'toJSON') return () => fields(current());
      const session = KOA_METHODS.includes(key) ? alive() : current();
      if (!isField(session, key) && key in Object.prototype) return Reflect.get(Object.prototype, key);
      const value = session?.[key];
      return typeof value === 'function' ? value.bind(session) : value;
    },
    set(_, key, value) {
      if (key !== 'maxAge') assertName(String(key), isInjectedField);
      const session = writable();
      if (session[String(key)] === value || typeof value === 'object') usable(requestContext()).request?.noteReassigned();
      return Reflect.set(session, key, value);
    },
    has: (_, key) => isField(current(), key) || key in Object.prototype,
    deleteProperty: (_, key) => !isField(current(), key) || Reflect.deleteProperty(writable(), key),
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
      throw coded('ERR_SESSION_ARGUMENT', new TypeError('[egg-tegg-session] the session can\'t be frozen, sealed or made non-extensible, as all requests ' +
        'share the injected object: freeze a copy, session.toJSON()'));
    },
  });
  return injected;
}

/** The data, also in fields whose names are those of the injected session's methods. */
function fields(session: ContextSession | null): SessionData {
  return Object.fromEntries(Object.entries(session ?? {}).filter(([ name ]) => isField(session, name)));
}

/** Runs the `fn` of an `update()` on `data`. */
async function callUpdate(fn: (data: SessionData) => unknown, data: SessionRecord): Promise<SessionRecord> {
  const before = copyOf(data);
  const known = objectsIn(data);
  const result = await fn(data);
  const after = Snapshot.of(data).toData();
  const { set } = changesBetween(before, after);
  assertStorable(data, Object.keys(set));
  environmentOf(currentApp()).hints.saving(data);
  // an arrow function returns what it was changing, or has taken out
  const isForeign = !known.has(result) && !objectsIn(data).has(result);
  if (typeof result === 'object' && result !== null && !Array.isArray(result) && isForeign) {
    throw coded('ERR_SESSION_ARGUMENT', new TypeError('[egg-tegg-session] session.update(): fn returned an object. Change the argument instead, as in ' +
      'update(data => { data.n = 1; })'));
  }
  for (const name of Object.keys(data)) if (name in set) assertName(name, isInjectedField); // `__proto__` is in every object
  return after;
}

/** An object, and all that are in it. */
function objectsIn(value: object): Set<unknown> {
  const found = new Set<unknown>([ value ]);
  // a set gives what is added meanwhile, too
  for (const object of found) {
    for (const each of Object.values(object as object)) if (typeof each === 'object' && each !== null) found.add(each);
  }
  return found;
}

/**
 * The session of a context, and the request's session that it belongs to, which is undefined for one of `mockSession`.
 *
 * @throws Error when the injected session can't be used in this context
 */
function usable(ctx: Context): { session: ContextSession | null; request?: RequestSession } {
  const session = ctx.session as ContextSession | null;
  if (typeof session !== 'object') {
    throw coded('ERR_SESSION_ARGUMENT', new TypeError(`[egg-tegg-session] app.mockSession() was given ${kindOf(session)}: give it an object with the fields of the session`));
  }
  const request = RequestSession.of(ctx);
  if (request?.current !== session) return { session: completeMock(session) };
  if (request.phase === 'outside') throw noSession(ctx);
  if (request.phase === 'done' && isOver(ctx)) throw coded('ERR_SESSION_REQUEST_OVER', new Error(OVER));
  return { session, request };
}

/** Whether the response is sent, and all background work that tegg knows of is done. */
function isOver(ctx: Context): boolean {
  const { res } = ctx;
  return (res.writableEnded || res.destroyed) && Reflect.get(ctx.teggContext, 'destroyed') !== false;
}

export const noSession = (ctx: Context) => coded('ERR_SESSION_OUTSIDE_REQUEST', new Error(`[egg-tegg-session] there is no session here: ${whyNot(ctx)}`));

/** Why the middleware has not run for a context. */
function whyNot(ctx: Context): string {
  if (ctx.method === 'SCHEDULE') return 'this is a schedule, which belongs to no user. Use sessionRegistry, or pass on the values that are needed';
  if (!(ctx.req instanceof IncomingMessage)) return 'this context was made by the application, not by a request. In a test, call app.mockSession()';
  return `${ctx.method} ${ctx.path} is left out by config.session.enable, match or ignore, or it has not reached the session's middleware yet`;
}
