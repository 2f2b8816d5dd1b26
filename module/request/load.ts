import type { Context } from 'egg';
import { coded } from '../record/errors';
import { NEEDS_STORE, refusePromise } from '../options/SessionConfig';
import { placesIn } from '../record/CookiePlace';
import { type LoggedEvent, type SessionUnprovenReason, tell } from '../record/events';
import { isExpired, isKept, isRecord, isTombstone, NO_CHANGES, type SessionRecord } from '../record/SessionRecord';
import { shortHash } from '../record/shortHash';
import { type MetaFields, hasOutlived, limiting } from '../repository/RecordMeta';
import { removeFromIndex } from '../repository/SessionIndex';
import type { Store } from '../store/GuardedStore';
import type { SessionEnvironment } from './environment';

/** A session in the store that this request may not use. */
export interface Refused {
  id: string;
  record: SessionRecord;
  /** `expired`: over by the clock of this process; `invalid`: by `config.session.valid`, or as it is no session; `unproven`: without a proof of its device. */
  why: 'expired' | 'invalid' | 'unproven';
}

/** What a request begins with. */
export interface Loaded {
  /** `ended`: the id has a tombstone, as another request ended or moved the session a moment ago. */
  state: 'new' | 'saved' | 'ended';
  id?: string;
  record: SessionRecord;
  /** `stale`: good, but to be written anew; `expired`: what it holds, or stands for, has. */
  cookie: 'good' | 'stale' | 'expired';
  /** Whether the store has let it live on as it was read. */
  renewed?: boolean;
  refused?: Refused;
}

const NEW: Loaded = { state: 'new', record: {}, cookie: 'good' };

/** Reads the id of the request's session, and the session from the store; not a promise when there is no id to ask for. */
export function loadFromStore(ctx: Context, store: Store, env: SessionEnvironment): Loaded | Promise<Loaded> {
  const { valid, autoCommit } = env.config;
  const ids = env.ids.read(ctx);
  if (ids.length === 0) return NEW;
  if (ids.length > 1) return loadOneOf(ids, ctx, store, env);
  const [{ value: id, stale }] = ids;
  const { maxAge, rolling } = ctx.sessionOptions;
  const key = store.keyOf(id);
  // what `valid` refuses must not live on, nor what has no proof of its device, nor what is not committed
  let renewed = rolling && store.renewsOnRead && !valid && !env.device && autoCommit;
  const onlyRead = () => {
    renewed = false;
  };
  return (renewed ? store.getAndTouch(key, limiting({ ctx, rolling }, env.config), onlyRead) : store.get(key, maxAge, { ctx, rolling })).then(record => {
    if (isTombstone(record)) return { ...NEW, state: 'ended' as const, id };
    return accept(ctx, record, stale, env, { id, hasClock: store.hasClock, renewed });
  });
}

/** Chooses among the sessions of several cookies: the youngest that is alive, which was signed in to last. */
async function loadOneOf(ids: ReturnType<SessionEnvironment['ids']['read']>, ctx: Context, store: Store, env: SessionEnvironment): Promise<Loaded> {
  const { maxAge, rolling } = ctx.sessionOptions;
  const all = await Promise.all(ids.map(async ({ value: id, stale }) => {
    const record: unknown = await store.get(store.keyOf(id), maxAge, { ctx, rolling });
    const refusal = isTombstone(record) ? 'ended' as const : refusalOf(ctx, record, env, store.hasClock);
    return { id, stale, record, refusal };
  }));
  const createdAt = ({ record }: { record: unknown }) => Number((record as MetaFields)._createdAt ?? 0);
  const [ alive ] = all.filter(({ refusal }) => !refusal).sort((a, b) => createdAt(b) - createdAt(a));
  if (alive) return kept(ctx, alive.record as SessionRecord, alive.stale, env, { id: alive.id, hasClock: store.hasClock });
  const ended = all.find(({ refusal }) => refusal === 'ended');
  if (ended) return { ...NEW, state: 'ended', id: ended.id };
  const { id, record, refusal } = all.find(each => each.refusal && isUnproven(each.refusal)) ?? all.find(each => each.refusal === 'expired') ?? all[0];
  return refuse(refusal as Refusal, ctx, record, env, id);
}

/** Reads the session from the request's cookie. */
export function loadFromCookie(ctx: Context, env: SessionEnvironment): Loaded {
  if (env.config.externalKey) throw coded('ERR_SESSION_NO_STORE', new Error(NEEDS_STORE));
  const opened = env.data.read(ctx);
  return opened ? accept(ctx, opened.value, opened.stale, env) : NEW;
}

/** The record of an id, as it was read. */
interface FromStore {
  id: string;
  /** Whether the store drops by itself what has expired. */
  hasClock: boolean;
  renewed?: boolean;
}

function accept(ctx: Context, record: unknown, stale: boolean, env: SessionEnvironment, from?: FromStore): Loaded {
  const refusal = refusalOf(ctx, record, env, from?.hasClock);
  return refusal ? refuse(refusal, ctx, record, env, from?.id) : kept(ctx, record as SessionRecord, stale, env, from);
}

/** Why a record may not be used. */
type Refusal = LoggedEvent | { readonly unproven: SessionUnprovenReason };

const isUnproven = (refusal: Refusal | 'ended'): refusal is Exclude<Refusal, LoggedEvent> => typeof refusal === 'object';

/** Why a record may not be used; undefined when it may. */
function refusalOf(ctx: Context, record: unknown, { config, device }: SessionEnvironment, hasClock = false): Refusal | undefined {
  if (!record) return 'missed';
  if (!isRecord(record)) return 'invalid';
  if ((!hasClock && isExpired(record)) || hasOutlived(record, config)) return 'expired';
  const unproven = device && device.refusalOf(ctx, record);
  if (unproven) return { unproven };
  if (!config.valid) return undefined;
  const isValid = config.valid(ctx, record);
  refusePromise(isValid, 'valid');
  return isValid ? undefined : 'invalid';
}

function refuse(refusal: Refusal, ctx: Context, record: unknown, { app, device, config: { logValue }, hints }: SessionEnvironment, id?: string): Loaded {
  if (isUnproven(refusal)) {
    device!.tellUnproven(ctx, refusal.unproven, record as SessionRecord, shortHash(id!));
    return { ...NEW, refused: { id: id!, record: record as SessionRecord, why: 'unproven' } };
  }
  const refused = id === undefined || refusal === 'missed' ? undefined : { id, record: record as SessionRecord, why: refusal };
  // neither the record nor the cookie is removed for that: another clock may say otherwise
  if (refusal === 'expired' && refused) return { ...NEW, refused };
  if (refusal === 'invalid' && refused && !isRecord(record)) hints.notARecord(record);
  tell(app, `session:${refusal}`, { ctx, key: id === undefined ? id : shortHash(id), value: logValue ? record : undefined });
  return refusal === 'expired' ? { ...NEW, cookie: 'expired' } : { ...NEW, refused };
}

function kept(ctx: Context, record: SessionRecord, stale: boolean, { config }: SessionEnvironment, from?: FromStore): Loaded {
  const { id, renewed = false } = from ?? {};
  // a renewal does not ask the hook where the cookie goes
  const [ place ] = id !== undefined && config.beforeSave && placesIn(record) || [];
  if (place) Object.assign(ctx.sessionOptions, { domain: undefined, path: '/', partitioned: undefined }, place);
  return { state: 'saved', id, record, cookie: stale ? 'stale' : 'good', renewed };
}

/**
 * Tells of a session that is over by the clock of this process, and has the store end it if it is over by the clock of the store.
 * Stores of three methods have none, and drop it by themselves.
 *
 * @return whether it is over for all
 */
export async function expire(ctx: Context, store: Store, { app, config }: SessionEnvironment,
  { id, record }: Refused): Promise<boolean> {
  const { _principal: principal } = record as MetaFields;
  tell(app, 'session:expired', { ctx, key: shortHash(id), ...config.logValue ? { value: record, principal } : {} });
  if (!store.keepsExpiry) return false;
  const key = store.keyOf(id);
  const options = limiting({ ctx }, config);
  if (await store.merge(key, { ...NO_CHANGES, renew: false }, options) !== false) return false;
  const isOver = !isKept(await store.get(key, undefined, options));
  if (isOver && principal !== undefined && store.isIndexed) await removeFromIndex(store, principal, key, { ctx });
  return isOver;
}
