import type { ContextSession } from './SessionData';
import { applyChanges, changesBetween, dataOf, fieldsOf, namesOf, NO_CHANGES, type SessionChanges, type SessionRecord } from './SessionRecord';
import { Snapshot } from './Snapshot';
import { assertFieldCount, assertStorable } from './storable';

/** A session's data as a request works on them, beside what is kept of them. */
export class ChangeTracker {
  /** Whether the data were assigned as a whole, and take the place of all that is kept. */
  replacesAll = false;
  /** Whether these data were assigned to `ctx.session`, and are not those of a session that was read. */
  readonly wereAssigned: boolean;
  private readonly given: SessionRecord;
  /** Whether a field was assigned the value that it had, which may be a sign-in. */
  hasReassigned = false;
  /** Counts the `update()`s of these data while they were in no record. */
  updates = 0;

  /**
   * @param session koa-session's object
   * @param kept the data that are kept
   * @param given the same, as the session was given them; undefined for what was assigned to `ctx.session`
   */
  constructor(readonly session: ContextSession, private kept: Snapshot, given?: SessionRecord) {
    this.given = given ?? {};
    this.wereAssigned = given === undefined;
  }

  /**
   * The data as they are now.
   *
   * @throws TypeError when a field can't be kept, for its name or its value
   */
  now(): Snapshot {
    return Snapshot.of(fieldsOf(this.session));
  }

  /** @throws TypeError when this request has put something into a field that must not be stored, or there are too many fields */
  assertStorable(now: Snapshot): void {
    assertFieldCount(now.size);
    assertStorable(this.session, now.objectsNotIn(this.kept));
  }

  isChanged(now: Snapshot): boolean {
    return this.replacesAll || !now.equals(this.kept);
  }

  /** What this request has changed, and not saved. */
  pending(now: Snapshot): SessionChanges {
    return this.replacesAll ? { set: now.toData(), unset: [], replace: true } : now.changesFrom(this.kept);
  }

  /** The data of a record with what is pending; not a copy. */
  onto(record: SessionRecord, now: Snapshot): SessionRecord {
    return dataOf(applyChanges(record, this.pending(now)));
  }

  /**
   * What others have changed in a record that the data of `now` are to take the place of; nothing in fields that this
   * request has changed, or when these data replace all.
   */
  changesOfOthers(record: SessionRecord, now: Snapshot): SessionChanges {
    if (this.replacesAll) return NO_CHANGES;
    const own = new Set(namesOf(this.pending(now)));
    const { set, unset } = changesBetween(this.kept.toData(), dataOf(record));
    for (const name of own) delete set[name];
    return { set, unset: unset.filter(name => !own.has(name)), replace: false };
  }

  /** Takes `data` over, except in fields that have changed since the data were `seen`. */
  applyExternal(data: SessionRecord, seen: Snapshot): void {
    const changed = new Set(namesOf(this.now().changesFrom(seen)));
    const { set, unset } = Snapshot.of(data).changesFrom(seen);
    for (const [ name, value ] of Object.entries(set)) {
      if (!changed.has(name)) this.session[name] = this.given[name] = value;
    }
    for (const name of unset) if (!changed.has(name)) delete this.session[name];
  }

  /** What this request has changed since it began with the `loaded` data, also inside fields. */
  assigned(loaded: SessionRecord): SessionRecord {
    const { set } = this.pending(this.now());
    return this.replacesAll ? changesBetween(loaded, set).set : set;
  }

  /**
   * Leaves only what this request has assigned; what was kept belongs to another session now, changed inside or not, and
   * also when it was assigned as a whole, as by `ctx.session = { ...ctx.session }`.
   *
   * @param loaded the data that the request began with
   * @param keepsInside whether fields that were changed inside stay: a sign-in may be there
   */
  dropLoaded(loaded: SessionRecord, keepsInside = false): void {
    const { session, given } = this;
    const set = this.assigned(loaded);
    for (const [ name, value ] of Object.entries(session.toJSON())) {
      const isOwn = Object.hasOwn(set, name) && (keepsInside || !(typeof value === 'object' && value === given[name]));
      if (!isOwn) delete session[name];
    }
    this.kept = Snapshot.EMPTY;
  }

  /** To be called when these data are kept. */
  markSaved(kept: Snapshot): void {
    this.kept = kept;
    this.replacesAll = false;
  }
}

