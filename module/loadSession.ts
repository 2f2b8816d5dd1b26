import type { Context } from 'egg';
import { tell } from './events';
import { takeOff } from './PrincipalSessions';
import { isExpired, isKept, isRecord, isTombstone, NO_CHANGES } from './record';
import { refusePromise } from './SessionConfig';
import type { SessionEnvironment } from './SessionEnvironment';
import type { LoggedEvent } from './SessionLogger';
import { type About, hasOutlived, limiting } from './SessionMeta';
import { shortHash } from './shortHash';
import type { Store } from './store/guard';
import type { SessionRecord } from './store/SessionStore';

/** What a request begins with. */
export interface Loaded {
  /** `ended`: the id has a tombstone, as another request ended or moved the session a moment ago. */
  state: 'new' | 'kept' | 'ended';
  id?: string;
  record: SessionRecord;
  /** `stale`: good, but to be written anew; `bad`: it does not open; `expired`: what it holds, or stands for, has. */
  cookie: 'good' | 'stale' | 'bad' | 'expired';
  /** Whether the store has let it live on as it was read. */
  renewed?: boolean;
  /** A session that is over by the clock of this process, and still in the store. */
  expired?: { id: string; record: SessionRecord };
}

const NEW: Loaded = { state: 'new', record: {}, cookie: 'good' };
const BAD: Loaded = { ...NEW, cookie: 'bad' };

/** Reads the id of the request's session, and the session from the store; not a promise when there is no id to ask for. */
export function loadFromStore(ctx: Context, store: Store, env: SessionEnvironment): Loaded | Promise<Loaded> {
  const { externalKey, valid, autoCommit } = env.config;
  const given = externalKey?.get(ctx);
  const opened = externalKey ? given && { value: given, stale: false } : env.cookie.readId(ctx);
  if (!opened) return opened === null ? BAD : NEW;
  const { value: id, stale } = opened;
  const { maxAge, rolling } = ctx.sessionOptions;
  const key = store.keyOf(id);
  // what `valid` refuses must not live on, nor what is not committed
  const renewed = rolling && store.renewsOnRead && !valid && autoCommit;
  return (renewed ? store.getAndTouch(key, limiting({ ctx, rolling }, env.config)) : store.get(key, maxAge, { ctx, rolling })).then(record => {
    if (isTombstone(record)) return { ...NEW, state: 'ended' as const, id };
    return accept(ctx, record, stale, env, { id, hasClock: store.hasClock, renewed });
  });
}

/** Reads the session from the request's cookie. */
export function loadFromCookie(ctx: Context, env: SessionEnvironment): Loaded {
  const opened = env.cookie.readData(ctx);
  if (!opened) return opened === null ? BAD : NEW;
  return accept(ctx, opened.value, opened.stale, env);
}

function accept(ctx: Context, record: unknown, stale: boolean, env: SessionEnvironment,
  { id, hasClock = false, renewed }: { id?: string; hasClock?: boolean; renewed?: boolean } = {}): Loaded {
  const { app, config: { valid, logValue } } = env;
  const refuse = (name: LoggedEvent): Loaded => {
    tell(app, `session:${name}`, { ctx, key: id === undefined ? id : shortHash(id), value: logValue ? record : undefined });
    return NEW;
  };
  if (!record) return refuse('missed');
  if (!isRecord(record)) return refuse('invalid');
  if ((!hasClock && isExpired(record)) || hasOutlived(record, env.config)) {
    // neither the record nor the cookie is removed for that: another clock may say otherwise
    if (id !== undefined) return { ...NEW, expired: { id, record } };
    return { ...refuse('expired'), cookie: 'expired' };
  }
  if (valid) {
    const isValid = valid(ctx, record);
    refusePromise(isValid, 'valid');
    if (!isValid) return refuse('invalid');
  }
  return { state: 'kept', id, record, cookie: stale ? 'stale' : 'good', renewed };
}

/**
 * Tells of a session that is over by the clock of this process, and has the store end it if it is over by the clock of the store.
 * Stores of three methods have none, and drop it by themselves.
 *
 * @return whether it is over for all
 */
export async function expire(ctx: Context, store: Store, { app, config }: SessionEnvironment,
  { id, record }: Required<Loaded>['expired']): Promise<boolean> {
  const { _principal: principal } = record as About;
  tell(app, 'session:expired', { ctx, key: shortHash(id), ...config.logValue ? { value: record, principal } : {} });
  if (!store.keepsExpiry) return false;
  const key = store.keyOf(id);
  const options = limiting({ ctx }, config);
  if (await store.merge(key, { ...NO_CHANGES, renew: false }, options) !== false) return false;
  const isOver = !isKept(await store.get(key, undefined, options));
  if (isOver && principal !== undefined && store.isIndexed) await takeOff(store, principal, key, { ctx });
  return isOver;
}
