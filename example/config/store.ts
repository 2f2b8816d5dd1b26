/** Where sessions are kept: in the cookie, or with `STORE=memory` or `STORE=redis` in a store. */
export const STORE = process.env.STORE || 'cookie';

/** Each has a module, `app/module/<name>-store`. An application that needs one only has that module, and nothing of this file. */
const STORES = [ 'memory', 'redis' ];

if (STORE !== 'cookie' && !STORES.includes(STORE)) {
  throw new Error(`STORE is ${STORE}; it must be ${STORES.join(' or ')}, or be left out`);
}

/** The modules that tegg is not to load. */
export const UNUSED_STORES = STORES.filter(name => name !== STORE).map(name => `!**/${name}-store`);
