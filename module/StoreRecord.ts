import type { Context } from 'egg';
import { changesBetween, dataOf, isAlive, isEmpty, isTombstone, lifetimeFields, lifetimeOf, metaOf, toJson } from './record';
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
  async create(json: string, maxAge: SessionMaxAge): Promise<void> {
    await this.store.set(this.key, JSON.parse(json), maxAge, this.options(true));
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
    let maxAge: SessionMaxAge | false;
    if (chosen === undefined && !copy.isChanged(json)) {
      maxAge = await this.store.touch(this.key, this.options(false));
    } else {
      const changes = withLifetime(copy.pending(json), chosen);
      maxAge = await this.store.merge(this.key, changes, this.options(true));
    }
    if (maxAge === false) return false;
    this.maxAge = maxAge;
    return true;
  }

  /**
   * Moves the record to a new key. It is written there before the old one is taken away, so that a failure leaves that as
   * it was. Of what others have written in between, nothing is lost; when one of them ended or moved the session, only
   * what this request has added is left in the copy and at the new key.
   *
   * @param copy the data
   * @param json the same as JSON
   * @param chosen the lifetime that this request has chosen
   * @return whether the new record is still there
   */
  async move(copy: WorkingCopy, json: string, chosen?: SessionMaxAge): Promise<boolean> {
    const { store, key: from } = this;
    const options = this.options(true);
    const to = this.newKey();
    if (to === from) return await this.save(copy, json, chosen); // config.session.genid gives no other
    let maxAge = chosen ?? this.maxAge!;
    await store.set(to, JSON.parse(json), maxAge, options);
    const left = await store.retire(from, to, TOMBSTONE_MS, options).catch(async err => {
      await store.retire(to, null, TOMBSTONE_MS, options).catch(() => undefined);
      throw err;
    });
    this.id = to;
    if (isAlive(left)) {
      const keeps = chosen === undefined && lifetimeOf(left) !== maxAge;
      if (keeps) maxAge = lifetimeOf(left);
      const theirs = withLifetime(copy.adopt(left), keeps ? maxAge : undefined);
      if (!isEmpty(theirs) && await store.merge(to, theirs, options) === false) return false;
    } else {
      copy.forgetKept();
      await store.set(to, JSON.parse(copy.toJson()), maxAge, options);
    }
    this.maxAge = maxAge;
    return true;
  }

  /** Ends the session, and the one that took its place elsewhere. Resolves to whether another request had ended it. */
  async retire(): Promise<boolean> {
    let endedElsewhere = false;
    for (let key = this.id ?? null; key !== null;) {
      const left = await this.store.retire(key, null, TOMBSTONE_MS, { ctx: this.ctx });
      endedElsewhere ||= isTombstone(left);
      key = isTombstone(left) ? left._successor : null;
    }
    this.id = undefined;
    return endedElsewhere;
  }

  /**
   * Has `fn` change the latest data, with what the copy has changed, and writes the result if nobody was faster.
   *
   * @param copy shows the result
   * @param fn makes the changes
   * @param chosen the lifetime that this request has chosen
   * @param isLate whether it is too late to write
   */
  async tryUpdate(copy: WorkingCopy, fn: Update, chosen: SessionMaxAge | undefined, isLate: () => boolean):
  Promise<'written' | 'unchanged' | 'overtaken' | 'gone'> {
    const { store, key } = this;
    const seen = copy.toJson();
    const latest = await store.get(key, this.maxAge, this.options(true));
    if (!isAlive(latest)) return key === this.id ? 'gone' : 'overtaken';
    const json = toJson(await fn(structuredClone(copy.onto(latest, seen))));
    if (isLate()) return 'overtaken';
    const data = JSON.parse(json);
    const maxAge = chosen ?? lifetimeOf(latest);
    const changed = chosen !== undefined || !isEmpty(changesBetween(dataOf(latest), data));
    if (changed && !await store.compareAndSet(key, latest, { ...metaOf(latest), ...data }, maxAge, this.options(true))) {
      return 'overtaken';
    }
    copy.show(data, seen);
    copy.isKept(json);
    this.maxAge = maxAge;
    return changed ? 'written' : 'unchanged';
  }

  private newKey(): string {
    return this.ctx.sessionOptions.genid(this.ctx) as string;
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
