import { inspect } from 'node:util';
import type { Context, EggAppConfig } from 'egg';
import { AccessLevel, Inject, SingletonProto } from '@eggjs/tegg';
import type { SessionRecord, SessionStore } from './SessionStore';

/** What `store` and `ContextStore` must offer: the three methods of {@link SessionStore}. */
export type SessionStoreLike = Pick<SessionStore, 'get' | 'set' | 'destroy'>;

/**
 * `config.session`: the options of egg-session and koa-session, and the cookie's attributes.
 * `null` means the same as leaving the option out.
 */
export interface SessionOptions {
  /** The cookie's name. Default `EGG_SESS`. */
  key?: string | null;
  /** Lifetime in ms, or `'session'` to end with the browser. Default one day. */
  maxAge?: number | 'session' | null;
  /** Save the session when the request ends; without it, call `session.manuallyCommit()`. Default true. */
  autoCommit?: boolean | null;
  /** Replace a cookie of the same name that the response already sets. Default true. */
  overwrite?: boolean | null;
  /** Hide the cookie from scripts in the page. Default true. */
  httpOnly?: boolean | null;
  /** Sign the cookie; has no effect on an encrypted one. Default true. */
  signed?: boolean | null;
  /** Encrypt the cookie. Default true. */
  encrypt?: boolean | null;
  /** Save on every request, so that `maxAge` counts from the last one. Default false. */
  rolling?: boolean | null;
  /** Save when less than half of `maxAge` is left. Default false. */
  renew?: boolean | null;
  /** Send the cookie over HTTPS only. Default: whether this request came over HTTPS. */
  secure?: boolean | null;
  /** `lax`, `strict` or `none`; `true` is `strict`, `false` sends no attribute. Default: as in `config.cookies`. */
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
  /** Turns the session into the cookie's text. Default: JSON in Base64. */
  encode?: ((record: SessionRecord) => string) | null;
  /** Turns the cookie's text back; a SyntaxError counts as an invalid session. Default: JSON in Base64. */
  decode?: ((text: string) => SessionRecord) | null;
  /** Makes a session id. Default: a random UUID. */
  genid?: ((ctx: Context) => string) | null;
  /** Goes before each session id that the default `genid` makes. */
  prefix?: string | null;
  /** Says whether a loaded session may be used; if not, the request starts with a new one. */
  valid?: ((ctx: Context, record: SessionRecord) => unknown) | null;
  /** Called with the session before it is saved. */
  beforeSave?: ((ctx: Context, session: object) => void) | null;
  /** Print the session in the log lines about it. Default true. */
  logValue?: boolean | null;
  /** Run the session middleware. Default true. */
  enable?: boolean | null;
  /** Run it only for these paths, as for any Egg middleware. */
  match?: unknown;
  /** Run it for all paths but these, as for any Egg middleware. */
  ignore?: unknown;
}

/** The resolved options: checked, without `null`, with the defaults in place, frozen. */
export type SessionConfig = Readonly<{ [K in keyof SessionOptions]: Exclude<SessionOptions[K], null> }> & {
  readonly key: string;
  readonly autoCommit: boolean;
  readonly httpOnly: boolean;
  readonly logValue: boolean;
};

type Rule = [ allowed: string, test: (value: any) => boolean ];

const bool: Rule = [ 'true or false', value => typeof value === 'boolean' ];
const func: Rule = [ 'a function', value => typeof value === 'function' ];
const text: Rule = [ 'a string', value => typeof value === 'string' ];
const hasMethods = (value: any, names: string[]) => names.every(name => typeof value?.[name] === 'function');
const STORE_METHODS = [ 'get', 'set', 'destroy' ];

const RULES: Record<Exclude<keyof SessionOptions, 'match' | 'ignore'>, Rule> = {
  // a cookie name is a token of RFC 9110, 5.6.2
  key: [ 'a cookie name: letters, digits and !#$%&\'*+-.^_`|~', value => typeof value === 'string' && /^[\w!#$%&'*+.^`|~-]+$/.test(value) ],
  maxAge: [ 'a number of milliseconds, not below 0, or \'session\'',
    value => value === 'session' || (Number.isFinite(value) && value >= 0) ],
  autoCommit: bool,
  overwrite: bool,
  httpOnly: bool,
  signed: bool,
  encrypt: bool,
  rolling: bool,
  renew: bool,
  secure: bool,
  sameSite: [ '\'lax\', \'strict\', \'none\', true or false',
    value => typeof value === 'boolean' || /^(lax|strict|none)$/i.test(value) ],
  domain: [ 'a string, or a function that returns one', value => typeof value === 'string' || typeof value === 'function' ],
  path: [ 'a path that starts with /', value => typeof value === 'string' && value.startsWith('/') ],
  partitioned: bool,
  removeUnpartitioned: bool,
  priority: [ '\'low\', \'medium\' or \'high\'', value => /^(low|medium|high)$/i.test(value) ],
  externalKey: [ 'an object with get(ctx) and set(ctx, key)', value => hasMethods(value, [ 'get', 'set' ]) ],
  store: [ 'an object with get, set and destroy', value => typeof value === 'object' && hasMethods(value, STORE_METHODS) ],
  ContextStore: [ 'a class with the methods get, set and destroy', value => hasMethods(value?.prototype, STORE_METHODS) ],
  encode: func,
  decode: func,
  genid: func,
  prefix: text,
  valid: func,
  beforeSave: func,
  logValue: bool,
  enable: bool,
};

/**
 * Checks `config.session` and fills in the defaults.
 *
 * @throws TypeError that names the option, its value and what is allowed
 */
export function resolveConfig(options: SessionOptions): SessionConfig {
  const given = Object.fromEntries(Object.entries(options).filter(([ , value ]) => value !== null && value !== undefined));
  for (const [ name, [ allowed, test ]] of Object.entries(RULES)) {
    if (name in given && !test(given[name])) {
      throw new TypeError(`[egg-tegg-session] config.session.${name} is ${inspect(given[name], { depth: 0 })}; ` +
        `it must be ${allowed}, or be left out`);
    }
  }
  return Object.freeze({ key: 'EGG_SESS', autoCommit: true, httpOnly: true, logValue: true, ...given }) as SessionConfig;
}

/** Injected as `sessionConfig`. */
@SingletonProto({ name: 'sessionConfig', accessLevel: AccessLevel.PUBLIC })
export class SessionConfigHolder {
  constructor(@Inject() config: EggAppConfig) {
    return resolveConfig(config.session) as SessionConfigHolder;
  }
}
