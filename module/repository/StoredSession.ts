import type { Context } from 'egg';
import { requireText, wrongReturn } from '../options/SessionConfig';
import type { ChangeTracker } from '../record/ChangeTracker';
import {
  applyChanges, changesBetween, dataOf, isAliveIn, isEmpty, isKept, isTombstone, lifetimeOf, metaOf,
  NO_CHANGES, type SessionChanges, type SessionMaxAge, type SessionRecord, type Tombstone, TOMBSTONE_MS, withLifetime,
} from '../record/SessionRecord';
import type { DeviceBinding } from '../record/DeviceBinding';
import { shortHash } from '../record/shortHash';
import type { Snapshot } from '../record/Snapshot';
import type { Store } from '../store/GuardedStore';
import type { SessionStoreOptions } from '../store/SessionStore';
import { logUntold, SessionStoreError } from '../store/SessionStoreError';
import { indexMs, type MetaFields, type RecordMeta } from './RecordMeta';
import { endSession, type SessionIndex, removeFromIndex } from './SessionIndex';

/** The time, in ms, that a response may take from the store's last word about the session to its headers: its body may be slow. */
const FRESH_MS = 500;

/** The most characters of an id that a cookie can carry, sealed. */
const LONGEST_ID = 2000;

/** The pauses, in ms, after which something is tried again that a store could not do, or has not answered. */
const PAUSES = [ 1000, 2000, 4000, 8000, 16_000 ];

/** Does in the background what must be done once the store answers again, as far as that is soon. */
function onceItAnswers(attempt: () => Promise<unknown>, [ pause, ...more ] = PAUSES): void {
  if (pause === undefined) return;
  setTimeout(() => void attempt().catch(() => onceItAnswers(attempt, more)), pause).unref();
}

/** The record of one request's session in the store: what is written there never undoes what others have written. */
export class StoredSession {
  private knownId?: string;
  private knownKey?: string;
  /** The lifetime that the record has: a request that chooses none leaves it as it is. */
  maxAge?: SessionMaxAge;
  /** Whether this request has made the id. */
  isNewId = false;
  /** When the store last said that it has the record, as `ChangeClock` counts. */
  private tick = 0;
  /** When the store last said that it has the record, by `performance.now()`; -Infinity when that does not count any more. */
  private answeredAt = -Infinity;

  constructor(private readonly ctx: Context, readonly store: Store, private readonly meta: RecordMeta,
    private readonly principals?: SessionIndex) {}

  /** The session's id, made when it is first asked for. */
  get id(): string {
    if (this.knownId === undefined) this.use(this.newId());
    return this.knownId!;
  }

  set id(id: string | undefined) {
    this.knownId = id;
    this.knownKey = undefined;
    this.isNewId = false;
  }

  /** Takes an id that this request has made. */
  private use(id: string): void {
    this.id = id;
    this.isNewId = true;
  }

  /** The store has said that it has the record, when asked at this tick. */
  private noteAnswer(tick = this.store.clock.now): void {
    this.tick = tick;
    this.answeredAt = performance.now();
  }

  /** Whether the response may send the session's id without asking: another request, of any process, may have moved or ended it. */
  isFresh(): boolean {
    return performance.now() - this.answeredAt < FRESH_MS && !this.hasChanged();
  }

  /** Whether a request of this process has moved or ended the session since the store's last word about it. */
  hasChanged(): boolean {
    return this.store.clock.hasChanged(this.key, this.tick);
  }

  /**
   * To be called when the request waits for anything else than the store's word: another process may have moved the session
   * meanwhile. An id that this request has made is known to nobody who would.
   */
  markStale(): void {
    if (!this.isNewId) this.answeredAt = -Infinity;
  }

  /** What the store knows the session by. */
  get key(): string {
    this.knownKey ??= this.store.keyOf(this.id);
    return this.knownKey;
  }

  /** What stands for the session where people read. */
  get name(): string {
    return shortHash(this.id);
  }

  /** Writes a record where there is none. */
  async create(now: Snapshot, maxAge: SessionMaxAge, id = this.id): Promise<void> {
    const data = now.toData();
    const about = this.meta.of(data);
    await this.insert(this.store.keyOf(id), data, about, maxAge);
    this.use(id);
    this.maxAge = maxAge;
    this.meta.keep(about, data);
    await this.enforceMaxSessions(undefined);
  }

  /**
   * Writes what the copy has changed, or lets the record live on when it has changed nothing.
   *
   * @param copy the data
   * @param now the data as they are to be kept
   * @param chosen the lifetime that this request has chosen
   * @return whether the record is still there
   */
  save(copy: ChangeTracker, now: Snapshot, chosen?: SessionMaxAge): Promise<boolean> {
    const hasChanged = chosen !== undefined || copy.isChanged(now);
    const about = this.meta.of(copy.session, undefined, () => !hasChanged);
    const { set, unset, replace } = hasChanged ? copy.pending(now) : NO_CHANGES;
    const more = this.meta.changes(about, replace);
    if (!hasChanged && isEmpty({ ...more, replace: false })) {
      return this.store.touch(this.key, this.options(false)).then(maxAge => this.noteLifetime(maxAge));
    }
    if (this.meta.endsBinding(copy.session) || (replace && this.meta.mayBeBound)) return this.saveAsRead(copy, now, chosen);
    const changes = { set: { ...set, ...more.set }, unset: [ ...unset, ...more.unset ], replace };
    const written = this.writeIndexed(about, copy.session, chosen, () => this.merge(changes, chosen, hasChanged), replace);
    return hasChanged && !replace && this.meta.dependsOnAll ? this.followMerged(written) : written;
  }

  /** Writes what must not hit a record that is another device's by now: a sign-in, which ends the binding, and data that replace all. */
  private async saveAsRead(copy: ChangeTracker, now: Snapshot, chosen?: SessionMaxAge): Promise<boolean> {
    for (;;) {
      const latest = await this.latest();
      if (!latest || (this.meta.device && !this.meta.isProven)) return false;
      if (await this.replace(latest, copy.onto(latest, now), chosen) !== 'overtaken') return true;
    }
  }

  /**
   * Reads the record after a write, and notes whose session it is by all of its data: other requests may have changed some of the fields that
   * tell. Of requests at the same time, the last one reads what all have written.
   */
  private async followMerged(written: Promise<boolean>): Promise<boolean> {
    if (!await written) return false;
    const { store, meta, key } = this;
    const tick = store.clock.now;
    this.markStale();
    try {
      const record = await store.get(key, this.maxAge, this.options(false));
      if (!isAliveIn(store, record)) return true; // it was written, and has moved or ended since: the response finds out
      this.noteAnswer(tick);
      if (!meta.isOf(meta.indexedFor, record)) await this.recordActivity(dataOf(record));
    } catch (err) {
      logUntold(this.ctx, err); // what was asked for is written; the next request notes it
    }
    return true;
  }

  /** Writes, without letting the record live on, that the session was seen. Resolves to whether it is still there. */
  async recordActivity(data: SessionRecord): Promise<boolean> {
    const about = this.meta.of(data);
    const changes: SessionChanges = { ...this.meta.changes(about), replace: false, renew: false };
    return await this.writeIndexed(about, data, undefined, () => this.merge(changes, undefined, false));
  }

  /** Writes what others have changed in the record before it was moved, which `data` has. Resolves to whether it is still there. */
  async mergeLate(changes: SessionChanges, data: SessionRecord, maxAge: SessionMaxAge): Promise<boolean> {
    const about = this.meta.of(data);
    const { set, unset } = this.meta.changes(about);
    return await this.writeIndexed(about, data, maxAge, () =>
      this.merge({ set: { ...changes.set, ...set }, unset: [ ...changes.unset, ...unset ], replace: false }, maxAge));
  }

  /** Writes changes, and the lifetime if it is given. Resolves to whether the record is still there. */
  private merge(changes: SessionChanges, maxAge?: SessionMaxAge, changed = true): Promise<boolean> {
    return this.store.merge(this.key, withLifetime(changes, maxAge), this.options(changed)).then(own => this.noteLifetime(own));
  }

  private noteLifetime(maxAge: SessionMaxAge | false): boolean {
    if (maxAge === false) return false;
    this.maxAge = maxAge;
    this.noteAnswer();
    return true;
  }

  /**
   * Moves the record to a new id. It is written there before the old one is taken away, so that a failure leaves one of them: the
   * old one, or, when nobody can tell whether that was taken away, the new one.
   *
   * @param to the new id
   * @param now the data
   * @param chosen the lifetime that this request has chosen
   * @return the old record, as others have left it, and how long its end took; or the error that leaves that unknown; undefined, and nothing moved, when one
   *   of them has ended or moved it
   */
  async move(to: string, now: Snapshot, chosen?: SessionMaxAge): Promise<{ left: SessionRecord; tookMs: number } | { unknown: SessionStoreError } | undefined> {
    const { store, meta } = this;
    const options = this.options(true);
    const maxAge = chosen ?? this.maxAge!;
    const data = now.toData();
    const about = meta.of(data, Date.now());
    const [ from, successor ] = [ this.key, store.keyOf(to) ];
    const unbinds = meta.endsBinding(data);
    const bound = unbinds || !meta.device ? {} : { _device: meta.device };
    await this.insert(successor, { ...data, ...bound }, about, maxAge, from);
    let unknown: SessionStoreError | undefined;
    const asked = performance.now();
    const left = await store.retire(from, successor, TOMBSTONE_MS, options).catch(async err => {
      const became = err instanceof SessionStoreError && err.mayHaveHappened ? await this.askWhatBecame(from, successor, err) : 'untouched';
      if (became === 'ended elsewhere') return undefined;
      if (became === 'untouched') {
        await this.rollBack(successor, about);
        throw err;
      }
      unknown = err;
      if (became === 'unknown') onceItAnswers(() => this.endAfterAll(from, successor, options));
      return undefined;
    });
    if (!unknown && (!isAliveIn(store, left) || meta.hasOutlived(left) || meta.isForeign(left))) {
      await this.rollBack(successor, about);
      return undefined;
    }
    const tookMs = performance.now() - asked;
    const late = unbinds || unknown ? undefined : (left as MetaFields)._device;
    if (late && !meta.device) await this.bindAfterAll(successor, about, late);
    const before = meta.indexedFor;
    if (!unknown && before !== undefined) await removeFromIndex(store, before, from, options);
    this.use(to);
    this.maxAge = maxAge;
    meta.keep(about, data);
    if (unknown) return { unknown };
    await this.enforceMaxSessions(before);
    return { left: left as SessionRecord, tookMs };
  }

  /** Binds a record to the device that its predecessor was bound to while it moved; it must not go on without. */
  private async bindAfterAll(key: string, about: MetaFields, device: DeviceBinding): Promise<void> {
    try {
      await this.store.merge(key, { set: { _device: device }, unset: [], replace: false }, this.options(true));
      this.meta.device = device;
    } catch (err) {
      await this.rollBack(key, about);
      throw err;
    }
  }

  /** Asks what has become of a record whose retirement was not confirmed. */
  private async askWhatBecame(from: string, successor: string, err: SessionStoreError): Promise<'moved' | 'ended elsewhere' | 'untouched' | 'unknown'> {
    const { store } = this;
    let now: SessionRecord | Tombstone | null | undefined;
    try {
      now = await store.get(from, this.maxAge, this.options(true));
    } catch {
      return 'unknown';
    }
    if (isTombstone(now)) return now._successor === successor ? 'moved' : 'ended elsewhere';
    if (!isAliveIn(store, now)) return 'moved'; // a store without tombstones
    return err.isOfServer ? 'unknown' : 'untouched'; // a server may yet do what it was asked to
  }

  /** Retires a record that has moved, unless others had ended it before: then its successor must not go on. */
  private async endAfterAll(from: string, successor: string, options: SessionStoreOptions): Promise<void> {
    const left = await this.store.retire(from, successor, TOMBSTONE_MS, options);
    if (left && isTombstone(left) && left._successor !== successor) await this.store.retire(successor, null, TOMBSTONE_MS, options);
  }

  /**
   * Writes a whole record under a key that is new; with `from`, it takes the place of the record of that key. Before that, the index
   * has it: a session that is in no index can't be revoked. And again after that: whoever has looked in between has found nothing
   * there, and has taken it off.
   */
  private async insert(key: string, data: SessionRecord, about: MetaFields, maxAge: SessionMaxAge, from?: string): Promise<void> {
    const { store, ctx } = this;
    const { _principal } = about;
    const options = this.options(true);
    const note = () => store.index(_principal!, key, indexMs(maxAge), options);
    if (_principal !== undefined) await note();
    const origin = from !== undefined && _principal !== undefined ? { _movedFrom: from } : {};
    await store.set(key, { ...data, ...about, ...origin }, maxAge, options).catch(err => {
      // nobody will be told of it: it must not count as one of the principal's
      const mayBeListed = _principal !== undefined && err instanceof SessionStoreError && err.mayHaveHappened;
      if (mayBeListed) onceItAnswers(() => store.retire(key, null, TOMBSTONE_MS, options));
      throw err;
    });
    this.noteAnswer();
    if (_principal !== undefined) await note().catch(err => logUntold(ctx, err));
  }

  /** Ends what was placed, as far as that can be done. */
  private async rollBack(key: string, { _principal }: MetaFields): Promise<void> {
    const options = this.options(true);
    const isGone = await this.store.retire(key, null, TOMBSTONE_MS, options).then(() => true, () => false);
    if (isGone && _principal !== undefined) await removeFromIndex(this.store, _principal, key, options);
  }

  /**
   * Runs a write that makes a record say whose it is. The index has it before that: a session that is in no index can't be
   * revoked. It has it after that too: another request may have signed out meanwhile, and have taken it off.
   */
  private writeIndexed(about: MetaFields, data: SessionRecord, chosen: SessionMaxAge | undefined, write: () => Promise<boolean>, replaces = false) {
    const { meta, meta: { indexedFor } } = this;
    const isNew = replaces || about._principal !== indexedFor;
    const isNoted = about._principal !== undefined && (isNew || chosen !== undefined || meta.mustIndex(about));
    if (isNew || isNoted) return this.writeAndIndex(about, data, chosen, write, isNew, isNoted);
    // the usual write has nothing to do with the index, and each promise costs
    return write().then(isThere => {
      if (isThere) meta.keep(about, data);
      return isThere;
    });
  }

  private async writeAndIndex(about: MetaFields, data: SessionRecord, chosen: SessionMaxAge | undefined, write: () => Promise<boolean>, isNew: boolean,
    isNoted: boolean): Promise<boolean> {
    const { store, meta, key } = this;
    const [ before, { _principal }] = [ meta.indexedFor, about ];
    const maxAge = chosen ?? this.maxAge!;
    const note = (ms: SessionMaxAge) => store.index(_principal!, key, indexMs(ms), this.options(true));
    if (isNoted) await note(maxAge);
    if (!await write()) return false;
    // another request may have given the session another lifetime
    if (isNoted && (isNew || this.maxAge !== maxAge)) {
      await note(this.maxAge!).catch(err => logUntold(this.ctx, err));
      this.markStale();
    }
    meta.keep(about, data);
    if (!isNew) return true;
    await this.enforceMaxSessions(before);
    // it is written all the same when that fails
    if (before !== undefined && before !== _principal) await this.unindex(before).catch(err => logUntold(this.ctx, err));
    return true;
  }

  /** Takes the session off the index of a principal, unless another request has signed in again meanwhile. */
  private async unindex(principal: string): Promise<void> {
    const { store, meta, key, ctx } = this;
    this.markStale();
    await removeFromIndex(store, principal, key, { ctx });
    const now = await store.get(key, undefined, { ctx });
    if (isKept(now) && meta.isOf(principal, now)) await store.index(principal, key, indexMs(lifetimeOf(now)), { ctx });
  }

  /** Ends those that are too many, when this session has another principal than `before`; if that fails, the next sign-in does. */
  private async enforceMaxSessions(before: string | undefined): Promise<void> {
    const { principals, meta: { indexedFor } } = this;
    if (!principals || !indexedFor || indexedFor === before) return;
    this.markStale();
    await principals.limit(indexedFor, this.key).catch(err => logUntold(this.ctx, err));
  }

  /**
   * Ends the session, and the one that took its place elsewhere; tells what it was, and whether another request had ended it.
   *
   * @param mayEnd as in `endSession`
   */
  async retire(mayEnd?: (record: MetaFields) => boolean): ReturnType<typeof endSession> {
    if (this.knownId === undefined) return { hadEnded: false };
    const result = await endSession(this.store, this.key, { ctx: this.ctx }, mayEnd);
    this.id = undefined;
    return result;
  }

  /** The record as it is now; undefined when the session has ended. */
  async latest(): Promise<SessionRecord | undefined> {
    const tick = this.store.clock.now;
    const record = await this.store.get(this.key, this.maxAge, this.options(true));
    if (!isAliveIn(this.store, record) || this.meta.hasOutlived(record) || this.meta.isForeign(record)) return undefined;
    this.noteAnswer(tick);
    this.meta.load(record, false);
    return record;
  }

  /**
   * Writes other data into the record, if it is still the `latest`.
   *
   * @param latest the record as it was read
   * @param data take the place of all its data
   * @param chosen the lifetime that this request has chosen
   */
  async replace(latest: SessionRecord, data: SessionRecord, chosen?: SessionMaxAge):
  Promise<'written' | 'unchanged' | 'overtaken'> {
    this.maxAge = lifetimeOf(latest);
    const maxAge = chosen ?? this.maxAge;
    if (chosen === undefined && isEmpty(changesBetween(dataOf(latest), data))) return 'unchanged';
    const about = this.meta.of(data);
    const { set, unset } = this.meta.changes(about);
    if (this.meta.endsBinding(data)) unset.push('_device');
    const record = applyChanges({ ...metaOf(latest), ...data }, { set, unset, replace: false });
    const written = await this.writeIndexed(about, data, chosen, async () =>
      this.noteLifetime(await this.store.compareAndSet(this.key, latest, record, maxAge, this.options(true)) && maxAge));
    return written ? 'written' : 'overtaken';
  }

  /** @throws TypeError when `config.session.genid` makes none: all sessions would be one */
  newId(): string {
    const id = requireText(this.ctx.sessionOptions.genid(this.ctx), 'genid');
    if (id.length > LONGEST_ID) throw wrongReturn(id, 'genid', `it must return at most ${LONGEST_ID} characters, as browsers drop larger cookies`);
    return id;
  }

  private options(changed: boolean) {
    return this.meta.limiting({ ctx: this.ctx, rolling: this.ctx.sessionOptions.rolling as boolean, changed });
  }
}
