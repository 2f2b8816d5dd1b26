import type { Application, Context } from 'egg';
import type { DataCookie } from '../DataCookie';
import type { IdTransport } from '../IdTransport';
import type { RequestSession } from './RequestSession';
import type { RunningRequests } from './RunningRequests';
import type { SessionConfig } from '../SessionConfig';
import type { ContextSession } from '../SessionData';
import type { Store } from '../store/guard';
import type { StoreHealth } from '../store/StoreHealth';
import type { SessionRecord } from '../store/SessionStore';

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
  health: StoreHealth;
  running: RunningRequests;
  /** The active store, for this request; undefined when sessions live in the cookie. */
  storeFor(ctx: Context): Store | undefined;
  /** Makes koa-session's object of data. */
  createSession(request: RequestSession, ctx: Context, data: SessionRecord): ContextSession;
  /** Whether a request has to have its session before its objects are made. */
  usesSession(ctx: Context): boolean;
}

/** By `app.context`: egg-mock has an object of its own for the application. */
const environments = new WeakMap<object, SessionEnvironment>();

/** @throws Error before the application is ready */
export function environmentOf(app: Application): SessionEnvironment {
  const env = environments.get(app.context);
  if (!env) throw new Error('[egg-tegg-session] the application is still starting: there are no sessions yet');
  return env;
}

export const setEnvironment = (env: SessionEnvironment) => environments.set(env.app.context, env);
