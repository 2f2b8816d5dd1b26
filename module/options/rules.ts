import { types } from 'node:util';
import { distance } from 'fastest-levenshtein';
import { isField, isRecord, LONGEST, ONE_DAY } from '../record/SessionRecord';
import { RISKS } from './Risk';
import type { DeviceBoundOptions, SessionOptions } from './SessionOptions';

type Rule = [ allowed: string, test: (value: any) => boolean ];

/** Whether it is a function whose answer is there when it returns. */
const isSync = (value: unknown) => typeof value === 'function' && !types.isAsyncFunction(value) && !types.isGeneratorFunction(value);

const bool: Rule = [ 'true or false', value => typeof value === 'boolean' ];
const func: Rule = [ 'a function that is not async', isSync ];
const text: Rule = [ 'a string', value => typeof value === 'string' ];
const hasMethods = (value: any, names: string[]) => names.every(name => typeof value?.[name] === 'function');
const STORE_METHODS = [ 'get', 'set', 'destroy' ];

/** @internal */
export const DOMAIN = 'a domain of letters, digits, - and ., without scheme, port and path';
/** Whether browsers can take it for a cookie's domain. @internal */
export const isDomain = (value: unknown) => typeof value === 'string' && /^\.?[a-z\d-]+(\.[a-z\d-]+)*$/i.test(value);

const maxAge: Rule = [ 'a number of milliseconds, above 0 and up to 100 years, or \'session\'',
  value => value === 'session' || (typeof value === 'number' && Math.round(value) > 0 && value <= LONGEST) ];

/** What says which requests a middleware serves. */
const paths: Rule = [ 'a path, a RegExp or a function that is not async, or a list of these',
  value => [ value ].flat().every(each => typeof each === 'string' || types.isRegExp(each) || isSync(each)) ];

/** What each option of `deviceBound` may be. */
export const DEVICE_RULES: Record<keyof DeviceBoundOptions, Rule> = {
  maxAge: [ 'a number of milliseconds, from a minute to a day', value => typeof value === 'number' && value >= 60_000 && value <= ONE_DAY ],
  // it stands in a header, and a browser resolves it
  path: [ 'a path that starts with / and does not end with it, of letters, digits, -, _, ., ~ and /', value => typeof value === 'string' && /^(\/[\w.~-]+)+$/.test(value) ],
  required: bool,
};

/** What each option may be. */
export const RULES: Record<keyof SessionOptions, Rule> = {
  // a cookie name is a token of RFC 9110, 5.6.2
  key: [ 'a cookie name: letters, digits and !#$%&\'*+-.^_`|~', value => typeof value === 'string' && /^[\w!#$%&'*+.^`|~-]+$/.test(value) ],
  maxAge,
  autoCommit: bool,
  overwrite: bool,
  httpOnly: bool,
  signed: bool,
  encrypt: bool,
  acceptLegacyCookie: bool,
  rolling: bool,
  renew: bool,
  absoluteMaxAge: [ 'a number of milliseconds, above 0 and up to 100 years',
    value => typeof value === 'number' && Math.round(value) > 0 && value <= LONGEST ],
  principal: [ 'the name of a field of the session, or a function of its data that is not async',
    value => isSync(value) || (typeof value === 'string' && value !== '' && isField(value)) ],
  maxSessions: [ 'a whole number above 0', value => Number.isSafeInteger(value) && value > 0 ],
  deviceBound: [ 'true, false or { maxAge, path, required }', value => typeof value === 'boolean' || isRecord(value) ],
  secure: bool,
  sameSite: [ '\'lax\', \'strict\', \'none\', true or false',
    value => typeof value === 'boolean' || /^(lax|strict|none)$/i.test(value) ],
  domain: [ `${DOMAIN}, or a function that returns one and is not async`, value => value === '' || isDomain(value) || isSync(value) ],
  path: [ 'a path that starts with /', value => typeof value === 'string' && value.startsWith('/') ],
  partitioned: bool,
  removeUnpartitioned: bool,
  priority: [ '\'low\', \'medium\' or \'high\'', value => /^(low|medium|high)$/i.test(value) ],
  externalKey: [ 'an object with get(ctx) and set(ctx, key), which are not async', value => isSync(value?.get) && isSync(value?.set) ],
  store: [ 'an object with get, set and destroy', value => typeof value === 'object' && hasMethods(value, STORE_METHODS) ],
  ContextStore: [ 'a class with the methods get, set and destroy', value => hasMethods(value?.prototype, STORE_METHODS) ],
  load: [ '\'always\' or \'injected\'', value => value === 'always' || value === 'injected' ],
  storeTimeout: [ 'a number of milliseconds, above 0 and up to a day', value => typeof value === 'number' && value > 0 && value <= ONE_DAY ],
  onStoreError: [ '\'fail\' or \'anonymous\'', value => value === 'fail' || value === 'anonymous' ],
  encode: func,
  decode: func,
  genid: func,
  prefix: text,
  valid: func,
  beforeSave: func,
  logValue: bool,
  acceptedRisks: [ `a list of ${RISKS.join(', ')}`,
    value => Array.isArray(value) && value.every(risk => RISKS.includes(risk)) ],
  enable: bool,
  match: paths,
  ignore: paths,
};

/** What the options of other plugins and frameworks are here. */
const ELSEWHERE: Record<string, string> = {
  secret: 'config.keys, which all of Egg\'s cookies are sealed or signed with',
  keys: 'config.keys, which all of Egg\'s cookies are sealed or signed with',
  ttl: 'maxAge, in milliseconds',
  expires: 'maxAge, in milliseconds',
  name: 'key',
  cookieName: 'key',
  cookie: 'its options in config.session itself, like config.session.secure',
};

/** What is meant by an option that there is not; undefined when nobody can tell. */
export function meantBy(name: string): string | undefined {
  if (Object.hasOwn(ELSEWHERE, name)) return ELSEWHERE[name];
  const far = (known: string) => distance(known.toLowerCase(), name.toLowerCase());
  const nearest = Object.keys(RULES).reduce((best, known) => (far(known) < far(best) ? known : best));
  return far(nearest) <= Math.max(1, name.length / 3) ? nearest : undefined;
}
