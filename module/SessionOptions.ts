import type { Context } from 'egg';
import type { SessionData } from './SessionData';
import type { SessionRecord, SessionStoreLike } from './store/SessionStore';

export const RISKS = [
  'httpOnly', 'secure', 'keys', 'memoryStore', 'idleTimeout', 'absoluteTimeout', 'encrypt', 'signed', 'acceptLegacyCookie',
  'sharedKey',
] as const;

/** What the review at boot, in production, tells of. */
export type Risk = typeof RISKS[number];

/**
 * `config.session`: the options of egg-session and koa-session, and the cookie's attributes.
 * `null` means the same as leaving the option out.
 */
export interface SessionOptions {
  /** The cookie's name. Default `EGG_SESS`. */
  key?: string | null;
  /** Lifetime in ms, up to 100 years, or `'session'` to end with the browser. Default one day. */
  maxAge?: number | 'session' | null;
  /** Save the session when the request ends; without it, call `session.manuallyCommit()`. Default true. */
  autoCommit?: boolean | null;
  /** Replace a cookie of the same name that the response already sets. Default true. */
  overwrite?: boolean | null;
  /** Hide the cookie from scripts in the page. Default true. */
  httpOnly?: boolean | null;
  /** Sign the cookie; has no effect on an encrypted one. Default true. */
  signed?: boolean | null;
  /** Seal the cookie: encrypt and authenticate it. With `encode` or `decode`, Egg encrypts it instead. Default true. */
  encrypt?: boolean | null;
  /** Also accept the cookies that egg-session wrote, which can be forged, and seal them anew. Default false. */
  acceptLegacyCookie?: boolean | null;
  /** Save on every request that uses the session, so that `maxAge` counts from the last one. Default false. */
  rolling?: boolean | null;
  /** The same, but only when less than half of `maxAge` is left. Default false. */
  renew?: boolean | null;
  /** How long after its creation a session ends, however active it is, in ms, up to 100 years (ASVS 7.3.2). Default: never. */
  absoluteMaxAge?: number | null;
  /**
   * Whose session it is: the field that holds the id of who is signed in, as `'userId'`, or a function of the data that
   * returns it, as `data => data.user?.id`; undefined, null and '' are nobody. With anything else but a string or a number,
   * or when the function throws or is async, saving the session fails. `SessionRegistry` needs it. Default: nobody's.
   */
  principal?: string | ((data: SessionData) => string | number | null | undefined) | null;
  /**
   * How many sessions one principal may have; signing in beyond that ends the one that was not seen for longest. It needs
   * `principal`, and a store with an index. Default: any number.
   */
  maxSessions?: number | null;
  /** Send the cookie over HTTPS only. Default: whether this request came over HTTPS. */
  secure?: boolean | null;
  /** `lax`, `strict` or `none`; `true` is `strict`, `false` sends no attribute. Default: `config.cookies`, else `lax`. */
  sameSite?: string | boolean | null;
  /** The cookie's domain, or a function that returns it. Default: this host only. */
  domain?: string | (() => string) | null;
  /** The cookie's path. Default `/`. */
  path?: string | null;
  /** Keep the cookie apart for each embedding site (CHIPS). Default false. */
  partitioned?: boolean | null;
  /** With `partitioned`, also remove the unpartitioned cookie of this name. Default false. */
  removeUnpartitioned?: boolean | null;
  /** The cookie's priority: `low`, `medium` or `high`. */
  priority?: string | null;
  /** Where the session's id travels instead of in the cookie. */
  externalKey?: { get(ctx: Context): string | undefined; set(ctx: Context, key: string): void } | null;
  /** Where sessions are kept. A tegg store or `app.sessionStore` takes its place. Default: in the cookie. */
  store?: SessionStoreLike | null;
  /** The same as a class that is built for every request; it goes before `store`. */
  ContextStore?: (new (ctx: Context) => SessionStoreLike) | null;
  /** How long a call of the store may take, in ms, up to a day; then it counts as failed. Default 2,000. */
  storeTimeout?: number | null;
  /**
   * What becomes of a request whose session can't be read, as the store fails: it is answered with 503 (`fail`), or it goes
   * on with an empty session that is never saved, and `session.available` false (`anonymous`). Default `fail`.
   */
  onStoreError?: 'fail' | 'anonymous' | null;
  /**
   * Which requests read their session: all that the middleware serves (`always`); or those whose controller has `session`
   * injected, itself or in what is injected into it, and those that call `await ctx.loadSession()` (`injected`). In any other,
   * `ctx.session` throws, and the session costs nothing. Default `always`.
   */
  load?: 'always' | 'injected' | null;
  /** Turns the session into the cookie's text. Default: JSON in Base64. */
  encode?: ((record: SessionRecord) => string) | null;
  /** Turns the cookie's text back; a SyntaxError counts as an invalid session. Default: JSON in Base64. */
  decode?: ((text: string) => SessionRecord) | null;
  /** Makes a session id. Default: 144 random bits in Base64url. */
  genid?: ((ctx: Context) => string) | null;
  /** Goes before each session id that the default `genid` makes. */
  prefix?: string | null;
  /** Says whether a loaded session may be used; if not, the request starts with a new one. Must not be async. */
  valid?: ((ctx: Context, record: SessionRecord) => unknown) | null;
  /** Called with the session before it is saved, but not by `update()` in a store. Must not be async. */
  beforeSave?: ((ctx: Context, session: object) => void) | null;
  /** Print the session in the log lines about it. Default true. */
  logValue?: boolean | null;
  /** The risks that the review at boot, in production, is not to tell of. Default none. */
  acceptedRisks?: readonly Risk[] | null;
  /** Run the session middleware. Default true. */
  enable?: boolean | null;
  /** Run it only for these paths, as for any Egg middleware. */
  match?: unknown;
  /** Run it for all paths but these, as for any Egg middleware. */
  ignore?: unknown;
}
