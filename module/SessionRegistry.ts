import { inspect } from 'node:util';
import type { Context } from 'egg';
import { AccessLevel, SingletonProto } from '@eggjs/tegg';
import { currentApp, currentContext } from './applications';
import { type LiveSession, PrincipalSessions } from './PrincipalSessions';
import { RequestSession } from './RequestSession';
import { configOf } from './SessionConfig';
import { environmentOf, type SessionEnvironment } from './SessionEnvironment';
import { requireIndexed } from './store/activeStore';

/** After how many ended sessions `clear()` says how far it is. */
const PROGRESS = 10_000;

/** A session of a principal. */
export interface SessionInfo {
  /** A handle for `revoke`, safe to show: nobody signs in with it. */
  id: string;
  /** When it was created, in ms since 1970; `regenerate()` starts that anew. */
  createdAt: number;
  /** When a request that used the session came last, in ms since 1970, to the minute. */
  lastSeenAt: number;
  /** Where from: `ctx.ip`. */
  ip: string;
  /** Its `User-Agent`, up to 256 characters. */
  userAgent: string;
  /** Whether it is the session of the request that asks. */
  current: boolean;
}

/**
 * Whose sessions there are; inject it anywhere as `sessionRegistry`, also where there is no request. It needs
 * `config.session.principal`, except for `clear`, and sessions in Redis or memory, or in a `SessionStore` with `index` and
 * `list`. A session is listed once it is saved. One that was revoked is signed out at its next request, and a request of it
 * that is running can't bring it back.
 *
 * Each method rejects with an Error when it lacks what it needs or the store fails, and with a TypeError when a principal is
 * neither a number nor a string, or is empty.
 *
 * ```ts
 * @Inject()
 * private readonly sessionRegistry: SessionRegistry;
 *
 * await this.sessionRegistry.revokeAll(userId, { exceptCurrent: true });
 * ```
 */
@SingletonProto({ name: 'sessionRegistry', accessLevel: AccessLevel.PUBLIC })
export class SessionRegistry {
  /** The sessions of a principal that are alive, the last seen first (ASVS 7.5.2). */
  async list(principal: string | number): Promise<SessionInfo[]> {
    const sessions = await openFor(principal);
    const found: LiveSession[] = [];
    for await (const live of sessions.of(String(principal))) found.push(...live);
    return found
      .map(({ key, record: { _createdAt = 0, _seenAt = _createdAt, _ip = '', _userAgent = '' } }) => ({
        id: key, createdAt: _createdAt, lastSeenAt: _seenAt, ip: _ip, userAgent: _userAgent, current: key === sessions.current,
      }))
      .sort((a, b) => b.lastSeenAt - a.lastSeenAt);
  }

  /** Ends one session of a principal, by the `id` that `list` gives (ASVS 7.5.2). Resolves to whether there was one. */
  async revoke(principal: string | number, id: string): Promise<boolean> {
    const sessions = await openFor(principal);
    const session = await sessions.follow(id);
    return session?.principal === String(principal) && await sessions.revoke(session.key);
  }

  /**
   * Ends all sessions of a principal, as when an account is disabled (ASVS 7.4.2); with `exceptCurrent` all but that of the
   * request, as after a change of the password (ASVS 7.4.3); it is off by default. Resolves to how many it has ended.
   *
   * @throws Error with `exceptCurrent`, when the store could not be asked which session is the request's
   */
  async revokeAll(principal: string | number, { exceptCurrent = false } = {}): Promise<number> {
    const sessions = await openFor(principal);
    if (exceptCurrent) sessions.request?.requireAvailable();
    const kept = exceptCurrent && sessions.current !== undefined ? (await sessions.follow(sessions.current))?.key : undefined;
    let count = 0;
    for await (const live of sessions.of(String(principal))) {
      const ended = await Promise.all(live.filter(({ key }) => key !== kept).map(({ key }) => sessions.revoke(key)));
      count += ended.filter(Boolean).length;
    }
    return count;
  }

  /** Ends all sessions of the application, whoever's (ASVS 7.4.5), in batches. Resolves to how many it has ended. */
  async clear(): Promise<number> {
    const sessions = await open();
    let count = 0;
    for await (const keys of sessions.batches()) {
      const before = count;
      const ended = await Promise.all(keys.map(key => sessions.revoke(key)));
      count += ended.filter(Boolean).length;
      if (Math.floor(count / PROGRESS) > Math.floor(before / PROGRESS)) {
        currentApp().coreLogger.info('[egg-tegg-session] sessionRegistry.clear(): %d sessions have ended so far', count);
      }
    }
    return count;
  }
}

/** The sessions in the application's store, as the request that is being answered sees them, or no request. */
class RegisteredSessions extends PrincipalSessions {
  /** @throws Error when the store can't tell which sessions there are */
  constructor(ctx: Context, { app, config, storeFor }: SessionEnvironment, readonly request = RequestSession.of(ctx)) {
    super(requireIndexed(app, storeFor(ctx), 'sessionRegistry'), config, ctx);
  }

  /** The key of the session that the request has. */
  get current(): string | undefined {
    return this.request?.storeKey;
  }

  /** Ends a session; when it is the request's own, the response removes its cookie. */
  async revoke(key: string): Promise<boolean> {
    if (key !== this.current) return await this.end(key, 'revoked');
    await this.request!.destroy('revoked');
    return true;
  }
}

async function open(): Promise<RegisteredSessions> {
  const app = currentApp();
  const ctx = currentContext() ?? app.createAnonymousContext();
  const sessions = new RegisteredSessions(ctx, environmentOf(app));
  await sessions.request?.ask(); // which session is its own
  return sessions;
}

/** @throws TypeError when `principal` is none, Error when there is nothing to know it by */
async function openFor(principal: string | number): Promise<RegisteredSessions> {
  if (configOf(currentApp()).principal === undefined) {
    throw new Error('[egg-tegg-session] sessionRegistry does not know whose session is whose: set config.session.principal to ' +
      'the field that holds the id of who is signed in, as \'userId\'');
  }
  if (!Number.isFinite(principal) && (typeof principal !== 'string' || principal === '')) {
    throw new TypeError(`[egg-tegg-session] sessionRegistry was asked for the sessions of ${inspect(principal, { depth: 0 })}; ` +
      'a principal is a string or a number');
  }
  return await open();
}
