import type { Context } from 'egg';
import type { SessionErrorCode } from '../record/errors';
import { PAUSE } from './CircuitBreaker';
import type { Failure } from './failureOf';

/** The store could not do its work, and the answer is a 503: an error of its own with the message, the name and the stack of `cause`. */
export class SessionStoreError extends Error {
  readonly code = 'ERR_SESSION_STORE' satisfies SessionErrorCode;
  readonly status = 503;
  readonly headers = { 'retry-after': String(Math.ceil(PAUSE / 1000)) };

  readonly #failure: Failure;
  readonly #mayHaveHappened: boolean;

  /**
   * @param cause what the store has thrown
   * @param failure what that says of the store
   * @param mayHaveHappened whether the call may have taken effect, or may yet: no server has refused it
   */
  constructor(cause: Error, failure: Failure, mayHaveHappened: boolean) {
    super(cause.message, { cause });
    this.#failure = failure;
    this.#mayHaveHappened = mayHaveHappened;
    this.name = cause.name;
    this.stack = cause.stack;
  }

  /** Whether the server refuses to write, and still reads. */
  get refusesWrites(): boolean {
    return this.#failure === 'writes';
  }

  /** Whether other calls of the store fail too. */
  get isOfServer(): boolean {
    return this.#failure === 'server';
  }

  /** Whether the call may have taken effect, or may yet. */
  get mayHaveHappened(): boolean {
    return this.#mayHaveHappened;
  }
}

/** Logs an error, unless it is one of an outage, which has its line in the log. */
export function logUntold(ctx: Context, err: unknown): void {
  if (!(err instanceof SessionStoreError)) ctx.coreLogger.error(err);
}

/** The headers that stay in an answer to an outage: the cookies, and what tells the browser to bind the session to a device. */
const GOES_WITH_COOKIE = /^(set-cookie|secure-session-.*)$/;

/** Answers with 503, which Egg's own page for errors in production would make a 500. A cookie that was set is a good one. */
export function answerUnavailable(ctx: Context, { message, headers }: SessionStoreError): void {
  for (const name of ctx.res.getHeaderNames()) if (!GOES_WITH_COOKIE.test(name)) ctx.remove(name);
  ctx.status = 503;
  ctx.set(headers);
  const text = ctx.app.config.env === 'prod' ? 'Service Unavailable' : message;
  ctx.body = ctx.accepts('html', 'text', 'json') === 'json' ? { message: text } : text;
  ctx.type = typeof ctx.body === 'string' ? 'text' : 'json';
}
