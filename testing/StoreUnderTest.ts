import { strict as assert } from 'node:assert';
import type { SessionMaxAge, SessionRecord, SessionStore, SessionStoreOptions } from '../module/store/SessionStore';

/** What this uses of mocha. */
declare function before(run: (this: { skip(): void }) => void): void;

export const MINUTE = 60_000;
/** A lifetime, in ms, that a test waits for the end of. */
export const SHORT = 500;
/** How much later, in ms, a server has noticed that: memcached counts whole seconds. */
export const LATER = 400;

/** The store that the contract's suite tests, and what its tests do with it. */
export class StoreUnderTest {
  store!: SessionStore;
  readonly options = {} as SessionStoreOptions;
  private readonly run = Math.random().toString(36).slice(2);
  private readonly written = new Set<string>();
  private last = 0;

  readonly newKey = () => `contract-${this.run}-${++this.last}`;

  readonly set = (key: string, record: SessionRecord, maxAge: SessionMaxAge = MINUTE) => {
    this.written.add(key);
    return this.store.set(key, record, maxAge, this.options);
  };

  /** The data that are stored, without the fields that are about the record itself. */
  readonly read = async (key: string) => {
    const record = await this.store.get(key, MINUTE, this.options);
    return record && Object.fromEntries(Object.entries(record).filter(([ field ]) => field[0] !== '_'));
  };

  readonly isGone = async (key: string) => assert.equal(await this.read(key) ?? undefined, undefined);

  /** To be called in a suite: its tests are shown as pending where the store lacks one of these methods. */
  needs(...methods: Array<'touch' | 'getAndTouch' | 'merge' | 'compareAndSet' | 'retire' | 'index' | 'list'>): void {
    const has = () => methods.every(method => this.store[method]); // the store is made when the tests run
    before(function() {
      if (!has()) this.skip(); // the contract leaves it to the store whether it has them: the plugin does without
    });
  }

  /** Removes what the tests have left. */
  async close() {
    await Promise.all([ ...this.written ].map(key => this.store.destroy(key, this.options)));
    await this.store.close();
  }
}
