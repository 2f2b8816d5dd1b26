import type { Application, Context } from 'egg';
import { completeMock, defineContextSession } from '../../module/ContextSession';
import { DataCookie } from '../../module/DataCookie';
import { ExternalKey, IdCookie } from '../../module/IdTransport';
import { RequestSession } from '../../module/RequestSession';
import { RunningRequests } from '../../module/RunningRequests';
import { configOf, requireKeys } from '../../module/SessionConfig';
import { environmentOf, type SessionEnvironment, setEnvironment } from '../../module/SessionEnvironment';
import { isTeggStore, requireIndexed, storeFor, usesCookie } from '../../module/store/activeStore';
import { CompleteStore } from '../../module/store/complete';
import { Deadlines } from '../../module/store/Deadlines';
import { GuardedStore, type Store } from '../../module/store/guard';
import type { SessionStoreLike } from '../../module/store/SessionStore';
import { StoreHealth } from '../../module/store/StoreHealth';
import { Turns } from '../../module/store/Turns';
import { hasSessionInjected } from '../../module/tegg';

type Middleware = (ctx: Context, next: () => Promise<unknown>) => Promise<void>;

/** Egg's middleware `session`: loads the session before what follows runs, and saves it afterwards. */
export default (_: unknown, app: Application): Middleware => {
  const mockable = 'mockSession' in app;
  return (ctx, next) => {
    const session = RequestSession.for(ctx, environmentOf(app));
    if (mockable && Object.hasOwn(Object.getOwnPropertyDescriptor(app.context, 'session')!, 'value')) completeMock(ctx.session);
    return session.serve(next);
  };
};

/** To be called once tegg has loaded; see {@link defineContextSession}. */
export function mountSession(app: Application): void {
  const config = configOf(app);
  if (config.enable !== false && usesCookie(app)) requireKeys(app);
  const stores = new WeakMap<SessionStoreLike, Store>();
  const health = new StoreHealth(app.coreLogger, config.storeTimeout);
  const deadlines = new Deadlines(config.storeTimeout);
  const turns = new Turns();
  const env: SessionEnvironment = {
    app,
    config,
    health,
    running: new RunningRequests(),
    data: new DataCookie(app, config),
    ids: config.externalKey ? new ExternalKey(config.externalKey) : new IdCookie(app, config),
    storeFor(ctx) {
      const store = storeFor(ctx);
      if (!store) return undefined;
      let guarded = stores.get(store);
      if (!guarded) stores.set(store, guarded = new GuardedStore(new CompleteStore(store), health, deadlines, turns, isTeggStore(app, store)));
      return guarded;
    },
    createSession: (...args) => createSession(...args),
    usesSession: config.load === 'injected' ? hasSessionInjected : () => true,
  };
  const createSession = defineContextSession(env);
  setEnvironment(env);
  if (config.maxSessions !== undefined) requireIndexed(app, env.storeFor(app.createAnonymousContext()), 'config.session.maxSessions');
}
