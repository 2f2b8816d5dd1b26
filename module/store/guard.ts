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
    const [ key, successor ] = args;
    return this.call(key, () => this.store.retire(...args), successor);
  }

  private async call<T>(key: string, method: () => Promise<T>, successor?: string | null): Promise<T> {
    try {
      return await method();
    } catch (err) {
      throw withoutSecrets(err, successor ? [ key, successor ] : [ key ]);
    }
  }
}

/** An error of its own with the message, the name and the code of `err`, where a hash stands for each key. */
function withoutSecrets(err: unknown, keys: string[]): Error {
  const { message, name, code, stack } = Object(err) as Partial<NodeJS.ErrnoException>;
  if (typeof message !== 'string') {
    return new Error(`[egg-tegg-session] the session store failed with ${err === null ? 'null' : typeof err} instead of an Error`);
  }
  const clean = keys.reduce((text, key) => text.replaceAll(key, shortHash(key)),
    message.replace(/,? with args beginning with:.*/s, '')); // Redis quotes the command
  const error = Object.assign(new Error(clean), { name }, code === undefined ? {} : { code });
  const frames = stack?.slice(stack.indexOf(message) + message.length).match(/^ {4}at .*$/gm) ?? [];
  error.stack = [ `${name}: ${error.message}`, ...frames ].join('\n');
  return error;
}
