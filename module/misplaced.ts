import type { Application } from 'egg';
import { PrototypeUtil } from '@eggjs/tegg';
import { GlobalGraph } from '@eggjs/tegg/helper';
import { type Class, isBaseOf, loadedClasses } from './loadedClasses';

type Injecting = Parameters<typeof PrototypeUtil.getInjectObjects>[0];

const injectsOf = (clazz: unknown) => PrototypeUtil.getInjectObjects(clazz as Injecting);
const isDecorated = (clazz: unknown) =>
  Boolean(PrototypeUtil.isEggPrototype(clazz as Injecting) || PrototypeUtil.isEggMultiInstancePrototype(clazz as Injecting));

/** Tells of each class that has the session injected, but that tegg does not make, as nothing decorates it. */
export function warnOfUndecorated(app: Application): void {
  const classes = loadedClasses(app.baseDir, clazz => injectsOf(clazz).some(({ objName }) => objName === 'session'));
  const decorated: Class[] = [ ...classes.keys() ].filter(isDecorated);
  for (const [ clazz, file ] of classes) {
    if (isBaseOf(clazz, decorated)) continue;
    const { refName } = injectsOf(clazz).find(({ objName }) => objName === 'session')!;
    app.logger.warn('[egg-tegg-session] %s (%s) has the session injected, but nothing decorates the class, and its %s stays undefined: ' +
      'add @SingletonProto(), and have the class injected instead of calling new %s()', clazz.name, file, String(refName), clazz.name);
  }
}

/** Adds to tegg's error about a name that it can't inject what it means, when the session seems to be meant. */
export function explainUnknownName(app: Application, error: Error): void {
  const name = /^Object (\w*session) not found/i.exec(error.message)?.[1];
  if (!name || name === 'session') return;
  for (const { val: { proto } } of GlobalGraph.instance!.protoGraph.nodes.values()) {
    const { clazz } = proto as { clazz?: Class };
    if (!clazz || !injectsOf(clazz).some(({ objName }) => objName === name)) continue;
    app.coreLogger.error('[egg-tegg-session] %s (%s) has %s injected, and nothing has that name. If it is the session, write ' +
      '@Inject({ name: \'session\' }), or compile with emitDecoratorMetadata and import Session, not its type only', clazz.name,
    PrototypeUtil.getFilePath(clazz as never), name);
  }
}
