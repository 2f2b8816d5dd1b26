import type { Wanted } from '../store/requireClient';
import type { Row } from './rows';
import type { Values } from './statement';
import type { Swept } from './sweep';

/** The names of the tables, as they go into statements. */
export interface Tables {
  /** Of sessions. */
  readonly sessions: string;
  /** Of the index of a principal's sessions. */
  readonly principals: string;
}

/**
 * The statements of a database; each method is one statement unless its comment says otherwise. Times are by the clock of the database.
 * Methods get their values by name: `key`; `data`, `meta`, `lifetime`, `age`, `ms` (the time until expiry) and `rev` of a record; `absolute`
 * for `absoluteMaxAge`. If there is no record, or it has expired, methods that read or change one return undefined.
 */
export interface Database {
  /** The record or the tombstone. */
  get(values: Values): Promise<Row | undefined>;
  set(values: Values): Promise<unknown>;
  destroy(values: Values): Promise<unknown>;
  /** The lifetime. */
  touch(values: Values): Promise<number | undefined>;
  getAndTouch(values: Values): Promise<Row | undefined>;
  /** The lifetime. `data` and `meta` are patches; with `replace`, `data` has all fields; with `renew` 0, the time of expiry stays. */
  merge(values: Values, replace: boolean): Promise<number | undefined>;
  /** The lifetime, if the record had the revision `expected`. */
  compareAndSet(values: Values): Promise<number | undefined>;
  /** The record or tombstone that was there; a record becomes a tombstone with `successor`, for `ms`. */
  retire(values: Values): Promise<Row | undefined>;
  index(values: Values): Promise<unknown>;
  unindex(values: Values): Promise<unknown>;
  /** Up to `PAGE` keys after the key `after`, in order, of `principal`, or of all sessions when that is null. */
  keys(values: Values): Promise<unknown[]>;
  /** Takes the lease for `ms`; false if another worker has it. */
  lease(values: Values): Promise<boolean>;
  /** Deletes a batch of expired rows, without those that are locked: the first that ended at `from` or later. */
  deleteExpired(table: keyof Tables, from: number): Promise<Swept>;
  /** The client. */
  client(): object;
  readonly wanted: Wanted;
  /** Selects the number 1, with whatever the client is. */
  one(): unknown;
  /** Changes nothing; fails if a table, a column or a right is missing. */
  probe(indexes: boolean): Promise<void>;
  /** The statements that create the missing tables. */
  readonly schema: readonly string[];
  /** Runs one of these. */
  execute(statement: string): Promise<unknown>;
  /** The statement that grants the rights. */
  readonly grants: string;
  /** The kind of an error: a table or column is missing, it exists already, a right is missing, the statement has no valid syntax, or it may be repeated. */
  kindOf(err: unknown): 'missing' | 'exists' | 'forbidden' | 'syntax' | 'again' | undefined;
  /** Whether statements are part of the application's transaction. A conflict rolls back all of that: repeating one statement would hide it. */
  isInTransaction?(): Promise<boolean>;
}

/** The number of keys in a page. */
export const PAGE = 1000;
