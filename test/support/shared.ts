import { isDeepStrictEqual } from 'node:util';
import mm, { type MockApplication } from 'egg-mock';
import type { SessionStoreLike } from '../..';
import { MapStore } from './MapStore';
import { atEnd } from './env';

interface Options {
  session?: object & { store?: SessionStoreLike | null };
  boot?: unknown;
}

interface Shared {
  options: unknown;
  app: MockApplication;
  /** Where the application keeps its sessions, if that is a `MapStore`: each test has its own. */
  place: { store: MapStore };
  /** Whether a test had it warn, which it may do once only, or fail. */
  hasLogged: boolean;
  listeners: Map<string | symbol, unknown[]>;
}

const running = new Map<MockApplication, Shared>();
let left: Shared | undefined;

/** Whether an application with these options is the same, whichever test has it. */
function isPlain(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return typeof value !== 'function';
  const prototype = Object.getPrototypeOf(value);
  return prototype === MapStore.prototype || (Array.isArray(value) || prototype === Object.prototype) && Object.values(value).every(isPlain);
}

/**
 * Boots an application, or gives the one that the test before had with the same options, as a boot takes longer than most tests. It
 * is not given on when it has logged a warning or an error, has been given a function, or has a store other than a `MapStore`.
 */
export async function bootOrShare<O extends Options>(options: O, boot: (options: O) => Promise<MockApplication>): Promise<MockApplication> {
  const { session } = options;
  if (!isPlain(options)) return await boot(options);
  const place = { store: session?.store as MapStore };
  const isMap = session?.store instanceof MapStore;
  const key = { boot, ...options, session: { ...session, store: isMap ? 'a Map' : session?.store } };
  if (left && isDeepStrictEqual(left.options, key)) {
    const { app } = left;
    left.place.store = place.store;
    running.set(app, left);
    left = undefined;
    return app;
  }
  const store = new Proxy(place.store ?? {}, {
    get: (_, name) => Reflect.get(place.store, name),
    set: (_, name, value) => Reflect.set(place.store, name, value),
  });
  const app = await boot(isMap ? { ...options, session: { ...session, store } } : options);
  const shared: Shared = { options: key, app, place, hasLogged: false, listeners: new Map() };
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
  left = shared;
}

/** Closes what is left: two applications of a fixture can't run at the same time. */
export async function closeLeft(): Promise<void> {
  const app = left?.app;
  left = undefined;
  await app?.close();
}

atEnd.push(closeLeft);
