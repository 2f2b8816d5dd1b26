import { realpathSync } from 'node:fs';
import path from 'node:path';
import { types } from 'node:util';
import { PrototypeUtil } from '@eggjs/tegg';

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

/** The file of a class; tegg takes that of a helper for it, as tslib's, which applies the decorators of compiled code. */
export function fileOf(clazz: Class): string {
  const noted = PrototypeUtil.getFilePath(clazz as never)!;
  const exportsClass = (module?: NodeModule) => exported(module?.exports).includes(clazz);
  if (exportsClass(require.cache[noted])) return noted;
  const candidates = Object.values(require.cache).filter(exportsClass);
  // the others pass it on
  return candidates.find(candidate => !candidate!.children.some(child => candidates.includes(child)))?.filename ?? noted;
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
