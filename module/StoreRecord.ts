import type { Context } from 'egg';
import { endSession, type PrincipalSessions, takeOff } from './PrincipalSessions';
import {
  applyChanges, changesBetween, dataOf, isAlive, isEmpty, lifetimeOf, metaOf, NO_CHANGES, TOMBSTONE_MS, withLifetime,
} from './record';
import { requireText } from './SessionConfig';
import type { About, SessionMeta } from './SessionMeta';
import { shortHash } from './shortHash';
import type { Snapshot } from './Snapshot';
import type { Store } from './store/guard';
import type { SessionChanges, SessionMaxAge, SessionRecord } from './store/SessionStore';
import { logUntold } from './store/SessionStoreError';
import type { WorkingCopy } from './WorkingCopy';

/** Changes a copy of the data, which it resolves to. */
export type Update = (data: SessionRecord) => Promise<SessionRecord>;

/** The record of one request's session in the store: what is written there never undoes what others have written. */
export class StoreRecord {
  private knownId?: string;
  private knownKey?: string;
  /** The lifetime that the record has: a request that chooses none leaves it as it is. */
  maxAge?: SessionMaxAge;
  /** Whether this request has made the id. */
  isFresh = false;
  /** When a write last found the record, or made it, as `Turns` count. */
  turn = 0;

  constructor(private readonly ctx: Context, readonly store: Store, private readonly meta: SessionMeta,
    private readonly principals?: PrincipalSessions) {}

  /** The session's id, made when it is first asked for. */
  get id(): string {
    this.knownId ??= this.newId();
    return this.knownId;
  }

  set id(id: string | undefined) {
    this.knownId = id;
    this.knownKey = undefined;
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
    await this.place(this.store.keyOf(id), data, about, maxAge);
    this.id = id;
    this.maxAge = maxAge;
    this.meta.keep(about, data);
    await this.limit(undefined);
  }

  /**
   * Writes what the copy has changed, or lets the record live on when it has changed nothing.
   *
   * @param copy the data
   * @param now the data as they are to be kept
   * @param chosen the lifetime that this request has chosen
   * @return whether the record is still there
   */
  save(copy: WorkingCopy, now: Snapshot, chosen?: SessionMaxAge): Promise<boolean> {
    const about = this.meta.of(copy.session);
    const hasChanged = chosen !== undefined || copy.isChanged(now);
    const { set, unset, replace } = hasChanged ? copy.pending(now) : NO_CHANGES;
    const more = this.meta.changes(about, replace);
    if (!hasChanged && isEmpty({ ...more, replace: false })) {
      return this.store.touch(this.key, this.options(false)).then(maxAge => this.noteLifetime(maxAge));
    }
    const changes = { set: { ...set, ...more.set }, unset: [ ...unset, ...more.unset ], replace };
    return this.own(about, copy.session, chosen, () => this.merge(changes, chosen, hasChanged), replace);
  }

  /** Writes, without letting the record live on, that the session was seen. Resolves to whether it is still there. */
  async see(data: SessionRecord): Promise<boolean> {
    const about = this.meta.of(data);
    const changes: SessionChanges = { ...this.meta.changes(about), replace: false, renew: false };
    return await this.own(about, data, undefined, () => this.merge(changes, undefined, false));
  }

  /** Writes what others have changed in the record before it was moved, which `data` has. Resolves to whether it is still there. */
  async take(changes: SessionChanges, data: SessionRecord, maxAge: SessionMaxAge): Promise<boolean> {
    const about = this.meta.of(data);
    const { set, unset } = this.meta.changes(about);
    return await this.own(about, data, maxAge, () =>
      this.merge({ set: { ...changes.set, ...set }, unset: [ ...changes.unset, ...unset ], replace: false }, maxAge));
  }

  /** Writes changes, and the lifetime if it is given. Resolves to whether the record is still there. */
  private merge(changes: SessionChanges, maxAge?: SessionMaxAge, changed = true): Promise<boolean> {
    return this.store.merge(this.key, withLifetime(changes, maxAge), this.options(changed)).then(own => this.noteLifetime(own));
  }

  private noteLifetime(maxAge: SessionMaxAge | false): boolean {
    if (maxAge === false) return false;
    this.maxAge = maxAge;
    this.turn = this.store.turns.now;
    return true;
  }

  /**
   * Moves the record to a new id. It is written there before the old one is taken away, so that a failure leaves that as
   * it was.
   *
   * @param to the new id
   * @param now the data
   * @param chosen the lifetime that this request has chosen
   * @return the old record, as others have left it; undefined, and nothing moved, when one of them has ended or moved it
   */
  async move(to: string, now: Snapshot, chosen?: SessionMaxAge): Promise<SessionRecord | undefined> {
    const { store, meta } = this;
    const options = this.options(true);
    const maxAge = chosen ?? this.maxAge!;
    const data = now.toData();
    const about = meta.of(data, Date.now());
    const [ from, successor ] = [ this.key, store.keyOf(to) ];
    await this.place(successor, data, about, maxAge);
    const left = await store.retire(from, successor, TOMBSTONE_MS, options).catch(async err => {
      await this.takeBack(successor, about);
      throw err;
    });
    if (!isAlive(left) || meta.hasOutlived(left)) {
      await this.takeBack(successor, about);
      return undefined;
    }
    const before = meta.indexedFor;
    if (before !== undefined) await takeOff(store, before, from, options);
    this.id = to;
    this.maxAge = maxAge;
    meta.keep(about, data);
    await this.limit(before);
    return left;
  }

  /** Writes a whole record under a key that is new, and notes whose it is. */
  private async place(key: string, data: SessionRecord, about: About, maxAge: SessionMaxAge): Promise<void> {
    const options = this.options(true);
    await this.store.set(key, { ...data, ...about }, maxAge, options);
    this.turn = this.store.turns.now;
    if (about._principal === undefined) return;
    await this.store.index(about._principal, key, this.meta.indexMs(maxAge), options).catch(async err => {
      await this.takeBack(key, {});
      throw err;
    });
  }

  /** Ends what was placed, as far as that can be done. */
  private async takeBack(key: string, { _principal }: About): Promise<void> {
    const options = this.options(true);
    const isGone = await this.store.retire(key, null, TOMBSTONE_MS, options).then(() => true, () => false);
    if (isGone && _principal !== undefined) await takeOff(this.store, _principal, key, options);
  }

  /**
   * Runs a write that makes a record say whose it is. The index has it before that: a session that is in no index can't be
   * revoked. It has it after that too: another request may have signed out meanwhile, and have taken it off.
   */
  private async own(about: About, data: SessionRecord, chosen: SessionMaxAge | undefined, write: () => Promise<boolean>, replaces = false) {
    const { store, meta, key } = this;
    const [ before, { _principal }] = [ meta.indexedFor, about ];
    const isNew = replaces || _principal !== before;
    const maxAge = chosen ?? this.maxAge!;
    const note = (ms: SessionMaxAge) => store.index(_principal!, key, meta.indexMs(ms), this.options(true));
    const isNoted = _principal !== undefined && (isNew || chosen !== undefined || meta.mustIndex(about, maxAge));
    if (isNoted) await note(maxAge);
    if (!await write()) return false;
    // another request may have given the session another lifetime
    if (isNoted && (isNew || this.maxAge !== maxAge)) await note(this.maxAge!);
    meta.keep(about, data);
    if (!isNew) return true;
    await this.limit(before);
    if (before !== undefined && before !== _principal) await this.leave(before);
    return true;
  }

  /** Takes the session off the index of a principal, unless another request has signed in again meanwhile. */
  private async leave(principal: string): Promise<void> {
    const { store, meta, key, ctx } = this;
    await takeOff(store, principal, key, { ctx });
    const now = await store.get(key, undefined, { ctx });
    if (isAlive(now) && meta.isOf(principal, now)) await store.index(principal, key, meta.indexMs(lifetimeOf(now)), { ctx });
  }

  /** Ends those that are too many, when this session has another principal than `before`; if that fails, the next sign-in does. */
  private async limit(before: string | undefined): Promise<void> {
    const { indexedFor } = this.meta;
    if (indexedFor && indexedFor !== before) await this.principals?.limit(indexedFor).catch(err => logUntold(this.ctx, err));
  }

  /** Ends the session, and the one that took its place elsewhere; tells what it was, and whether another request had ended it. */
  async retire(): ReturnType<typeof endSession> {
    if (this.knownId === undefined) return { hadEnded: false };
    const result = await endSession(this.store, this.key, { ctx: this.ctx });
    this.id = undefined;
    return result;
  }

  /** The record as it is now; undefined when the session has ended. */
  async latest(): Promise<SessionRecord | undefined> {
    const record = await this.store.get(this.key, this.maxAge, this.options(true));
    if (!isAlive(record)) return undefined;
    this.meta.load(record);
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
    const record = applyChanges({ ...metaOf(latest), ...data }, { set, unset, replace: false });
    const written = await this.own(about, data, chosen, async () =>
      this.noteLifetime(await this.store.compareAndSet(this.key, latest, record, maxAge, this.options(true)) && maxAge));
    return written ? 'written' : 'overtaken';
  }

  /** @throws TypeError when `config.session.genid` makes none: all sessions would be one */
  newId(): string {
    const id = requireText(this.ctx.sessionOptions.genid(this.ctx), 'genid');
    this.isFresh = true;
    return id;
  }

  private options(changed: boolean) {
    return { ctx: this.ctx, rolling: this.ctx.sessionOptions.rolling as boolean, changed };
  }
}
