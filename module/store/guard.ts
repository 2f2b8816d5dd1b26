import { shortHash } from '../shortHash';
import type { CompleteStore } from './complete';

/** What a request's session sees of a store. */
export type Store = Pick<CompleteStore, 'keepsExpiry' | 'get' | 'set' | 'touch' | 'merge' | 'compareAndSet' | 'retire'>;

/** Keeps what is secret out of the errors of a store: drivers put the command into theirs, with its key and data. */
export class GuardedStore implements Store {
  readonly keepsExpiry: boolean;

  constructor(private readonly store: Store) {
    this.keepsExpiry = store.keepsExpiry;
  }

  get(...args: Parameters<Store['get']>) {
    return this.call(args[0], () => this.store.get(...args));
  }

  set(...args: Parameters<Store['set']>) {
    return this.call(args[0], () => this.store.set(...args));
  }

  touch(...args: Parameters<Store['touch']>) {
    return this.call(args[0], () => this.store.touch(...args));
  }

  merge(...args: Parameters<Store['merge']>) {
    return this.call(args[0], () => this.store.merge(...args));
  }

  compareAndSet(...args: Parameters<Store['compareAndSet']>) {
    return this.call(args[0], () => this.store.compareAndSet(...args));
  }

  retire(...args: Parameters<Store['retire']>) {
    return this.call(args[0], () => this.store.retire(...args));
  }

  private async call<T>(key: string, method: () => Promise<T>): Promise<T> {
    try {
      return await method();
    } catch (err) {
      throw withoutSecrets(err, key);
    }
  }
}

/** An error of its own with the message, the name and the code of `err`, where a hash stands for the key. */
function withoutSecrets(err: unknown, key: string): Error {
  if (!(err instanceof Error)) {
    return new Error(`[egg-tegg-session] the session store failed with ${err === null ? 'null' : typeof err} instead of an Error`);
  }
  const clean = (text: string) => text
    .replace(/,? with args beginning with:.*/s, '') // Redis quotes the command
    .replaceAll(key, shortHash(key));
  const { name, code } = err as NodeJS.ErrnoException;
  const error = Object.assign(new Error(clean(err.message)), { name }, code === undefined ? {} : { code });
  const frames = err.stack?.match(/^ {4}at .*$/gm) ?? [];
  error.stack = [ `${name}: ${error.message}`, ...frames ].join('\n');
  return error;
}
