import type { SessionMaxAge } from './record';

/**
 * The data of a session. An application declares its own:
 *
 * ```ts
 * declare module 'egg-tegg-session' {
 *   interface SessionData { userId: number }
 * }
 * ```
 */
// eslint-disable-next-line @typescript-eslint/no-empty-interface
export interface SessionData {}

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
