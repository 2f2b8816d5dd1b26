import type { Context } from 'egg';
import type { SessionData } from '../record/SessionData';
import type { SessionRecord } from '../record/SessionRecord';
import type { SessionStoreLike } from '../store/SessionStore';
import type { Risk } from './Risk';

/**
 * `config.session`: the options of egg-session and koa-session, the cookie's attributes, and more. All are optional, and
 * `null` means the same as leaving one out. A wrong value or an unknown option stops the application when it starts.
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
   * The cookie's name. Without one of your own, another Egg application on the same host takes the cookie for its own.
   * With `__Host-` in front, browsers accept it over HTTPS and from this host only.
   * @default 'EGG_SESS'
   * @example '__Host-sid'
   */
  key?: string | null;
  /**
   * How long a session lives after it was saved last, in ms, up to 100 years; `'session'` ends it with the browser. Without it,
   * users sign in again a day after the last change.
   * @default 86_400_000 (one day)
   * @example 20 * 60 * 1000
   */
  maxAge?: number | 'session' | null;
  /**
   * Save the session when the request ends. When false, what `session.manuallyCommit()` does not save is lost.
   * @default true
   */
  autoCommit?: boolean | null;
  /**
   * Replace a cookie of the same name that the response already sets. When false, the response has both.
   * @default true
   */
  overwrite?: boolean | null;
  /**
   * Hide the cookie from scripts in the page. When false, a script that somebody slips into a page can take the session.
   * @default true
   */
  httpOnly?: boolean | null;
  /**
   * Sign a cookie that is not encrypted. With `signed` and `encrypt` false, anybody can write the cookie of anybody.
   * @default true
   */
  signed?: boolean | null;
  /**
   * Seal the cookie, so that nobody can read or change it. When false, anybody who has the cookie can read it. With `encode` and
   * `decode`, it is encrypted as Egg encrypts cookies, which does not detect every change.
   * @default true
   */
  encrypt?: boolean | null;
  /**
   * Also accept the cookies that egg-session wrote, and seal them. They can be forged: remove this one `maxAge` after the move.
   * Without it, the move from egg-session signs everybody out.
   * @default false
   */
  acceptLegacyCookie?: boolean | null;
  /**
   * Save on every request that uses the session, so that `maxAge` counts from the last one (idle timeout). Without it and
   * `renew`, a user who only reads is signed out after `maxAge`.
   * @default false
   */
  rolling?: boolean | null;
  /**
   * As `rolling`, but only when less than half of `maxAge` is left, which writes less often.
   * @default false
   */
  renew?: boolean | null;
  /**
   * How long after its creation a session ends, however active it is, in ms, up to 100 years (ASVS 7.3.2). Without it, a
   * session that is used goes on for ever, also in the hands of somebody who has stolen it.
   * @default none
   * @example 8 * 3600 * 1000
   */
  absoluteMaxAge?: number | null;
  /**
   * Whose session it is: the field that holds the id of who is signed in, or a function of the data that returns it. undefined,
   * null and '' are nobody; with anything else but a string or a number, or when the function throws or is async, saving fails.
   * Without it, `SessionRegistry` can list and end nobody's sessions, and events don't say whose they are.
   * @default none
   * @example 'userId'; data => data.user?.id
   */
  principal?: string | ((data: SessionData) => string | number | null | undefined) | null;
  /**
   * How many sessions a principal may have; signing in beyond that ends the one that was not seen for longest. Needs
   * `principal`, and sessions in Redis, in memory, or in a store with `index` and `list`. Without it, any number.
   * @default none
   * @example 5
   */
  maxSessions?: number | null;
  /**
   * Experimental, as the draft is that it follows: bind the session of who signs in to the device, with browsers that can (Device
   * Bound Session Credentials), so that a copy of its cookies is worth nothing elsewhere. Needs `principal`, `secure: true`, and a
   * store that is a tegg class with `merge`, `compareAndSet` and `retire`. Without it, whoever has a copy of the cookie has the session.
   * @default false
   * @example true; { maxAge: 10 * 60 * 1000, path: '/session/device', required: false }
   */
  deviceBound?: boolean | DeviceBoundOptions | null;
  /**
   * Send the cookie over HTTPS only. Without it, a request that came over plain HTTP gets a cookie that goes over plain HTTP;
   * behind a proxy that speaks HTTPS, set `config.proxy` or this.
   * @default whether the request came over HTTPS
   * @example true
   */
  secure?: boolean | null;
  /**
   * With which requests from other sites the browser sends the cookie: with links (`lax`), with none (`strict`, `true`), or with
   * all (`none`, which needs HTTPS). `false` sets no attribute, and leaves it to the browser.
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
   * Keep a cookie for each site that embeds this one (CHIPS). Without it, browsers that block third-party cookies send none
   * from inside another site's frame. Needs `sameSite: 'none'` and HTTPS.
   * @default false
   */
  partitioned?: boolean | null;
  /**
   * With `partitioned`, remove the cookie of this name that was set without it. Otherwise the browser may send both.
   * @default false
   */
  removeUnpartitioned?: boolean | null;
  /**
   * Which cookies a browser that has too many of a site drops first, where it knows this attribute.
   * @default none
   * @example 'high'
   */
  priority?: 'low' | 'medium' | 'high' | 'Low' | 'Medium' | 'High' | null;
  /**
   * Where the session's id travels instead of in the cookie, as for clients without cookies. It needs a store: without one, the
   * application does not start. No cookie is read or set. `get` returns the id, or undefined; neither method may be async.
   * @default the cookie
   * @example { get: ctx => ctx.get('x-session') || undefined, set: (ctx, key) => ctx.set('x-session', key) }
   */
  externalKey?: { get(ctx: Context): string | undefined; set(ctx: Context, key: string): void } | null;
  /**
   * Where sessions are kept, as in egg-session. A class that extends `SessionStore` in a tegg module, or `app.sessionStore`,
   * goes before it. Without any store, sessions live in the cookie: up to 4,096 bytes, and signing out can't void a copy of it.
   * @default the cookie
   */
  store?: SessionStoreLike | null;
  /**
   * The same as a class that is built with `ctx` for every request; it goes before `store`.
   * @default none
   */
  ContextStore?: (new (ctx: Context) => SessionStoreLike) | null;
  /**
   * How long a call of the store may take, in ms, above 0 and up to a day. Then it has failed, and the request is answered as
   * `onStoreError` says.
   * @default 2000
   * @example 500
   */
  storeTimeout?: number | null;
  /**
   * What becomes of a request whose session can't be read, as the store fails. `fail` answers it with 503. Under `anonymous` it
   * goes on with an empty session that is never saved, and `session.available` is false: users seem signed out meanwhile.
   * @default 'fail'
   */
  onStoreError?: 'fail' | 'anonymous' | null;
  /**
   * Which requests read their session: `always` all that the middleware serves; `injected` those whose controller has `session`
   * injected, itself or in what is injected into it, and those that call `await ctx.loadSession()`. In others, `ctx.session` then
   * throws, and no read of the store is spent on them.
   * @default 'always'
   */
  load?: 'always' | 'injected' | null;
  /**
   * Turns the session into the cookie's text, without a store; `decode` goes with it. With them, the cookie is not sealed, see `encrypt`. Must
   * not be async.
   * @default JSON in Base64
   */
  encode?: ((record: SessionRecord) => string) | null;
  /**
   * Turns the cookie's text back; `encode` goes with it. A SyntaxError, or anything but an object, says that the cookie is none of this application's; another
   * error fails the request, and removes the cookie. Must not be async.
   * @default JSON in Base64
   */
  decode?: ((text: string) => SessionRecord) | null;
  /**
   * Makes a session's id, which nobody may be able to guess. Must not be async.
   * @default 144 random bits in Base64url
   * @example () => crypto.randomUUID()
   */
  genid?: ((ctx: Context) => string) | null;
  /**
   * Goes before each id that the default `genid` makes.
   * @default none
   * @example 'shop:'
   */
  prefix?: string | null;
  /**
   * Whether a loaded session may be used; if it returns something falsy, the request starts with a new one. Must not be async.
   * @default every session may
   * @example (ctx, record) => record.ip === ctx.ip
   */
  valid?: ((ctx: Context, record: SessionRecord) => unknown) | null;
  /**
   * Called with the session before it is saved, but not by `update()` in a store. It may choose where the cookie goes, as by
   * `ctx.sessionOptions.path`; signing out removes it there. Must not be async.
   * @default none
   */
  beforeSave?: ((ctx: Context, session: object) => void) | null;
  /**
   * Show the session's data in log lines and events about it. Set it to false where data must not be in logs.
   * @default true
   */
  logValue?: boolean | null;
  /**
   * The risks that are meant: the review at boot, in production, warns of the others only.
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
   * Have sessions on these paths only, as for any Egg middleware; not beside `ignore`. Elsewhere, using the session throws.
   * @default all paths
   * @example '/account'
   */
  match?: string | RegExp | ((ctx: Context) => boolean) | Array<string | RegExp | ((ctx: Context) => boolean)> | null;
  /**
   * Have no sessions on these paths, as for any Egg middleware.
   * @default no path
   * @example [ '/health', /\.png$/ ]
   */
  ignore?: string | RegExp | ((ctx: Context) => boolean) | Array<string | RegExp | ((ctx: Context) => boolean)> | null;
}

/** How sessions are bound to devices; all may be left out. */
export interface DeviceBoundOptions {
  /**
   * How long, in ms, a proof of the device counts: then the browser proves it anew, and a copy of the cookies ends. From a minute to a
   * day; browsers sign only so often.
   * @default 600_000 (ten minutes)
   */
  maxAge?: number;
  /**
   * The path below which the browser registers its key and proves that it has it; the plugin answers there.
   * @default '/session/device'
   */
  path?: string;
  /**
   * Have no session either for who is signed in, but not bound two minutes after the sign-in: for closed groups of users, all of whose
   * browsers can.
   * @default false
   */
  required?: boolean;
}
