import type { Application } from 'egg';
import { PrototypeUtil } from '@eggjs/tegg';
import { type Class, isBaseOf, loadedClasses } from '../loadedClasses';
import { SessionStore } from './SessionStore';
import { activeStore } from './activeStore';
import { unloadedStores } from './unloadedStores';

const NO_MODULE = 'tegg does not load its folder: add "eggModule": { "name": "…" } to the package.json there';

/**
 * Tells of each class of an application that extends `SessionStore`, but is not where sessions are kept.
 *
 * @param app the application
 * @param used the class that tegg has found, if any
 */
export function warnOfUnusedStores(app: Application, used?: unknown): void {
  const { store, ContextStore } = activeStore(app);
  const inUse = [ used, ContextStore, store?.constructor ].filter(Boolean) as Class[];
  const warn = (name: string, file: string, why: string) =>
    app.logger.warn('[egg-tegg-session] %s (%s) is not the session store, as %s', name, file, why);

  for (const [ clazz, file ] of loadedClasses(app.baseDir, ({ prototype }) => prototype instanceof SessionStore)) {
    if (isBaseOf(clazz, inUse)) continue;
    warn(clazz.name, file, PrototypeUtil.isEggPrototype(clazz as never) ? NO_MODULE
      : 'nothing decorates it: add @SingletonProto(), in a folder whose package.json has "eggModule"; or make it abstract');
  }
  // whoever has a store, or is in production, has found out
  if (inUse.length > 0 || app.config.env === 'prod') return;
  for (const [ name, file ] of unloadedStores(app.baseDir)) warn(name, file, NO_MODULE);
}
