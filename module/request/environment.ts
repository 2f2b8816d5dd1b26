import type { Application, Context } from 'egg';
import { coded } from '../record/errors';
import type { DataCookie } from '../cookie/DataCookie';
import type { IdTransport } from '../cookie/IdTransport';
import type { Device } from '../device/Device';
import type { SessionConfig } from '../options/SessionConfig';
import type { ChangeTracker } from '../record/ChangeTracker';
import type { ContextSession } from '../record/SessionData';
import type { SessionMaxAge, SessionRecord } from '../record/SessionRecord';
import type { Store } from '../store/GuardedStore';
import type { StoreHealth } from '../store/StoreHealth';
import type { RunningRequests } from './RunningRequests';

/** What helps a developer, in the log; it changes nothing that happens to a session. */
export interface Hints {
  /** These data were assigned to `ctx.session`. */
  assigned(data: object): void;
  /** These data are about to be saved. */
  saving(data: object): void;
  /** The request has used these data, and changed nothing that is kept; undefined in production. */
  unchanged: ((data: object) => void) | undefined;
  /** Middleware before the session's had these data, which are no longer used; undefined in production. */
  usedTooEarly: ((ctx: Context, data: ChangeTracker | null) => void) | undefined;
  /** The store has given this in place of a record. */
  notARecord(value: unknown): void;
  /** Somebody has signed in, and the session has kept its id. */
  signedInWithOldId(): void;
  /** A lifetime was chosen; `what` is the name that warnings give to it. */
  lifetime(what: string, value: SessionMaxAge): void;
}

/** What `ctx.session` asks the request's session for. */
export interface SessionMethods {
  maxAge: unknown;
  readonly externalKey: string | undefined;
  save(): Promise<void>;
  commit(): Promise<void>;
  regenerate(): Promise<void>;
}

/** What the sessions of all requests of an application have in common. */
export interface SessionEnvironment {
  app: Application;
  config: SessionConfig;
  /** Whether the application has no secret, which is found out when the session is used: outside production, it starts. */
  lacksKeys: boolean;
  /** Whether `genid` is the application's, which may note what it makes. */
  makesOwnIds: boolean;
  /** The cookie that has the data of sessions, where there is no store. */
  data: DataCookie;
  /** How the ids of sessions in a store travel. */
  ids: IdTransport;
  /** Binds sessions to devices; undefined where that is off. */
  device?: Device;
  health: StoreHealth;
  hints: Hints;
  running: RunningRequests;
  /** The active store, for this request; undefined when sessions live in the cookie. */
  storeFor(ctx: Context): Store | undefined;
  /** koa-session's options; `ctx.sessionOptions` is a copy of them. */
  options: Context['sessionOptions'];
  /** Makes koa-session's object of data. */
  createSession(methods: SessionMethods, ctx: Context, data: SessionRecord): ContextSession;
  /** Whether a request has to have its session before its objects are made. */
  usesSession(ctx: Context): boolean;
}

/** By `app.context`: egg-mock has an object of its own for the application. */
const environments = new WeakMap<object, SessionEnvironment>();

/** @throws Error before the application is ready */
export function environmentOf(app: Application): SessionEnvironment {
  const env = environments.get(app.context);
  if (!env) throw coded('ERR_SESSION_NOT_READY', new Error('[egg-tegg-session] the application is still starting: there are no sessions yet'));
  return env;
}

export const setEnvironment = (env: SessionEnvironment) => environments.set(env.app.context, env);
