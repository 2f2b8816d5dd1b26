import { inspect } from 'node:util';
import type { Context } from 'egg';
import { AccessLevel, SingletonProto } from '@eggjs/tegg';
import { currentApp, currentContext } from './applications';
import { type LiveSession, PrincipalSessions } from './PrincipalSessions';
import { RequestSession } from './request/RequestSession';
import { configOf } from './SessionConfig';
import { environmentOf, type SessionEnvironment } from './request/environment';
import { hasOutlived } from './SessionMeta';
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
    for await (const live of sessions.of(String(principal))) found.push(...live.filter(each => !sessions.isOver(each)));
    const own = await sessions.own();
    return found
      .map(({ key, record: { _createdAt = 0, _seenAt = _createdAt, _ip = '', _userAgent = '' } }) => ({
        id: key, createdAt: _createdAt, lastSeenAt: _seenAt, ip: _ip, userAgent: _userAgent, current: own.has(key),
      }))
      .sort((a, b) => b.lastSeenAt - a.lastSeenAt);
  }

  /** Ends one session of a principal, by the `id` that `list` gives (ASVS 7.5.2). Resolves to whether there was one. */
  async revoke(principal: string | number, id: string): Promise<boolean> {
    const sessions = await openFor(principal);
    const session = await sessions.follow(id);
    return session?.principal === String(principal) && await sessions.revoke(session.key, await sessions.own());
  }

  /**
   * Ends all sessions of a principal, as when an account is disabled (ASVS 7.4.2); with `exceptCurrent` all but that of the
   * request, as after a change of the password (ASVS 7.4.3), wherever that moves meanwhile; it is off by default. Resolves to how many
   * it has ended.
   *
   * @throws Error with `exceptCurrent`, when the store could not be asked which session is the request's
   */
  async revokeAll(principal: string | number, { exceptCurrent = false } = {}): Promise<number> {
    const sessions = await openFor(principal);
    if (exceptCurrent) sessions.request?.requireAvailable();
    const ended = new Map<string, LiveSession>();
    let lists: number;
    let before: number;
    do {
      [ lists, before ] = [ 0, ended.size ];
      for await (const live of sessions.of(String(principal))) {
        lists++;
        // after these were read: what the own session has moved to meanwhile leads there, or says where it comes from
        const own = await sessions.own();
        const others = exceptCurrent ? live.filter(({ key, record }) => !own.has(key) && !own.has(record._movedFrom!)) : live;
        await Promise.all(others.map(async each => {
          if (await sessions.revoke(each.key, own)) ended.set(each.key, each);
        }));
      }
      // a session that moves while the store goes from list to list may be in none of them
    } while (lists > 1 && ended.size > before);
    // one that was about to move was there twice
    return [ ...ended.values() ].filter(({ record }) => !ended.has(record._movedFrom!)).length;
  }

  /** Ends all sessions of the application, whoever's (ASVS 7.4.5), in batches. Resolves to how many it has ended. */
  async clear(): Promise<number> {
    const sessions = await open();
    let count = 0;
    for await (const keys of sessions.batches()) {
      const before = count;
      const own = await sessions.own();
      const ended = await Promise.all(keys.map(key => sessions.revoke(key, own)));
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

  private readonly ownKeys = new Set<string>();
  private ownKey?: string;
  private hasEndedOwn = false;

  /** Asks which session is the request's own, as far as it is known here. */
  async ask(): Promise<void> {
    await this.request?.ask();
    this.noteOwn();
  }

  private noteOwn(): void {
    this.ownKey = this.request?.storeKey ?? this.ownKey;
    if (this.ownKey !== undefined) this.ownKeys.add(this.ownKey);
  }

  /** The keys that the session of the request has had since then, and that other requests have moved it to. */
  async own(): Promise<ReadonlySet<string>> {
    this.noteOwn();
    const seen = new Set<string>();
    if (this.ownKey !== undefined) await this.follow(this.ownKey, seen);
    for (const key of seen) this.ownKeys.add(key);
    return this.ownKeys;
  }

  /** Whether a session is over by the clock of this process. */
  isOver({ isOver, record }: LiveSession): boolean {
    return isOver || hasOutlived(record, this.config);
  }

  /** Ends a session; when it is the request's `own`, the response removes its cookie. */
  async revoke(key: string, own: ReadonlySet<string>): Promise<boolean> {
    if (!own.has(key)) return await this.end(key, 'revoked');
    if (this.hasEndedOwn) return false;
    this.hasEndedOwn = true;
    await this.request!.destroy('revoked');
    return true;
  }
}

async function open(): Promise<RegisteredSessions> {
  const app = currentApp();
  const ctx = currentContext() ?? app.createAnonymousContext();
  const sessions = new RegisteredSessions(ctx, environmentOf(app));
  await sessions.ask();
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
