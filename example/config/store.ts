/**
 * Where sessions are kept: `STORE=memory`, `STORE=redis`, `STORE=postgres`, `STORE=mysql` or `STORE=cookie`. In memory, unless several
 * processes serve, as in production: they share none.
 */
export const STORE = process.env.STORE || (process.env.NODE_ENV === 'production' ? 'cookie' : 'memory');

/** Each has a module, `app/module/<name>-store`. An application that needs one only has that module, and nothing of this file. */
const STORES = [ 'memory', 'redis', 'postgres', 'mysql' ];

if (STORE !== 'cookie' && !STORES.includes(STORE)) {
  throw new Error(`STORE is ${STORE}; it must be cookie, ${STORES.slice(0, -1).join(', ')} or ${STORES.at(-1)}`);
}

/** What `DATABASE_URL` begins with. */
const DATABASES: Record<string, RegExp> = { postgres: /^postgres(ql)?:\/\/./, mysql: /^mysql:\/\/./ };

const url = process.env.DATABASE_URL;
if (url && DATABASES[STORE] && !(URL.canParse(url) && DATABASES[STORE].test(url))) { // not shown: it may have a password
  throw new Error(`DATABASE_URL is not the URL of a database for STORE=${STORE}; it must be like ${STORE}://user:password@127.0.0.1/shop`);
}

/** The modules that tegg is not to load. */
export const UNUSED_STORES = STORES.filter(name => name !== STORE).map(name => `!**/${name}-store`);

/** Where Redis is. @throws Error when `REDIS_URL` is not such a URL; the message does not show it, as it may hold a password */
export function redisUrl(): URL {
  const url = process.env.REDIS_URL || 'redis://127.0.0.1:6379';
  if (!URL.canParse(url) || !/^rediss?:\/\/./.test(url)) throw new Error('REDIS_URL is not the URL of a Redis server; it must be like redis://user:password@127.0.0.1:6379/0, or rediss:// for TLS');
  return new URL(url);
}
