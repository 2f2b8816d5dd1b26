import type { Application, Context } from 'egg';
import { createSession } from 'koa-session';
import { isRecord, RequestStore } from '../../module/RequestStore';
import type { SessionConfig } from '../../module/SessionConfig';
import type { SessionRecord } from '../../module/SessionStore';

type Middleware = (ctx: Context, next: () => Promise<unknown>) => Promise<void>;

const mounted = new WeakMap<Application, Middleware>();

/** Egg's middleware `session`: loads the session before what follows runs, and saves it afterwards. */
export default (_: unknown, app: Application): Middleware => (ctx, next) => mounted.get(app)!(ctx, next);

/**
 * Creates koa-session's middleware, which also defines `ctx.session`. To be called once tegg has loaded: tegg would turn
 * a `session` that it finds on the context into a singleton, and every user would see the session of the first.
 */
export function mountSession(app: Application, config: SessionConfig): void {
  const options = {
    ...config,
    sameSite: undefined,
    store: undefined,
    ContextStore: undefined,
    encode: config.encode ?? encode,
    decode: decodeWith(config.decode ?? decode),
    valid: (ctx: Context, record: unknown) => isRecord(record) && (config.valid ? config.valid(ctx, record) : true),
    beforeSave(ctx: Context, session: object) {
      keepBrowserSession(ctx);
      config.beforeSave?.(ctx, session);
    },
  };
  mounted.set(app, createSession(options as object, app));
  // koa-session reads the options anew for each request: what it would refuse when it is created, or what may change
  // while the application runs, is set now
  Object.defineProperties(options, {
    ...('sameSite' in config ? { sameSite: { value: config.sameSite, enumerable: true } } : {}),
    ContextStore: {
      enumerable: true,
      get: () => (app.config.session.store || app.config.session.ContextStore ? RequestStore : undefined),
    },
  });
}

const encode = (record: SessionRecord) => Buffer.from(JSON.stringify(record)).toString('base64');
const decode = (text: string) => JSON.parse(Buffer.from(text, 'base64').toString());

/** Wraps `decode` so that whatever is not the data of a session comes out as a list, which `isRecord` refuses. */
function decodeWith(decode: (text: string) => unknown) {
  return (text: string): unknown => {
    try {
      const record = decode(text);
      return isRecord(record) ? record : [ text ];
    } catch (err) {
      if (err instanceof SyntaxError) return [ text ];
      throw err;
    }
  };
}

const browserSessions = new WeakSet<Context>();

/** koa-session forgets `maxAge: 'session'` with the first save, and a second one in the same request would last a day. */
function keepBrowserSession(ctx: Context) {
  const options = (ctx as unknown as { sessionOptions: { maxAge?: number | 'session' } }).sessionOptions;
  if (options.maxAge === 'session') browserSessions.add(ctx);
  else if (options.maxAge === undefined && browserSessions.has(ctx)) options.maxAge = 'session';
}
