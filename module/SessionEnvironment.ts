import type { Application, Context } from 'egg';
import type { SessionData } from './Session';
import type { SessionConfig } from './SessionConfig';
import type { SessionCookie } from './SessionCookie';
import type { Store } from './store/guard';
import type { SessionMaxAge, SessionRecord } from './store/SessionStore';

/** What the sessions of all requests of an application have in common. */
export interface SessionEnvironment {
  app: Application;
  config: SessionConfig;
  cookie: SessionCookie;
  /** The active store, for this request; undefined when sessions live in the cookie. */
  storeFor(ctx: Context): Store | undefined;
  /** Makes koa-session's object of data. */
  createSession(ctx: Context, data: SessionRecord): ContextSession;
}

/** `ctx.session`: koa-session's session. Its fields are the data; those that `SessionData` does not declare are `any`. */
export interface ContextSession extends SessionData {
  /** Whether the session began with this request. */
  readonly isNew: boolean;
  /** How many fields the data have. */
  readonly length: number;
  /** Whether the data have any field. */
  readonly populated: boolean;
  /** The session's id in the store; undefined when the session lives in the cookie. */
  readonly externalKey: string | undefined;
  /** This session's lifetime in ms, or `'session'` to end with the browser. Setting it saves the session. */
  maxAge: SessionMaxAge | undefined;
  /** Saves the session now, changed or not. */
  save(callback?: (err?: Error) => void): Promise<void>;
  /** Moves the data to a new id. */
  regenerate(callback?: (err?: Error) => void): Promise<void>;
  /** Saves the session if it changed; needed once per request under `autoCommit: false`. */
  manuallyCommit(): Promise<void>;
  /** The data as a plain object. */
  toJSON(): SessionData & Record<string, any>;
  [field: string]: any;
}
