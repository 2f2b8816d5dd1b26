import { strict as assert } from 'node:assert';
import { kindOf } from '../module/record/kindOf';
import { isRecord } from '../module/record/SessionRecord';
import type { SessionMaxAge, SessionRecord, SessionStore, SessionStoreOptions } from '../module/store/SessionStore';

/** What this uses of mocha. */
declare function before(run: (this: { skip(): void }) => void): void;

export const MINUTE = 60_000;
/** A lifetime, in ms, that a test waits for the end of. */
export const SHORT = 500;
/** How much later, in ms, a server has noticed that: memcached counts whole seconds. */
export const LATER = 400;

type OptionalMethod = 'touch' | 'getAndTouch' | 'merge' | 'compareAndSet' | 'retire' | 'index' | 'list';

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
    const record: unknown = await this.store.get(key, MINUTE, this.options);
    assert.ok(record === undefined || record === null || isRecord(record), `get() returned ${kindOf(record)}, and not ` +
      'the object that set() was given. If it is a text, parse it');
    return record && Object.fromEntries(Object.entries(record).filter(([ field ]) => field[0] !== '_'));
  };

  readonly isGone = async (key: string) => assert.equal(await this.read(key) ?? undefined, undefined);

  /**
   * To be called in a suite of tests of these methods. Its tests are pending where the store lacks one: `SessionStore` makes them optional,
   * and the plugin works in their place.
   */
  needs(...methods: OptionalMethod[]): void {
    const has = () => methods.every(method => this.store[method]); // the store is made when the tests run
    before(function() {
      if (!has()) this.skip(); // the method is optional, and this store has none
    });
  }

  /** Removes what the tests have left. */
  async close() {
    await Promise.all([ ...this.written ].map(key => this.store.destroy(key, this.options)));
    await this.store.close();
  }
}
