import type { Context } from 'egg';
import { expire } from './loadSession';
import { dataOf } from './record';
import { warnOfFixation } from './review';
import type { ContextSession } from './SessionData';
import type { SessionEnvironment } from './SessionEnvironment';
import { SessionOperations } from './SessionOperations';
import type { Snapshot } from './Snapshot';
import { answerUnavailable, logUntold, SessionStoreError } from './store/SessionStoreError';
import type { SessionRecord } from './store/SessionStore';
import type { WorkingCopy } from './WorkingCopy';

/**
 * The session of one request, from its cookie to the response. It owns the session's state and id; koa-session's object,
 * which is `ctx.session`, holds the data and calls back here for all that reads or writes what is kept.
 */
export class RequestSession extends SessionOperations {
  private asking?: Promise<void>;

  /** The session of a context; undefined when nobody has asked for it. */
  static of(ctx: Context): RequestSession | undefined {
    return (ctx as WithSession)[REQUEST_SESSION];
  }

  static for(ctx: WithSession, env: SessionEnvironment): RequestSession {
    ctx[REQUEST_SESSION] ??= new RequestSession(ctx, env);
    return ctx[REQUEST_SESSION];
  }

  /** Serves a request: loads its session, runs the handler, and saves the session. */
  serve(next: () => Promise<unknown>): Promise<void> {
    const { ctx, store, env: { running, usesSession } } = this;
    this.phase = 'served';
    this.isAsked = usesSession(ctx);
    if (!this.isAsked) this.reset();
    const loaded = store && this.isAsked ? this.load(store) : undefined;
    running.begin(ctx, this);
    // no async function: all requests pay for each promise, and most of them do not change the session
    return (loaded ? loaded.then(() => next()) : next()).then(() => this.end(), err => this.finish(undefined, { err }));
  }

  /** Loads the session of a request that was served without, once. */
  async ask(): Promise<void> {
    if (this.isAsked) return;
    this.asking ??= this.store && this.load(this.store);
    await this.asking;
    this.isAsked = true; // not before: meanwhile, there is nothing to read
  }

  private end(): Promise<void> | undefined {
    const { copy } = this;
    if (copy === undefined && !this.mayBeDue()) return this.leave(); // nobody has asked for it
    let now: Snapshot | undefined;
    try {
      if (copy && this.isPlain()) {
        now = copy.now();
        if (this.settle(copy, now)) return this.leave();
      }
    } catch {
      now = undefined; // the commit tells of it
    }
    return this.finish(now);
  }

  /** Whether nothing has happened but that the handler has read the session, and perhaps changed its data. */
  private isPlain(): boolean {
    const { state, contacts, cookieState, isRenewed, busy, mustMove } = this;
    return (state === 'kept' || state === 'new') && contacts === 0 && cookieState === 'good' && !(isRenewed || busy || mustMove);
  }

  /** Does what is left to do, if that takes no waiting: nothing, or to write the cookie that has the data. */
  private settle(copy: WorkingCopy, now: Snapshot): boolean {
    const isChanged = this.lifetime.isChosen || copy.isChanged(now);
    if (!isChanged && (this.state === 'new' || !(this.mustRenew() || this.meta.isDue(copy.session)))) return true;
    if (this.stored || !this.commitsItself || this.ctx.headerSent || this.env.config.beforeSave) return false;
    this.writeCookie(copy, now);
    return true;
  }

  private leave(): undefined {
    this.phase = 'closed';
    this.env.running.end(this.ctx);
  }

  /** Ends a request that has used its session, whose data are those of `now` if they are known; or whose handler, or store, has `failed`. */
  private async finish(now?: Snapshot, failed?: { err: unknown }): Promise<void> {
    const { ctx } = this;
    try {
      try {
        if (this.copy !== undefined) await this.close(now);
        else if (this.mayBeDue()) await this.noteSeen();
      } catch (err) {
        // the handler's own error is the one to answer with; and what has begun to answer would never come to its end
        if (!failed && !ctx.headerSent) throw err;
        logUntold(ctx, err);
      }
      if (failed) throw failed.err;
    } catch (err) {
      if (!(err instanceof SessionStoreError) || ctx.headerSent) throw err;
      answerUnavailable(ctx, err);
      this.sendKeptId();
    } finally {
      this.leave();
    }
  }

  private async close(now?: Snapshot): Promise<void> {
    if (this.busy) await this.idle();
    const { ctx, env, stored, expired } = this;
    // it is over all the same when that fails
    if (expired) await expire(ctx, this.store!, env, expired).catch(err => logUntold(ctx, err));
    if (this.commitsItself) await this.commit(now);
    if (this.contacts > 0) await this.confirm();
    if (this.isFixated && stored && !stored.isFresh) warnOfFixation(env.app);
  }

  /** Whether the session lives on since it was read, and an index has to have it for as long. */
  private mayBeDue(): boolean {
    return this.isRenewed && Boolean(this.store?.isIndexed);
  }

  /** To be called when nobody has asked for the session, so that nothing else would note it. */
  private async noteSeen(): Promise<void> {
    try {
      const data = dataOf(this.record);
      if (this.meta.isDue(data)) await this.stored!.see(data);
    } catch (err) {
      logUntold(this.ctx, err); // the request has done without the session
    }
  }

  protected create(data: SessionRecord): ContextSession {
    return this.env.createSession(this, this.ctx, data);
  }
}

const REQUEST_SESSION = Symbol('egg-tegg-session');
type WithSession = Context & { [REQUEST_SESSION]?: RequestSession };
