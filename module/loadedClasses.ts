import { realpathSync } from 'node:fs';
import path from 'node:path';
import { types } from 'node:util';

export type Class = (abstract new () => unknown) & { prototype: object };

/**
 * The classes of an application, with the file of each. Only what has been loaded is looked at, and nothing of it is run.
 *
 * @param baseDir the application's folder
 * @param isWanted tells which classes
 */
export function loadedClasses(baseDir: string, isWanted: (clazz: Class) => boolean): Map<Class, string> {
  const found = new Map<Class, string>();
  const root = realpathSync(baseDir) + path.sep;
  for (const [ file, loaded ] of Object.entries(require.cache)) {
    if (!file.startsWith(root) || file.includes(`${path.sep}node_modules${path.sep}`)) continue;
    for (const value of exported(loaded?.exports)) {
      if (isClass(value) && !found.has(value) && isWanted(value)) found.set(value, file);
    }
  }
  return found;
}

/** What a module exports, without running its getters. */
function exported(exports: unknown): unknown[] {
  if ((typeof exports !== 'object' && typeof exports !== 'function') || !exports || types.isProxy(exports)) return [];
  return [ exports, ...Object.values(Object.getOwnPropertyDescriptors(exports)).map(({ value }) => value) ];
}

const isClass = (value: unknown): value is Class =>
  typeof value === 'function' && !types.isProxy(value) && typeof value.prototype === 'object' && value.prototype !== null;

/** Whether a class is one of `others`, or one of them extends it. */
export function isBaseOf(clazz: Class, others: Iterable<Class>): boolean {
  for (const other of others) {
    if (other === clazz || Object.prototype.isPrototypeOf.call(clazz.prototype, other.prototype)) return true;
  }
  return false;
}
