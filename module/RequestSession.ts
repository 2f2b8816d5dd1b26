import type { Context } from 'egg';
import type { SessionEndReason } from './events';
import { expire } from './loadSession';
import { warnOfFixation } from './review';
import { applyChanges, dataOf, isEmpty, lifetimeOf } from './record';
import type { SessionEnvironment } from './SessionEnvironment';
import { answerUnavailable, logUntold, SessionStoreError } from './store/SessionStoreError';
import type { StoreRecord } from './StoreRecord';
import { HAS_ENDED, UpdatableSession } from './UpdatableSession';
import type { WorkingCopy } from './WorkingCopy';

/**
 * The session of one request, from its cookie to the response. It owns the session's state and id; koa-session's object,
 * which is `ctx.session`, holds the data and calls back here for all that reads or writes what is kept.
 */
export class RequestSession extends UpdatableSession {
  /** The session of a context; undefined when nobody has asked for it. */
  static of(ctx: Context): RequestSession | undefined {
    return (ctx as WithSession)[REQUEST_SESSION];
  }

  static for(ctx: WithSession, env: SessionEnvironment): RequestSession {
    ctx[REQUEST_SESSION] ??= new RequestSession(ctx, env);
    return ctx[REQUEST_SESSION];
  }

  /** Serves a request: loads its session, runs the handler, and saves the session. */
  async serve(next: () => Promise<unknown>): Promise<void> {
    const { ctx, env: { running }, store } = this;
    running.begin();
    try {
      this.phase = 'served';
      if (store) await this.load(store);
      try {
        await next();
      } catch (err) {
        // the handler's own error is the one to answer with
        await this.close().catch(reason => logUntold(ctx, reason));
        throw err;
      }
      await this.close();
    } catch (err) {
      if (!(err instanceof SessionStoreError) || ctx.headerSent) throw err;
      answerUnavailable(ctx, err);
      this.sendKeptId();
    } finally {
      running.end();
    }
  }

  private async close(): Promise<void> {
    if (this.copy === undefined) { // nobody has asked for it
      this.phase = 'closed';
      return;
    }
    try {
      await this.idle();
      this.phase = 'closing';
      const { ctx, env, contacts, stored, expired } = this;
      this.expired = undefined;
      // it is over all the same when that fails
      if (expired) await expire(ctx, this.store!, env, expired).catch(err => logUntold(ctx, err));
      if (this.commitsItself) await this.commit();
      if (contacts > 0 && contacts === this.contacts) await this.confirm();
      if (this.isFixated && stored && !stored.isFresh) warnOfFixation(env.app);
    } catch (err) {
      // what has begun to answer would never come to its end
      if (!this.ctx.headerSent) throw err;
      logUntold(this.ctx, err);
    } finally {
      this.phase = 'closed';
    }
  }

  /** Saves what the request has changed. A session that nobody asked for costs nothing. */
  async commit(): Promise<void> {
    await this.idle();
    const { copy, ctx, stored, env: { cookie } } = this;
    if (copy === undefined) return;
    if (copy === null) return await this.destroy();
    if (!this.available) return; // an outage signs nobody out, and overwrites nothing
    const isChanged = this.lifetime.isChosen || copy.isChanged(copy.toJson());
    if (isChanged && this.mustMove) return this.tellEnd('regenerate() has failed, and what changed was meant for the new id');
    if (isChanged) this.requireCookie('a change of the session', this.state === 'new');
    if (isChanged || this.mustRenew()) {
      await this.oneByOne(() => this.write());
      if (isChanged && this.state === 'ended') this.tellEnd(HAS_ENDED);
    } else if (this.cookieState === 'bad' || this.cookieState === 'expired') {
      cookie.remove(ctx);
    } else if (stored && this.state === 'kept' && this.meta.isDue(copy.session)) {
      await this.oneByOne(async () => {
        if (!await stored.see(copy.session)) this.end();
      });
    } else if (this.cookieState === 'stale' && await this.confirm()) {
      this.sendId();
    }
  }

  /** Whether the session is still there, which it may have left since this request wrote it; if not, its cookie is taken back. */
  private async confirm(): Promise<boolean> {
    const { stored, ctx } = this;
    if (!stored || this.state !== 'kept' || ctx.headerSent) return false;
    return await this.oneByOne(async () => {
      const isThere = await stored.latest() !== undefined;
      if (isThere) this.contacts++;
      else this.end();
      return isThere;
    });
  }

  /** Whether a session that has not changed is to be saved, so that it lives on. */
  private mustRenew(): boolean {
    const { store, ctx: { sessionOptions: { rolling, renew, maxAge } }, record: { _expire } } = this;
    if (this.state !== 'kept') return false;
    if (this.lifetime.isChanged) return true;
    if (this.contacts > 0) return false;
    if (!this.stored && this.copy && this.meta.isDue(this.copy.session)) return true;
    // a cookie is written anew only for a session that is still there
    if (rolling || this.cookieState === 'stale') return true;
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

  private async write(): Promise<void> {
    const { ctx, stored, copy, lifetime, env: { cookie } } = this;
    if (!copy) return;
    if (this.state === 'ended') return this.end();
    const json = this.prepare(copy);
    const now = lifetime.now();
    if (!stored) cookie.writeText(ctx, cookie.encode(json, lifetime.valid(), this.meta.of(copy.session)._createdAt!));
    else if (this.state !== 'kept') await stored.create(json, lifetime.valid());
    else if (!await stored.save(copy, json, now.chosen)) return this.end();
    this.afterWrite(copy, json, now);
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
        if (state === 'kept') this.tell('session:regenerated', {}, copy.toData());
        return;
      }
      if (this.state === 'kept') await this.move(stored, copy);
      if (this.state !== 'kept') {
        if (this.state === 'ended') copy.forgetKept(dataOf(this.record));
        const json = this.prepare(copy);
        const now = lifetime.now();
        await stored.create(json, lifetime.valid(), stored.newId());
        this.afterWrite(copy, json, now);
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
    const json = this.prepare(copy);
    const now = this.lifetime.now();
    const left = await stored.move(to, json, now.chosen);
    if (!left) return this.end();
    const theirs = copy.changesOfOthers(left, json);
    const maxAge = now.chosen ?? lifetimeOf(left);
    let failure: unknown;
    this.tell('session:regenerated', { previousKey }, JSON.parse(json));
    const all = applyChanges(JSON.parse(json), theirs);
    const merged = (isEmpty(theirs) && maxAge === stored.maxAge) || await stored.take(theirs, all, maxAge).catch(err => {
      failure = err;
    });
    if (merged === false) return this.end();
    this.afterWrite(copy, json, now);
    copy.show(all, json);
    if (merged) return copy.markKept(JSON.stringify(all));
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
      const { stored, state, ctx, env: { cookie } } = this;
      if (state === 'destroyed') return;
      const { ended, name, hadEnded } = stored && state !== 'new' ? await stored.retire()
        : { ended: state === 'kept' ? this.record : undefined, name: undefined, hadEnded: false };
      if (ended) this.tell('session:destroyed', { reason, key: name }, dataOf(ended));
      // what was assigned meanwhile is another session
      const other = this.copy !== copy && this.copy;
      this.state = other ? 'new' : 'destroyed';
      if (other) other.replacesKept = false;
      else this.copy = null;
      this.mustMove = false;
      this.forget();
      // by now, the browser may have the cookie of another session
      if (hadEnded) cookie.withdraw(ctx);
      else cookie.remove(ctx);
    });
  }
}

const REQUEST_SESSION = Symbol('egg-tegg-session');
type WithSession = Context & { [REQUEST_SESSION]?: RequestSession };
