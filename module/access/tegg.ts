import type { Application, Context } from 'egg';
import type {} from '@eggjs/tegg-plugin';
import { EggQualifierAttribute, EggType, InjectType, ObjectInitType } from '@eggjs/tegg';
import { GlobalGraph } from '@eggjs/tegg/helper';
import type { EggObject, EggPrototype, EggPrototypeLifecycleContext } from '@eggjs/tegg/helper';
import { coded } from '../record/errors';
import { activeStore, storeFor } from '../application/activeStore';
import { aliveApplications, currentApp, currentContext } from '../application/applications';
import { fileOf } from '../application/loadedClasses';
import { SessionStore } from '../store/SessionStore';
import { injectSession } from './injectSession';
import { SESSION_PROTO } from './Session';

/*
 * tegg's registries belong to the process, not to an application, and most of them have nothing that takes an entry out.
 * What is registered here is always the same and holds nothing of an application, so that registering it again changes
 * nothing, and leaving it there does no harm.
 */

const STORE_PROTO = 'EGG_TEGG_SESSION_STORE';

type Class = EggPrototypeLifecycleContext['clazz'];
type CreateObject = (...args: [ name: PropertyKey, proto: EggPrototype, ctx: unknown ]) => Promise<EggObject>;

// tegg looks up how to create an object by the constructor of its prototype
class SessionProto {}
class StoreProto {}

/** Has tegg make the prototypes of `protoImplType` with `createProto`, and their objects with `createObject`. */
function registerProtoImpl(app: Application, protoImplType: string, { Proto, createProto = defaultCreateProto(app), createObject }: {
  Proto: new () => object;
  createProto?: (ctx: EggPrototypeLifecycleContext) => EggPrototype;
  createObject: CreateObject;
}) {
  app.eggPrototypeCreatorFactory.registerPrototypeCreator(protoImplType, ctx =>
    Object.defineProperty(createProto(ctx), 'constructor', { value: Proto }));
  app.eggObjectFactory.registerEggObjectCreateMethod(Proto as never, createObject as never);
}

const defaultCreateProto = (app: Application) => app.eggPrototypeCreatorFactory.getPrototypeCreator('DEFAULT')!;

/** Makes `session` injectable. */
export function provideSession(app: Application): void {
  const { identicalUtil } = app;
  registerProtoImpl(app, SESSION_PROTO, {
    Proto: SessionProto,
    createObject: async (name, proto) => ({
      id: identicalUtil.createObjectId(proto.id),
      name,
      proto,
      isReady: true,
      obj: injectSession(),
      injectProperty() { /* a session has nothing injected */ },
    }),
  });
}

/** Where tegg notes the prototype of the controller that a request goes to. */
const ROOT_PROTO = Symbol.for('context#rootProto');

const withSession = new WeakMap<EggPrototype, boolean>();

/** Whether the controller of a request, or something that is injected into it, has the session injected. */
export function hasSessionInjected(ctx: Context): boolean {
  const root = rootProtoOf(ctx);
  if (!root) return false;
  let reaches = withSession.get(root);
  if (reaches === undefined) withSession.set(root, reaches = reachesSession(root));
  return reaches;
}

function rootProtoOf(ctx: Context): EggPrototype | undefined {
  const { method, host, path, app } = ctx;
  const found = (ctx as { [ROOT_PROTO]?: EggPrototype })[ROOT_PROTO];
  if (found || method !== 'HEAD') return found;
  // Egg's router has it answered by the route for GET, which tegg does not know
  return (app as { rootProtoManager?: RootProtoManager }).rootProtoManager?.getRootProto({ method: 'GET', host, path });
}

interface RootProtoManager {
  getRootProto(ctx: Pick<Context, 'method' | 'host' | 'path'>): EggPrototype | undefined;
}

function reachesSession(proto: EggPrototype, seen = new Set<EggPrototype>()): boolean {
  if (proto.constructor === SessionProto) return true;
  if (seen.has(proto)) return false; // advice may lead back to it
  seen.add(proto);
  return proto.injectObjects.some(injected => reachesSession(injected.proto, seen));
}

export const describeClass = (clazz: Class) => `${clazz.name} (${fileOf(clazz as never)})`;

/**
 * Finds the `SessionStore` among the classes of all modules. When there are two, when a method is missing, when it is no
 * singleton, or when it can't be created, loading stops with an error that names the class and its file.
 *
 * @return gives the class once tegg has loaded, or undefined when no module has one
 */
export function discoverStore(app: Application): () => Class | undefined {
  const createProto = defaultCreateProto(app);
  const createObject = app.eggObjectFactory.getEggObjectCreateMethod(Object as never) as unknown as CreateObject;
  registerProtoImpl(app, STORE_PROTO, {
    Proto: StoreProto,
    createProto(ctx) {
      try {
        return createProto(ctx);
      } catch (err) {
        throw failed(ctx.clazz, err);
      }
    },
    createObject: (...args) => createObject(...args).catch(err => {
      throw failed((args[1] as EggPrototype & { clazz: Class }).clazz, err);
    }),
  });

  let found: Class | undefined;
  GlobalGraph.instance!.registerBuildHook(graph => {
    for (const { val: { proto } } of graph.protoGraph.nodes.values()) {
      const { clazz } = proto as { clazz?: Class };
      if (!(clazz?.prototype instanceof SessionStore)) continue;
      assertStore(clazz, proto.initType);
      if (found) {
        throw coded('ERR_SESSION_SETUP', new Error(`[egg-tegg-session] two session stores: ${describeClass(found)} and ${describeClass(clazz)}. ` +
          'An application has one: remove one class, or its @SingletonProto()'));
      }
      found = clazz;
      proto.protoImplType = STORE_PROTO;
    }
  });
  return () => found;
}

function assertStore(clazz: Class, initType: string): void {
  const missing = [ 'get', 'set', 'destroy' ].filter(method => typeof clazz.prototype[method] !== 'function');
  if (missing.length > 0) {
    throw coded('ERR_SESSION_SETUP', new TypeError(`[egg-tegg-session] the session store ${describeClass(clazz)} lacks ${missing.join(' and ')}: ` +
      'implement get, set and destroy as the abstract class SessionStore declares them'));
  }
  if (initType !== ObjectInitType.SINGLETON) {
    throw coded('ERR_SESSION_SETUP', new TypeError(`[egg-tegg-session] the session store ${describeClass(clazz)} must be a singleton: ` +
      'decorate it with @SingletonProto()'));
  }
}

const failed = (clazz: Class, err: unknown) => {
  const [ message ] = (err as Error).message.split('\n');
  const missing = /^Object (\S+) not found/.exec(message)?.[1];
  const reason = missing ? `nothing provides ${missing}, which it injects (is its plugin enabled in config/plugin.ts?)` : message;
  return coded('ERR_SESSION_SETUP', new Error(`[egg-tegg-session] the session store ${describeClass(clazz)} could not be created: ${reason}. Fix its constructor, ` +
    'its init() and what it injects; or remove the class, and sessions are kept in the cookie', { cause: err }));
};

/** What is injected as `sessionStore`: the current application's store, whatever it is at the time. */
const activeStoreView = new Proxy(Object.create(SessionStore.prototype) as SessionStore, {
  get(_, key) {
    const store = current() as Record<PropertyKey, unknown> | undefined;
    if (!store) {
      if (typeof key === 'symbol' || key === 'then') return undefined;
      throw coded('ERR_SESSION_NO_STORE', new Error('[egg-tegg-session] there is no session store: sessions are kept in the cookie'));
    }
    const value = store[key];
    return typeof value === 'function' ? value.bind(store) : value;
  },
  has: (_, key) => key in (current() ?? {}),
  preventExtensions: () => false,
});

function current() {
  const ctx = currentContext();
  return ctx ? storeFor(ctx) : activeStore(currentApp()).store;
}

const viewHook = {
  async postCreate(_: unknown, proto: EggPrototype) {
    refuseAssignment(proto);
    if (proto.name === 'sessionStore' && proto.getQualifier(EggQualifierAttribute) === EggType.APP) {
      proto.constructEggObject = () => activeStoreView;
    }
  },
};

/** Has an object say what to do instead of `this.session = { … }`, which would be one user's session for all who come later. */
function refuseAssignment(proto: EggPrototype): void {
  const isSession = proto.injectObjects.map(injected => injected.proto.constructor === SessionProto);
  if (!isSession.includes(true)) return;
  const construct = proto.constructEggObject;
  proto.constructEggObject = (...args) => {
    const object = construct.apply(proto, args);
    const define = (name: string | symbol, get?: () => unknown) =>
      Object.defineProperty(object, name, { get, set: () => refuse(name), configurable: true, enumerable: true });
    if (proto.injectType !== InjectType.CONSTRUCTOR) {
      // tegg adds a getter, and keeps a setter that is there
      proto.injectObjects.forEach(({ refName }, i) => isSession[i] && define(refName as string | symbol));
      return object;
    }
    const sessions = args.filter((_, i) => i !== proto.multiInstanceConstructorIndex).filter((_, i) => isSession[i]);
    for (const [ name, { value, configurable }] of Object.entries(Object.getOwnPropertyDescriptors(object))) {
      if (configurable && sessions.includes(value)) define(name, () => value);
    }
    return object;
  };
}

function refuse(name: PropertyKey): never {
  throw coded('ERR_SESSION_ARGUMENT', new TypeError(`[egg-tegg-session] this.${String(name)} is the session that is injected, and can't be assigned: call ` +
    `await this.${String(name)}.destroy() to end it, and write its fields to change them`));
}

/**
 * Makes what is injected as `sessionStore` follow `app.sessionStore`, which tegg would otherwise read only once.
 *
 * @return undoes it, unless another application is running
 */
export function provideActiveStore(app: Application): () => void {
  const { eggPrototypeLifecycleUtil } = app;
  eggPrototypeLifecycleUtil.registerLifecycle(viewHook);
  return () => {
    if (aliveApplications().length === 0) eggPrototypeLifecycleUtil.deleteLifecycle(viewHook);
  };
}

/**
 * Has tegg destroy neither less nor more than what is only this application's when it closes. It would destroy what others
 * share with it, and forgets the singletons that it had made when loading failed half-way: the next application of the
 * process would be given them.
 */
export function releaseSharedObjects({ moduleHandler, loadUnitInstanceFactory }: Application, others: readonly Application[]): void {
  const theirs = new Set(others.flatMap(other => other.moduleHandler.loadUnits));
  moduleHandler.loadUnits = moduleHandler.loadUnits.filter(unit => !theirs.has(unit));
  moduleHandler.loadUnitInstances = moduleHandler.loadUnits
    .map(unit => loadUnitInstanceFactory.getLoadUnitInstance(unit))
    .filter(instance => instance !== undefined);
}
