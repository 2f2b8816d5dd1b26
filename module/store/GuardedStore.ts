import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { tell } from '../record/events';
import { hasLifetime, isAliveIn, lifetimeOf } from '../record/SessionRecord';
import { SHORT, shortHash } from '../record/shortHash';
import { TooLargeError } from '../record/tooLarge';
import { trace, traceCommand } from '../record/trace';
import type { ChangeClock } from './ChangeClock';
import type { Call, Deadlines } from './Deadlines';
import { type Failure, failureOf, isRefusal, kindOfError } from './failureOf';
import type { SessionChanges, SessionMaxAge, SessionRecord, SessionStoreOptions } from './SessionStore';
import { SessionStoreError } from './SessionStoreError';
import type { StoreAdapter, Existing } from './StoreAdapter';
import type { StoreHealth, StoreOperation } from './StoreHealth';

type Members = 'keepsExpiry' | 'hasClock' | 'renewsOnRead' | 'isIndexed' | StoreOperation;

/** Whether it is what `keyOf` gives for an id, in a store that is given no ids. */
export const isKey = (value: unknown): value is string => typeof value === 'string' && /^[\w-]{43}$/.test(value);

/** The most characters of an id that is remembered: under `externalKey`, a client can make up long ones. */
const LONGEST_ID = 256;

/** What a request's session sees of a store. */
export interface Store extends Omit<Pick<StoreAdapter, Members>, 'getAndTouch'> {
  /**
   * Reads a session, and lets it live on.
   *
   * @param onlyRead is called when the server refuses to write, and the session does not live on
   */
  getAndTouch(key: string, options: SessionStoreOptions, onlyRead: () => void): Promise<Existing>;
  /** The key that the session with this id has in the store. */
  keyOf(id: string): string;
  /** What stands for a key in log lines, events and errors: the same as `shortHash` gives for the id. */
  nameOf(key: string): string;
  readonly clock: ChangeClock;
}

/**
 * Keeps what is secret from a store, and out of its errors: a hash of the id is the key, so that nobody signs in with what
 * the store holds; and drivers put the command into their errors, with its key and data.
 */
export class GuardedStore implements Store {
  readonly keepsExpiry: boolean;
  readonly hasClock: boolean;
  readonly renewsOnRead: boolean;
  readonly isIndexed: boolean;
  /** Those of the latest ids, as each request would hash its own again; a `ContextStore`, of which each request has one, hashes none. */
  private readonly keys?: LRUCache<string, string>;

  /**
   * @param store the store
   * @param health what is known of it
   * @param deadlines end its calls that take too long
   * @param clock that of the application, which may have a store for each request
   * @param hashesIds false for stores that are given the id itself, as applications rely on it
   */
  constructor(private readonly store: Pick<StoreAdapter, Members>, private readonly health: StoreHealth, private readonly deadlines: Deadlines,
    readonly clock: ChangeClock, hashesIds: boolean) {
    this.keepsExpiry = store.keepsExpiry;
    this.hasClock = store.hasClock;
    this.renewsOnRead = store.renewsOnRead;
    this.isIndexed = store.isIndexed && hashesIds; // a key is what the registry shows
    if (hashesIds) this.keys = new LRUCache({ max: 10_000 });
  }

  keyOf(id: string): string {
    const { keys } = this;
    if (!keys) return id;
    let key = keys.get(id);
    if (key !== undefined) return key;
    key = createHash('sha256').update(id).digest('base64url');
    if (id.length <= LONGEST_ID) keys.set(id, key);
    return key;
  }

  nameOf(key: string): string {
    return this.keys ? key.slice(0, SHORT) : shortHash(key);
  }

  /** Has the clock tick once the write has answered: until then, other requests may be reading the record. A write that failed counts too. */
  private ticking<T>(key: string, write: Promise<T>): Promise<T> {
    return write.finally(() => this.clock.tick(key));
  }

  get(key: string, maxAge: SessionMaxAge | undefined, options: SessionStoreOptions) {
    return this.call('get', options, () => this.store.get(key, maxAge, options), { key });
  }

  set(key: string, record: SessionRecord, maxAge: SessionMaxAge, options: SessionStoreOptions) {
    return this.call('set', options, () => this.store.set(key, record, maxAge, options), { key, written: record });
  }

  touch(key: string, options: SessionStoreOptions) {
    return this.call('touch', options, () => this.store.touch(key, options), { key });
  }

  getAndTouch(key: string, options: SessionStoreOptions, onlyRead: () => void) {
    const instead = () => {
      onlyRead();
      return this.get(key, undefined, options);
    };
    if (this.health.isReadOnly) return instead();
    return this.call('getAndTouch', options, () => this.store.getAndTouch(key, options), { key, instead });
  }

  merge(key: string, changes: SessionChanges, options: SessionStoreOptions) {
    const written = this.call('merge', options, () => this.store.merge(key, changes, options), { key, written: changes.set });
    return hasLifetime(changes.set) ? this.ticking(key, written) : written;
  }

  compareAndSet(key: string, expected: SessionRecord, record: SessionRecord, maxAge: SessionMaxAge, options: SessionStoreOptions) {
    const written = this.call('compareAndSet', options, () => this.store.compareAndSet(key, expected, record, maxAge, options),
      { key, written: record });
    return lifetimeOf(expected) === maxAge ? written : this.ticking(key, written);
  }

  retire(key: string, successor: string | null, graceMs: number, options: SessionStoreOptions) {
    return this.ticking(key, this.call('retire', options, () => this.store.retire(key, successor, graceMs, options), { key, successor }));
  }

  index(principal: string, key: string, ms: number, options: SessionStoreOptions) {
    return this.call('index', options, () => this.store.index(principal, key, ms, options), { key });
  }

  async* list(...args: Parameters<Store['list']>) {
    let found: AsyncIterator<string[]> | undefined;
    const next = () => {
      found ??= this.store.list(...args)[Symbol.asyncIterator]();
      return found.next();
    };
    try {
      for (;;) {
        const { value, done } = await this.call('list', args[1], next, {});
        if (done) return;
        // the application may have keys of its own that begin as those of sessions do
        yield value.filter(isKey);
      }
    } finally {
      // nobody waits for the store to let go of what it lists from
      found?.return?.()?.catch(() => undefined);
    }
  }

  /** Calls the store, unless it is down. What it answers after its time is ignored. */
  private call<T>(operation: StoreOperation, { ctx }: SessionStoreOptions, method: () => Promise<T>, about: About<T>): Promise<T> {
    const { health, deadlines } = this;
    if (trace.enabled) traceCommand(ctx, operation);
    const permission = health.ask(operation);
    if (permission === 'refused') return Promise.reject(new SessionStoreError(health.causeOf(operation), 'server', false));
    let call!: Call;
    const fail = (err: unknown) => {
      deadlines.delete(call);
      if (err instanceof TooLargeError) {
        health.notMade(operation, permission === 'probe');
        throw err;
      }
      const { key, successor, written, instead } = about;
      const keys = [ key, successor ].filter(each => typeof each === 'string');
      const failure = failureIn(err, keys, written);
      const error = withoutSecrets(err, new Map(keys.map(each => [ each, this.nameOf(each) ])));
      health.failed(operation, call.start, error, failure, permission === 'probe');
      tell(ctx.app, 'session:storeError', { ctx, error });
      if (failure === 'writes' && instead) return instead();
      throw new SessionStoreError(error, failure, !isRefusal(err));
    };
    // every request pays for each promise; the second one is for what follows a late call to be in its request's async context
    return new Promise<T>((resolve, reject) => {
      deadlines.add(call = { start: performance.now(), reject });
      // not resolve(method()): if a store returns a thenable that never settles, the deadline could not reject any more
      Promise.resolve(method()).then(resolve, reject);
    }).then(result => {
      let missed: boolean;
      try {
        missed = (operation === 'get' || operation === 'getAndTouch') && !isAliveIn(this, result);
      } catch (err) {
        return fail(err);
      }
      deadlines.delete(call);
      health.succeeded(operation, call.start, missed);
      return result;
    }, fail);
  }
}

/** What a call of the store is about. */
interface About<T> {
  key?: string;
  successor?: string | null;
  /** The fields that it writes. */
  written?: SessionRecord;
  /** What to do when the server refuses to write. */
  instead?: () => Promise<T>;
}

/** The characters of JSON beyond which a server may hang up on a write, as MySQL does above its `max_allowed_packet`. */
const LARGE = 500_000;

/** What a failed call says of the store; nothing, when the server may have hung up on what was written. */
function failureIn(err: unknown, keys: readonly string[], written?: SessionRecord): Failure {
  const failure = failureOf(err, keys);
  return failure === 'server' && written && JSON.stringify(written).length >= LARGE ? 'call' : failure;
}

/** The same as `cleaned`, also for what can't be looked at: a call that has failed must come to its end. */
function withoutSecrets(err: unknown, names: Map<string, string>): Error {
  try {
    return cleaned(err, names);
  } catch {
    return new Error('[egg-tegg-session] the session store failed with an error that can\'t be read');
  }
}

/** An error of its own with the message, the name and the code of `err`, where a name stands for each key. */
function cleaned(err: unknown, names: Map<string, string>): Error {
  const name = kindOfError(err);
  const { message, code, stack } = Object(err) as Partial<NodeJS.ErrnoException>;
  if (typeof message !== 'string') {
    return new Error(`[egg-tegg-session] the session store failed with ${err === null || err === undefined ? err : typeof err === 'object' ? 'an object' : `a ${typeof err}`} instead of an Error`);
  }
  const clean = [ ...names ].reduce((text, [ key, name ]) => text.replaceAll(key, name),
    (message || name).replace(/,? with args beginning with:.*/s, '')); // Redis quotes the command
  const error = Object.assign(new Error(clean), { name }, code === undefined ? {} : { code });
  const frames = (typeof stack === 'string' && stack.slice(stack.indexOf(message) + message.length).match(/^ {4}at .*$/gm)) || [];
  error.stack = [ `${name}: ${error.message}`, ...frames ].join('\n');
  return error;
}
