import { createHash } from 'node:crypto';
import { tell } from '../events';
import { isAlive } from '../record';
import { SHORT, shortHash } from '../shortHash';
import type { CompleteStore, Existing } from './complete';
import type { SessionStoreOptions } from './SessionStore';
import type { StoreHealth, StoreOperation } from './StoreHealth';
import { SessionStoreError } from './SessionStoreError';

type Members = 'keepsExpiry' | 'renewsOnRead' | 'isIndexed' | StoreOperation;

/** What `keyOf` gives for an id, in a store that is given no ids. */
const HASH = /^[\w-]{43}$/;

/** What a request's session sees of a store. */
export interface Store extends Pick<CompleteStore, Members> {
  /** The key that the session with this id has in the store. */
  keyOf(id: string): string;
  /** What stands for a key in log lines, events and errors: the same as `shortHash` gives for the id. */
  nameOf(key: string): string;
}

/**
 * Keeps what is secret from a store, and out of its errors: a hash of the id is the key, so that nobody signs in with what
 * the store holds; and drivers put the command into their errors, with its key and data.
 */
export class GuardedStore implements Store {
  readonly keepsExpiry: boolean;
  readonly renewsOnRead: boolean;
  readonly isIndexed: boolean;

  /**
   * @param store the store
   * @param health what is known of it
   * @param timeout how long a call of it may take, in ms
   * @param hashesIds false for stores that are given the id itself, as applications rely on it
   */
  constructor(private readonly store: Pick<CompleteStore, Members>, private readonly health: StoreHealth, private readonly timeout: number,
    private readonly hashesIds: boolean) {
    this.keepsExpiry = store.keepsExpiry;
    this.renewsOnRead = store.renewsOnRead;
    this.isIndexed = store.isIndexed && hashesIds; // a key is what the registry shows
  }

  keyOf(id: string): string {
    return this.hashesIds ? createHash('sha256').update(id).digest('base64url') : id;
  }

  nameOf(key: string): string {
    return this.hashesIds ? key.slice(0, SHORT) : shortHash(key);
  }

  get(...args: Parameters<Store['get']>) {
    return this.call('get', args[2], [ args[0] ], () => this.store.get(...args));
  }

  set(...args: Parameters<Store['set']>) {
    return this.call('set', args[3], [ args[0] ], () => this.store.set(...args));
  }

  touch(...args: Parameters<Store['touch']>) {
    return this.call('touch', args[1], [ args[0] ], () => this.store.touch(...args));
  }

  getAndTouch(...args: Parameters<Store['getAndTouch']>) {
    return this.call('getAndTouch', args[1], [ args[0] ], () => this.store.getAndTouch(...args));
  }

  merge(...args: Parameters<Store['merge']>) {
    return this.call('merge', args[2], [ args[0] ], () => this.store.merge(...args));
  }

  compareAndSet(...args: Parameters<Store['compareAndSet']>) {
    return this.call('compareAndSet', args[4], [ args[0] ], () => this.store.compareAndSet(...args));
  }

  retire(...args: Parameters<Store['retire']>) {
    const [ key, successor, , options ] = args;
    return this.call('retire', options, successor ? [ key, successor ] : [ key ], () => this.store.retire(...args));
  }

  index(...args: Parameters<Store['index']>) {
    return this.call('index', args[3], [ args[1] ], () => this.store.index(...args));
  }

  async* list(...args: Parameters<Store['list']>) {
    let found: AsyncIterator<string[]> | undefined;
    const next = () => {
      found ??= this.store.list(...args)[Symbol.asyncIterator]();
      return found.next();
    };
    try {
      for (;;) {
        const { value, done } = await this.call('list', args[1], [], next);
        if (done) return;
        // the application may have keys of its own that begin as those of sessions do
        yield value.filter((key: string) => HASH.test(key));
      }
    } finally {
      // nobody waits for the store to let go of what it lists from
      found?.return?.()?.catch(() => undefined);
    }
  }

  /** Calls the store, unless it is down. What it answers after `timeout` is ignored. */
  private call<T>(operation: StoreOperation, { ctx }: SessionStoreOptions, keys: string[], method: () => Promise<T>): Promise<T> {
    const { health, timeout } = this;
    const permission = health.ask(operation);
    if (permission === 'refused') return Promise.reject(new SessionStoreError(health.lastError!.error));
    // one promise, and none of its own for the timeout: every request pays for this
    return new Promise((resolve, reject) => {
      const start = performance.now();
      const fail = (err: unknown) => {
        if (timer === undefined) return;
        end();
        const error = withoutSecrets(err, new Map(keys.map(key => [ key, this.nameOf(key) ])));
        health.failed(operation, performance.now() - start, error, permission === 'probe');
        tell(ctx.app, 'session:storeError', { ctx, error });
        reject(new SessionStoreError(error));
      };
      const end = () => {
        clearTimeout(timer);
        timer = undefined;
      };
      const late = () => fail(new Error(
        `[egg-tegg-session] the session store has not answered for ${timeout} ms (config.session.storeTimeout)`));
      // an answer that has come while this process was busy is not late
      let timer: NodeJS.Timeout | undefined = setTimeout(() => setImmediate(late), timeout);
      try {
        Promise.resolve(method()).then(result => {
          if (timer === undefined) return;
          const missed = (operation === 'get' || operation === 'getAndTouch') && !isAlive(result as Existing); // may throw
          end();
          health.succeeded(operation, performance.now() - start, missed);
          resolve(result);
        }).catch(fail); // also for a result that can't be looked at
      } catch (err) {
        fail(err);
      }
    });
  }
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
  const { message, name, code, stack } = Object(err) as Partial<NodeJS.ErrnoException>;
  if (typeof message !== 'string') {
    return new Error(`[egg-tegg-session] the session store failed with ${err === null ? 'null' : typeof err} instead of an Error`);
  }
  const clean = [ ...names ].reduce((text, [ key, name ]) => text.replaceAll(key, name),
    message.replace(/,? with args beginning with:.*/s, '')); // Redis quotes the command
  const error = Object.assign(new Error(clean), { name }, code === undefined ? {} : { code });
  const frames = (typeof stack === 'string' && stack.slice(stack.indexOf(message) + message.length).match(/^ {4}at .*$/gm)) || [];
  error.stack = [ `${name}: ${error.message}`, ...frames ].join('\n');
  return error;
}
