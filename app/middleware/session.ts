import type { Application, Context } from 'egg';
import { completeMock, defineContextSession, koaSession } from '../../module/access/ContextSession';
import { hasSessionInjected } from '../../module/access/tegg';
import { isTeggStore, requireBindable, requireIndexed, storeFor, usesCookie } from '../../module/application/activeStore';
import { DataCookie } from '../../module/cookie/DataCookie';
import { ExternalKey, IdCookie } from '../../module/cookie/IdTransport';
import { Device, type DeviceEnvironment } from '../../module/device/Device';
import { DeviceEndpoints } from '../../module/device/endpoints';
import { hintsFor } from '../../module/hints/hints';
import { configOf, hasKeys, withoutKeys } from '../../module/options/SessionConfig';
import { environmentOf, type SessionEnvironment, setEnvironment } from '../../module/request/environment';
import { RequestSession } from '../../module/request/RequestSession';
import { RunningRequests } from '../../module/request/RunningRequests';
import { ChangeClock } from '../../module/store/ChangeClock';
import { Deadlines } from '../../module/store/Deadlines';
import { GuardedStore, type Store } from '../../module/store/GuardedStore';
import type { SessionStoreLike } from '../../module/store/SessionStore';
import { StoreAdapter } from '../../module/store/StoreAdapter';
import { StoreHealth } from '../../module/store/StoreHealth';

type Middleware = (ctx: Context, next: () => Promise<unknown>) => Promise<void>;

/** Egg's middleware `session`: loads the session before what follows runs, and saves it afterwards. */
export default (_: unknown, app: Application): Middleware => {
  const mockable = 'mockSession' in app;
  let endpoints: DeviceEndpoints | undefined;
  return (ctx, next) => {
    const env = environmentOf(app);
    if (env.device) {
      endpoints ??= new DeviceEndpoints(env.device);
      if (endpoints.serves(ctx)) return endpoints.serve(ctx);
    }
    const session = RequestSession.for(ctx, env);
    if (mockable && Object.hasOwn(Object.getOwnPropertyDescriptor(app.context, 'session')!, 'value')) completeMock(ctx.session);
    if (app.currentContext === ctx) return session.serve(next);
    // egg-socket.io calls middleware by itself, without what Egg and tegg do for a request, which is how the session is found
    return app.ctxStorage.run(ctx, () => ctx.beginModuleScope(() => session.serve(next)));
  };
};

/** To be called once tegg has loaded; see {@link defineContextSession}. */
export function mountSession(app: Application): void {
  const config = configOf(app);
  const lacksKeys = config.enable !== false && !hasKeys(app);
  if (lacksKeys && usesCookie(app)) {
    if (app.config.env === 'prod') throw withoutKeys(app);
    app.coreLogger.warn('%s. The application starts without keys, as this is not production; using the session throws this error', withoutKeys(app).message);
  }
  const stores = new WeakMap<SessionStoreLike, Store>();
  const health = new StoreHealth(app.coreLogger, config.storeTimeout);
  const deadlines = new Deadlines(config.storeTimeout);
  const clock = new ChangeClock();
  const env: SessionEnvironment = {
    app,
    config,
    lacksKeys,
    makesOwnIds: typeof app.config.session.genid === 'function',
    health,
    hints: hintsFor(app),
    running: new RunningRequests(),
    data: new DataCookie(app, config),
    ids: config.externalKey ? new ExternalKey(config.externalKey) : new IdCookie(app, config),
    storeFor(ctx) {
      const store = storeFor(ctx);
      if (!store) return undefined;
      let guarded = stores.get(store);
      if (!guarded) stores.set(store, guarded = new GuardedStore(new StoreAdapter(store), health, deadlines, clock, isTeggStore(app, store)));
      return guarded;
    },
    ...koaSession(config),
    usesSession: config.load === 'injected' ? hasSessionInjected : () => true,
  };
  defineContextSession(env);
  setEnvironment(env);
  if (config.enable !== false && config.deviceBound) {
    requireBindable(app);
    env.device = new Device(env as DeviceEnvironment);
  }
  if (config.enable !== false && config.maxSessions !== undefined) requireIndexed(app, env.storeFor(app.createAnonymousContext()), 'config.session.maxSessions');
}
