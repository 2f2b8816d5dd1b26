import { hasChosenPlace, placeOf, placesIn, remembered } from './CookiePlace';
import type { SessionEndReason } from './events';
import type { Chosen } from './Lifetime';
import { warnOfLostType } from './lostTypes';
import { applyChanges, dataOf, isEmpty, lifetimeOf } from './record';
import { PrincipalSessions } from './PrincipalSessions';
import { refusePromise } from './SessionConfig';
import { Snapshot } from './Snapshot';
import type { StoreRecord } from './StoreRecord';
import { HAS_ENDED, UpdatableSession } from './UpdatableSession';
import type { WorkingCopy } from './WorkingCopy';

/** What is done with a request's session: it is saved, moved to a new id, and ended. */
export abstract class SessionOperations extends UpdatableSession {
  private hasToldEnd = false;

  /**
   * Saves what the request has changed. A session that nobody asked for costs nothing.
   *
   * @param now the data as they are now, if they are known
   */
  async commit(now?: Snapshot): Promise<void> {
    if (this.busy) await this.idle();
    const { copy, ctx, stored } = this;
    if (copy === undefined) return;
    if (copy === null) return await this.destroy();
    if (!this.available) return; // an outage signs nobody out, and overwrites nothing
    const isChanged = this.lifetime.isChosen || copy.isChanged(now ?? copy.now());
    if (isChanged && this.mustMove) return this.tellEnd('regenerate() has failed, and what changed was meant for the new id');
    if (isChanged) this.requireCookie('a change of the session', this.state === 'new');
    if (isChanged || this.mustRenew()) {
      await this.oneByOne(() => this.write(now));
      if (isChanged && this.state === 'ended') this.tellEnd(HAS_ENDED);
    } else if (this.cookieState === 'expired') {
      this.transport.expire(ctx, placesIn(this.expired?.record ?? {}));
    } else {
      if (stored && this.state === 'kept' && this.meta.isDue(copy.session)) {
        await this.oneByOne(async () => {
          if (!await stored.see(copy.session)) this.lose();
        });
      }
      if ((this.isRenewed || this.cookieState === 'stale') && await this.confirm()) this.sendId();
    }
  }

  private tellEnd(reason: string): void {
    if (!this.hasToldEnd) this.ctx.coreLogger.info('[session][ended] nothing was saved: %s', reason);
    this.hasToldEnd = true;
  }

  /** Whether the session is still there, which it may have left since this request wrote it; if not, its cookie is taken back. */
  protected confirm(): Promise<boolean> | boolean {
    const { stored, ctx } = this;
    if (!stored || this.state !== 'kept' || ctx.headerSent) return false;
    if (this.isSure()) return true;
    return this.oneByOne(async () => {
      const isThere = await stored.latest() !== undefined;
      if (isThere) this.noteContact();
      else this.lose();
      return isThere;
    });
  }

  /** Whether a session that has not changed is to be saved, so that it lives on. */
  protected mustRenew(): boolean {
    const { store, ctx: { sessionOptions: { rolling, renew, maxAge } }, record: { _expire } } = this;
    if (this.state !== 'kept') return false;
    if (this.lifetime.isChanged) return true;
    if (this.contacts > 0) return false;
    if (!this.stored && this.copy && this.meta.isDue(this.copy.session)) return true;
    // a cookie is written anew only for a session that is still there
    if (rolling && !(this.isRenewed && this.isSure())) return true;
    if (this.cookieState === 'stale') return true;
    if (!renew) return false;
    if (typeof _expire === 'number' && typeof maxAge === 'number') return _expire - Date.now() < maxAge / 2;
    return Boolean(store?.keepsExpiry && _expire === undefined);
  }

  /**
   * Saves the session now, changed or not.
   *
   * @throws Error when it has ended, and when it needs a cookie and the response has begun
   */
  async save(): Promise<void> {
    if (this.copy === null) return await this.destroy();
    await this.oneByOne(async () => {
      const isNew = this.state !== 'kept';
      this.requireCookie('session.save()', isNew);
      await this.write();
      this.requireCookie('session.save()', isNew);
    });
    if (this.state === 'ended') throw new Error(`[egg-tegg-session] session.save(): ${HAS_ENDED}`);
  }

  private async write(now?: Snapshot): Promise<void> {
    const { stored, copy, lifetime } = this;
    if (!copy) return;
    if (!stored) return this.writeCookie(copy, now);
    if (this.state === 'ended') return this.lose();
    const data = this.prepare(copy, now);
    const chosen = lifetime.now();
    if (this.state !== 'kept') await stored.create(data, lifetime.valid());
    else if (!await stored.save(copy, data, chosen.chosen)) return this.lose();
    this.afterWrite(copy, data, chosen);
  }

  /** Writes the cookie that has the data. */
  protected writeCookie(copy: WorkingCopy, now?: Snapshot): void {
    const { ctx, lifetime, meta, env } = this;
    const data = this.prepare(copy, now);
    const chosen = lifetime.now();
    const about = meta.of(copy.session);
    env.data.write(ctx, data.toJson(), lifetime.valid(), about._createdAt!);
    meta.keep(about, copy.session);
    this.afterWrite(copy, data, chosen);
  }

  /** All that can refuse to save the session, before anything is written or removed. */
  private prepare(copy: WorkingCopy, known?: Snapshot): Snapshot {
    const { ctx, meta, env: { config } } = this;
    if (ctx.sessionOptions.secure && !ctx.secure && !ctx.headerSent && !config.externalKey) {
      throw new Error(`[egg-tegg-session] the cookie ${config.key} is for HTTPS only, and this request came over plain ` +
        'HTTP. If a proxy in front speaks HTTPS, set config.proxy to true');
    }
    if (config.beforeSave) refusePromise(config.beforeSave(ctx, copy.session), 'beforeSave');
    if (!config.externalKey) {
      if (hasChosenPlace(ctx, config)) meta.places = remembered(placeOf(ctx), meta.places);
      else if (typeof config.domain === 'function') placeOf(ctx); // throws when it returns no domain
    }
    const now = (!config.beforeSave && known) || copy.now();
    warnOfLostType(this.env.app, copy.session);
    return now;
  }

  private afterWrite(copy: WorkingCopy, written: Snapshot, chosen: Chosen): void {
    if (this.state !== 'kept') this.tell('session:created', {}, () => written.toData());
    this.notePrincipal();
    copy.markKept(written);
    if (this.copy && this.copy !== copy) this.copy.replacesKept = true; // it was assigned meanwhile
    this.state = 'kept';
    this.lifetime.keep(chosen, this.stored?.maxAge);
    this.noteContact(this.stored?.turn);
    this.mustMove = false;
    this.sendId();
  }

  /**
   * Moves the session to a new id. When that fails, what this request has changed is not saved at its end.
   *
   * @throws Error when the response has begun, as the browser could not be told the new id
   */
  async regenerate(): Promise<void> {
    this.mustMove = true;
    await this.oneByOne(async () => {
      this.requireCookie('session.regenerate()', true);
      const { stored, copy, lifetime } = this;
      if (!copy) throw new Error('[egg-tegg-session] session.regenerate(): the session was destroyed in this request');
      if (!stored) {
        const { state, meta, meta: { createdAt } } = this;
        meta.createdAt = Date.now();
        try {
          await this.write();
        } catch (err) {
          meta.createdAt = createdAt;
          throw err;
        }
        if (state === 'kept') this.tell('session:regenerated', {}, () => copy.now().toData());
        return;
      }
      if (this.state === 'kept') await this.move(stored, copy);
      if (this.state !== 'kept') {
        if (this.state === 'ended') copy.forgetKept(dataOf(this.record));
        const data = this.prepare(copy);
        const now = lifetime.now();
        await stored.create(data, lifetime.valid(), stored.newId());
        this.afterWrite(copy, data, now);
      }
      this.requireCookie('session.regenerate()', true);
    });
  }

  private async move(stored: StoreRecord, copy: WorkingCopy): Promise<void> {
    const to = stored.newId();
    if (to === stored.id) {
      this.ctx.coreLogger.warn('[egg-tegg-session] regenerate() has not moved the session: config.session.genid made the id ' +
        'that it has');
      return await this.write();
    }
    const { name: previousKey } = stored;
    const data = this.prepare(copy);
    const now = this.lifetime.now();
    const left = await stored.move(to, data, now.chosen);
    if (!left) return this.lose();
    const theirs = copy.changesOfOthers(left, data);
    const maxAge = now.chosen ?? lifetimeOf(left);
    let failure: unknown;
    this.tell('session:regenerated', { previousKey }, () => data.toData());
    const all = applyChanges(data.toData(), theirs);
    const merged = (isEmpty(theirs) && maxAge === stored.maxAge) || await stored.take(theirs, all, maxAge).catch(err => {
      failure = err;
    });
    if (merged === false) return this.lose();
    this.afterWrite(copy, data, now);
    copy.show(all, data);
    if (merged) return copy.markKept(Snapshot.of(all));
    // the session has moved all the same; what others have changed is left to the next write
    this.ctx.sessionOptions.maxAge = maxAge;
    throw failure;
  }

  /** Ends the session: it is out of the store when this resolves, and so is the one that took its place elsewhere. */
  async destroy(reason: SessionEndReason = 'logout'): Promise<void> {
    this.requireCookie('session.destroy()', false);
    this.open();
    const { copy } = this;
    await this.oneByOne(async () => {
      const { stored, state, ctx, transport, meta: { places } } = this;
      if (state === 'destroyed') return;
      const { ended, name, hadEnded } = stored && state !== 'new' ? await stored.retire()
        : { ended: state === 'kept' ? this.record : undefined, name: undefined, hadEnded: false };
      const others = stored && state !== 'new' ? await this.endOthers(stored, reason) : undefined;
      if (ended) this.tell('session:destroyed', { reason, key: name }, () => dataOf(ended));
      // what was assigned meanwhile is another session
      const other = this.copy !== copy && this.copy;
      this.state = other ? 'new' : 'destroyed';
      if (other) other.replacesKept = false;
      else this.copy = null;
      this.mustMove = false;
      this.forget();
      // by now, the browser may have the cookie of another session
      if (hadEnded) transport.undo(ctx);
      else transport.expire(ctx, places, state !== 'new' || this.cookieState === 'expired');
      if (others) throw others.err;
    });
  }

  /** Ends the sessions of the other cookies that a browser may have: one of them would count from now on. Resolves to what has failed. */
  private async endOthers({ store }: StoreRecord, reason: SessionEndReason): Promise<{ err: unknown } | undefined> {
    const { ctx, env: { config, ids } } = this;
    if (config.externalKey) return undefined;
    const all = ids.read(ctx);
    if (all.length < 2) return undefined;
    const sessions = new PrincipalSessions(store, config, ctx);
    try {
      for (const { value } of all) await sessions.end(store.keyOf(value), reason);
      return undefined;
    } catch (err) {
      return { err };
    }
  }

  protected sendId(): void {
    const { ctx, stored, env: { ids } } = this;
    this.cookieState = 'good';
    this.isRenewed = false;
    if (stored && !ctx.headerSent) ids.write(ctx, stored.id);
  }

  /** A 503 has lost the headers, and the session may have an id that the client has not been told yet. */
  protected sendKeptId(): void {
    if (this.env.config.externalKey && this.state === 'kept' && this.contacts > 0) this.sendId();
  }
}
