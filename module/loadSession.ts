import type { Context } from 'egg';
import { tell } from './events';
import { takeOff } from './PrincipalSessions';
import { isExpired, isRecord, isTombstone, TOMBSTONE_MS } from './record';
import { refusePromise } from './SessionConfig';
import type { SessionEnvironment } from './SessionEnvironment';
import type { LoggedEvent } from './SessionLogger';
import { type About, hasOutlived } from './SessionMeta';
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
  /** A session that is over, and still in the store. */
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
  let renewed = rolling && store.renewsOnRead && !valid && autoCommit;
  const onlyRead = () => {
    renewed = false;
  };
  return (renewed ? store.getAndTouch(key, { ctx, rolling }, onlyRead) : store.get(key, maxAge, { ctx, rolling })).then(record => {
    if (isTombstone(record)) return { ...NEW, state: 'ended' as const, id };
    return accept(ctx, record, stale, env, id, renewed);
  });
}

/** Reads the session from the request's cookie. */
export function loadFromCookie(ctx: Context, env: SessionEnvironment): Loaded {
  const opened = env.cookie.readData(ctx);
  if (!opened) return opened === null ? BAD : NEW;
  return accept(ctx, opened.value, opened.stale, env);
}

function accept(ctx: Context, record: unknown, stale: boolean, env: SessionEnvironment, id?: string, renewed?: boolean): Loaded {
  const { app, config: { valid, logValue } } = env;
  const refuse = (name: LoggedEvent): Loaded => {
    tell(app, `session:${name}`, { ctx, key: id === undefined ? id : shortHash(id), value: logValue ? record : undefined });
    return NEW;
  };
  if (!record) return refuse('missed');
  if (!isRecord(record)) return refuse('invalid');
  if (isExpired(record) || hasOutlived(record, env.config)) {
    if (id !== undefined) return { ...NEW, cookie: 'expired', expired: { id, record } };
    return { ...refuse('expired'), cookie: 'expired' };
  }
  if (valid) {
    const isValid = valid(ctx, record);
    refusePromise(isValid, 'valid');
    if (!isValid) return refuse('invalid');
  }
  return { state: 'kept', id, record, cookie: stale ? 'stale' : 'good', renewed };
}

/** Takes a session that is over out of the store. Of several requests that find it, the one that does so tells of it. */
export async function expire(ctx: Context, store: Store, { app, config: { logValue } }: SessionEnvironment,
  { id, record }: Required<Loaded>['expired']): Promise<void> {
  const key = store.keyOf(id);
  const left = await store.retire(key, null, TOMBSTONE_MS, { ctx });
  const { _principal: principal } = record as About;
  if (principal !== undefined && store.isIndexed) await takeOff(store, principal, key, { ctx });
  if (!isTombstone(left)) tell(app, 'session:expired', { ctx, key: shortHash(id), ...logValue ? { value: record, principal } : {} });
}
