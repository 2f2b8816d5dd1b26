import { applyChanges, changesBetween, dataOf, fieldsOf, isEmpty, namesOf, toJson } from './record';
import type { ContextSession } from './SessionData';
import type { SessionChanges, SessionRecord } from './store/SessionStore';

/** A session's data as a request works on them, beside what is kept of them. */
export class WorkingCopy {
  /** Whether the data were assigned as a whole, and take the place of all that is kept. */
  replacesKept = false;
  /** How many `update()`s these data have seen while they were in no record. */
  updates = 0;

  /**
   * @param session koa-session's object
   * @param kept the data that are kept, as JSON
   * @param given the same, as the session was given them
   */
  constructor(readonly session: ContextSession, private kept: string, private readonly given: SessionRecord = {}) {}

  /**
   * The data as JSON.
   *
   * @throws TypeError when a field can't be kept, for its name or its value
   */
  toJson(): string {
    return toJson(fieldsOf(this.session));
  }

  /** The data as they are now. */
  toData(): SessionRecord {
    return fieldsOf(this.session);
  }

  isChanged(json: string): boolean {
    if (this.replacesKept || json.length !== this.kept.length) return true;
    return json !== this.kept && !isEmpty(this.pending(json)); // the order of the fields is no change
  }

  /** What this request has changed, and not saved. */
  pending(json: string): SessionChanges {
    const data = JSON.parse(json) as SessionRecord;
    return this.replacesKept ? { set: data, unset: [], replace: true } : changesBetween(JSON.parse(this.kept), data);
  }

  /** The data of a record with what is pending. */
  onto(record: SessionRecord, json: string): SessionRecord {
    return dataOf(applyChanges(record, this.pending(json)));
  }

  /**
   * What others have changed in a record that the data in `json` are to take the place of; nothing in fields that this
   * request has changed, or when these data replace all.
   */
  changesOfOthers(record: SessionRecord, json: string): SessionChanges {
    if (this.replacesKept) return { set: {}, unset: [], replace: false };
    const own = new Set(namesOf(this.pending(json)));
    const { set, unset } = changesBetween(JSON.parse(this.kept), dataOf(record));
    for (const name of own) delete set[name];
    return { set, unset: unset.filter(name => !own.has(name)), replace: false };
  }

  /** Shows `data`, except in fields that have changed since the data were `seen`. */
  show(data: SessionRecord, seen: string): void {
    const before = JSON.parse(seen);
    const changed = new Set(namesOf(changesBetween(before, JSON.parse(this.toJson()))));
    const { set, unset } = changesBetween(before, data);
    for (const [ name, value ] of Object.entries(set)) {
      if (!changed.has(name)) this.session[name] = this.given[name] = value;
    }
    for (const name of unset) if (!changed.has(name)) delete this.session[name];
  }

  /**
   * Leaves only what this request has assigned; what was kept belongs to another session now, changed inside or not, and
   * also when it was assigned as a whole, as by `ctx.session = { ...ctx.session }`.
   *
   * @param loaded the data that the request began with
   */
  forgetKept(loaded: SessionRecord): void {
    const { session, given } = this;
    const { set: pending } = this.pending(this.toJson());
    const set = this.replacesKept ? changesBetween(loaded, pending).set : pending;
    for (const [ name, value ] of Object.entries(session.toJSON())) {
      const isOwn = Object.hasOwn(set, name) && !(typeof value === 'object' && value === given[name]);
      if (!isOwn) delete session[name];
    }
    this.kept = '{}';
  }

  /** To be called when these data are kept. */
  markKept(json: string): void {
    this.kept = json;
    this.replacesKept = false;
  }
}

