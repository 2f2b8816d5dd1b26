import type { Application } from 'egg';
import { activeStore, usesCookie } from '../application/activeStore';
import { aliveApplications } from '../application/applications';
import { isSealed } from '../cookie/SessionCookie';
import type { Risk } from '../options/Risk';
import { configOf, type SessionConfig } from '../options/SessionConfig';
import { warnOnce } from '../record/warnOnce';
import { principalOf } from '../repository/RecordMeta';
import { MemorySessionStore } from '../store/MemorySessionStore';
import { warnOfLifetime } from './lifetime';

/** The shortest keys, in characters, that nobody guesses: 128 bits as hex digits, or as Base64. */
const SHORTEST_KEY = 32;
const SHORTEST_BASE64 = 22;

/** What Egg's templates generate: the name, the time and four digits. */
const GENERATED_KEY = /_\d{13}_\d{1,4}$/;

/** What the keys of tutorials say; a random one has digits, and may have any word. */
const EXAMPLE_KEY = /^\D*(change|example|secret|development|your[-_ ]?key)\D*$/i;

/** Whether a key may be found by trying. */
function canBeGuessed(key: string): boolean {
  const isBase64 = key.length >= SHORTEST_BASE64 && [ /[a-z]/, /[A-Z]/, /\d/ ].every(kind => kind.test(key));
  return (key.length < SHORTEST_KEY && !isBase64) || new Set(key).size < 8 || GENERATED_KEY.test(key) || EXAMPLE_KEY.test(key);
}

const isSameSiteNone = ({ sameSite }: SessionConfig, app: Application) =>
  String(sameSite ?? app.config.cookies?.sameSite).toLowerCase() === 'none';

/** Why each risk is one, and the way out; undefined where there is none. */
const CHECKS: Record<Risk, (config: SessionConfig, app: Application) => string | undefined | false> = {
  httpOnly: ({ httpOnly }) => !httpOnly &&
    'please set `config.session.httpOnly` to true. It is very dangerous if session can read by client JavaScript', // egg-session's words
  secure: (config, app) => {
    const { secure } = config;
    const isNone = isSameSiteNone(config, app);
    const lost = 'no SameSite=None, so that browsers do not send it from other sites';
    return secure === false
      ? `secure is off: the cookie also goes over plain HTTP${isNone ? `, and has ${lost}` : ''}. Set config.session.secure to true`
      : !secure && !app.config.proxy && !optionsOf(app).https &&
        `behind a proxy that speaks HTTPS, the cookie has no Secure${isNone ? ` and ${lost}` : ''}, as config.proxy is off. Set ` +
        'config.proxy to true, or config.session.secure';
  },
  keys: (_, app) => app.config.keys && (app.keys as string[]).some(canBeGuessed) &&
    `a key in config.keys can be guessed: it has under ${SHORTEST_KEY} characters, or is from a template. Make one by ` +
    '`node -p "crypto.randomBytes(32).toString(\'hex\')"`, and keep it out of the repository',
  memoryStore: (_, app) => activeStore(app).store instanceof MemorySessionStore &&
    'MemorySessionStore is for development and tests: sessions are lost when the process ends, and each worker has its own. Use ' +
    'RedisSessionStore, or another store that workers share',
  idleTimeout: ({ rolling, renew }) => !rolling && !renew &&
    'there is no idle timeout: maxAge counts from the last change, not from the last request. Set config.session.rolling to true, ' +
    'and maxAge to the longest time between two requests',
  absoluteTimeout: ({ absoluteMaxAge, rolling, renew }) => !absoluteMaxAge &&
    `there is no absolute timeout: a session that ${rolling || renew ? 'is used' : 'changes'} never ends. Set config.session.absoluteMaxAge, as to 8 * 3600 * 1000`,
  encrypt: ({ encrypt }) => !encrypt && 'encrypt is off: anybody who has the cookie can read it. Remove config.session.encrypt',
  signed: ({ signed, encrypt }) => signed === false && !encrypt &&
    'signed is off: anybody can forge a cookie. Remove config.session.signed',
  acceptLegacyCookie: ({ acceptLegacyCookie }) => acceptLegacyCookie &&
    'acceptLegacyCookie is on: egg-session\'s cookies can be forged. Remove it once maxAge has passed since you moved from egg-session',
  sharedKey: ({ key }, app) => {
    const others = aliveApplications().some(other => other !== app && configOf(other).key === key);
    return (others || key === 'EGG_SESS') &&
      `${others ? 'another application here' : 'any other Egg application on this host'} writes the cookie ${key} too, and ends the ` +
      'sessions of this one. Set config.session.key to a name of its own, as \'__Host-sid\'';
  },
  deviceRequired: ({ deviceBound }) => deviceBound?.required &&
    'deviceBound.required is on: users whose browser can\'t bind a session, as most can\'t, are signed out two minutes after each sign-in. ' +
    'Remove it, unless all browsers of your users can',
};

/** Risks of the cookie: there is none when the id travels elsewhere. */
const OF_COOKIE: Risk[] = [ 'httpOnly', 'secure', 'keys', 'encrypt', 'signed', 'acceptLegacyCookie', 'sharedKey' ];

/** What holds in development too. */
const ALWAYS: Partial<Record<Risk, (app: Application) => boolean>> = {
  httpOnly: () => true,
  memoryStore: app => (optionsOf(app).workers ?? 1) > 1,
};

const optionsOf = (app: Application) => (app as Application & { options: { workers?: number; https?: unknown } }).options;

/** Says in the log what is risky in production, each in a line with its fix, but for `acceptedRisks`. */
export function review(app: Application): void {
  const config = configOf(app);
  if (config.enable === false) return;
  const hasCookie = usesCookie(app);
  for (const [ risk, check ] of Object.entries(CHECKS) as Array<[ Risk, typeof CHECKS[Risk] ]>) {
    if (app.config.env !== 'prod' && !ALWAYS[risk]?.(app)) continue;
    if (!hasCookie && OF_COOKIE.includes(risk)) continue;
    const finding = !config.acceptedRisks?.includes(risk) && check(config, app);
    if (finding) app.logger.warn('[egg-tegg-session]: %s. If it is meant, add \'%s\' to config.session.acceptedRisks', finding, risk);
  }
}

/** Says in development, and not in unit tests, which options are hardly meant as they are. */
export function warnOfMistakes(app: Application): void {
  const config = configOf(app);
  const { enable, maxAge, absoluteMaxAge, principal } = config;
  if (enable === false || app.config.env === 'prod' || app.config.env === 'unittest') return;
  if (maxAge !== 'session') warnOfLifetime(app, 'config.session.maxAge', maxAge);
  if (absoluteMaxAge !== undefined) warnOfLifetime(app, 'config.session.absoluteMaxAge', absoluteMaxAge);
  if (typeof principal !== 'function') return;
  try {
    principalOf({}, config);
  } catch (err) {
    warnOnce(app, 'principal', '%s', (err as Error).message);
  }
}

/** Options beside which another one has no effect, each with the reason and what to do. */
const WITHOUT_EFFECT: Partial<Record<keyof SessionConfig, (config: SessionConfig, app: Application) => string | false>> = {
  partitioned: (config, app) => !isSameSiteNone(config, app) && 'browsers keep partitioned cookies with SameSite=None only. Set config.session.sameSite to \'none\'',
  removeUnpartitioned: ({ partitioned }) => !partitioned && 'it needs config.session.partitioned. Set that too, or remove this one',
  prefix: (_, app) => Boolean(app.config.session.genid) && 'config.session.genid makes the whole id. Let it add the prefix',
  renew: ({ maxAge, rolling }) => maxAge === 'session' && !rolling &&
    'a session that ends with the browser lives for a day after its last change. Set config.session.rolling, or a number as maxAge',
  acceptLegacyCookie: config => !isSealed(config) && 'the cookie is not sealed, and egg-session\'s are read as they are. Remove it',
  encode: (_, app) => Boolean(activeStore(app).store ?? activeStore(app).ContextStore) &&
    'sessions are in a store, and the cookie has an id; it only keeps that from being sealed. Remove it, and config.session.decode',
};

/** Says in the log which options have no effect, as another one is missing. */
export function warnOfOptionsWithoutEffect(app: Application): void {
  const config = configOf(app);
  if (config.enable === false) return;
  for (const [ name, check ] of Object.entries(WITHOUT_EFFECT)) {
    const reason = config[name as keyof SessionConfig] && check(config, app);
    if (reason) app.coreLogger.warn('[egg-tegg-session] config.session.%s has no effect: %s', name, reason);
  }
}

const warned = new WeakSet<Application>();

/** Signing in must change the id: whoever has planted the old one would be signed in as well (session fixation). */
export function warnOfFixation(app: Application): void {
  if (app.config.env === 'prod' || warned.has(app)) return;
  warned.add(app);
  app.coreLogger.warn('[egg-tegg-session] somebody signed in, and the session has kept its id: an attacker who knew that ' +
    'id before, or planted it, is signed in too (session fixation). Call `await session.regenerate()` when you sign a user in');
}
