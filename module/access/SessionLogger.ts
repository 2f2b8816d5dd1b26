import { inspect } from 'node:util';
import { AccessLevel, SingletonProto } from '@eggjs/tegg';
import { currentApp } from '../application/applications';
import { configOf } from '../options/SessionConfig';
import type { LoggedEvent, SessionEvents } from '../record/events';

/**
 * A logger for events of sessions; inject it anywhere as `sessionLogger`. It writes where Egg's `coreLogger` writes, and takes the same
 * arguments: a text with `%s`, `%d` and `%j`, or an Error. With `config.session.logValue: false`, it removes sessions from its arguments,
 * also inside plain objects, lists and errors.
 *
 * ```ts
 * @Inject()
 * private readonly sessionLogger: SessionLogger;
 *
 * this.sessionLogger.info('%s signed in', userId);
 * ```
 */
@SingletonProto({ name: 'sessionLogger', accessLevel: AccessLevel.PUBLIC })
export class SessionLogger {
  /** For development: not written at Egg's default level in production. */
  debug(message: unknown, ...args: unknown[]): void {
    this.write('debug', message, args);
  }

  /** For normal operation. */
  info(message: unknown, ...args: unknown[]): void {
    this.write('info', message, args);
  }

  /** For problems that somebody should look at. */
  warn(message: unknown, ...args: unknown[]): void {
    this.write('warn', message, args);
  }

  /** For errors; pass the Error, for its stack. */
  error(message: unknown, ...args: unknown[]): void {
    this.write('error', message, args);
  }

  private write(level: 'debug' | 'info' | 'warn' | 'error', message: unknown, args: unknown[]): void {
    const app = currentApp();
    const shown = configOf(app).logValue ? [ message, ...args ] : hideSessions([ message, ...args ]);
    app.coreLogger[level](...shown as [ unknown ]);
  }
}

/** Logs an event as egg-session does, but with a hash in place of the id. @internal */
export function logEvent(name: LoggedEvent, { ctx, key, value = '' }: SessionEvents['session:invalid']): void {
  if (name === 'missed') {
    ctx.coreLogger.warn('[session][missed] key(%s)', key);
  } else {
    ctx.coreLogger.warn(`[session][${name}] key(%s) value(%s)`, key, print(value));
  }
}

/** The most characters of a value in a line of the log: a client may send it again and again. */
const LONGEST = 2000;

/** As `%j` does, which throws at what JSON can't hold. */
function print(value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch {
    text = inspect(value);
  }
  return text && text.length > LONGEST ? `${text.slice(0, LONGEST)}… (${text.length} characters)` : text!;
}

const isSession = (value: any) => {
  try {
    return typeof value.manuallyCommit === 'function';
  } catch {
    return true; // the injected session throws outside a request, and once it was destroyed
  }
};

/** Copies plain objects, lists and errors, with '' in place of the sessions in them. */
function hideSessions<T>(value: T, copies = new Map<unknown, unknown>()): T {
  if (typeof value !== 'object' || value === null) return value;
  if (isSession(value)) return '' as T;
  const prototype = Object.getPrototypeOf(value);
  if (!Array.isArray(value) && !(value instanceof Error) && prototype !== null && prototype !== Object.prototype) return value;
  if (copies.has(value)) return copies.get(value) as T;
  const copy = Array.isArray(value) ? [] : Object.create(prototype);
  copies.set(value, copy);
  for (const [ name, { enumerable }] of Object.entries(Object.getOwnPropertyDescriptors(value))) {
    const hidden = hideSessions(read(value, name), copies);
    Object.defineProperty(copy, name, { value: hidden, enumerable, writable: true, configurable: name !== 'length' });
  }
  return copy;
}

function read(object: object, name: string): unknown {
  try {
    return object[name as keyof typeof object];
  } catch (err) {
    return `[${err}]`; // a getter that throws is not for a logger to throw
  }
}
