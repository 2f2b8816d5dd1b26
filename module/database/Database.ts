import type { Wanted } from '../store/requireClient';
import type { Row } from './rows';
import type { Values } from './statement';
import type { Swept } from './sweep';

/** The names of the tables, quoted where a statement needs it. */
export interface Tables {
  /** Of sessions. */
  readonly sessions: string;
  /** Of which sessions a principal has. */
  readonly principals: string;
}

/**
 * What a database does for a store, each in one statement of its own unless it says otherwise. Times are by its clock. Each is given the
 * values by their names: `key`; `data`, `meta`, `lifetime`, `age`, `ms` (how long it lives), `rev` of a record; `absolute` for
 * `absoluteMaxAge`. Where there is no record, or only one that has expired, all that read or change one return undefined.
 */
export interface Database {
  /** The record or the tombstone. */
  get(values: Values): Promise<Row | undefined>;
  set(values: Values): Promise<unknown>;
  destroy(values: Values): Promise<unknown>;
  /** The lifetime. */
  touch(values: Values): Promise<number | undefined>;
  getAndTouch(values: Values): Promise<Row | undefined>;
  /** The lifetime. `data` and `meta` are patches; with `replace`, `data` are all there are; with `renew` 0, it ends as it would have. */
  merge(values: Values, replace: boolean): Promise<number | undefined>;
  /** The lifetime, if the record had the revision `expected`. */
  compareAndSet(values: Values): Promise<number | undefined>;
  /** What was there; a tombstone stays for `ms`, and names `successor`. */
  retire(values: Values): Promise<Row | undefined>;
  index(values: Values): Promise<unknown>;
  unindex(values: Values): Promise<unknown>;
  /** Up to `PAGE` keys after the key `after`, in their order, of `principal`, or, when that is null, of all. */
  keys(values: Values): Promise<unknown[]>;
  /** Whether nobody else does it for `ms` from now on. */
  lease(values: Values): Promise<boolean>;
  /** Deletes some rows that have expired, at `from` or later, which nobody else has locked: those that ended first. */
  deleteExpired(table: keyof Tables, from: number): Promise<Swept>;
  /** The client, and what it has to be. */
  client(): object;
  readonly wanted: Wanted;
  /** Asks the client for the number 1, whatever it is. */
  one(): unknown;
  /** Does nothing, if its tables are there and it may do all of the above with them. */
  probe(indexes: boolean): Promise<void>;
  /** The statements that make the tables where they are not there. */
  readonly schema: readonly string[];
  /** Runs one of these. */
  execute(statement: string): Promise<unknown>;
  /** What grants the rights. */
  readonly grants: string;
  /** What an error says: a table or a column is missing, another has made it at this moment, a right is missing, or that it may be tried again. */
  kindOf(err: unknown): 'missing' | 'exists' | 'forbidden' | 'again' | undefined;
}

/** The number of keys in a page. */
export const PAGE = 1000;
