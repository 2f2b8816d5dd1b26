import type { Context } from 'egg';
import type { SessionData } from '../record/SessionData';
import type { SessionRecord } from '../record/SessionRecord';
import type { SessionStoreLike } from '../store/SessionStore';
import type { Risk } from './Risk';

/**
 * `config.session`: the options of egg-session and koa-session, the cookie's attributes, and more. All are optional, and `null` is the same
 * as leaving an option out. With an unknown option or a wrong value, the application does not start.
 *
 * ```ts
 * // config/config.prod.ts
 * import type { SessionOptions } from 'egg-tegg-session';
 *
 * const session: SessionOptions = {
 *   key: '__Host-sid',
 *   maxAge: 20 * 60 * 1000,
 *   rolling: true,
 *   absoluteMaxAge: 8 * 3600 * 1000,
 * };
 *
 * export default { proxy: true, session };
 * ```
 */
export interface SessionOptions {
  /**
   * The cookie's name. With the default, another Egg application on the same host uses the same cookie. If it starts with `__Host-`,
   * browsers accept it over HTTPS and from this host only.
   * @default 'EGG_SESS'
   * @example '__Host-sid'
   */
  key?: string | null;
  /**
   * Lifetime of a session after its last save, in ms, up to 100 years; `'session'` ends it with the browser. Without this option, users
   * sign in again a day after the last change.
   * @default 86_400_000 (one day)
   * @example 20 * 60 * 1000
   */
  maxAge?: number | 'session' | null;
  /**
   * Save the session when the request ends. When false, only `session.manuallyCommit()` saves it.
   * @default true
   */
  autoCommit?: boolean | null;
  /**
   * Replace a cookie of the same name that the response already sets. When false, the response has both.
   * @default true
   */
  overwrite?: boolean | null;
  /**
   * Hide the cookie from scripts in the page. When false, an injected script (XSS) can steal the session.
   * @default true
   */
  httpOnly?: boolean | null;
  /**
   * Sign a cookie that is not encrypted. With `signed` and `encrypt` false, anybody can forge a cookie.
   * @default true
   */
  signed?: boolean | null;
  /**
   * Seal the cookie (encrypt and authenticate it), so that nobody can read or change it. When false, anybody who has the cookie can read
   * it. With `encode` and `decode`, it is encrypted as Egg encrypts cookies, which does not detect every change.
   * @default true
   */
  encrypt?: boolean | null;
  /**
   * Also accept the cookies that egg-session wrote, and seal them. They can be forged: remove this option one `maxAge` after the migration.
   * Without it, the migration from egg-session signs everybody out.
   * @default false
   */
  acceptLegacyCookie?: boolean | null;
  /**
   * Renew the session on every request that uses it, so that `maxAge` counts from the last one (idle timeout). Without it and `renew`, a
   * user who only reads is signed out after `maxAge`.
   * @default false
   */
  rolling?: boolean | null;
  /**
   * Like `rolling`, but renew only when less than half of `maxAge` is left, which writes less often.
   * @default false
   */
  renew?: boolean | null;
  /**
   * Absolute lifetime: how long after its creation a session ends, however active it is, in ms, up to 100 years (ASVS 7.3.2). Without it, a
   * session that is used never ends, even if it was stolen.
   * @default none
   * @example 8 * 3600 * 1000
   */
  absoluteMaxAge?: number | null;
  /**
   * The user of a session: the field that holds the id of the signed-in user, or a function of the data that returns the id. undefined,
   * null and '' mean that nobody is signed in; with any other value that is not a string or a number, or when the function throws or is
   * async, saving fails. Without it, `SessionRegistry` can't list or end a user's sessions, and events have no `principal`.
   * @default none
   * @example 'userId'; data => data.user?.id
   */
  principal?: string | ((data: SessionData) => string | number | null | undefined) | null;
  /**
   * How many sessions a principal may have; signing in beyond that evicts the one that has been idle for longest. Needs `principal`, and
   * sessions in Redis, PostgreSQL, MySQL or memory, or in a store with `index` and `list`. Without it, there is no limit.
   * @default none
   * @example 5
   */
  maxSessions?: number | null;
  /**
   * Experimental, like the draft that it follows (Device Bound Session Credentials): bind the session to the device at sign-in, in browsers
   * that support it, so that a copy of its cookies is worthless elsewhere. Needs `principal`, `secure: true`, and a store that is a tegg
   * class with `merge`, `compareAndSet` and `retire`. Without it, a copy of the cookie gives access to the session.
   * @default false
   * @example true; { maxAge: 10 * 60 * 1000, path: '/session/device', required: false }
   */
  deviceBound?: boolean | DeviceBoundOptions | null;
  /**
   * Send the cookie over HTTPS only. Without it, the response to a request over plain HTTP sets a cookie that is also sent over plain HTTP;
   * behind an HTTPS proxy, set `config.proxy` or this option.
   * @default whether the request came over HTTPS
   * @example true
   */
  secure?: boolean | null;
  /**
   * Whether the browser sends the cookie with requests from other sites: with links (`lax`), never (`strict`, `true`), or always (`none`,
   * which needs HTTPS). `false` sets no attribute, and leaves the decision to the browser.
   * @default config.cookies.sameSite, else 'lax'
   * @example 'strict'
   */
  sameSite?: 'lax' | 'strict' | 'none' | 'Lax' | 'Strict' | 'None' | boolean | null;
  /**
   * The cookie's domain, without scheme, port and path, or a function that returns it, or nothing for this host only. Without it, other
   * hosts of the domain don't share the session.
   * @default this host only
   * @example 'example.com'
   */
  domain?: string | (() => string) | null;
  /**
   * The path below which the browser sends the cookie.
   * @default '/'
   * @example '/admin'
   */
  path?: string | null;
  /**
   * Keep a separate cookie for each site that embeds this one (CHIPS). Without it, browsers that block third-party cookies send none from a
   * frame in another site. Needs `sameSite: 'none'` and HTTPS.
   * @default false
   */
  partitioned?: boolean | null;
  /**
   * With `partitioned`, remove the unpartitioned cookie of this name. Otherwise the browser may send both.
   * @default false
   */
  removeUnpartitioned?: boolean | null;
  /**
   * The order in which a browser with too many cookies of a site drops them, if it supports this attribute.
   * @default none
   * @example 'high'
   */
  priority?: 'low' | 'medium' | 'high' | 'Low' | 'Medium' | 'High' | null;
  /**
   * Reads the session's id from a request and sends it, instead of the cookie, for clients without cookies. It needs a store: without one,
   * the application does not start. No cookie is read or set. `get` returns the id, or undefined; neither method may be async.
   * @default the cookie
   * @example { get: ctx => ctx.get('x-session') || undefined, set: (ctx, key) => ctx.set('x-session', key) }
   */
  externalKey?: { get(ctx: Context): string | undefined; set(ctx: Context, key: string): void } | null;
  /**
   * Where sessions are kept, as in egg-session. A class that extends `SessionStore` in a tegg module, or `app.sessionStore`, has priority
   * over it. Without any store, sessions live in the cookie: up to 4,096 bytes, and signing out can't invalidate a copy of the cookie.
   * @default the cookie
   */
  store?: SessionStoreLike | null;
  /**
   * The same as a class, created with `ctx` for every request; it has priority over `store`.
   * @default none
   */
  ContextStore?: (new (ctx: Context) => SessionStoreLike) | null;
  /**
   * Timeout of each call to the store, in ms, above 0 and up to a day. After that, the call has failed, and `onStoreError` decides about
   * the request.
   * @default 2000
   * @example 500
   */
  storeTimeout?: number | null;
  /**
   * How to serve a request whose session can't be read because the store fails. `fail` responds with a 503. With `anonymous`, the request
   * goes on with an empty session that is never saved, and `session.available` is false: users seem signed out meanwhile.
   * @default 'fail'
   */
  onStoreError?: 'fail' | 'anonymous' | null;
  /**
   * Which requests read their session: `always`, all that the middleware serves; `injected`, those whose controller injects `session`,
   * directly or through the objects that it injects, and those that call `await ctx.loadSession()`. Others do not read the store, and
   * `ctx.session` throws in them.
   * @default 'always'
   */
  load?: 'always' | 'injected' | null;
  /**
   * Converts the session to the cookie's text, without a store; set `decode` as well. With them, the cookie is not sealed, see `encrypt`.
   * Must not be async.
   * @default JSON in Base64
   */
  encode?: ((record: SessionRecord) => string) | null;
  /**
   * Converts the cookie's text back to a session; set `encode` as well. A SyntaxError, or a result that is not an object, means that the
   * cookie belongs to another application; any other error fails the request, and removes the cookie. Must not be async.
   * @default JSON in Base64
   */
  decode?: ((text: string) => SessionRecord) | null;
  /**
   * Creates a session's id, which must be impossible to guess. Must not be async.
   * @default 144 random bits in Base64url
   * @example () => crypto.randomUUID()
   */
  genid?: ((ctx: Context) => string) | null;
  /**
   * Prefix of the ids that the default `genid` creates.
   * @default none
   * @example 'shop:'
   */
  prefix?: string | null;
  /**
   * Returns whether a loaded session may be used; if the result is falsy, the request starts with a new session. Must not be async.
   * @default every session may
   * @example (ctx, record) => record.ip === ctx.ip
   */
  valid?: ((ctx: Context, record: SessionRecord) => unknown) | null;
  /**
   * Called with the session before it is saved, but not by `update()` in a store. It may choose where the cookie is set, for example with
   * `ctx.sessionOptions.path`; signing out removes the cookie there. Must not be async.
   * @default none
   */
  beforeSave?: ((ctx: Context, session: object) => void) | null;
  /**
   * Show the session's data in log lines and events about it. Set it to false if logs must not contain data.
   * @default true
   */
  logValue?: boolean | null;
  /**
   * Risks that you accept: in production, the review at boot warns of the others only.
   * @default none
   * @example [ 'absoluteTimeout' ]
   */
  acceptedRisks?: readonly Risk[] | null;
  /**
   * Run the session's middleware. When false, there are no sessions.
   * @default true
   */
  enable?: boolean | null;
  /**
   * Serve sessions on these paths only, as for any Egg middleware; can't be combined with `ignore`. Elsewhere, using the session throws.
   * @default all paths
   * @example '/account'
   */
  match?: string | RegExp | ((ctx: Context) => boolean) | Array<string | RegExp | ((ctx: Context) => boolean)> | null;
  /**
   * Serve no sessions on these paths, as for any Egg middleware.
   * @default no path
   * @example [ '/health', /\.png$/ ]
   */
  ignore?: string | RegExp | ((ctx: Context) => boolean) | Array<string | RegExp | ((ctx: Context) => boolean)> | null;
}

/** How sessions are bound to devices; all fields are optional. */
export interface DeviceBoundOptions {
  /**
   * How long a proof of the device is valid, in ms, from a minute to a day. After that, the browser needs a new proof, and a copy of the
   * cookies stops working. Browsers limit how often they sign.
   * @default 600_000 (ten minutes)
   */
  maxAge?: number;
  /**
   * The path below which the browser registers its key and proves that it has it; the plugin serves it.
   * @default '/session/device'
   */
  path?: string;
  /**
   * Refuse a signed-in session that is not bound two minutes after the sign-in: for closed groups whose browsers all support binding.
   * @default false
   */
  required?: boolean;
}
