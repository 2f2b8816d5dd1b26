import type { Application } from 'egg';
import { PrototypeUtil } from '@eggjs/tegg';
import { GlobalGraph } from '@eggjs/tegg/helper';
import { type Class, fileOf, isBaseOf, loadedClasses } from '../application/loadedClasses';
import { isDeclaredSession, moduleTest, type SourceClass } from './sourceClasses';

type Injecting = Parameters<typeof PrototypeUtil.getInjectObjects>[0];

const injectsOf = (clazz: unknown) => PrototypeUtil.getInjectObjects(clazz as Injecting);
const isDecorated = (clazz: unknown) =>
  Boolean(PrototypeUtil.isEggPrototype(clazz as Injecting) || PrototypeUtil.isEggMultiInstancePrototype(clazz as Injecting));

/**
 * Tells of each class that has the session injected, but that tegg does not make: nothing decorates it, tegg does not load its
 * folder, or its file does not export it.
 *
 * @param app the application
 * @param sources the classes in its source files, where they were looked at: those that nothing loads or exports are found there
 */
export function warnOfMisplaced(app: Application, sources: SourceClass[]): void {
  const warned = new Set<string>();
  const warn = (name: string, file: string, why: string, ...args: string[]) => {
    if (warned.has(`${file} ${name}`)) return;
    warned.add(`${file} ${name}`);
    app.logger.warn(`[egg-tegg-session] %s (%s) has the session injected, but ${why}`, name, file, ...args);
  };
  const warnOfUndecorated = (name: string, file: string, field: string) => warn(name, file, 'nothing decorates the class, and its %s stays ' +
    'undefined: add @SingletonProto(), and have the class injected instead of calling new %s()', field, name);
  const warnOfEggs = (name: string, file: string) => warn(name, file, 'Egg makes its objects, not tegg, and injects nothing: use this.ctx.session');
  const warnOfModule = (name: string, file: string) => warn(name, file, 'tegg does not load its folder, and its routes and objects are ' +
    'not there: add "eggModule": { "name": "…" } to the package.json there');

  const classes = loadedClasses(app.baseDir, clazz => injectsOf(clazz).some(({ objName }) => objName === 'session'));
  const isInModule = moduleTest(app);
  const { BaseContextClass } = app as Application & { BaseContextClass?: Class };
  const decorated: Class[] = [ ...classes.keys() ].filter(isDecorated);
  for (const [ clazz, file ] of classes) {
    if (BaseContextClass && clazz.prototype instanceof BaseContextClass) {
      warnOfEggs(clazz.name, file);
    } else if (decorated.includes(clazz)) {
      if (!isInModule(file)) warnOfModule(clazz.name, file);
    } else if (!isBaseOf(clazz, decorated)) {
      warnOfUndecorated(clazz.name, file, String(injectsOf(clazz).find(({ objName }) => objName === 'session')!.refName));
    }
  }
  const bases = new Set(sources.map(({ base }) => base));
  for (const { name, file, session, ...source } of sources) {
    if (session === undefined) continue;
    if (!source.isDecorated && !source.isExported && !bases.has(name)) warnOfUndecorated(name, file, session);
    else if (!source.isDecorated) continue; // it is found when it is loaded
    else if (!source.isInModule) warnOfModule(name, file);
    else if (!source.isExported) warn(name, file, 'its file does not export it, and tegg finds only what is exported: add export');
  }
}

/** Adds to tegg's error about a name that it can't inject what it means, when the session seems to be meant. */
export function explainUnknownName(app: Application, error: Error): void {
  const name = /^Object (\w+) not found/.exec(error.message)?.[1];
  if (!name || name === 'session') return;
  for (const { val: { proto } } of GlobalGraph.instance!.protoGraph.nodes.values()) {
    const { clazz } = proto as { clazz?: Class };
    if (!clazz || !injectsOf(clazz).some(({ objName }) => objName === name)) continue;
    if (!/session$/i.test(name) && !isDeclaredSession(fileOf(clazz), name)) continue;
    app.coreLogger.error('[egg-tegg-session] %s (%s) has %s injected, and nothing has that name. If it is the session, write ' +
      '@Inject({ name: \'session\' }), or compile with emitDecoratorMetadata and import Session, not its type only', clazz.name,
    fileOf(clazz), name);
  }
}
