import type { Application, Context } from 'egg';
import { completeMock, defineContextSession } from '../../module/ContextSession';
import { RequestSession, type SessionEnvironment } from '../../module/RequestSession';
import { resolveConfig, type SessionConfig } from '../../module/SessionConfig';
import { SessionCookie } from '../../module/SessionCookie';
import { CompleteStore } from '../../module/store/complete';
import { GuardedStore, type Store } from '../../module/store/guard';
import type { SessionStoreLike } from '../../module/store/SessionStore';

type Middleware = (ctx: Context, next: () => Promise<unknown>) => Promise<void>;

const environments = new WeakMap<Application, SessionEnvironment>();

/** Egg's middleware `session`: loads the session before what follows runs, and saves it afterwards. */
export default (_: unknown, app: Application): Middleware => {
  // a wrong option stops the application here, before it connects to anything
  resolveConfig(app.config.session, app.config.cookies);
  const mockable = 'mockSession' in app;
  return (ctx, next) => {
    const session = RequestSession.for(ctx, environments.get(app)!);
    if (mockable && Object.hasOwn(Object.getOwnPropertyDescriptor(app.context, 'session')!, 'value')) completeMock(ctx.session);
    return session.serve(next);
  };
};

/** To be called once tegg has loaded; see {@link defineContextSession}. */
export function mountSession(app: Application, config: SessionConfig): void {
  const stores = new WeakMap<SessionStoreLike, Store>();
  const env: SessionEnvironment = {
    app,
    config,
    cookie: new SessionCookie(app, config),
    storeFor(ctx) {
      const { store, ContextStore } = app.config.session;
      if (!store && !ContextStore) return undefined;
      const active = ContextStore ? new ContextStore(ctx) : store!;
      let guarded = stores.get(active);
      if (!guarded) {
        guarded = new GuardedStore(new CompleteStore(active));
        stores.set(active, guarded);
      }
      return guarded;
    },
    createSession: (ctx, data) => createSession(ctx, data),
  };
  const createSession = defineContextSession(env);
  environments.set(app, env);
}
