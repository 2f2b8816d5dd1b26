import { strict as assert } from 'node:assert';
import { createHash, randomBytes } from 'node:crypto';
import { inspect, types } from 'node:util';
import { kindOf } from '../module/record/kindOf';
import { isRecord } from '../module/record/SessionRecord';
import type { SessionMaxAge, SessionRecord, SessionStore, SessionStoreOptions } from '../module/store/SessionStore';
import type { Tests } from './TestRunner';

export const MINUTE = 60_000;
/** A lifetime, in ms, that a test waits for the end of. */
export const SHORT = 500;
/** How much later, in ms, a server has noticed that: memcached counts whole seconds. */
export const LATER = 400;
/** How many calls a test has running: a store may have a pool of as many connections. */
export const AT_ONCE = 5;

type OptionalMethod = 'touch' | 'getAndTouch' | 'merge' | 'compareAndSet' | 'retire' | 'index' | 'list';
/** Adds something that an optional method promises. */
type Check = (title: string, run: () => Promise<void>) => void;

/** The store that the contract's suite tests, and what its tests do with it. */
export class StoreUnderTest {
  store!: SessionStore;
  readonly options = {} as SessionStoreOptions;
  private readonly run = randomBytes(9).toString('base64url');
  private readonly written = new Set<string>();
  private readonly indexed: Array<[ principal: string, key: string ]> = [];
  private readonly unreported: string[] = [];
  private last = 0;

  constructor(readonly tests: Tests) {}

  /** A key as a session's: the SHA-256 of an id, in base64url. */
  readonly newKey = () => createHash('sha256').update(`${this.run}${++this.last}`).digest('base64url');

  /** Writes a record, which is removed at the end. */
  readonly set = (key: string, record: SessionRecord, maxAge: SessionMaxAge = MINUTE) => {
    this.written.add(key);
    return this.store.set(key, record, maxAge, this.options);
  };

  /** Notes a session of a principal, with a record: a store may forget those that have none. */
  readonly index = async (principal: string, key: string, ms = MINUTE) => {
    if (!this.written.has(key)) await this.set(key, {});
    this.indexed.push([ principal, key ]);
    await this.store.index!(principal, key, ms, this.options);
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
   * Makes one test of all that optional methods promise. It is shown as skipped where the store lacks one of them: `SessionStore` makes
   * them optional, and only when the tests run is the store there to be asked.
   */
  optional(methods: OptionalMethod[], define: (check: Check) => void): void {
    const names = methods.join(' and ');
    this.tests.it(`${names}, if the store has ${methods.length > 1 ? 'them' : 'it'}`, async skip => {
      if (!methods.every(method => this.store[method])) {
        if (!skip()) this.unreported.push(names);
        return;
      }
      const checks: Array<[ title: string, run: () => Promise<void> ]> = [];
      define((...check) => checks.push(check));
      const failures: Error[] = [];
      for (const [ title, run ] of checks) await run().catch(err => failures.push(titled(`${names} ${title}`, err)));
      if (failures.length > 1) throw new AggregateError(failures, failures.map(({ message }) => message).join('\n\n'));
      if (failures.length > 0) throw failures[0];
    });
  }

  /** Removes what the tests have left, and closes the store. */
  async close() {
    if (this.unreported.length > 0) console.info(`not tested, as the store lacks it: ${this.unreported.join(', ')}`);
    try {
      await atOnce(this.indexed, ([ principal, key ]) => this.store.index!(principal, key, 0, this.options));
      await atOnce([ ...this.written ], key => this.store.destroy(key, this.options));
    } finally {
      await this.store?.close(); // there is none when it could not be made
    }
  }
}

function titled(title: string, err: unknown): Error {
  if (!types.isNativeError(err)) return new Error(`${title}: ${inspect(err)}`);
  const message = `${title}: ${err.message}`;
  err.stack = err.stack?.replace(err.message, () => message);
  err.message = message;
  return err;
}

/** Calls a function for each item, {@link AT_ONCE} at a time. */
export async function atOnce<T, R>(items: readonly T[], call: (item: T, index: number) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const left = items.entries();
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (const [ index, item ] of left) results[index] = await call(item, index);
  }));
  return results;
}
