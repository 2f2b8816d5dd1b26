import { coded } from '../record/errors';

/** A check at boot. */
export interface Check {
  /** The store, for people to read. */
  name: string;
  /** Whether it has to know the sessions of principals. */
  indexes: boolean;
  /** Timeout for the answer of its server, in ms. */
  ms: number;
}

/** What a store's client has to be. */
export interface Wanted {
  /** The store's field. */
  field: string;
  /** The methods that it must have. */
  methods: readonly string[];
  /** For people to read. */
  what: string;
}

/**
 * The client of a store, if it can be one.
 *
 * @param store the store, for people to read
 * @param wanted what it has to be
 * @param read gives it, or what is in its place
 * @throws TypeError that says what is there, and what has to be
 */
export function requireClient<T extends object>(store: string, wanted: Wanted, read: () => T): T {
  let client: unknown;
  try {
    client = read();
  } catch (err) {
    throw Object.assign(wrongClient(store, wanted, 'nothing', `Reading it throws "${(err as Error)?.message ?? err}"`), { cause: err });
  }
  if (client === undefined) throw wrongClient(store, wanted, 'undefined', 'Assign it, or write @Inject() above the field');
  if (typeof client !== 'object' || client === null) throw wrongClient(store, wanted, client === null ? 'null' : describe(client));
  const has = client as Record<string, unknown>;
  if (typeof has.then === 'function') throw wrongClient(store, wanted, 'a promise', 'Await it in the store\'s init()');
  const lacks = wanted.methods.filter(name => typeof has[name] !== 'function');
  if (lacks.length === 0) return client as T;
  if ('evalSha' in has) throw wrongClient(store, wanted, 'a client of node-redis 4 or below');
  if ('createInstance' in has) { // of Egg, which has it in place of a client where there is not one
    const { clients } = has as { clients?: Map<string, unknown> };
    throw clients?.size === 0
      ? wrongClient(store, wanted, 'no client', `config.${wanted.field} has none: set config.${wanted.field}.client`)
      : wrongClient(store, wanted, 'several clients', 'Take one by its name, like clients.get(\'sessions\')');
  }
  throw wrongClient(store, wanted, `${describe(client)} without ${lacks.map(name => `${name}()`).join(', ')}`);
}

/** The error about a client that can't be used; `why` is what to do about it, or more of what it is. */
export function wrongClient(store: string, { field, what }: Wanted, found: string, why = ''): TypeError {
  return coded('ERR_SESSION_SETUP', new TypeError(`[egg-tegg-session] the session store ${store} has ${found} as its ${field}: it must be ${what}${why && `. ${why}`}`));
}

function describe(value: unknown): string {
  if (typeof value !== 'object' || value === null) return `a ${typeof value}`;
  const name = Object.getPrototypeOf(value)?.constructor?.name;
  return name && name !== 'Object' && name !== 'EventEmitter' ? `an object of ${name}` : 'an object'; // ioredis calls its clients so
}
