import type { SessionMaxAge } from './SessionRecord';

/**
 * The data of a session: JSON values. An application declares its fields beside the class that uses them; undeclared fields are a compiler
 * error on the injected session, and `any` on `ctx.session`.
 *
 * ```ts
 * declare module 'egg-tegg-session' {
 *   interface SessionData {
 *     userId?: number;
 *   }
 * }
 * ```
 */
// eslint-disable-next-line @typescript-eslint/no-empty-interface
export interface SessionData {}

/**
 * `ctx.session`, as koa-session has it. Its own fields are the data; those that {@link SessionData} does not declare are `any`.
 * Assign `ctx.session = null` to end the session.
 */
export interface ContextSession extends SessionData {
  /** Whether the session began with this request. */
  readonly isNew: boolean;
  /** The number of fields of the data. */
  readonly length: number;
  /** Whether the data has any field. */
  readonly populated: boolean;
  /** The session's id in the store; undefined when the session lives in the cookie. */
  readonly externalKey: string | undefined;
  /**
   * This session's lifetime, in place of `config.session.maxAge`: ms, up to 100 years, or `'session'` to end with the browser. Setting it
   * saves the session, and throws a TypeError for an invalid value.
   */
  maxAge: SessionMaxAge | undefined;
  /** Saves the session now, changed or not, as before a long response; otherwise that is done when the request ends. */
  save(callback?: (err?: Error) => void): Promise<void>;
  /** Moves the data to a new id, and removes the old one from the store: call it at sign-in (ASVS 7.2.4). */
  regenerate(callback?: (err?: Error) => void): Promise<void>;
  /** Saves the session if it changed; needed once per request under `autoCommit: false`. */
  manuallyCommit(): Promise<void>;
  /** The data as a plain object. */
  toJSON(): SessionData & Record<string, any>;
  [field: string]: any;
}
