import type { Application } from 'egg';
import type {} from '@eggjs/tegg-plugin';
import { EggQualifierAttribute, EggType, ObjectInitType, PrototypeUtil } from '@eggjs/tegg';
import { GlobalGraph } from '@eggjs/tegg/helper';
import type { EggObject, EggPrototype, EggPrototypeLifecycleContext } from '@eggjs/tegg/helper';
import { injectSession, SESSION_PROTO } from './Session';
import { SessionStore, type SessionStoreLike } from './store/SessionStore';

const STORE_PROTO = 'EGG_TEGG_SESSION_STORE';

type CreateObject = (...args: [ name: PropertyKey, proto: EggPrototype, ctx: unknown ]) => Promise<EggObject>;

/** Has tegg make the prototypes of `protoImplType` with `createProto`, and their objects with `createObject`. */
function registerProtoImpl(app: Application, protoImplType: string, {
  createProto = defaultCreateProto(app),
  createObject,
}: { createProto?: (ctx: EggPrototypeLifecycleContext) => EggPrototype; createObject: CreateObject }) {
  // tegg looks up how to create an object by the constructor of its prototype
  class Proto {}
  app.eggPrototypeCreatorFactory.registerPrototypeCreator(protoImplType, ctx =>
    Object.defineProperty(createProto(ctx), 'constructor', { value: Proto }));
  app.eggObjectFactory.registerEggObjectCreateMethod(Proto as never, createObject as never);
}

const defaultCreateProto = (app: Application) => app.eggPrototypeCreatorFactory.getPrototypeCreator('DEFAULT')!;

/** Makes `session` injectable. */
export function provideSession(app: Application): void {
  const session = injectSession(app);
  registerProtoImpl(app, SESSION_PROTO, {
    createObject: async (name, proto) => ({
      id: app.identicalUtil.createObjectId(proto.id),
      name,
      proto,
      isReady: true,
      obj: session,
      injectProperty() { /* a session has nothing injected */ },
    }),
  });
}

/**
 * Finds the `SessionStore` among the classes of all modules.
 *
 * @return resolves to the store once tegg has loaded, or to undefined when no module has one
 * @throws when there are two, when a method is missing, when it is no singleton, or when it can't be created: the error
 *   names the class and its file, and loading stops with it
 */
export function discoverStore(app: Application): () => Promise<SessionStore | undefined> {
  let found: { clazz: EggPrototypeLifecycleContext['clazz']; proto: EggPrototype } | undefined;
  const describe = (clazz: EggPrototypeLifecycleContext['clazz']) => `${clazz.name} (${PrototypeUtil.getFilePath(clazz)})`;
  const createObject = app.eggObjectFactory.getEggObjectCreateMethod(Object as never) as unknown as CreateObject;

  const failed = (clazz: EggPrototypeLifecycleContext['clazz'], err: unknown) => new Error(
    `[egg-tegg-session] the session store ${describe(clazz)} could not be created: ${(err as Error).message}\n` +
    'Fix its constructor, its init() and what it injects; or remove the class, and sessions are kept in the cookie',
    { cause: err });

  registerProtoImpl(app, STORE_PROTO, {
    createProto(ctx) {
      const { clazz } = ctx;
      const missing = [ 'get', 'set', 'destroy' ].filter(method => typeof clazz.prototype[method] !== 'function');
      if (missing.length > 0) {
        throw new TypeError(`[egg-tegg-session] the session store ${describe(clazz)} lacks ${missing.join(' and ')}: ` +
          'implement get, set and destroy as the abstract class SessionStore declares them');
      }
      if (ctx.prototypeInfo.initType !== ObjectInitType.SINGLETON) {
        throw new TypeError(`[egg-tegg-session] the session store ${describe(clazz)} must be a singleton: ` +
          'decorate it with @SingletonProto()');
      }
      if (found) {
        throw new Error(`[egg-tegg-session] two session stores: ${describe(found.clazz)} and ${describe(clazz)}. ` +
          'An application has one: remove one class, or its @SingletonProto()');
      }
      try {
        found = { clazz, proto: defaultCreateProto(app)(ctx) };
        return found.proto;
      } catch (err) {
        throw failed(clazz, err);
      }
    },
    createObject: (...args) => createObject(...args).catch(err => {
      throw failed(found!.clazz, err);
    }),
  });

  GlobalGraph.instance!.registerBuildHook(graph => {
    for (const { val: { proto } } of graph.protoGraph.nodes.values()) {
      const { clazz } = proto as { clazz?: { prototype: unknown } };
      if (clazz?.prototype instanceof SessionStore) proto.protoImplType = STORE_PROTO;
    }
  });

  return async () => found && (await app.eggContainerFactory.getOrCreateEggObject(found.proto)).obj as SessionStore;
}

/**
 * Makes what is injected as `sessionStore` follow `app.sessionStore`, which tegg would otherwise read only once.
 *
 * @return undoes it
 */
export function provideActiveStore(app: Application): () => void {
  const active = (): SessionStoreLike | undefined => {
    const { store, ContextStore } = app.config.session;
    return ContextStore && app.currentContext ? new ContextStore(app.currentContext) : store ?? undefined;
  };
  const view = new Proxy(Object.create(SessionStore.prototype) as SessionStore, {
    get(_, key) {
      const store = active() as Record<PropertyKey, unknown> | undefined;
      if (!store) {
        if (typeof key === 'symbol' || key === 'then') return undefined;
        throw new Error('[egg-tegg-session] there is no session store: sessions are kept in the cookie');
      }
      const value = store[key];
      return typeof value === 'function' ? value.bind(store) : value;
    },
    has: (_, key) => key in (active() ?? {}),
  });
  const hook = {
    async postCreate(_: unknown, proto: EggPrototype) {
      if (proto.name === 'sessionStore' && proto.getQualifier(EggQualifierAttribute) === EggType.APP) {
        proto.constructEggObject = () => view;
      }
    },
  };
  app.eggPrototypeLifecycleUtil.registerLifecycle(hook);
  return () => app.eggPrototypeLifecycleUtil.deleteLifecycle(hook);
}
