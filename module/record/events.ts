import { inspect } from 'node:util';
import type { Application, Context } from 'egg';

/** The fields of an event. No event has the session's id or its cookie, nor, with `config.session.logValue: false`, its data. */
export interface SessionEvent {
  /** The request's context; an anonymous context outside a request. */
  ctx: Context;
  /** A short hash of the session's id; undefined when the session lives in the cookie. */
  key?: string;
  /**
   * The session's data, or in `session:expired` and `session:invalid` its record; undefined when there is none, and with `logValue: false`.
   */
  value?: unknown;
  /**
   * The user of the session, by `config.session.principal`; undefined when nobody is signed in, with `logValue: false`, and where it is not
   * known: in `session:missed`, `session:invalid`, and `session:expired` without an index.
   */
  principal?: string;
}

/**
 * Why a session was ended before its expiry: by its own request (`logout`), by `SessionRegistry` (`revoked`), by a sign-in beyond
 * `maxSessions` (`evicted`), or by the sign-in of another principal in it (`replaced`).
 */
export type SessionEndReason = 'logout' | 'revoked' | 'evicted' | 'replaced';

/**
 * Why a request has no session that is bound to a device, or a proof of the device was refused: `no cookie`, `bad cookie`, which is of another
 * binding or does not open, and `old cookie`, of the bound cookie of a request; `not bound`, under `deviceBound.required`; `bad proof`;
 * `bad challenge`, which is too old, was used, or is of another session; `already bound`, of a second registration.
 */
export type SessionUnprovenReason =
  'no cookie' | 'bad cookie' | 'old cookie' | 'not bound' | 'bad proof' | 'bad challenge' | 'already bound';

/**
 * The events of `app` about sessions. They are emitted asynchronously, after the operation.
 *
 * ```ts
 * app.on('session:destroyed', ({ principal, reason }: SessionEvents['session:destroyed']) => { … });
 * ```
 */
export interface SessionEvents {
  /** A session was saved for the first time. */
  'session:created': SessionEvent;
  /** A session got a new id, `key`; `previousKey` stands for the old one. */
  'session:regenerated': SessionEvent & { previousKey?: string };
  /** A session was ended. */
  'session:destroyed': SessionEvent & { reason: SessionEndReason };
  /** A request used a session that is older than `maxAge` or `absoluteMaxAge`, and that the store still had. */
  'session:expired': SessionEvent;
  /** A request came with a session that may not be used. A cookie that does not open is no event: it may be another application's. */
  'session:invalid': SessionEvent & {
    /** @deprecated Since 1.1.0, no event has it. */
    badCookie?: boolean;
  };
  /** A request came with the id of a session that the store does not have. */
  'session:missed': SessionEvent;
  /** A session was bound to a device. */
  'session:bound': SessionEvent;
  /**
   * A request came with a session that is bound to a device, but without a valid bound cookie; or a proof of the device was refused.
   * `skipped` is the reason that the browser gives, in `Secure-Session-Skipped`.
   */
  'session:unproven': SessionEvent & { reason: SessionUnprovenReason; skipped?: string };
  /** A call to the store failed; `error` has no id, command or data. */
  'session:storeError': { ctx: Context; error: Error };
}

/** The events that are logged. @internal */
export const LOGGED = [ 'missed', 'expired', 'invalid' ] as const;
/** @internal */
export type LoggedEvent = typeof LOGGED[number];

/** Tells those who listen, once what is under way is done. @internal */
export function tell<Name extends keyof SessionEvents>(app: Application, name: Name, event: SessionEvents[Name]): void {
  if (app.listenerCount(name) === 0) return;
  setImmediate(() => {
    for (const listener of app.rawListeners(name)) void call(listener as Listener, app, name, event);
  });
}

type Listener = (this: Application, event: unknown) => unknown;

/** Not `app.emit`: there, what a listener throws keeps the event from the others, and ends an Egg worker. */
async function call(listener: Listener, app: Application, name: string, event: { ctx: Context }): Promise<void> {
  try {
    await listener.call(app, event);
  } catch (err) {
    event.ctx.coreLogger.error('[egg-tegg-session] a listener of %s has failed, and nothing else is affected: %s', name, printed(err));
  }
}

function printed(value: unknown): string {
  try {
    return inspect(value);
  } catch {
    return 'an error that can\'t be printed';
  }
}
