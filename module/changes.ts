import type { SessionChanges, SessionRecord } from './SessionStore';

/** Names that would change what koa-session's session object is, not what it holds. */
const UNSAFE_KEYS = [ '__proto__', 'constructor', 'toJSON' ];

/** Whether a value that was read can be the data of a session: an object without a key that is unsafe to copy. */
export function isRecord(value: unknown): value is SessionRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value) &&
    !UNSAFE_KEYS.some(key => Object.hasOwn(value, key));
}

/** Holds what is to be stored to what is accepted when it is read again. */
export function assertRecord(record: object): void {
  if (!isRecord(record)) {
    throw new TypeError(`[egg-tegg-session] a session can't have a field named ${UNSAFE_KEYS.join(' or ')}`);
  }
}

/** Whether a value that was read is a record that has not expired. */
export const isAlive = (value: unknown): value is SessionRecord =>
  isRecord(value) && !(typeof value._expire === 'number' && value._expire < Date.now());

/** Whether a field of a record is koa-session's own, and no part of the session's data. */
export const isMeta = (name: string) => name[0] === '_';

/** The fields of a record for which `test` says so. */
export const pick = (record: SessionRecord, test: (name: string) => boolean): SessionRecord =>
  Object.fromEntries(Object.entries(record).filter(([ name ]) => test(name)));

/** A record's fields as JSON, for telling exactly which of them change later. */
export type Snapshot = ReadonlyMap<string, string>;

/** koa-session's own fields that say how long a session lives; `_expire` only says since when, and is no change. */
const LIFETIME_FIELDS = [ '_maxAge', '_session' ];

/** Takes a snapshot of the data and the lifetime in a record. */
export function snapshot(record: SessionRecord): Snapshot {
  const fields = new Map<string, string>();
  for (const [ name, value ] of Object.entries(record)) {
    const json = isMeta(name) && !LIFETIME_FIELDS.includes(name) ? undefined : JSON.stringify(value);
    if (json !== undefined) fields.set(name, json);
  }
  return fields;
}

/** What turns the record of `before` into `record`. A change inside a field counts as a change of the field. */
export function changesSince(before: Snapshot, record: SessionRecord): SessionChanges {
  const after = snapshot(record);
  const set: SessionRecord = {};
  for (const [ name, json ] of after) {
    if (before.get(name) !== json) set[name] = record[name];
  }
  return { set, unset: [ ...before.keys() ].filter(name => !after.has(name)), replace: false };
}

export const isEmpty = ({ set, unset, replace }: SessionChanges) =>
  !replace && unset.length === 0 && Object.keys(set).length === 0;

/** The record with the changes applied. */
export function applyChanges(record: SessionRecord, { set, unset, replace }: SessionChanges): SessionRecord {
  const result = replace ? { ...set } : { ...record, ...set };
  for (const name of unset) delete result[name];
  return result;
}
