import type { Context } from 'egg';
import { expire } from './loadSession';
import { warnOfFixation } from './review';
import type { ContextSession } from './SessionData';
import type { SessionEnvironment } from './SessionEnvironment';
import { SessionOperations } from './SessionOperations';
import { answerUnavailable, logUntold, SessionStoreError } from './store/SessionStoreError';
import type { SessionRecord } from './store/SessionStore';

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
    running.begin();
    // no async function: all requests pay for each promise, and most of them do not change the session
    return (loaded ? loaded.then(() => next()) : next()).then(
      () => (this.isDone() ? this.leave() : this.finish()),
      err => this.finish({ err }));
  }

  /** Loads the session of a request that was served without, once. */
  async ask(): Promise<void> {
    if (this.isAsked) return;
    this.asking ??= this.store && this.load(this.store);
    await this.asking;
    this.isAsked = true; // not before: meanwhile, there is nothing to read
  }

  /** Whether there is nothing to do at the end, as the session was not used, or only read. */
  private isDone(): boolean {
    const { copy, contacts, cookieState, expired, busy, failure } = this;
    if (copy === undefined) return true;
    if (copy === null || contacts > 0 || this.isRenewed || cookieState !== 'good' || expired || busy || failure || this.isFixated) return false;
    if (this.state !== 'kept' && this.state !== 'new') return false;
    try {
      return !this.lifetime.isChosen && !copy.isChanged(copy.now()) &&
        (this.state === 'new' || (!this.mustRenew() && !this.meta.isDue(copy.session)));
    } catch {
      return false; // the commit tells of it
    }
  }

  private leave(): void {
    this.phase = 'closed';
    this.env.running.end();
  }

  /** Ends a request that has used its session, or whose handler, or store, has `failed`. */
  private async finish(failed?: { err: unknown }): Promise<void> {
    const { ctx } = this;
    try {
      // the handler's own error is the one to answer with
      await (failed ? this.close().catch(reason => logUntold(ctx, reason)) : this.close());
      if (failed) throw failed.err;
    } catch (err) {
      if (!(err instanceof SessionStoreError) || ctx.headerSent) throw err;
      answerUnavailable(ctx, err);
      this.sendKeptId();
    } finally {
      this.leave();
    }
  }

  private async close(): Promise<void> {
    if (this.copy === undefined) return; // nobody has asked for it
    try {
      if (this.busy) await this.idle();
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

  protected create(data: SessionRecord): ContextSession {
    return this.env.createSession(this, this.ctx, data);
  }
}

const REQUEST_SESSION = Symbol('egg-tegg-session');
type WithSession = Context & { [REQUEST_SESSION]?: RequestSession };
