import type { Context, EggLogger } from 'egg';
import { AccessLevel, EggQualifier, EggType, Inject, SingletonProto } from '@eggjs/tegg';
import type { AsyncLocalStorage } from 'node:async_hooks';
import type { SessionConfig } from './SessionConfig';

const isSession = (value: any) => typeof value?.manuallyCommit === 'function';

/** What koa-session tells with `session:missed`, `session:expired` and `session:invalid`. */
export interface SessionEvent {
  ctx: Context;
  key?: string;
  value?: unknown;
}

/**
 * An Egg logger for what happens to sessions. It writes where Egg's `coreLogger` writes, with the request when there is
 * one, and prints a session that it is handed only when `config.session.logValue` is true.
 */
@SingletonProto({ name: 'sessionLogger', accessLevel: AccessLevel.PUBLIC })
export class SessionLogger {
  @Inject()
  @EggQualifier(EggType.APP)
  private readonly coreLogger!: EggLogger;

  @Inject()
  private readonly ctxStorage!: AsyncLocalStorage<Context>;

  @Inject()
  private readonly sessionConfig!: SessionConfig;

  debug(message: unknown, ...args: unknown[]): void {
    this.write('debug', message, args);
  }

  info(message: unknown, ...args: unknown[]): void {
    this.write('info', message, args);
  }

  warn(message: unknown, ...args: unknown[]): void {
    this.write('warn', message, args);
  }

  error(message: unknown, ...args: unknown[]): void {
    this.write('error', message, args);
  }

  /** Writes egg-session's line for one of its events. */
  event(name: 'missed' | 'expired' | 'invalid', { ctx, key, value }: SessionEvent): void {
    if (name === 'missed') {
      ctx.coreLogger.warn('[session][missed] key(%s)', key);
    } else {
      ctx.coreLogger.warn(`[session][${name}] key(%s) value(%j)`, key, this.sessionConfig.logValue ? value : '');
    }
  }

  private write(level: 'debug' | 'info' | 'warn' | 'error', message: unknown, args: unknown[]): void {
    const logger = this.ctxStorage.getStore()?.coreLogger ?? this.coreLogger;
    logger[level](message, ...args.map(arg => (isSession(arg) && !this.sessionConfig.logValue ? '' : arg)));
  }
}
