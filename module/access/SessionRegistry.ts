import { inspect } from 'node:util';
import { AccessLevel, SingletonProto } from '@eggjs/tegg';
import { coded } from '../record/errors';
import { requireIndexed } from '../application/activeStore';
import { currentApp, currentContext } from '../application/applications';
import { configOf, type SessionConfig } from '../options/SessionConfig';
import { isBound } from '../record/DeviceBinding';
import { isRecord } from '../record/SessionRecord';
import { hasOutlived } from '../repository/RecordMeta';
import { type LiveSession, SessionIndex } from '../repository/SessionIndex';
import { environmentOf } from '../request/environment';
import { RequestSession } from '../request/RequestSession';
import { isKey } from '../store/GuardedStore';

/** `clear()` logs its progress each time it has ended so many sessions. */
const PROGRESS = 10_000;

/** A session of a principal. */
export interface SessionInfo {
  /** An id for `revoke`, safe to show: it signs nobody in. */
  id: string;
  /** When it was created, in ms since 1970; `regenerate()` resets it. */
  createdAt: number;
  /** The time of the last request that used the session, in ms since 1970, exact to the minute. */
  lastSeenAt: number;
  /** The client's address, `ctx.ip`. */
  ip: string;
  /** Its `User-Agent`, up to 256 characters. */
  userAgent: string;
  /** Whether it is bound to a device, with `config.session.deviceBound`. */
  deviceBound: boolean;
  /** Whether it is the session of the current request. */
  current: boolean;
}

/**
 * Lists and ends the sessions of a principal; inject it anywhere as `sessionRegistry`, also where there is no request. It needs
 * `config.session.principal`, except for `clear`, and sessions in Redis, PostgreSQL, MySQL or memory, or in a `SessionStore` with
 * `index` and `list`. A session is in the list once it is saved. The next request of a revoked session is signed out, and a request
 * that is still running can't bring the session back.
 *
 * Each method rejects with an Error when a requirement is not met or the store fails, and with a TypeError when a principal is neither a
 * number nor a string, or is empty.
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
  /** The sessions of a principal that have not ended, the most recently used first (ASVS 7.5.2). */
  async list(principal: string | number): Promise<SessionInfo[]> {
    const { config, index, own } = await openFor(principal);
    const found: LiveSession[] = [];
    for await (const live of index.of(String(principal))) found.push(...live.filter(({ isOver, record }) => !isOver && !hasOutlived(record, config)));
    const keys = await own.keys();
    return found
      .map(({ key, record, record: { _createdAt = 0, _seenAt = _createdAt, _ip = '', _userAgent = '' } }) => ({
        id: key, createdAt: _createdAt, lastSeenAt: _seenAt, ip: _ip, userAgent: _userAgent, deviceBound: isBound(record), current: keys.has(key),
      }))
      .sort((a, b) => b.lastSeenAt - a.lastSeenAt);
  }

  /** Ends one session of a principal, by the `id` that `list` gives (ASVS 7.5.2). Resolves to whether there was one. */
  async revoke(principal: string | number, id: string): Promise<boolean> {
    const { index, own, revoke } = await openFor(principal);
    if (!isKey(id)) return false;
    const session = await index.follow(id);
    return session?.principal === String(principal) && await revoke(session.key, await own.keys());
  }

  /**
   * Ends all sessions of a principal, as when an account is disabled (ASVS 7.4.2); with `exceptCurrent` (false by default), all but the
   * current request's, also if that gets a new id meanwhile, as after a change of the password (ASVS 7.4.3). Resolves to how many it has
   * ended.
   *
   * @throws Error with `exceptCurrent`, when the request's own session could not be read
   * @throws TypeError for an unknown option, as a misspelled one would end the current session
   */
  async revokeAll(principal: string | number, options: { exceptCurrent?: boolean } = {}): Promise<number> {
    const { exceptCurrent = false, ...others } = { ...options };
    if (!isRecord(options) || typeof exceptCurrent !== 'boolean' || Object.keys(others).length > 0) {
      throw coded('ERR_SESSION_ARGUMENT', new TypeError(`[egg-tegg-session] sessionRegistry.revokeAll() was given ${inspect(options, { depth: 0 })} after the ` +
        'principal; it takes { exceptCurrent: true } or { exceptCurrent: false } there, or nothing'));
    }
    const { index, own, revoke } = await openFor(principal);
    if (exceptCurrent) own.requireAvailable();
    const ended = new Map<string, LiveSession>();
    let lists: number;
    let before: number;
    do {
      [ lists, before ] = [ 0, ended.size ];
      for await (const live of index.of(String(principal))) {
        lists++;
        // after these were read: what the own session has moved to meanwhile leads there, or says where it comes from
        const keys = await own.keys();
        const others = exceptCurrent ? live.filter(({ key, record }) => !keys.has(key) && !keys.has(record._movedFrom!)) : live;
        await Promise.all(others.map(async each => {
          if (await revoke(each.key, keys)) ended.set(each.key, each);
        }));
      }
      // a session that moves while the store goes from list to list may be in none of them
    } while (lists > 1 && ended.size > before);
    // a session that was moving was listed under both keys: the new record names the old key
    return [ ...ended.values() ].filter(({ record }) => !ended.has(record._movedFrom!)).length;
  }

  /** Ends all sessions of the application, with and without a principal (ASVS 7.4.5), in batches. Resolves to how many it has ended. */
  async clear(): Promise<number> {
    const { index, own, revoke } = await open();
    let count = 0;
    for await (const keys of index.batches()) {
      const before = count;
      const ownKeys = await own.keys();
      const ended = await Promise.all(keys.map(key => revoke(key, ownKeys)));
      count += ended.filter(Boolean).length;
      if (Math.floor(count / PROGRESS) > Math.floor(before / PROGRESS)) {
        currentApp().coreLogger.info('[egg-tegg-session] sessionRegistry.clear(): %d sessions have ended so far', count);
      }
    }
    return count;
  }
}

/** The session of the request that is being answered, if there is one, wherever it moves meanwhile. */
class OwnSession {
  private readonly known = new Set<string>();
  private key?: string;
  private hasEnded = false;

  constructor(private readonly index: SessionIndex, private readonly request?: RequestSession) {}

  /** Asks which session it is, as far as that is known here. */
  async ask(): Promise<void> {
    await this.request?.ask();
    this.note();
  }

  private note(): void {
    this.key = this.request?.storeKey ?? this.key;
    if (this.key !== undefined) this.known.add(this.key);
  }

  /** All keys that it has had since the call began, also those that other requests have moved it to. */
  async keys(): Promise<ReadonlySet<string>> {
    this.note();
    const seen = new Set<string>();
    if (this.key !== undefined) await this.index.follow(this.key, seen);
    for (const key of seen) this.known.add(key);
    return this.known;
  }

  /** @throws SessionStoreError when the store could not be asked which session it is */
  requireAvailable(): void {
    this.request?.requireAvailable();
  }

  /** Ends it, and has the response remove its cookie. Resolves to whether that was to be done. */
  async end(): Promise<boolean> {
    if (this.hasEnded) return false;
    this.hasEnded = true;
    await this.request!.destroy('revoked');
    return true;
  }
}

/** The sessions in the application's store, as the request that is being answered sees them, or no request. */
interface Opened {
  readonly config: SessionConfig;
  readonly index: SessionIndex;
  readonly own: OwnSession;
  /** Ends a session, which may be one of the request's `own` keys. */
  revoke(key: string, own: ReadonlySet<string>): Promise<boolean>;
}

/** @throws Error when the store can't tell which sessions there are */
async function open(): Promise<Opened> {
  const app = currentApp();
  const ctx = currentContext() ?? app.createAnonymousContext();
  const { app: itself, config, storeFor } = environmentOf(app);
  const index = new SessionIndex(requireIndexed(itself, storeFor(ctx), 'sessionRegistry'), config, ctx);
  const own = new OwnSession(index, RequestSession.of(ctx));
  await own.ask();
  return { config, index, own, revoke: (key, keys) => (keys.has(key) ? own.end() : index.end(key, 'revoked')) };
}

/** @throws TypeError when `principal` is none, Error when there is nothing to know it by */
async function openFor(principal: string | number): Promise<Opened> {
  if (configOf(currentApp()).principal === undefined) {
    throw coded('ERR_SESSION_CONFIG', new Error('[egg-tegg-session] sessionRegistry needs config.session.principal, which names the user of a session: ' +
      'set it to the field that holds the id of the signed-in user, as \'userId\''));
  }
  if (!Number.isFinite(principal) && (typeof principal !== 'string' || principal === '')) {
    throw coded('ERR_SESSION_ARGUMENT', new TypeError(`[egg-tegg-session] sessionRegistry was asked for the sessions of ${inspect(principal, { depth: 0 })}; ` +
      'a principal is a string or a number. Is nobody signed in?'));
  }
  return await open();
}
