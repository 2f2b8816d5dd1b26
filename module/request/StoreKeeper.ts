import { hasChosenPlace, placeOf } from '../cookie/places';
import type { ChangeTracker } from '../record/ChangeTracker';
import { placesIn, remembered } from '../record/CookiePlace';
import { coded } from '../record/errors';
import type { SessionEndReason } from '../record/events';
import { applyChanges, copyOf, dataOf, isEmpty, lifetimeOf, type SessionMaxAge, type SessionRecord } from '../record/SessionRecord';
import { shortHash } from '../record/shortHash';
import { Snapshot } from '../record/Snapshot';
import { endSession, SessionIndex } from '../repository/SessionIndex';
import { StoredSession } from '../repository/StoredSession';
import type { Store } from '../store/GuardedStore';
import { logUntold } from '../store/SessionStoreError';
import { runBeforeSave } from './beforeSave';
import { HAS_ENDED, type Keeper, type SessionInRequest, type Update } from './Keeper';
import type { Chosen } from './Lifetime';
import { type Loaded, loadFromStore, type Refused } from './load';
import { confirmed, destroyed, lost, sent, updated, written } from './state';

/** How long, in ms, a response with a new id waits after the old one has ended: other responses may be on their way with the old id, and the browser keeps what comes last. */
export const HEAD_START = 50;
const LONGEST_HEAD_START = 500;

/** Keeps a request's session in a store, and its id in the cookie or where `externalKey` says. */
export class StoreKeeper implements Keeper {
  private readonly stored: StoredSession;

  constructor(private readonly session: SessionInRequest, readonly store: Store) {
    const { ctx, meta, env: { config } } = session;
    const limits = config.maxSessions === undefined ? undefined : new SessionIndex(store, config, ctx);
    this.stored = new StoredSession(ctx, store, meta, limits);
  }

  get id(): string {
    return this.stored.id;
  }

  get key(): string {
    return this.stored.key;
  }

  get name(): string {
    return this.stored.name;
  }

  get hasOldId(): boolean {
    return !this.stored.isNewId;
  }

  load(): Loaded | Promise<Loaded> {
    const { session: { ctx, env }, store } = this;
    return loadFromStore(ctx, store, env);
  }

  open(): undefined { /* it was loaded, if the middleware serves this context */ }

  begin({ id }: Loaded, maxAge: SessionMaxAge): void {
    this.stored.id = id;
    this.stored.maxAge = maxAge;
  }

  writeAtOnce(): boolean {
    return false;
  }

  async write(now?: Snapshot): Promise<void> {
    const { session, session: { lifetime, state: { at, data } }, stored } = this;
    if (!data) return;
    if (at === 'ended') return await this.replaceEnded(data);
    this.requireProven(data);
    const snapshot = session.prepare(data, now);
    const chosen = lifetime.now();
    if (at !== 'saved') await stored.create(snapshot, lifetime.valid());
    else if (!await stored.save(data, snapshot, chosen.chosen)) return await this.replaceEnded(data);
    this.afterWrite(data, snapshot, chosen);
  }

  /** The session that this request may not use, as it has no proof of its device. */
  private get unproven(): Refused | undefined {
    const { state } = this.session;
    return state.at === 'new' && state.refused?.why === 'unproven' ? state.refused : undefined;
  }

  /** @throws Error when a write would take the cookie of a session from whoever may have it, and signs nobody in */
  private requireProven(data?: ChangeTracker): void {
    if (!this.unproven || (data && this.session.signsIn(data.now().toData()))) return;
    throw Object.assign(coded('ERR_SESSION_UNPROVEN', new Error('[egg-tegg-session] nothing was saved: the session is bound to a device, and this ' +
      'request has no proof of it. Sign in again, or see why the browser has sent none: docs/device-bound.md')), { status: 403 });
  }

  /**
   * Takes the principal of what was saved. A sign-in, and a move of who is signed in, is the moment to offer the browser to bind the session; one that is
   * bound has another challenge after a move.
   */
  private noteSaved({ session: data }: ChangeTracker, previousKey?: string): void {
    const { session, session: { ctx, env: { device }, meta, watch } } = this;
    const { principal, device: binding } = meta;
    const hasMoved = previousKey !== undefined;
    if (device && binding && hasMoved) device.sendChallenge(ctx, this.key, binding);
    // not when another request has signed in meanwhile: who has planted the session must not bind it
    else if (device && !binding && principal !== undefined && principal === meta.principalIn(data) && (hasMoved || watch.isSignIn(principal))) {
      device.offer(ctx, this.key, principal);
    }
    session.notePrincipal(previousKey);
  }

  /** The data that the request began with. */
  private get loaded(): SessionRecord {
    const { state } = this.session;
    return 'record' in state ? dataOf(state.record) : {};
  }

  /** Whoever signs in does so, also where a session has ended; anything else that was meant for that session is not saved. */
  private async replaceEnded(data: ChangeTracker): Promise<void> {
    const { session } = this;
    const isSignIn = session.signsIn(data.assigned(this.loaded));
    this.markEnded();
    if (isSignIn) await this.beginAnew(data, true);
  }

  /** Begins a new session with what this request has assigned, in place of one that has ended. */
  private async beginAnew(data: ChangeTracker, isSignIn = false): Promise<void> {
    const { session } = this;
    session.requireHeaders('a new session', true);
    data.dropLoaded(this.loaded, isSignIn);
    session.watch.hasEnded();
    await this.create(data);
  }

  /** Saves the data under an id that this request makes. */
  private async create(data: ChangeTracker): Promise<void> {
    const { session, session: { lifetime }, stored } = this;
    const now = session.prepare(data);
    const chosen = lifetime.now();
    await stored.create(now, lifetime.valid(), stored.newId());
    this.afterWrite(data, now, chosen);
  }

  /** `leaveAt` is when the response may leave, if others may be about to send the id that stood under `previousKey`. */
  private afterWrite(data: ChangeTracker, saved: Snapshot, chosen: Chosen, leaveAt?: number, previousKey?: string): void {
    const { session, session: { lifetime, state }, stored } = this;
    if (state.at !== 'saved') session.tell('session:created', {}, () => saved.toData());
    this.noteSaved(data, previousKey);
    data.markSaved(saved);
    if (state.data && state.data !== data) state.data.replacesAll = true; // it was assigned meanwhile
    session.state = written(state, leaveAt);
    lifetime.keep(chosen, stored.maxAge);
    this.sendId();
  }

  async noteSeen(): Promise<void> {
    const { session: { state }, stored } = this;
    if (state.at === 'saved' && state.data && !await stored.recordActivity(state.data.session)) this.markEnded();
  }

  async noteUnused(): Promise<void> {
    const { session: { ctx, meta, state }, stored } = this;
    if (state.at !== 'saved') return;
    try {
      const data = dataOf(state.record);
      if (meta.isDue(data)) await stored.recordActivity(data);
    } catch (err) {
      logUntold(ctx, err); // the request has done without the session
    }
  }

  confirm(): Promise<boolean> | true {
    return this.stored.isFresh() || this.askAgain();
  }

  private async askAgain(): Promise<boolean> {
    const { session, session: { ctx, env: { ids } }, stored } = this;
    try {
      return await session.run(async () => {
        if (!await stored.latest()) {
          this.markEnded();
          return false;
        }
        session.state = confirmed(session.state);
        return true;
      });
    } catch (err) {
      ids.undo(ctx);
      logUntold(ctx, err);
      return false;
    }
  }

  markStale(): void {
    this.stored.markStale();
  }

  async regenerate(data: ChangeTracker): Promise<void> {
    if (this.session.state.at === 'saved') await this.move(data);
    const { at } = this.session.state; // as that has left it
    if (at === 'ended') await this.regenerateEnded(data);
    else if (at !== 'saved') await this.regenerateRefused(data);
  }

  /**
   * Begins a new session in place of one that has ended. Whoever was signed in there is not signed in again by what this request has
   * assigned: nobody can tell whether that is a sign-in, or was read from the session that ended.
   */
  private async regenerateEnded(data: ChangeTracker): Promise<void> {
    const { session, session: { watch } } = this;
    const assigned = data.assigned(this.loaded);
    const hasWritten = data.hasReassigned || Object.keys(assigned).length > 0;
    if (watch.principal !== undefined && hasWritten && !session.signsIn(assigned)) {
      throw coded('ERR_SESSION_ENDED', new Error(`[egg-tegg-session] session.regenerate(): ${HAS_ENDED}`));
    }
    await this.beginAnew(data);
  }

  /** Begins a session in place of one that this request may not use: it must not go on under the old id either. */
  private async regenerateRefused(data: ChangeTracker): Promise<void> {
    const { session, session: { state }, unproven } = this;
    if (unproven && !session.signsIn(data.now().toData())) {
      session.state = { ...state, regenerateFailed: false } as typeof state; // the sign-in that is to come begins a new session
      return;
    }
    await this.create(data);
    if (state.at === 'new' && state.refused && !unproven) await this.endRefused(state.refused, 'logout');
  }

  private async endRefused({ id, record, why }: Refused, reason: SessionEndReason): Promise<void> {
    const { session, session: { ctx }, store } = this;
    const { ended, name } = await endSession(store, store.keyOf(id), { ctx }, this.mayEnd);
    if (ended) session.tell('session:destroyed', { reason, key: name }, () => dataOf(ended));
    else if (why === 'expired') session.tell('session:expired', { key: shortHash(id) }, () => record);
  }

  private async move(data: ChangeTracker): Promise<void> {
    const { session, session: { ctx, lifetime }, stored } = this;
    const to = stored.newId();
    if (to === stored.id) {
      ctx.coreLogger.warn('[egg-tegg-session] regenerate() has not moved the session: config.session.genid made the id that it has');
      return await this.write();
    }
    const { name: previousKey } = stored;
    const now = session.prepare(data);
    const chosen = lifetime.now();
    const moved = await stored.move(to, now, chosen.chosen);
    if (!moved) return this.markEnded();
    session.tell('session:regenerated', { previousKey }, () => now.toData());
    if ('unknown' in moved) {
      this.afterWrite(data, now, chosen, undefined, previousKey);
      throw moved.unknown;
    }
    const { left, tookMs } = moved;
    const theirs = data.changesOfOthers(left, now);
    // others may be about to send the old id; they are slower when the store, or this machine, is
    const leaveAt = performance.now() + Math.min(Math.max(HEAD_START, 10 * tookMs), LONGEST_HEAD_START);
    const maxAge = chosen.chosen ?? lifetimeOf(left);
    const all = applyChanges(now.toData(), theirs);
    let failure: unknown;
    const merged = (isEmpty(theirs) && maxAge === stored.maxAge) || await stored.mergeLate(theirs, all, maxAge).catch(err => {
      failure = err;
    });
    if (merged === false) return this.markEnded();
    this.afterWrite(data, now, chosen, leaveAt, previousKey);
    data.applyExternal(all, now);
    if (merged) return data.markSaved(Snapshot.of(all));
    // the session has moved all the same; what others have changed is left to the next write
    ctx.sessionOptions.maxAge = maxAge;
    throw failure;
  }

  async update(data: ChangeTracker, fn: Update, isLate: () => boolean): Promise<boolean> {
    const { session, session: { lifetime, meta, watch }, stored } = this;
    let id: string | undefined;
    const latest = await session.run(async () => {
      if (session.state.at !== 'saved') return undefined;
      id = stored.id;
      const record = await stored.latest();
      if (record) watch.principal = meta.principal;
      else this.markEnded();
      return record;
    });
    if (!latest) return false;
    const seen = data.now();
    data.assertStorable(seen);
    const after = Snapshot.of(await fn(copyOf(data.onto(latest, seen))));
    return await session.run(async () => {
      if (isLate() || session.state.data !== data || session.state.at !== 'saved' || stored.id !== id) return false;
      const chosen = lifetime.now();
      const outcome = await stored.replace(latest, after.toData(), chosen.chosen);
      if (outcome === 'overtaken') return false;
      data.applyExternal(after.toData(), seen);
      data.markSaved(after);
      lifetime.keep(chosen, stored.maxAge);
      if (outcome === 'unchanged') return true;
      this.noteSaved(data);
      session.state = updated(session.state);
      return true;
    });
  }

  async destroy(reason: SessionEndReason, data: ChangeTracker | null | undefined): Promise<void> {
    const { session, session: { ctx, env, env: { ids }, lifetime, meta, watch, state: before, state: { at } }, stored } = this;
    this.requireProven();
    const { places } = meta;
    const refused = before.at === 'new' ? before.refused : undefined;
    if (refused) await this.endRefused(refused, reason);
    const { ended, name, hadEnded } = at === 'new' ? { hadEnded: false } as Awaited<ReturnType<StoredSession['retire']>> : await stored.retire(this.mayEnd);
    const others = at === 'new' && !refused ? undefined : await this.endOthers(reason);
    if (ended) session.tell('session:destroyed', { reason, key: name }, () => dataOf(ended));
    session.state = destroyed(session.state, data);
    if (session.state.at === 'destroyed') lifetime.forget();
    meta.reset();
    watch.forget();
    env.device?.withdraw(ctx);
    env.device?.cookie.expire(ctx);
    // by now, the browser may have the cookie of another session
    if (hadEnded) ids.undo(ctx);
    else ids.expire(ctx, places ?? placesIn(refused?.record ?? {}), before.at !== 'new' || before.cookie === 'expired' || refused !== undefined);
    if (others) throw others.err;
  }

  /** Whether a record may be ended by this request; undefined where nothing is bound. */
  private get mayEnd(): ((record: SessionRecord) => boolean) | undefined {
    const { session: { ctx, env: { device } } } = this;
    return device && (record => !device.refusalOf(ctx, record));
  }

  /** Ends the sessions of the other cookies that a browser may have: one of them would count from now on. Resolves to what has failed. */
  private async endOthers(reason: SessionEndReason): Promise<{ err: unknown } | undefined> {
    const { session: { ctx, env: { config, ids } }, store } = this;
    if (config.externalKey) return undefined;
    const all = ids.read(ctx);
    if (all.length < 2) return undefined;
    const sessions = new SessionIndex(store, config, ctx);
    try {
      for (const { value } of all) await sessions.end(store.keyOf(value), reason, this.mayEnd);
      return undefined;
    } catch (err) {
      return { err };
    }
  }

  sendId(): void {
    const { session, session: { ctx, env: { ids } }, stored } = this;
    session.state = sent(session.state);
    // only this response can tell the client of an id that it has made
    if (!ctx.headerSent) ids.write(ctx, stored.id, () => (stored.isNewId ? !stored.hasChanged() : stored.isFresh()));
  }

  expire(): void {
    const { session: { ctx, env: { ids }, state } } = this;
    ids.expire(ctx, placesIn(state.at === 'new' && state.refused ? state.refused.record : {}));
  }

  beforeSave(data: ChangeTracker): void {
    const { session: { ctx, meta, env: { config } } } = this;
    runBeforeSave(ctx, config, data.session);
    if (!config.externalKey && hasChosenPlace(ctx, config)) meta.places = remembered(placeOf(ctx), meta.places);
  }

  /** The session turned out to have ended elsewhere. By now, the browser may have the cookie of another one. */
  private markEnded(): void {
    const { session, session: { ctx, env: { device, ids } } } = this;
    session.state = lost(session.state);
    session.lifetime.forget();
    session.meta.reset();
    device?.withdraw(ctx);
    ids.undo(ctx);
  }
}
