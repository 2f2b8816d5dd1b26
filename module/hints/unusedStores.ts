import type { Application } from 'egg';
import { PrototypeUtil } from '@eggjs/tegg';
import { activeStore } from '../application/activeStore';
import { type Class, isBaseOf, loadedClasses } from '../application/loadedClasses';
import { SessionStore } from '../store/SessionStore';
import type { SourceClass } from './sourceClasses';

const NO_MODULE = 'tegg does not load its folder: add "eggModule": { "name": "…" } to the package.json there';
const NO_STORE = 'it does not extend SessionStore: write extends SessionStore, which egg-tegg-session exports, with get, set and destroy';
const NOT_CALLED = 'its decorator is not called, and takes the class away: write @SingletonProto()';
const NOT_EXPORTED = 'its file does not export it, and tegg finds only what is exported: add export';

/**
 * Tells of each class of an application that extends `SessionStore`, or looks as if it were to, but is not where sessions are kept.
 *
 * @param app the application
 * @param sources the classes in its source files, where they were looked at
 * @param used the class that tegg has found, if any
 */
export function warnOfUnusedStores(app: Application, sources: SourceClass[], used?: unknown): void {
  const { store, ContextStore } = activeStore(app);
  const inUse = [ used, ContextStore, store?.constructor ].filter(Boolean) as Class[];
  const warn = (name: string, file: string, why: string) =>
    app.logger.warn('[egg-tegg-session] %s (%s) is not the session store, as %s', name, file, why);

  for (const [ clazz, file ] of loadedClasses(app.baseDir, ({ prototype }) => prototype instanceof SessionStore)) {
    if (isBaseOf(clazz, inUse)) continue;
    warn(clazz.name, file, PrototypeUtil.isEggPrototype(clazz as never) ? NO_MODULE
      : 'nothing decorates it: add @SingletonProto(), in a folder whose package.json has "eggModule"; or make it abstract');
  }
  if (inUse.length > 0) return; // whoever has a store has found out
  const isNamedStore = (name: string) => name.endsWith('SessionStore') || sources.some(source => source.name === name && source.isStore);
  const lookalikes = loadedClasses(app.baseDir, clazz => isNamedStore(clazz.name) && PrototypeUtil.isEggPrototype(clazz as never) && looksLikeStore(clazz));
  for (const [ clazz, file ] of lookalikes) warn(clazz.name, file, NO_STORE);
  for (const { name, file, ...source } of sources) {
    if (!source.isStore) continue;
    if (source.lacksCall) warn(name, file, NOT_CALLED);
    else if (source.isInModule && source.isDecorated && !source.isExported) warn(name, file, NOT_EXPORTED);
    else if (!source.isInModule && !require.cache[file]) warn(name, file, NO_MODULE);
  }
}

function looksLikeStore({ prototype }: Class): boolean {
  const { get, set, destroy } = prototype as Record<string, unknown>;
  return !(prototype instanceof SessionStore) && [ get, set, destroy ].every(method => typeof method === 'function');
}
