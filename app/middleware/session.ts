import type { Application, Context } from 'egg';
import { createSession } from 'koa-session';
import { assertRecord } from '../../module/changes';
import { RequestStore, requireSave } from '../../module/RequestStore';
import { resolveConfig, type SessionConfig } from '../../module/SessionConfig';
import { SessionCookie } from '../../module/SessionCookie';

type Middleware = (ctx: Context, next: () => Promise<unknown>) => Promise<void>;

const mounted = new WeakMap<Application, Middleware>();

/** Egg's middleware `session`: loads the session before what follows runs, and saves it afterwards. */
export default (_: unknown, app: Application): Middleware => {
  // a wrong option stops the application here, before it connects to anything
  resolveConfig(app.config.session, app.config.cookies);
  return (ctx, next) => mounted.get(app)!(ctx, next);
};

/**
 * Creates koa-session's middleware, which also defines `ctx.session`. To be called once tegg has loaded: tegg would turn
 * a `session` that it finds on the context into a singleton, and every user would see the session of the first.
 */
export function mountSession(app: Application, config: SessionConfig): void {
  const cookie = new SessionCookie(app, config);
  const options: Record<string, unknown> = {
    ...config,
    ...cookie.koaOptions(),
    // true and false, which koa-session refuses when it is created, go in afterwards
    ...('sameSite' in config ? { sameSite: 'lax' } : {}),
    store: undefined,
    // koa-session reads the options anew for each request, so that a store may come and go
    get ContextStore() {
      return app.config.session.store || app.config.session.ContextStore ? RequestStore : undefined;
    },
    set ContextStore(_) { /* koa-session writes back what it has read */ },
    beforeSave(ctx: Context, session: object) {
      requireHttps(ctx);
      assertRecord({ ...session });
      keepBrowserSession(ctx);
      config.beforeSave?.(ctx, session);
    },
  };
  const koaSession = createSession(options, app) as Middleware;
  if ('sameSite' in config) options.sameSite = config.sameSite;

  const aroundHandler = async (ctx: Context, next: () => Promise<unknown>) => {
    const store = RequestStore.of(ctx);
    store?.begin();
    cookie.check(ctx);
    try {
      await next();
    } finally {
      // koa-session compares hashes of 32 bits, and knows nothing of a cookie that must be dropped or sealed anew
      if (config.autoCommit && isReal(ctx.session) && (store?.isChanged() || cookie.isStale(ctx))) requireSave(ctx.session);
    }
  };

  mounted.set(app, async (ctx, next) => {
    try {
      await koaSession(ctx, () => aroundHandler(ctx, next));
    } finally {
      cookie.protect(ctx);
    }
  });
}

/** Whether this is a session of koa-session's, not one that egg-mock gives. */
const isReal = (session: Context['session']) => typeof session?.manuallyCommit === 'function';

function requireHttps(ctx: Context) {
  if (ctx.sessionOptions.secure && !ctx.secure) {
    throw new Error(`[egg-tegg-session] the cookie ${ctx.sessionOptions.key} is for HTTPS only, and this request came ` +
      'over plain HTTP. If a proxy in front speaks HTTPS, set config.proxy to true');
  }
}

const browserSessions = new WeakSet<object>();

/** koa-session forgets `maxAge: 'session'` with the first save, and a second one in the same request would last a day. */
function keepBrowserSession({ sessionOptions }: Context) {
  if (sessionOptions.maxAge === 'session') browserSessions.add(sessionOptions);
  else if (sessionOptions.maxAge === undefined && browserSessions.has(sessionOptions)) sessionOptions.maxAge = 'session';
}
