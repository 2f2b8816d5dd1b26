import { inspect } from 'node:util';
import type { Context } from 'egg';
import { changesBetween, dataOf, isAlive, isEmpty, isTombstone, lifetimeFields, lifetimeOf, metaOf } from './record';
import type { Store } from './store/guard';
import type { SessionChanges, SessionMaxAge, SessionRecord } from './store/SessionStore';
import type { WorkingCopy } from './WorkingCopy';

/** For how many ms an id that ended leaves a tombstone: longer than most requests take that still have it. */
const TOMBSTONE_MS = 30_000;

/** Changes a copy of the data, which it resolves to. */
export type Update = (data: SessionRecord) => Promise<SessionRecord>;

/** The record of one request's session in the store: what is written there never undoes what others have written. */
export class StoreRecord {
  private id?: string;
  /** The lifetime that the record has: a request that chooses none leaves it as it is. */
  maxAge?: SessionMaxAge;

  constructor(private readonly ctx: Context, private readonly store: Store) {}

  /** The session's id, made when it is first asked for. */
  get key(): string {
    this.id ??= this.newKey();
    return this.id;
  }

  set key(id: string | undefined) {
    this.id = id;
  }

  /** Writes a record where there is none. */
  async create(json: string, maxAge: SessionMaxAge, key = this.key): Promise<void> {
    await this.store.set(key, JSON.parse(json), maxAge, this.options(true));
    this.id = key;
    this.maxAge = maxAge;
  }

  /**
   * Writes what the copy has changed, or lets the record live on when it has changed nothing.
   *
   * @param copy the data
   * @param json the same as JSON
   * @param chosen the lifetime that this request has chosen
   * @return whether the record is still there
   */
  async save(copy: WorkingCopy, json: string, chosen?: SessionMaxAge): Promise<boolean> {
    if (chosen !== undefined || copy.isChanged(json)) return await this.merge(copy.pending(json), chosen);
    return this.noteLifetime(await this.store.touch(this.key, this.options(false)));
  }

  /** Writes changes, and the lifetime if it is given. Resolves to whether the record is still there. */
  async merge(changes: SessionChanges, maxAge?: SessionMaxAge): Promise<boolean> {
    return this.noteLifetime(await this.store.merge(this.key, withLifetime(changes, maxAge), this.options(true)));
  }

  private noteLifetime(maxAge: SessionMaxAge | false): boolean {
    if (maxAge === false) return false;
    this.maxAge = maxAge;
    return true;
  }

  /**
   * Moves the record to a new key. It is written there before the old one is taken away, so that a failure leaves that as
   * it was.
   *
   * @param to the new key
   * @param json the data
   * @param chosen the lifetime that this request has chosen
   * @return the old record, as others have left it; undefined, and nothing moved, when one of them has ended or moved it
   */
  async move(to: string, json: string, chosen?: SessionMaxAge): Promise<SessionRecord | undefined> {
    const { store, key: from } = this;
    const options = this.options(true);
    const maxAge = chosen ?? this.maxAge!;
    await store.set(to, JSON.parse(json), maxAge, options);
    const left = await store.retire(from, to, TOMBSTONE_MS, options).catch(async err => {
      await store.retire(to, null, TOMBSTONE_MS, options).catch(() => undefined);
      throw err;
    });
    if (!isAlive(left)) {
      await store.retire(to, null, TOMBSTONE_MS, options);
      return undefined;
    }
    this.id = to;
    this.maxAge = maxAge;
    return left;
  }

  /** Ends the session, and the one that took its place elsewhere. Resolves to whether another request had ended it. */
  async retire(): Promise<boolean> {
    let endedElsewhere = false;
    const seen = new Set<string>();
    for (let key = this.id ?? null; key !== null && !seen.has(key);) {
      seen.add(key);
      const left = await this.store.retire(key, null, TOMBSTONE_MS, { ctx: this.ctx });
      endedElsewhere ||= isTombstone(left);
      key = isTombstone(left) ? left._successor : null;
    }
    this.id = undefined;
    return endedElsewhere;
  }

  /** The record as it is now; undefined when the session has ended. */
  async latest(): Promise<SessionRecord | undefined> {
    const record = await this.store.get(this.key, this.maxAge, this.options(true));
    return isAlive(record) ? record : undefined;
  }

  /**
   * Writes other data into the record, if it is still the `latest`.
   *
   * @param latest the record as it was read
   * @param data take the place of all its data
   * @param chosen the lifetime that this request has chosen
   */
  async replace(latest: SessionRecord, data: SessionRecord, chosen?: SessionMaxAge):
  Promise<'written' | 'unchanged' | 'overtaken'> {
    const maxAge = chosen ?? lifetimeOf(latest);
    const changed = chosen !== undefined || !isEmpty(changesBetween(dataOf(latest), data));
    if (changed && !await this.store.compareAndSet(this.key, latest, { ...metaOf(latest), ...data }, maxAge, this.options(true))) {
      return 'overtaken';
    }
    this.maxAge = maxAge;
    return changed ? 'written' : 'unchanged';
  }

  /** @throws TypeError when `config.session.genid` makes none: all sessions would be one */
  newKey(): string {
    const key: unknown = this.ctx.sessionOptions.genid(this.ctx);
    if (typeof key === 'string' && key) return key;
    throw new TypeError(`[egg-tegg-session] config.session.genid returned ${inspect(key)}; it must return a string that is not empty`);
  }

  private options(changed: boolean) {
    return { ctx: this.ctx, rolling: this.ctx.sessionOptions.rolling as boolean, changed };
  }
}

function withLifetime(changes: SessionChanges, maxAge?: SessionMaxAge): SessionChanges {
  if (maxAge === undefined) return changes;
  return {
    ...changes,
    set: { ...changes.set, ...lifetimeFields(maxAge) },
    unset: [ ...changes.unset, maxAge === 'session' ? '_maxAge' : '_session' ],
  };
}
