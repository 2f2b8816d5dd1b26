import { createHash } from 'node:crypto';
import { lifetimeFields, type SessionChanges, type SessionMaxAge, type SessionRecord, type Tombstone } from '../record/SessionRecord';
import { CLOCK_MARGIN } from '../store/written';

/**
 * A row of the table of sessions. Drivers give texts as strings or bytes, and numbers as numbers or strings.
 *
 * `data` has the fields of the session and `meta` those about the record, whose names start with `_`. Each is a JSON object whose values
 * are texts, the JSON of a field: `{"userId":"1","cart":"[\"tea\"]"}`. So a patch changes single fields, and a null in it removes a field;
 * databases neither reorder the content of a field, nor change its numbers, nor refuse deep nesting or U+0000.
 * Names are escaped as in JSON. A row without `data` is a tombstone.
 */
export interface Row {
  readonly data: unknown;
  readonly meta: unknown;
  readonly successor: unknown;
  /** In ms; 0 for a session that ends with the browser. */
  readonly lifetime: unknown;
  /** In ms since 1970 by the clock of the database, as `expires_at`. */
  readonly created_at: unknown;
  readonly expires_at: unknown;
  readonly rev: unknown;
}

/** Texts of JSON. */
interface Columns {
  data: string;
  meta: string;
}

/** Fields of a record with their own columns. */
const OWN_COLUMNS = new Set([ '_expire', '_rev', '_maxAge', '_session', '_storedAt' ]);

/** A text as its column holds it: PostgreSQL accepts no U+0000. Ordinary texts stay as they are. */
export const escaped = (text: string) => JSON.stringify(`${text}`).slice(1, -1);

/** The maximum size of a key in bytes: an index of MySQL holds two of them at most. */
const LONGEST_KEY = 1024;

/** @throws RangeError when the key is too long */
export function keyColumn(key: string): string {
  const column = escaped(key);
  if (fits(column)) return column;
  throw new RangeError(`[egg-tegg-session] a session's key has more than ${LONGEST_KEY} bytes, the limit of the store's table`);
}

/** A principal that is too long is stored as its hash, which starts with `"`: other principals can't, as `"` is escaped in them. */
export function principalColumn(principal: string): string {
  const column = escaped(principal);
  return fits(column) ? column : `"sha256-${createHash('sha256').update(column).digest('base64url')}`;
}

const fits = (column: string) => column.length <= LONGEST_KEY / 3 || Buffer.byteLength(column) <= LONGEST_KEY;

/** The text that was escaped. */
export const unescaped = (column: unknown): string => JSON.parse(`"${textOf(column)}"`);

/** The columns of a record. */
export const columnsOf = (record: SessionRecord): Columns => split(Object.entries(record));

/** The patches of `data` and `meta`. */
export function patchOf({ set, unset }: SessionChanges): Columns {
  return split([ ...Object.entries(set), ...unset.map(name => [ name, null ] as const) ], new Set(unset));
}

function split(entries: ReadonlyArray<readonly [ string, unknown ]>, removed?: Set<string>): Columns {
  const columns: Record<keyof Columns, string[]> = { data: [], meta: [] };
  for (const [ name, value ] of entries) {
    if (OWN_COLUMNS.has(name)) continue;
    const json = removed?.has(name) ? null : JSON.stringify(value);
    if (json !== undefined) columns[name[0] === '_' ? 'meta' : 'data'].push(`${JSON.stringify(escaped(name))}:${JSON.stringify(json)}`);
  }
  return { data: `{${columns.data.join()}}`, meta: `{${columns.meta.join()}}` };
}

/** A lifetime as its column holds it. */
export const lifetimeColumn = (maxAge: SessionMaxAge) => (maxAge === 'session' ? 0 : maxAge);

/** The lifetime in its column. */
export function lifetimeIn(column: unknown): SessionMaxAge {
  const ms = Number(column);
  return ms === 0 ? 'session' : ms;
}

/** The age of a record in ms, by the clock of this process, which has created it. */
export const ageOf = ({ _createdAt }: SessionRecord): number | null =>
  (typeof _createdAt === 'number' ? Math.round(Date.now() - _createdAt) : null);

/**
 * The record, or the tombstone, in a row.
 *
 * @throws SyntaxError when it is neither
 */
export function recordIn(row: Row | undefined): SessionRecord | Tombstone | undefined {
  if (!row) return undefined;
  if (row.data === null) return { _successor: row.successor === null ? null : unescaped(row.successor) } satisfies Tombstone;
  const maxAge = lifetimeIn(row.lifetime);
  const record: SessionRecord = JSON.parse(`{${[ ...membersOf(row.meta), ...membersOf(row.data) ].join()}}`);
  const { _createdAt } = record;
  const storedAt = Number(row.created_at ?? _createdAt);
  return {
    _expire: maxAge === 'session' ? null : Number(row.expires_at),
    _rev: Number(row.rev),
    ...lifetimeFields(maxAge),
    ...Math.abs(storedAt - Number(_createdAt)) > CLOCK_MARGIN ? { _storedAt: storedAt } : {},
    ...record,
  };
}

/** The fields in `data`, or in a patch of it. */
export const fieldsIn = (column: unknown): SessionRecord => {
  const fields: Record<string, string | null> = JSON.parse(textOf(column));
  return Object.fromEntries(Object.entries(fields).map(([ name, json ]) => [ name, JSON.parse(json ?? 'null') ]));
};

function membersOf(column: unknown): string[] {
  const fields: unknown = JSON.parse(textOf(column));
  if (typeof fields !== 'object' || fields === null) throw new SyntaxError('no fields of a session');
  return Object.entries(fields).map(([ name, json ]) => {
    if (typeof json !== 'string') throw new SyntaxError('no field of a session');
    return `"${name}":${json}`;
  });
}

/** The text that a driver returns as a string or as bytes. */
export const textOf = (column: unknown): string => (column instanceof Uint8Array ? Buffer.from(column).toString() : String(column));
