import type { Application, Context } from 'egg';
import { refusePromise, type SessionConfig, wrongReturn } from '../options/SessionConfig';
import { DOMAIN, isDomain as isPossible } from '../options/rules';
import { type CookiePlace, isDomain, isPath, isSamePlace } from '../record/CookiePlace';

/** The most domains, and the most folders, that are guessed. */
const MOST = 4;

/** The commonest public suffixes of two labels, which browsers accept no cookie for. */
const SUFFIX = /^(ac|co|com|edu|gov|ne|net|or|org)\.[a-z]{2}$/;

/** The attributes that say where a cookie goes. Read one by one: a loop over their names is slow, and each write pays. */
interface Attributes {
  domain?: unknown;
  path?: unknown;
  partitioned?: unknown;
}

/** What says where a cookie goes: a request, or an application for all of them. */
interface Options {
  app: Application;
  sessionOptions?: object;
}

/** The attributes of the cookie as Egg takes them: from the options of the request, else from `config.cookies`. */
function attributesOf({ sessionOptions, app: { config } }: Options): Attributes {
  const own = sessionOptions as Attributes;
  const { cookies: others = {} } = config as { cookies?: Attributes };
  return {
    domain: 'domain' in own ? own.domain : others.domain,
    path: 'path' in own ? own.path : others.path,
    partitioned: 'partitioned' in own ? own.partitioned : others.partitioned,
  };
}

/**
 * The domain that the cookie is set for; undefined when it is this host's only.
 *
 * @throws TypeError when what `config.session.domain` returns is no domain
 */
export const domainOf = (ctx: Options): string | undefined => domainIn(attributesOf(ctx));

function domainIn({ domain: given }: Attributes): string | undefined {
  if (typeof given !== 'function') return given as string | undefined;
  const domain: unknown = given();
  refusePromise(domain, 'domain');
  if (domain === undefined || domain === null || domain === '') return undefined;
  if (isPossible(domain)) return domain as string;
  throw wrongReturn(domain, 'domain', `it must return ${DOMAIN}, or nothing for this host only`);
}

/** Where this request's response sets the cookie. */
export function placeOf(ctx: Options): CookiePlace {
  const place: CookiePlace = {};
  const attributes = attributesOf(ctx);
  const { path, partitioned } = attributes;
  const domain = domainIn(attributes)?.replace(/^\./, '').toLowerCase();
  if (domain) place.domain = domain;
  if (path && path !== '/') place.path = path as string;
  if (partitioned) place.partitioned = true;
  return place;
}

/** Whether the request has chosen another place than the configured one, in its handler or in `beforeSave`. */
export function hasChosenPlace(ctx: Context, config: SessionConfig): boolean {
  const { sessionOptions: { domain, path, partitioned } } = ctx;
  const isAsConfigured = domain === config.domain && path === config.path && partitioned === config.partitioned;
  return !isAsConfigured && !isSamePlace(placeOf(ctx), placeOf({ app: ctx.app, sessionOptions: config }));
}

/**
 * Where else cookies of the same name may be that came with a request: for this host only; and, when several have come, for the
 * host and the domains above it, for `/` and the folders of the request, and partitioned or not.
 */
export function otherPlaces({ hostname, path: requested }: Context, { domain, path, partitioned }: CookiePlace, hasSeveral: boolean): CookiePlace[] {
  if (!hasSeveral) return domain ? [{ path, partitioned }] : [];
  const labels = isDomain(hostname) && !/^[\d.]+$|^\.|\.\.|\.$/.test(hostname) ? hostname.split('.') : [];
  const domains = labels.slice(0, -1).map((_, i) => labels.slice(i).join('.')).filter(each => !SUFFIX.test(each))
    .slice(-MOST);
  const folders = requested.split('/').slice(1, MOST).map((_, i, all) => `/${all.slice(0, i + 1).join('/')}`)
    .filter(each => isPath(each) && each !== '/');
  const all: CookiePlace[] = [{ domain, path, partitioned: partitioned ? undefined : true }];
  for (const each of [ undefined, domain ]) for (const at of folders) all.push({ domain: each, path: at, partitioned });
  for (const each of [ undefined, ...domains ]) for (const at of [ path, undefined ]) all.push({ domain: each, path: at, partitioned });
  return all;
}
