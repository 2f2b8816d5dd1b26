import type { ContextSession } from './module/record/SessionData';
import type { SessionOptions } from './module/options/SessionOptions';
import type { SessionStoreLike } from './module/store/SessionStore';

export { SessionEndReason, SessionEvent, SessionEvents, SessionUnprovenReason } from './module/record/events';
export { SessionErrorCode } from './module/record/errors';
export { Risk } from './module/options/Risk';
export { Session } from './module/access/Session';
export { SessionConfig } from './module/options/SessionConfig';
export { ContextSession, SessionData } from './module/record/SessionData';
export { SessionCounters, SessionHealth, SessionHealthReport } from './module/access/SessionHealth';
export { SessionLogger } from './module/access/SessionLogger';
export { DeviceBoundOptions, SessionOptions } from './module/options/SessionOptions';
export { SessionInfo, SessionRegistry } from './module/access/SessionRegistry';
export {
  SessionChanges, SessionMaxAge, SessionRecord, SessionStore, SessionStoreLike, SessionStoreOptions, Tombstone,
} from './module/store/SessionStore';
export { KeyvClient, KeyvSessionStore } from './module/store/KeyvSessionStore';
export { MemorySessionStore } from './module/store/MemorySessionStore';
export { RedisClient } from './module/store/RedisClient';
export { RedisSessionStore } from './module/store/RedisSessionStore';
export { MysqlCallbackPool, MysqlClient, PostgresClient } from './module/database/clients';
export { MysqlSessionStore } from './module/database/MysqlSessionStore';
export { PostgresSessionStore } from './module/database/PostgresSessionStore';
export { SqlSessionStore } from './module/database/SqlSessionStore';
export { StoreCall, StoreOperation } from './module/store/StoreHealth';
export { TestRunner } from './testing/TestRunner';
export { testSessionStore, TestSessionStoreOptions } from './testing/testSessionStore';

declare module 'egg' {
  interface EggAppConfig {
    /** The options of sessions. */
    session: SessionOptions;
  }

  interface Context {
    /** The request's session. Assign an object to replace its data, `null` to end it; then it reads as null. */
    get session(): ContextSession;
    set session(data: object | null | undefined);
    /**
     * Loads the session, unless it is loaded already, and resolves to `ctx.session`. Call it with `config.session.load: 'injected'`, where
     * the controller does not inject the session.
     *
     * @throws the store's error, for which the response is a 503
     */
    loadSession(): Promise<ContextSession>;
  }

  interface Application {
    /** The active store; undefined when sessions live in the cookie. Assign a store, a class of one, or `null`. */
    get sessionStore(): SessionStoreLike | undefined;
    set sessionStore(store: SessionStoreLike | (new (app: Application) => SessionStoreLike) | null | undefined);
  }
}
