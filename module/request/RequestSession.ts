import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from 'egg';
import { coded } from '../record/errors';
import { withoutKeys } from '../options/SessionConfig';
import { ChangeTracker } from '../record/ChangeTracker';
import { type SessionEndReason, type SessionEvents, tell } from '../record/events';
import type { ContextSession } from '../record/SessionData';
import { dataOf, fieldsOf, type SessionRecord } from '../record/SessionRecord';
import { Snapshot } from '../record/Snapshot';
import { TooLargeError } from '../record/tooLarge';
import { trace, traceRequest } from '../record/trace';
import { RecordMeta } from '../repository/RecordMeta';
import { retry } from '../store/deadline';
import { answerUnavailable, logUntold, SessionStoreError } from '../store/SessionStoreError';
import { CookieKeeper } from './CookieKeeper';
import { decide, type Decision, type Facts, isAsked } from './decide';
import type { SessionEnvironment, SessionMethods } from './environment';
import { HAS_ENDED, type Keeper, type SessionInRequest, type Update } from './Keeper';
import { Lifetime } from './Lifetime';
import { expire, type Loaded } from './load';
import { OperationQueue } from './OperationQueue';
import { PrincipalWatch } from './PrincipalWatch';
import {
  assigned, discarded, EMPTY, expiredForAll, LEFT_OUT, looked, opened, regenerating, type State, unavailable, UNREAD,
} from './state';
import { StoreKeeper } from './StoreKeeper';

/** Timeout of `update()`, in ms: its waiting, its tries and its `fn` together. */
const UPDATE_TIMEOUT = 10_000;

const NOT_LOADED = '[egg-tegg-session] the session was not loaded for this request, as config.session.load is \'injected\'. Inject it ' +
  'into the controller, or into what the controller uses: @Inject() session: Session; or call await ctx.loadSession() before this';

/** The data of a session at the end of its request, and what a commit is to do with them. */
interface Plan {
  readonly now: Snapshot;
  readonly decision: Decision;
}

/**
 * The session of one request, from its cookie to the response. It owns the session's state; koa-session's object, which is
 * `ctx.session`, holds the data and calls back here for all that is saved. Its keeper is where the session is kept.
 */
export class RequestSession implements SessionInRequest, SessionMethods {
  /** Whether the middleware serves this context, and whether it has done its last commit. */
  phase: 'outside' | 'serving' | 'done' = 'outside';
  /** The functions of `state.ts` make each from the one before. */
  state: State = UNREAD;
  private loading?: Promise<unknown>;
  private hasToldEnd = false;
  private decision?: Decision;
  /** `ctx.sessionOptions`: those of the application, for the request to change. */
  readonly options: SessionEnvironment['options'];
  readonly queue = new OperationQueue();
  readonly watch = new PrincipalWatch();
  readonly lifetime: Lifetime;
  readonly meta: RecordMeta;
  private readonly keeper: Keeper;

  /** The session of a context; undefined when nobody has asked for it. */
  static of(ctx: Context): RequestSession | undefined {
    return (ctx.response as WithSession)[REQUEST_SESSION];
  }

  static for(ctx: Context, env: SessionEnvironment): RequestSession {
    const response: WithSession = ctx.response;
    response[REQUEST_SESSION] ??= new RequestSession(ctx, env);
    return response[REQUEST_SESSION];
  }

  private constructor(readonly ctx: Context, readonly env: SessionEnvironment) {
    const store = env.storeFor(ctx);
    this.options = { ...env.options };
    this.lifetime = new Lifetime(this.options, env);
    this.meta = new RecordMeta(ctx, env.config, Boolean(store?.isIndexed));
    this.keeper = store ? new StoreKeeper(this, store) : new CookieKeeper(this);
  }

  // ---- the request's life

  /** Serves a request: loads its session, runs the handler, and saves the session. */
  serve(next: () => Promise<unknown>): Promise<void> {
    const { ctx, env: { running, usesSession } } = this;
    this.phase = 'serving';
    if (this.state !== UNREAD) this.noteEarlyUse();
    if (!usesSession(ctx)) this.state = LEFT_OUT;
    const loaded = this.state === UNREAD ? this.load(next) : undefined;
    running.begin(ctx, this);
    // no async function: all requests pay for each promise, and most of them do not change the session
    return (loaded ?? next()).then(() => this.end(), err => this.finish(undefined, { err }));
  }

  /** Middleware before this one has used the session: what it had from the cookie stays, and a store is only asked now. */
  private noteEarlyUse(): void {
    const { keeper: { store }, state: { data } } = this;
    if (!store && this.env.usesSession(this.ctx)) return;
    if (data !== undefined) this.env.hints.usedTooEarly?.(this.ctx, data);
    this.state = UNREAD;
  }

  /** Loads the session of a request that was served without it, once. */
  async ask(): Promise<void> {
    if (this.state.at !== 'left out') return;
    this.loading ??= this.load(() => undefined);
    await this.loading;
    if (this.state.at === 'left out') this.state = UNREAD;
  }

  /** Reads the session from the store, and runs what follows; undefined, and nothing was run, when there is nothing to wait for. */
  private load<T>(next: () => T | Promise<T>): Promise<T> | undefined {
    if (this.lacksKeys()) return undefined; // whoever uses the session is told
    const loaded = this.keeper.load();
    if (loaded instanceof Promise) {
      return loaded.then(found => {
        this.begin(found);
        return next();
      }, err => {
        this.detach(err);
        return next();
      });
    }
    if (loaded) this.begin(loaded);
    return undefined;
  }

  private begin(loaded: Loaded): void {
    this.state = opened(this.state, loaded);
    this.keeper.begin(loaded, this.lifetime.load(loaded.record));
    if (loaded.state !== 'saved') return;
    this.meta.load(loaded.record);
    this.watch.principal = this.meta.principal;
  }

  private detach(err: unknown): void {
    if (!(err instanceof SessionStoreError)) throw err;
    const isFatal = this.env.config.onStoreError === 'fail';
    if (!isFatal || this.state.at !== 'left out') this.state = unavailable(err);
    if (isFatal) throw err;
  }

  /** Most requests end here, without waiting for anything. */
  private end(): Promise<void> | undefined {
    const { state: { data } } = this;
    if (data === undefined && !this.livesOnUnused()) return this.leave();
    let plan: Plan | undefined;
    try {
      if (data && !(this.queue.isBusy || this.isUnderWay())) {
        const now = data.now();
        const decision = this.decide(now);
        if (decision.do === 'nothing') this.env.hints.unchanged?.(data.session);
        if (decision.do === 'nothing' || (decision.do === 'write' && this.commitsItself && this.keeper.writeAtOnce(data, now))) return this.leave();
        plan = { now, decision };
      }
    } catch {
      plan = undefined; // the commit tells of it
    }
    return this.finish(plan);
  }

  /** Whether this request has done more with its session than to read or change the data. */
  private isUnderWay(): boolean {
    const { state } = this;
    return (state.at === 'new' && state.refused?.why === 'expired') || (state.at === 'saved' && state.written);
  }

  private leave(): undefined {
    this.phase = 'done';
    this.env.running.end(this.ctx);
    if (trace.enabled) traceRequest(this.ctx, this.state.at, this.decision);
  }

  /** Ends a request that has used its session, as planned if it could be; or whose handler, or store, has `failed`. */
  private async finish(plan?: Plan, failed?: { err: unknown }): Promise<void> {
    const { ctx } = this;
    try {
      try {
        if (this.state.data !== undefined) await this.close(plan);
        else if (this.livesOnUnused()) await this.keeper.noteUnused();
      } catch (err) {
        // the handler's own error goes first; and a response that has begun would never end
        if (!failed && !ctx.headerSent) throw err;
        logUntold(ctx, err);
      }
      if (failed) throw failed.err;
    } catch (err) {
      if (!(err instanceof SessionStoreError) || ctx.headerSent) throw err;
      answerUnavailable(ctx, err);
      // the headers are lost, and the session may have an id that the client was not told yet
      if (this.env.config.externalKey && this.state.at === 'saved' && this.state.written) this.keeper.sendId();
    } finally {
      this.leave();
    }
  }

  private async close(plan?: Plan): Promise<void> {
    const { ctx, env, state, keeper, queue } = this;
    // every request that writes pays for each `await`
    if (queue.isBusy) await queue.drain();
    if (state.at === 'new' && state.refused?.why === 'expired') {
      // a failure changes nothing here: this request does not use it
      const isOver = await expire(ctx, keeper.store!, env, state.refused).catch(err => logUntold(ctx, err));
      if (isOver) this.state = expiredForAll(this.state);
    }
    keeper.markStale(); // the handler may have taken its time
    if (this.commitsItself) await this.commit(plan);
    if (this.state.at !== 'saved') return;
    const confirmed = !this.state.written || ctx.headerSent || keeper.confirm();
    if (confirmed !== true) await confirmed;
    if (this.state.at === 'saved' && this.state.leaveAt !== undefined) await this.letOthersGoFirst(this.state.leaveAt);
    if (this.watch.signedInWithOldId && keeper.hasOldId) env.hints.signedInWithOldId();
  }

  /** A response with the old id that comes after this one would take the new id from the browser again. */
  private async letOthersGoFirst(leaveAt: number): Promise<void> {
    const left = leaveAt - performance.now();
    if (left > 0 && !this.ctx.headerSent) await sleep(left);
  }

  /** Whether the session lives on since it was read, though nobody has used it, and an index has to have it for as long. */
  private livesOnUnused(): boolean {
    return this.state.at === 'saved' && this.state.renewedOnRead && Boolean(this.keeper.store?.isIndexed);
  }

  // ---- what the application sees

  /** What `read` has given; undefined when nobody has asked for it. */
  get current(): ContextSession | null | undefined {
    const { data } = this.state;
    return data && data.session;
  }

  /** `ctx.session`: koa-session's object, or null. */
  read(): ContextSession | null {
    if (this.state.data === undefined) {
      this.open();
      this.makeId();
      const { state } = this;
      const data = 'record' in state ? dataOf(state.record) : {};
      const session = this.create(data);
      (session as { isNew: boolean }).isNew = state.at !== 'saved';
      this.state = looked(state, new ChangeTracker(session, Snapshot.of(data), data));
    }
    return this.current ?? null;
  }

  /** `ctx.session = value`. */
  assign(value: object | null): void {
    if (value === null) {
      this.requireUsable();
      this.state = discarded(this.state);
      return;
    }
    this.open();
    if (Object.hasOwn(value, 'maxAge')) this.maxAge = (value as SessionRecord).maxAge;
    if (this.state.at === 'destroyed') this.state = EMPTY;
    this.makeId();
    this.env.hints.assigned(value);
    this.state = assigned(this.state, new ChangeTracker(this.create(fieldsOf(value)), Snapshot.EMPTY));
  }

  /** Opens the session in the cookie, when somebody first asks for it. */
  private open(): void {
    this.requireUsable();
    if (this.state.at !== 'unread') return;
    const loaded = this.keeper.open();
    if (loaded) this.begin(loaded);
    else this.state = { ...EMPTY, data: this.state.data } as State; // the middleware does not serve this context, and has read no store
  }

  /** @throws Error when the session was not loaded, or there is no secret for its cookie */
  private requireUsable(): void {
    if (this.state.at === 'left out') throw coded('ERR_SESSION_NOT_LOADED', new Error(NOT_LOADED));
    if (this.state.at === 'unread' && this.lacksKeys()) throw withoutKeys(this.env.app);
  }

  private lacksKeys(): boolean {
    return this.env.lacksKeys && !this.env.config.externalKey;
  }

  /** Has `genid` run when a new session is first used, as koa-session does: what it notes is there in the handler. */
  private makeId(): void {
    if (this.env.makesOwnIds && this.state.at === 'new') void this.keeper.id;
  }

  private create(data: SessionRecord): ContextSession {
    return this.env.createSession(this, this.ctx, data);
  }

  /** Whether the session is saved when the request ends. */
  get commitsItself(): boolean {
    return this.env.config.autoCommit;
  }

  /** False when the store could not be asked. */
  get available(): boolean {
    return this.state.at !== 'unavailable';
  }

  /** Whether the session is bound to a device, and the request has its proof. */
  get deviceBound(): boolean {
    this.read();
    return this.state.at === 'saved' && this.meta.isProven;
  }

  /** @throws SessionStoreError when the store could not be asked */
  requireAvailable(): void {
    if (this.state.at === 'unavailable') throw this.state.error;
  }

  /** The session's id in the store. */
  get externalKey(): string | undefined {
    return this.keeper.id;
  }

  /** When the session was created, in ms since 1970. */
  get createdAt(): number {
    this.read();
    return this.meta.createdAt;
  }

  /** What the store knows the session by, or knew it by before it moved or ended; undefined when it has none there. */
  get storeKey(): string | undefined {
    return this.state.at === 'saved' || this.state.at === 'ended' ? this.keeper.key : undefined;
  }

  /** The application has assigned a field the value that it has. */
  noteReassigned(): void {
    if (this.state.data) this.state.data.hasReassigned = true;
  }

  get maxAge(): unknown {
    return this.lifetime.maxAge;
  }

  /** @throws TypeError when it is no lifetime */
  set maxAge(value: unknown) {
    this.lifetime.maxAge = value;
  }

  // ---- operations

  /**
   * Saves what the request has changed. A session that nobody asked for costs nothing.
   *
   * @param plan what was decided, if that was a moment ago
   */
  async commit(plan?: Plan): Promise<void> {
    if (this.queue.isBusy) await this.queue.drain();
    const { keeper } = this;
    const { now, decision = this.decide() } = plan ?? {};
    switch (decision.do) {
      case 'nothing': return;
      case 'destroy': return await this.destroy();
      case 'drop changes': return this.tellEnd('regenerate() has failed, and the changes were meant for the new id');
      case 'refuse': return this.requireHeaders('a change of the session', true);
      case 'remove cookie': return keeper.expire();
      case 'write':
        if (!isAsked(decision.why)) return await this.bookkeep(() => keeper.write(now));
        await this.run(() => keeper.write(now));
        if (this.state.at === 'ended') this.tellEnd(HAS_ENDED);
        return;
      case 'refresh':
        if (decision.noteSeen) await this.bookkeep(() => keeper.noteSeen());
        if (decision.sendId && await keeper.confirm()) keeper.sendId();
        // no default
    }
  }

  private decide(now?: Snapshot): Decision {
    const decision = decide(this.facts(now));
    if (trace.enabled) this.decision = decision;
    return decision;
  }

  private facts(now?: Snapshot): Facts {
    const { state, ctx, keeper: { store }, lifetime, meta, options: { rolling, renew, maxAge } } = this;
    const { data } = state;
    return {
      use: data === undefined ? 'none' : data === null ? 'discarded' : 'used',
      inStore: store !== undefined,
      state: state.at,
      cookie: state.at === 'new' || state.at === 'saved' ? state.cookie : 'none',
      changed: Boolean(data && state.at !== 'unavailable' && (lifetime.isChosen || data.isChanged(now ?? data.now()))),
      lifetimeChanged: lifetime.isChanged,
      regenerateFailed: 'regenerateFailed' in state && state.regenerateFailed,
      written: state.at === 'saved' && state.written,
      headersSent: ctx.headerSent,
      sinceLoaded: state.at === 'new' && state.loadedAt !== undefined ? performance.now() - state.loadedAt : Infinity,
      rolling, renew, maxAge, expiresAt: 'record' in state ? state.record._expire : undefined, absoluteEnd: meta.absoluteEnd,
      storeKeepsExpiry: store !== undefined && store.keepsExpiry,
      now: Date.now(),
      isDue: () => meta.isDue(data!.session),
    };
  }

  /** Runs an operation when those before it have ended. */
  run<T>(operation: () => Promise<T>): Promise<T> {
    if (this.state.at === 'unavailable') return Promise.reject(this.state.error);
    return this.queue.run(operation);
  }

  /** Asks the store for what the application did not ask for: when that fails, what it has read is as good as before. */
  private async bookkeep(operation: () => Promise<void>): Promise<void> {
    await this.run(operation).catch(err => {
      if (!(err instanceof SessionStoreError || err instanceof TooLargeError)) throw err;
      logUntold(this.ctx, err);
    });
  }

  private tellEnd(reason: string): void {
    if (!this.hasToldEnd) this.ctx.coreLogger.info('[session][ended] nothing was saved: %s', reason);
    this.hasToldEnd = true;
  }

  /**
   * Saves the session now, changed or not.
   *
   * @throws Error when it has ended, and when it needs a cookie and the response has begun
   */
  async save(): Promise<void> {
    if (this.state.data === null) return await this.destroy();
    await this.run(async () => {
      const isNew = this.state.at !== 'saved';
      this.requireHeaders('session.save()', isNew);
      await this.keeper.write();
      this.requireHeaders('session.save()', isNew);
    });
    if (this.state.at === 'ended') throw coded('ERR_SESSION_ENDED', new Error(`[egg-tegg-session] session.save(): ${HAS_ENDED}`));
  }

  /**
   * Moves the session to a new id. When that fails, what this request has changed is not saved at its end.
   *
   * @throws Error when the response has begun, as the browser could not be told the new id
   */
  async regenerate(): Promise<void> {
    this.state = regenerating(this.state);
    await this.run(async () => {
      this.requireHeaders('session.regenerate()', true);
      const { data } = this.state;
      if (!data) throw coded('ERR_SESSION_ENDED', new Error('[egg-tegg-session] session.regenerate(): the session was destroyed in this request'));
      await this.keeper.regenerate(data);
      this.requireHeaders('session.regenerate()', true);
    });
  }

  /**
   * Changes the data atomically: `fn` gets the latest data with what this request has changed, and runs again when another
   * request was faster.
   *
   * @throws Error when the session has ended, after 10 s, and inside the `fn` of another `update()`
   */
  async update(fn: Update): Promise<void> {
    if (updating.getStore() === this) throw coded('ERR_SESSION_ARGUMENT', new Error('[egg-tegg-session] session.update() inside the fn of another update()'));
    this.requireAvailable();
    this.requireCommit();
    await updating.run(this, () => retry(isLate => this.tryUpdate(fn, isLate), UPDATE_TIMEOUT, () => coded('ERR_SESSION_UPDATE_TIMEOUT', new Error(
      `[egg-tegg-session] session.update() took longer than ${UPDATE_TIMEOUT / 1000} s: fn is slow, or other requests ` +
      'changed the session each time. Let fn be quick, and make slow calls before or after it'))));
  }

  /** Resolves to false when `fn` has to run again, as the data have changed meanwhile, or have ended. */
  private async tryUpdate(fn: Update, isLate: () => boolean): Promise<boolean> {
    await this.queue.drain();
    const { data } = this.state;
    if (!data) throw cannotUpdate();
    if (this.state.at === 'saved' && this.keeper.update) return await this.keeper.update(data, fn, isLate);
    return await this.updateCopy(data, fn, isLate);
  }

  /** Updates a session that is not in a store, or not yet, or not any more, which only a sign-in may; it is saved with the response. */
  private async updateCopy(data: ChangeTracker, fn: Update, isLate: () => boolean): Promise<boolean> {
    const { updates } = data;
    const seen = data.now();
    const after = Snapshot.of(await fn(seen.toData())).toData();
    if (isLate() || this.state.data !== data || data.updates !== updates) return false;
    if (this.state.at === 'ended' && !this.signsIn(after)) throw cannotUpdate();
    this.requireCommit();
    data.updates++;
    data.applyExternal(after, seen);
    return true;
  }

  /** Ends the session: it is out of the store when this resolves, and so is the one that took its place elsewhere. */
  async destroy(reason: SessionEndReason = 'logout'): Promise<void> {
    this.requireHeaders('session.destroy()', false);
    this.open();
    const { data } = this.state;
    await this.run(async () => {
      if (this.state.at !== 'destroyed') await this.keeper.destroy(reason, data);
    });
  }

  // ---- for the keepers

  /** Whether these data sign somebody in. */
  signsIn(data: SessionRecord): boolean {
    return this.watch.isSignIn(this.meta.principalOf(data));
  }

  /** All that can refuse to save the session, before anything is written or removed. */
  prepare(data: ChangeTracker, known?: Snapshot): Snapshot {
    const { env: { config, hints } } = this;
    this.keeper.beforeSave(data);
    const now = (!config.beforeSave && known) || data.now();
    data.assertStorable(now);
    this.requireOther(data);
    hints.saving(data.session);
    return now;
  }

  /** @throws Error when the data name whom a session had that has ended meanwhile: they may have been read from it */
  private requireOther({ session }: ChangeTracker): void {
    const { ended } = this.watch;
    if (ended !== undefined && this.meta.principalIn(session) === ended) {
      throw coded('ERR_SESSION_ENDED', new Error(`[egg-tegg-session] the session cannot be saved as that of the same principal: ${HAS_ENDED}`));
    }
  }

  /** Takes the principal of what was saved, and tells when it is another one's; `previousKey` stands for the id that the session had then. */
  notePrincipal(previousKey?: string): void {
    const { watch, meta: { principal } } = this;
    if (watch.isReplacedBy(principal)) this.tell('session:destroyed', { reason: 'replaced', ...previousKey === undefined ? {} : { key: previousKey } });
    watch.saved(principal);
  }

  /** @throws Error when the response has begun and the browser's cookie would have to change */
  requireHeaders(what: string, needsCookie: boolean, isLate = this.ctx.headerSent): void {
    if (!isLate || (this.keeper.store && !needsCookie)) return;
    throw coded('ERR_SESSION_RESPONSE_BEGUN', new Error(`[egg-tegg-session] ${what} has to set a cookie, and the response has begun: that is too late. Do it before ` +
      'the first byte is sent'));
  }

  /** @throws Error when an update would have to be saved with the response, and that was before */
  private requireCommit(): void {
    this.requireHeaders('session.update()', this.state.at !== 'saved',
      this.ctx.headerSent || (this.phase === 'done' && this.commitsItself));
  }

  /** Tells an event of this session. */
  tell<Name extends keyof SessionEvents>(name: Name, more: Omit<SessionEvents[Name], 'ctx'>, data?: () => SessionRecord): void {
    const { ctx, keeper, meta, watch, env: { app, config } } = this;
    if (app.listenerCount(name) === 0) return;
    const value = data?.();
    const about = config.logValue ? { value, principal: value ? meta.principalIn(value) : watch.principal } : {};
    // asked for only where it is needed: it makes an id where there is none
    tell(app, name, { ctx, ...'key' in more ? {} : { key: keeper.name }, ...about, ...more } as SessionEvents[Name]);
  }
}

const cannotUpdate = () => coded('ERR_SESSION_ENDED', new Error(`[egg-tegg-session] session.update(): ${HAS_ENDED}`));

const updating = new AsyncLocalStorage<RequestSession>();

/** On the response: a context with many properties becomes a dictionary in V8, and all that Egg does with it takes longer. */
const REQUEST_SESSION = Symbol('egg-tegg-session');
type WithSession = Context['response'] & { [REQUEST_SESSION]?: RequestSession };
