import type { Application, Context } from 'egg';
import { configOf } from '../SessionConfig';
import type { Store } from './guard';
import { SessionStore, type SessionStoreLike } from './SessionStore';

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
export function usesCookie(app: Application): boolean {
  const { store, ContextStore } = activeStore(app);
  return !configOf(app).externalKey || !(store ?? ContextStore);
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
  throw new Error(`[egg-tegg-session] ${what} needs a store that can tell which sessions there are, and they are kept in ` +
    `${originOf(app)}. RedisSessionStore and MemorySessionStore can, and a SessionStore with the methods index and list, as a class ` +
    'that tegg finds');
}

/**
 * Checks whether the store of all requests can do its work.
 *
 * @throws Error that says what it lacks
 */
export async function checkStore(app: Application): Promise<void> {
  const { store } = activeStore(app);
  if (!(store instanceof SessionStore)) return;
  const origin = originOf(app);
  const { principal, storeTimeout } = configOf(app);
  const name = origin === OPTION ? `${store.constructor.name} of ${origin}` : origin;
  const silence = await store.checkAtBoot?.({ name, indexes: principal !== undefined, ms: storeTimeout });
  if (silence === undefined) return;
  app.coreLogger.warn('[egg-tegg-session] the session store %s has not answered (%s). The application starts all the same: until it answers, ' +
    'requests with a session get a 503', name, silence);
}

/** Makes it the store of an application from now on, as egg-session's `app.sessionStore` does; undefined is the cookie. */
export function setStore(app: Application, store: SessionStoreLike | undefined, origin: string, isTegg = false): void {
  const { session } = app.config;
  if (store) {
    session.ContextStore = undefined;
    origins.set(app, { store, origin, isTegg });
  }
  session.store = store;
  if (announced.has(app)) announceStore(app);
}

const announced = new WeakSet<Application>();

/** Says in the log where sessions are kept, now and whenever that changes. */
export function announceStore(app: Application): void {
  announced.add(app);
  app.coreLogger.info('[egg-tegg-session] sessions are kept in %s', originOf(app));
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
