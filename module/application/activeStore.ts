import assert from 'node:assert';
import type { EventEmitter } from 'node:events';
import { types } from 'node:util';
import co from 'co';
import type { Application, Context } from 'egg';
import { coded } from '../record/errors';
import { configOf, NEEDS_STORE } from '../options/SessionConfig';
import { warnOnce } from '../record/warnOnce';
import type { Store } from '../store/GuardedStore';
import { SessionStore, type SessionStoreLike } from '../store/SessionStore';

interface ActiveStore {
  /** The store of all requests. */
  store?: SessionStoreLike;
  /** Each request has an instance of this class of its own; then there is no `store`. */
  ContextStore?: new (ctx: Context) => SessionStoreLike;
}

const OPTION = 'config.session.store';

const origins = new WeakMap<Application, { store: SessionStoreLike; origin: string; isTegg: boolean }>();

/** Where an application's sessions are kept now: `config.session.ContextStore`, else `config.session.store`, else the cookie. */
export function activeStore(app: Application): ActiveStore {
  const { store, ContextStore } = app.config.session;
  return ContextStore ? { ContextStore } : { store: store ?? undefined };
}

/** Whether the session's data or its id are in a cookie: the id may travel elsewhere. */
export const usesCookie = (app: Application): boolean => !configOf(app).externalKey;

/** The part of Egg's lifecycle that waits until each `willReady` is done. */
interface Lifecycle extends EventEmitter {
  bootReady: { readyCallback(name: string): (err?: Error) => void };
}

/** Stops an application with `externalKey` that has no store when all else is ready: others may set `app.sessionStore` until then. */
export function requireStoreWhenReady(app: Application): void {
  const isMissing = () => {
    const { store, ContextStore } = activeStore(app);
    return configOf(app).externalKey !== undefined && !store && !ContextStore;
  };
  if (configOf(app).enable === false || !isMissing()) return;
  const { lifecycle } = app as unknown as { lifecycle: Lifecycle };
  const done = lifecycle.bootReady.readyCallback('egg-tegg-session:externalKey');
  const check = ({ remain }: { remain: unknown[] }) => {
    if (remain.length > 1) return;
    lifecycle.off('ready_stat', check);
    done(isMissing() ? coded('ERR_SESSION_SETUP', new Error(NEEDS_STORE)) : undefined);
  };
  lifecycle.on('ready_stat', check);
}

/** Where it came from, for people to read: a tegg class with its file, `app.sessionStore`, an option, or the cookie. */
function originOf(app: Application): string {
  const { store, ContextStore } = activeStore(app);
  if (ContextStore) return `config.session.ContextStore (${ContextStore.name})`;
  if (!store) return `the cookie ${configOf(app).key}`;
  const set = origins.get(app);
  return set?.store === store ? set.origin : OPTION;
}

/** Whether tegg has found this store; others are given the id of a session as its key, as applications rely on it. */
export function isTeggStore(app: Application, store: SessionStoreLike): boolean {
  const set = origins.get(app);
  return set?.store === store && set.isTegg;
}

/** @throws Error when a store can't tell which sessions there are, as `what` needs to know */
export function requireIndexed(app: Application, store: Store | undefined, what: string): Store {
  if (store?.isIndexed) return store;
  throw needsIndex(what, originOf(app));
}

const needsIndex = (what: string, origin: string) => coded('ERR_SESSION_NO_STORE', new Error(`[egg-tegg-session] ${what} needs a store with an ` +
  `index, and sessions are kept in ${origin}. Use one of the stores for Redis, PostgreSQL, MySQL and memory, or your own class that ` +
  'extends SessionStore with the methods index and list'));

/** @throws Error when two browsers could bind one session in the store, or a slow write could undo a binding */
export function requireBindable(app: Application): void {
  const { store } = activeStore(app);
  if (store && isTeggStore(app, store) && store.merge && store.compareAndSet && store.retire) return;
  throw needsBindable(originOf(app));
}

const needsBindable = (origin: string) => coded('ERR_SESSION_NO_STORE', new Error('[egg-tegg-session] config.session.deviceBound needs a store with ' +
  `atomic writes, and sessions are kept in ${origin}. Use one of the stores for Redis, PostgreSQL, MySQL and memory, or your own class that ` +
  'extends SessionStore with the methods merge, compareAndSet and retire'));

/**
 * What can be used as the store: as `given`, but that generator functions are wrapped.
 *
 * @throws AssertionError when a method is missing
 */
export function usableStore<T extends SessionStoreLike>(given: T): T {
  const methods = given as unknown as Record<string, unknown>;
  for (const name of [ 'get', 'set', 'destroy' ]) {
    const method = methods[name];
    assert(typeof method === 'function', `store.${name} must be function`);
    if (types.isGeneratorFunction(method)) methods[name] = co.wrap(method as () => Generator);
  }
  return given;
}

/**
 * Checks whether the store of all requests can do its work.
 *
 * @throws Error that says what it lacks
 */
export async function checkStore(app: Application): Promise<void> {
  const { store } = activeStore(app);
  if (!(store instanceof SessionStore) || configOf(app).enable === false) return;
  const origin = originOf(app);
  const { principal, storeTimeout } = configOf(app);
  const name = origin === OPTION ? `${store.constructor.name} of ${origin}` : origin;
  const silence = await store.checkAtBoot?.({ name, indexes: principal !== undefined, ms: storeTimeout });
  if (silence === undefined) return;
  app.coreLogger.warn('[egg-tegg-session] the session store %s has not answered (%s). The application starts all the same: until it answers, ' +
    'requests with a session get a 503', name, silence);
}

/**
 * Makes it the store of an application from now on, as egg-session's `app.sessionStore` does; undefined is the cookie.
 *
 * @throws Error when the application is running under `maxSessions`, which no such store can count, or `deviceBound`, which none can hold
 */
export function setStore(app: Application, store: SessionStoreLike | undefined, origin: string, isTegg = false): void {
  const { session } = app.config;
  if (announced.has(app) && configOf(app).maxSessions !== undefined && !isTegg) {
    throw needsIndex('config.session.maxSessions', store ? origin : `the cookie ${configOf(app).key}`);
  }
  if (announced.has(app) && configOf(app).deviceBound && !isTegg) throw needsBindable(store ? origin : `the cookie ${configOf(app).key}`);
  const before = session.ContextStore || session.store ? originOf(app) : undefined;
  if (store) {
    session.ContextStore = undefined;
    origins.set(app, { store, origin, isTegg });
  }
  session.store = store;
  if (before && app.config.env !== 'unittest') {
    app.logger.warn('[egg-tegg-session] %s is not used: sessions are kept in %s, as that was set later. Remove the one that you do not need',
      before, originOf(app));
  }
  if (announced.has(app)) announceStore(app);
}

/**
 * Warns that `what`, as `config.session.maxAge`, is `'session'`: a store that is no `SessionStore` is given it as koa-session gives it,
 * and the stores of Egg's documents compute with it.
 */
export function warnOfBrowserLifetime(app: Application, what: string): void {
  const { store, ContextStore } = activeStore(app);
  const isForeign = ContextStore ? !(ContextStore.prototype instanceof SessionStore) : store && !(store instanceof SessionStore);
  if (!isForeign) return;
  warnOnce(app, `${what} 'session'`, '[egg-tegg-session] %s is \'session\', and %s is given that in place of a number: if it computes with ' +
    'maxAge, as for PX in Redis, each write fails. Have it keep such a session for a day, or set a number of milliseconds', what, originOf(app));
}

const announced = new WeakSet<Application>();

/** Says in the log where sessions are kept, now and whenever that changes. */
export function announceStore(app: Application): void {
  announced.add(app);
  app.coreLogger.info('[egg-tegg-session] sessions are kept in %s', originOf(app));
  if (configOf(app).maxAge === 'session') warnOfBrowserLifetime(app, 'config.session.maxAge');
}

const ofRequest = new WeakMap<Context, SessionStoreLike>();

/** The store for a request: with a `ContextStore` its own instance, built when it is first asked for. */
export function storeFor(ctx: Context): SessionStoreLike | undefined {
  const { store, ContextStore } = activeStore(ctx.app);
  if (!ContextStore) return store;
  let own = ofRequest.get(ctx);
  if (!own) ofRequest.set(ctx, own = new ContextStore(ctx));
  return own;
}
