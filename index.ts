import type { SessionData } from './module/Session';
import type { SessionOptions } from './module/SessionConfig';
import type { SessionStoreLike } from './module/SessionStore';

export { Session, SessionData } from './module/Session';
export { SessionConfig, SessionOptions } from './module/SessionConfig';
export { SessionLogger } from './module/SessionLogger';
export {
  SessionChanges, SessionMaxAge, SessionRecord, SessionStore, SessionStoreLike, SessionStoreOptions,
} from './module/SessionStore';
export { KeyvClient, KeyvSessionStore } from './module/store/KeyvSessionStore';
export { MemorySessionStore } from './module/store/MemorySessionStore';
export { RedisClient, RedisSessionStore } from './module/store/RedisSessionStore';
export { testSessionStore } from './module/store/testSessionStore';

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
  maxAge: number | 'session' | undefined;
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

declare module 'egg' {
  interface EggAppConfig {
    session: SessionOptions;
  }

  interface Context {
    /** The request's session. Assign an object to replace its data, `null` to end it; then it reads as null. */
    get session(): ContextSession;
    set session(data: object | null | undefined);
  }

  interface Application {
    /** The active store; undefined when sessions live in the cookie. Assign a store, a class of one, or `null`. */
    get sessionStore(): SessionStoreLike | undefined;
    set sessionStore(store: SessionStoreLike | (new (app: Application) => SessionStoreLike) | null | undefined);
  }
}
