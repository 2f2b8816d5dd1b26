import type { Context } from 'egg';
import { Lifetime } from './Lifetime';
import { type SessionEvents, tell } from './events';
import { type Loaded, loadFromCookie, loadFromStore } from './loadSession';
import type { IdTransport } from './IdTransport';
import { PrincipalSessions } from './PrincipalSessions';
import { dataOf, fieldsOf } from './record';
import type { ContextSession } from './SessionData';
import type { SessionEnvironment } from './SessionEnvironment';
import { SessionMeta } from './SessionMeta';
import { Snapshot } from './Snapshot';
import type { Store } from './store/guard';
import { SessionStoreError } from './store/SessionStoreError';
import type { SessionRecord } from './store/SessionStore';
import { StoreRecord } from './StoreRecord';
import { WorkingCopy } from './WorkingCopy';

/** For how many ms a session is taken to be where it was: an answer is on its way to the browser for as long. */
export const MOMENT = 500;

const NOT_LOADED = '[egg-tegg-session] the session was not loaded for this request, as config.session.load is \'injected\'. Inject it ' +
  'into the controller, or into what the controller uses: @Inject() session: Session; or call await ctx.loadSession() before this';

/**
 * What is known of a request's session: its state, its id, its data and its cookie. {@link RequestSession} has what is done
 * with it.
 */
export abstract class SessionState {
  /** Whether the middleware serves this context, and whether it has done its last commit. */
  phase: 'unserved' | 'served' | 'closed' = 'unserved';
  /** As it was loaded, until this request writes it (`kept`) or destroys it; `unread` while nobody has asked for it. */
  protected state: 'unread' | Loaded['state'] | 'destroyed' = 'unread';
  protected cookieState: Loaded['cookie'] = 'good';
  /** False under `load: 'injected'`, in a request whose objects do not have the session, until that is asked for. */
  protected isAsked = true;
  /** What is to be removed from the store once somebody has asked for the session. */
  protected expired?: Loaded['expired'];
  /** Undefined when sessions live in the cookie. */
  protected readonly stored?: StoreRecord;
  /** What has brought the session, and takes it away again. */
  protected readonly transport: Pick<IdTransport, 'expire' | 'undo'>;
  /** What was loaded. */
  protected record: SessionRecord = {};
  /** The data, once somebody has asked for them; null after `ctx.session = null`. */
  protected copy?: WorkingCopy | null;
  protected readonly lifetime: Lifetime;
  protected readonly meta: SessionMeta;
  /** How often this request has written the session, or found that it is still there. */
  protected contacts = 0;
  /** When the store last said that it has the session, in ms since 1970, and as `Turns` count. */
  private contactAt = 0;
  private contactTurn = 0;
  /** Whether the session lives on since it was read, and the browser's cookie does not yet. */
  protected isRenewed = false;
  /** Whether a `regenerate()` has failed: what has changed was meant for a new id. */
  protected mustMove = false;
  /** Whose session it was known to be last. */
  protected principal?: string;
  protected failure?: SessionStoreError;
  /** Whether somebody signed in, and the session has kept its id so far. */
  protected isFixated = false;

  protected constructor(protected readonly ctx: Context, protected readonly env: SessionEnvironment,
    readonly store = env.storeFor(ctx)) {
    const { config } = env;
    this.transport = store ? env.ids : env.data;
    this.lifetime = new Lifetime(ctx, config);
    this.meta = new SessionMeta(ctx, config, Boolean(store?.isIndexed));
    const limits = store && config.maxSessions !== undefined ? new PrincipalSessions(store, config, ctx) : undefined;
    if (store) this.stored = new StoreRecord(ctx, store, this.meta, limits);
  }

  /** Whether the session is saved when the request ends. */
  get commitsItself(): boolean {
    return this.env.config.autoCommit;
  }

  /** Reads the session from the store; undefined when there is nothing to wait for. */
  protected load(store: Store): Promise<void> | undefined {
    this.reset();
    this.contactTurn = store.turns.now; // what ends the session may overtake the answer
    const loaded = loadFromStore(this.ctx, store, this.env);
    if (loaded instanceof Promise) return loaded.then(found => this.begin(found)).catch(err => this.detach(err));
    this.begin(loaded);
    return undefined;
  }

  /** Middleware before this one may have used the session. */
  protected reset(): void {
    this.copy = undefined;
    this.state = 'unread';
  }

  private detach(err: unknown): void {
    if (!(err instanceof SessionStoreError)) throw err;
    this.failure = err;
    if (this.env.config.onStoreError === 'fail') throw err;
  }

  /** Whether the session is what the store has; false when the store could not be asked. */
  get available(): boolean {
    return !this.failure;
  }

  /** @throws SessionStoreError when the store could not be asked */
  requireAvailable(): void {
    if (this.failure) throw this.failure;
  }

  /** Opens the session in the cookie, when somebody first asks for it. */
  protected open(): void {
    if (this.state !== 'unread') return;
    if (!this.isAsked) throw new Error(NOT_LOADED);
    if (this.store) this.state = 'new'; // the middleware does not serve this context, and has read no store
    else this.begin(loadFromCookie(this.ctx, this.env));
  }

  protected begin({ state, id, record, cookie, renewed = false, expired }: Loaded): void {
    this.state = state;
    this.expired = expired;
    this.record = record;
    this.cookieState = cookie;
    const maxAge = this.lifetime.load(record);
    if (this.stored) {
      this.stored.id = id;
      this.stored.maxAge = maxAge;
    }
    if (state !== 'kept') return;
    this.isRenewed = renewed;
    this.contactAt = Date.now();
    this.meta.load(record);
    this.principal = this.meta.principal;
  }

  /** Makes koa-session's object of data. */
  protected abstract create(data: SessionRecord): ContextSession;

  /** What `read` has given; undefined when nobody has asked for it. */
  get current(): ContextSession | null | undefined {
    return this.copy && this.copy.session;
  }

  /** `ctx.session`: koa-session's object, or null. */
  read(): ContextSession | null {
    if (this.copy === undefined) {
      this.open();
      const data = dataOf(this.record);
      const session = this.create(data);
      (session as { isNew: boolean }).isNew = this.state !== 'kept';
      this.copy = new WorkingCopy(session, Snapshot.of(data), data);
    }
    return this.copy && this.copy.session;
  }

  /** `ctx.session = value`. */
  assign(value: object | null): void {
    if (value === null) {
      if (!this.isAsked) throw new Error(NOT_LOADED);
      this.copy = null;
      return;
    }
    this.open();
    if (Object.hasOwn(value, 'maxAge')) this.maxAge = (value as SessionRecord).maxAge;
    if (this.state === 'destroyed') this.state = 'new';
    this.copy = new WorkingCopy(this.create(fieldsOf(value)), Snapshot.EMPTY);
    this.copy.replacesKept = this.state === 'kept';
  }

  /** The session's id in the store. */
  get externalKey(): string | undefined {
    return this.stored?.id;
  }

  /** When the session was created, in ms since 1970. */
  get createdAt(): number {
    this.read();
    return this.meta.createdAt;
  }

  /** What the store knows the session by; undefined when it has none there. */
  get storeKey(): string | undefined {
    return this.state === 'kept' ? this.stored?.key : undefined;
  }

  get maxAge(): unknown {
    return this.lifetime.maxAge;
  }

  /** @throws TypeError when it is no lifetime */
  set maxAge(value: unknown) {
    this.lifetime.maxAge = value;
  }

  /** @param turn when the store said so, as `Turns` count */
  protected noteContact(turn = this.store?.turns.now ?? 0): void {
    this.contacts++;
    this.contactAt = Date.now();
    this.contactTurn = turn;
  }

  /** Whether one can tell without asking that the session is still there, with its lifetime: it was so a moment ago. */
  protected isSure(): boolean {
    const { store, key } = this.stored!;
    return Date.now() - this.contactAt < MOMENT && !store.turns.has(key, this.contactTurn);
  }

  /** The session turned out to have ended elsewhere. By now, the browser may have the cookie of another one. */
  protected lose(): void {
    this.state = 'ended';
    this.forget();
    this.transport.undo(this.ctx);
  }

  /** What is known of a session that has ended is not true of the next one. */
  protected forget(): void {
    this.isFixated = false;
    this.meta.reset();
    this.principal = undefined;
  }

  /** To be called when the session is written: tells when it is another principal's. */
  protected notePrincipal(): void {
    const { principal: before, meta: { principal } } = this;
    if (principal === before) return;
    if (before !== undefined && principal !== undefined) this.tell('session:destroyed', { reason: 'replaced' });
    this.principal = principal;
    this.isFixated = principal !== undefined;
  }

  /** Tells an event of this session. */
  protected tell<Name extends keyof SessionEvents>(name: Name, more: Omit<SessionEvents[Name], 'ctx'>, data?: () => SessionRecord): void {
    const { ctx, stored, meta, env: { app, config } } = this;
    if (app.listenerCount(name) === 0) return;
    const value = data?.();
    const about = config.logValue ? { value, principal: value ? meta.principalOf(value) : this.principal } : {};
    tell(app, name, { ctx, key: stored?.name, ...about, ...more } as SessionEvents[Name]);
  }
}
