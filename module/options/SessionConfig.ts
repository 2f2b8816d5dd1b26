import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { inspect } from 'node:util';
import type { Application, Context, EggAppConfig } from 'egg';
import { coded } from '../record/errors';
import { kindOf } from '../record/kindOf';
import { ONE_DAY, type SessionMaxAge } from '../record/SessionRecord';
import { DEVICE_RULES, meantBy, RULES } from './rules';
import type { DeviceBoundOptions, SessionOptions } from './SessionOptions';

/**
 * The options in force: {@link SessionOptions} without `null`, with the defaults in place, read-only; inject it anywhere as
 * `sessionConfig`.
 */
export type SessionConfig = Readonly<{ [K in keyof SessionOptions as Exclude<K, 'deviceBound'>]: Exclude<SessionOptions[K], null> }> & {
  readonly deviceBound?: Readonly<Required<DeviceBoundOptions>>;
  readonly key: string;
  readonly maxAge: SessionMaxAge;
  readonly autoCommit: boolean;
  readonly encrypt: boolean;
  readonly genid: (ctx: Context) => string;
  readonly httpOnly: boolean;
  readonly logValue: boolean;
  readonly storeTimeout: number;
  readonly onStoreError: 'fail' | 'anonymous';
  readonly load: 'always' | 'injected';
};

/**
 * Checks a lifetime.
 *
 * @param value ms, above 0 and up to 100 years, or `'session'`
 * @param what the name that the error gives to it, as `session.maxAge`
 * @return the value, rounded to whole ms
 * @throws TypeError that names the value and what is allowed
 * @internal
 */
export function checkMaxAge(value: unknown, what: string): SessionMaxAge {
  const [ allowed, test ] = RULES.maxAge;
  if (!test(value)) throw wrong(what, value, `it must be ${allowed}`);
  return value === 'session' ? value : Math.round(value as number);
}

/**
 * Checks `config.session` and fills in the defaults.
 *
 * @param options `config.session`
 * @param cookies `config.cookies`, Egg's defaults for all cookies
 * @throws TypeError that names the option, its value and what is allowed, or an unknown option and the one that is meant
 * @internal
 */
export function resolveConfig(options: SessionOptions, cookies: EggAppConfig['cookies'] = {}): SessionConfig {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw wrong('config.session', options, 'it must be an object with options, or be left out');
  }
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(RULES, name)) throw unknown(name);
  }
  const given: Record<string, any> = Object.fromEntries(
    Object.entries(options).filter(([ , value ]) => value !== null && value !== undefined));
  for (const [ name, [ allowed, test ]] of Object.entries(RULES)) {
    if (name in given && !test(given[name])) throw wrongOption(name, given[name], `it must be ${allowed}, or be left out`);
  }
  const { prefix = '', deviceBound } = given;
  delete given.deviceBound;
  if ('maxSessions' in given && !('principal' in given)) {
    throw wrongOption('maxSessions', given.maxSessions, 'it needs config.session.principal, which names the user of a session');
  }
  for (const [ one, other ] of [[ 'encode', 'decode' ], [ 'decode', 'encode' ]]) {
    if (one in given && !(other in given)) {
      throw wrongOption(one, given[one], `it needs config.session.${other}, as nothing else understands its text: set both, or neither`);
    }
  }
  if (given.match && given.ignore) {
    throw wrongOption('match', given.match, 'it can\'t be combined with config.session.ignore: remove one, or decide in a function');
  }
  if ('maxAge' in given) given.maxAge = checkMaxAge(given.maxAge, 'config.session.maxAge');
  const config = {
    key: 'EGG_SESS',
    maxAge: ONE_DAY,
    autoCommit: true,
    encrypt: true,
    httpOnly: true,
    logValue: true,
    // a second is what a TCP packet that is lost once takes, and a failover begins with; users wait no longer than two
    storeTimeout: 2000,
    onStoreError: 'fail' as const,
    load: 'always' as const,
    genid: () => prefix + randomBytes(18).toString('base64url'),
    ...(cookies.sameSite === undefined ? { sameSite: 'lax' as const } : {}),
    ...given,
  };
  return Object.freeze(withDevice(withCookiePrefix(config, cookies), cookies, deviceBound));
}

/** Fills in how sessions are bound to devices, and refuses what that can't do. */
function withDevice(config: SessionConfig, cookies: EggAppConfig['cookies'], given: boolean | DeviceBoundOptions | undefined): SessionConfig {
  if (given === undefined || given === false) return config;
  const options: Record<string, any> = given === true ? {} : given;
  for (const [ name, value ] of Object.entries(options)) {
    if (!Object.hasOwn(DEVICE_RULES, name)) throw wrongOption('deviceBound', given, `it has no option ${inspect(name)}, only maxAge, path and required`);
    const [ allowed, test ] = DEVICE_RULES[name as keyof DeviceBoundOptions];
    if (value !== undefined && !test(value)) throw wrongOption(`deviceBound.${name}`, value, `it must be ${allowed}, or be left out`);
  }
  const { maxAge = 600_000, path = '/session/device', required = false } = options;
  const cookie = { ...cookies, ...config } as SessionConfig;
  const isBelow = `${path}/`.startsWith((cookie.path ?? '/').replace(/\/?$/, '/'));
  const refused = config.principal === undefined ? 'it needs config.session.principal, which says when somebody signs in'
    : config.secure !== true ? 'it needs config.session.secure: true, as browsers prove their device over HTTPS only'
      : config.externalKey ? 'it can\'t be combined with config.session.externalKey, as browsers bind cookies: remove one of them'
        : cookie.domain ? 'it can\'t be combined with the domain of config.session or config.cookies, as a browser binds one host: remove one of them'
          : cookie.partitioned ? 'it can\'t be combined with partitioned in config.session or config.cookies, as browsers bind no such cookie: remove one of them'
            : !isBelow && `its path, ${path}, must be below that of the cookie, ${cookie.path}, or the browser sends no cookie there`;
  if (refused) throw wrongOption('deviceBound', given, refused);
  return { ...config, deviceBound: Object.freeze({ maxAge, path, required }) };
}

/**
 * Whether an application has a secret: Egg's cookies need one, sealed and signed or not.
 *
 * @throws TypeError when `config.keys` is what Egg can't take
 * @internal
 */
export function hasKeys({ config: { keys } }: Application): boolean {
  const given: unknown = keys ?? '';
  if (typeof given === 'string') return given.split(',').some(key => key.trim());
  // without the value, which may be a secret
  throw coded('ERR_SESSION_SETUP', new TypeError(`[egg-tegg-session] config.keys is ${kindOf(given)}; it must be a string, with commas between several keys`));
}

/** The error of an application without a secret. @internal */
export function withoutKeys({ config: { keys }, baseDir }: Application): Error {
  return coded('ERR_SESSION_SETUP', new Error(`[egg-tegg-session] config.keys is ${inspect(keys)}, and session cookies are sealed or signed with it: set it in ` +
    `${path.join(baseDir, 'config/config.default')}, to what \`node -p "crypto.randomBytes(32).toString('hex')"\` prints`));
}

/** @internal */
export const NEEDS_STORE = '[egg-tegg-session] config.session.externalKey needs a store, as it reads and sends the id of a stored session, ' +
  'and there is none: add a class that extends SessionStore to a tegg module, set app.sessionStore, or remove ' +
  'config.session.externalKey';

/** @throws TypeError when a function of `config.session` is async: its answer would come too late @internal */
export function refusePromise(result: unknown, name: string, rule = ''): void {
  if (typeof (result as PromiseLike<unknown> | null | undefined)?.then !== 'function') return;
  // nobody waits for it: that it rejects, too, is nothing to end the process for
  Promise.resolve(result).catch(() => undefined);
  throw coded('ERR_SESSION_CONFIG', new TypeError(`[egg-tegg-session] config.session.${name} returned a promise; it must not be async${rule && `; ${rule}`}`));
}

/**
 * The text that a function of `config.session` returned.
 *
 * @throws TypeError when it is none, or empty
 * @internal
 */
export function requireText(result: unknown, name: string): string {
  const rule = 'it must return a string that is not empty';
  refusePromise(result, name, rule);
  if (typeof result === 'string' && result) return result;
  throw wrongReturn(result, name, rule);
}

/** The error of a function of `config.session` that returned what it must not; without that itself, as it may be an id. @internal */
export const wrongReturn = (result: unknown, name: string, rule: string) =>
  coded('ERR_SESSION_CONFIG', new TypeError(`[egg-tegg-session] config.session.${name} returned ${kindOf(result)}; ${rule}`));

/** Holds a name that starts with `__Host-` or `__Secure-` to the rules of its prefix (RFC 6265bis, 4.1.3). */
function withCookiePrefix(config: SessionConfig, cookies: EggAppConfig['cookies']): SessionConfig {
  const prefix = /^__(host|secure)-/i.exec(config.key)?.[0];
  if (!prefix) return config;
  const cookie = { ...cookies, secure: true, ...config };
  const rule = `as config.session.key is ${inspect(config.key)}`;
  if ((cookies as { autoChips?: boolean }).autoChips) {
    throw wrongOption('key', config.key, 'with config.cookies.autoChips, Egg also writes and reads a cookie ' +
      `_CHIPS-${config.key}, which browsers do not hold to the rules of ${prefix}: turn autoChips off (and ` +
      'config.session.partitioned on, for CHIPS), or choose a key without this prefix');
  }
  if (cookie.secure !== true) throw wrongOption('secure', cookie.secure, `it must be true ${rule}`);
  if (prefix.toLowerCase() === '__host-') {
    if (cookie.domain) throw wrongOption('domain', cookie.domain, `it and config.cookies.domain must be left out ${rule}`);
    if ((cookie.path ?? '/') !== '/') throw wrongOption('path', cookie.path, `it must be '/' ${rule}`);
  }
  return { ...config, secure: true };
}

const wrong = (what: string, value: unknown, instead: string) =>
  coded('ERR_SESSION_CONFIG', new TypeError(`[egg-tegg-session] ${what} is ${inspect(value, { depth: 0 })}; ${instead}`));

const wrongOption = (name: string, value: unknown, instead: string) => wrong(`config.session.${name}`, value, instead);

function unknown(name: string): TypeError {
  const meant = meantBy(name);
  return coded('ERR_SESSION_CONFIG', new TypeError(`[egg-tegg-session] config.session.${name} is unknown; ` +
    (meant ? `did you mean ${meant}?` : 'remove it: the README of egg-tegg-session lists the options, under "Options"')));
}

const resolved = new WeakMap<Application, SessionConfig>();

/** An application's options, resolved when they are first asked for. @internal */
export function configOf(app: Application): SessionConfig {
  let config = resolved.get(app);
  if (!config) resolved.set(app, config = resolveConfig(app.config.session, app.config.cookies));
  return config;
}
