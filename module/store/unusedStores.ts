import { realpathSync } from 'node:fs';
import path from 'node:path';
import { types } from 'node:util';
import type { Application } from 'egg';
import { PrototypeUtil } from '@eggjs/tegg';
import { SessionStore } from './SessionStore';
import { activeStore } from './activeStore';

type Class = (abstract new () => unknown) & { prototype: unknown };

/**
 * Tells of each class of an application that extends `SessionStore`, but is not where sessions are kept. Only what has
 * been loaded is looked at, and nothing of it is run.
 *
 * @param app the application
 * @param used the class that tegg has found, if any
 */
export function warnOfUnusedStores(app: Application, used?: unknown): void {
  const { store, ContextStore } = activeStore(app);
  const inUse = [ used, ContextStore, store?.constructor ].filter(Boolean).map(clazz => (clazz as Class).prototype as object);
  for (const [ clazz, file ] of loadedStores(app.baseDir)) {
    const prototype = clazz.prototype as object;
    if (inUse.some(other => other === prototype || Object.prototype.isPrototypeOf.call(prototype, other))) continue;
    app.logger.warn('[egg-tegg-session] %s (%s) is not the session store, as %s', clazz.name, file,
      PrototypeUtil.isEggPrototype(clazz as never)
        ? 'tegg does not load its folder: add "eggModule": { "name": "…" } to the package.json there'
        : 'nothing decorates it: add @SingletonProto(), in a folder whose package.json has "eggModule"; or make it abstract');
  }
}

/** The classes that extend `SessionStore`, with the file of each. */
function loadedStores(baseDir: string): Map<Class, string> {
  const found = new Map<Class, string>();
  const root = realpathSync(baseDir) + path.sep;
  for (const [ file, loaded ] of Object.entries(require.cache)) {
    if (!file.startsWith(root) || file.includes(`${path.sep}node_modules${path.sep}`)) continue;
    for (const value of exported(loaded?.exports)) {
      if (isStoreClass(value) && !found.has(value)) found.set(value, file);
    }
  }
  return found;
}

/** What a module exports, without running its getters. */
function exported(exports: unknown): unknown[] {
  if ((typeof exports !== 'object' && typeof exports !== 'function') || !exports || types.isProxy(exports)) return [];
  return [ exports, ...Object.values(Object.getOwnPropertyDescriptors(exports)).map(({ value }) => value) ];
}

const isStoreClass = (value: unknown): value is Class =>
  typeof value === 'function' && !types.isProxy(value) && value.prototype instanceof SessionStore;
