import mm, { type MockApplication } from 'egg-mock';
import type { SessionStoreLike } from '../..';
import { MapStore } from './MapStore';
import { atEnd } from './env';

interface Options {
  session?: object & { store?: SessionStoreLike | null };
}

interface Shared {
  boot: unknown;
  options: Options;
  app: MockApplication;
  /** Where the application keeps its sessions, if that is a `MapStore`: each test has its own. */
  place: { store: MapStore };
  /** Whether a test had it warn, which it may do once only, or fail. */
  hasLogged: boolean;
  listeners: Map<string | symbol, unknown[]>;
}

const running = new Map<MockApplication, Shared>();
let left: Shared | undefined;

const isMapStore = (value: unknown): value is MapStore => Object.getPrototypeOf(value ?? 0) === MapStore.prototype;
const isPlain = (value: unknown): value is Record<string, unknown> => [ Object.prototype, Array.prototype ].includes(Object.getPrototypeOf(value ?? 0));

/** Whether two options make the same application: functions and stores have to be the same ones, but for `MapStore`s. */
function areSame(a: unknown, b: unknown): boolean {
  if (isMapStore(a) && isMapStore(b) || Object.is(a, b)) return true;
  if (!isPlain(a) || !isPlain(b) || Array.isArray(a) !== Array.isArray(b)) return false;
  return [ ...new Set([ ...Object.keys(a), ...Object.keys(b) ]) ].every(name => areSame(a[name], b[name]));
}

/**
 * Boots an application, or gives the one that the test before had with the same options, as a boot takes longer than most tests. One
 * that has logged a warning or an error is not given on.
 */
export async function bootOrShare<O extends Options>(options: O, boot: (options: O) => Promise<MockApplication>): Promise<MockApplication> {
  const { session } = options;
  const place = { store: session?.store as MapStore };
  if (left && left.boot === boot && areSame(left.options, options)) {
    const { app } = left;
    left.place.store = place.store;
    running.set(app, left);
    left = undefined;
    return app;
  }
  const store = isMapStore(place.store) ? new Proxy(place.store, {
    get: (_, name) => Reflect.get(place.store, name),
    set: (_, name, value) => Reflect.set(place.store, name, value),
  }) : place.store;
  const app = await boot(store ? { ...options, session: { ...session, store } } : options);
  const shared: Shared = { boot, options, app, place, hasLogged: false, listeners: new Map() };
  for (const logger of app.loggers.values()) {
    const log = logger.log.bind(logger);
    logger.log = (...args: Parameters<typeof log>) => {
      if (/WARN|ERROR/.test(args[0])) shared.hasLogged = true;
      log(...args);
    };
  }
  for (const name of app.eventNames()) shared.listeners.set(name, app.listeners(name));
  running.set(app, shared);
  return app;
}

/** Leaves an application to the next test, or closes it. */
export async function leave(app: MockApplication): Promise<void> {
  mm.restore();
  const shared = running.get(app);
  running.delete(app);
  if (!shared || shared.hasLogged) return await app.close();
  for (const name of app.eventNames()) {
    for (const listener of app.listeners(name)) if (!shared.listeners.get(name)?.includes(listener)) app.off(name, listener as () => void);
  }
  await closeLeft();
  left = shared;
}

/** Closes the application that is left to the next test: two of a fixture can't run at the same time. */
export async function closeLeft(): Promise<void> {
  const app = left?.app;
  left = undefined;
  await app?.close();
}

atEnd.push(closeLeft);
