import { coded } from './errors';
import { printable } from './printable';

/**
 * The stored form of one session: its fields, which are JSON values, and fields about the record, whose names start with `_`: `_maxAge`,
 * its lifetime in ms, or `_session: true` when it ends with the browser; `_createdAt`, in ms since 1970; `_cookie`, the place of its
 * cookie, if a request has chosen it; and the fields that `SessionRegistry` lists.
 */
export type SessionRecord = Record<string, unknown>;

/** A difference between two records. */
export interface SessionChanges {
  /** Fields to write. */
  set: SessionRecord;
  /** Names of fields to remove. */
  unset: string[];
  /** Whether to remove all other fields, except those about the record: the session was replaced. */
  replace: boolean;
  /** False to keep the record's time of expiry. */
  renew?: boolean;
}

/** A lifetime in ms, or `'session'` for a session that ends with the browser: keep it for a day after its last write. */
export type SessionMaxAge = number | 'session';

/** What koa-session takes for no `maxAge`, in ms. @internal */
export const ONE_DAY = 24 * 3600 * 1000;

/** The longest lifetime, in ms: 100 years. @internal */
export const LONGEST = 36_525 * ONE_DAY;

/** The names of koa-session's own members, and those that would change what an object is. No field can have them. */
const RESERVED = new Set([
  'isNew', 'length', 'populated', 'externalKey', 'maxAge', 'save', 'regenerate', 'manuallyCommit', 'commit', 'toJSON',
  'constructor', '__proto__',
]);

/** What the injected session has besides. `ctx.session` has not, so that an application's data may have these names. */
const RESERVED_WHEN_INJECTED = new Set([ 'createdAt', 'available', 'deviceBound', 'destroy', 'update', 'pop' ]);

/** Whether a session's data can have a field of this name; a `_` in front is for what is about the record itself. @internal */
export const isField = (name: string) => name[0] !== '_' && !RESERVED.has(name);

/** Whether a field of this name can be written through the injected session. @internal */
export const isInjectedField = (name: string) => isField(name) && !RESERVED_WHEN_INJECTED.has(name);

/** @throws TypeError when the name is not allowed @internal */
export function assertName(name: string, allowed: (name: string) => boolean): void {
  if (allowed(name)) return;
  throw coded('ERR_SESSION_DATA', new TypeError(`[egg-tegg-session] session.${printable(name)} is reserved and can't hold data; use another name`));
}

/** Whether a value is a plain object, as a record is. @internal */
export function isRecord(value: unknown): value is SessionRecord {
  if (typeof value !== 'object' || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype || prototype.constructor?.name === 'Object';
}

/** Takes the place of a record that has moved or ended, for a short time. */
export interface Tombstone {
  /** The key that took the place of this one; null when the session ended. */
  _successor: string | null;
}

/** Lifetime of a tombstone, in ms: longer than most requests that still have the old id. @internal */
export const TOMBSTONE_MS = 30_000;

/** @internal */
export const isTombstone = (value: unknown): value is Tombstone => isRecord(value) && '_successor' in value;

/** Whether a value that was read is a record, of a session that goes on or has expired. @internal */
export const isKept = (value: unknown): value is SessionRecord => isRecord(value) && !isTombstone(value);

/** Whether a value that was read is a record of a session that goes on, by the clock of this process. @internal */
export const isAlive = (value: unknown): value is SessionRecord => isKept(value) && !isExpired(value);

/** The same of what a store has. One that has a clock of its own drops what has expired, and that is the clock that counts. @internal */
export const isAliveIn = ({ hasClock }: { readonly hasClock: boolean }, value: unknown): value is SessionRecord =>
  (hasClock ? isKept(value) : isAlive(value));

/** By the clock of this process. @internal */
export const isExpired = ({ _expire }: SessionRecord) => typeof _expire === 'number' && _expire < Date.now();

/** The data in a record, without names that data can't have. @internal */
export function dataOf(record: SessionRecord): SessionRecord {
  const data: SessionRecord = {};
  for (const name of Object.keys(record)) if (isField(name)) data[name] = record[name];
  return data;
}

/**
 * The fields of koa-session's object, or of what is assigned to `ctx.session`, which may be a copy of it.
 *
 * @throws TypeError when a name is reserved
 * @internal
 */
export function fieldsOf(assigned: object): SessionRecord {
  const data: SessionRecord = {};
  for (const name of Object.keys(assigned)) {
    const value = (assigned as SessionRecord)[name];
    if (name === 'isNew' || name === 'maxAge' || name[0] === '_' || typeof value === 'function') continue;
    assertName(name, isField);
    data[name] = value;
  }
  return data;
}

/** A copy of data; `structuredClone` can't follow as deep as JSON can. @internal */
export function copyOf(data: SessionRecord): SessionRecord {
  try {
    return structuredClone(data);
  } catch {
    return JSON.parse(JSON.stringify(data));
  }
}

/** The fields of a record besides the data. @internal */
export function metaOf(record: SessionRecord): SessionRecord {
  return Object.fromEntries(Object.entries(record).filter(([ name ]) => name[0] === '_'));
}

/** Whether a record, or what changes in one, says how long it lives. @internal */
export const hasLifetime = (record: SessionRecord) => '_session' in record || '_maxAge' in record;

/** The time that a record lives after each write; a day when the record does not say. @internal */
export function lifetimeOf({ _session, _maxAge }: SessionRecord): SessionMaxAge {
  if (_session === true) return 'session';
  return typeof _maxAge === 'number' && _maxAge > 0 ? Math.min(Math.ceil(_maxAge), LONGEST) : ONE_DAY;
}

/**
 * The time, in ms, that a record may be kept at most: it ends `absoluteMaxAge` after its creation, by the clock of this process;
 * Infinity where that is not limited.
 * @internal
 */
export function msLeft({ _createdAt }: SessionRecord, absoluteMaxAge: number | undefined): number {
  if (absoluteMaxAge === undefined || typeof _createdAt !== 'number') return Infinity;
  return _createdAt + absoluteMaxAge - Date.now();
}

/** koa-session's fields for a lifetime. @internal */
export const lifetimeFields = (maxAge: SessionMaxAge): SessionRecord =>
  (maxAge === 'session' ? { _session: true } : { _maxAge: maxAge });

/**
 * What turns the data of `before` into those of `after`, both as JSON has them. A change inside a field counts as a change of the field.
 * @internal
 */
export function changesBetween(before: SessionRecord, after: SessionRecord): SessionChanges {
  const set: SessionRecord = {};
  for (const [ name, value ] of Object.entries(after)) {
    const isSame = Object.hasOwn(before, name) && (before[name] === value || JSON.stringify(before[name]) === JSON.stringify(value));
    if (!isSame) set[name] = value;
  }
  return { set, unset: Object.keys(before).filter(name => !Object.hasOwn(after, name)), replace: false };
}

/** @internal */
export const NO_CHANGES: SessionChanges = { set: {}, unset: [], replace: false };

/** @internal */
export const isEmpty = ({ set, unset, replace }: SessionChanges) =>
  !replace && unset.length === 0 && Object.keys(set).length === 0;

/** The names of the fields that are changed. @internal */
export const namesOf = ({ set, unset }: SessionChanges): string[] => [ ...Object.keys(set), ...unset ];

/** The record with the changes applied. A replaced record keeps what is about the record, unless the changes have it. @internal */
export function applyChanges(record: SessionRecord, { set, unset, replace }: SessionChanges): SessionRecord {
  const result = { ...replace ? metaOf(record) : record, ...set };
  for (const name of unset) delete result[name];
  return result;
}

/** The changes, and that of the lifetime, if one is given. @internal */
export function withLifetime(changes: SessionChanges, maxAge: SessionMaxAge | undefined): SessionChanges {
  if (maxAge === undefined) return changes;
  return {
    ...changes,
    set: { ...changes.set, ...lifetimeFields(maxAge) },
    unset: [ ...changes.unset, maxAge === 'session' ? '_maxAge' : '_session' ],
  };
}
