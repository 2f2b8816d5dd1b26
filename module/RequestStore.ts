import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from 'egg';
import { applyChanges, assertRecord, changesSince, isAlive, isEmpty, isMeta, isRecord, pick, snapshot, type Snapshot } from './changes';
import { inTurn } from './inTurn';
import type { SessionMaxAge, SessionRecord, SessionStoreLike, SessionStoreOptions } from './SessionStore';

/** How often other processes may get in between before `update()` gives up. */
const MAX_UPDATE_ATTEMPTS = 100;
/** What koa-session takes for no `maxAge`, in ms. */
const ONE_DAY = 24 * 3600 * 1000;
/** For how many ms koa-session has stores keep a session after it has expired. */
const GRACE = 10_000;

const HAS_ENDED = '[egg-tegg-session] session.update(): the session has ended';

const ofRequest = new WeakMap<Context, RequestStore>();

/**
 * Stands between koa-session and the active store for one request; koa-session builds it as its `ContextStore`. It
 * knows what was loaded, so that only what changed is written, and nothing to a session that has ended.
 */
export class RequestStore {
  private readonly store: SessionStoreLike;
  /** What is stored, as far as this request knows: the id, the fields, and the object that koa-session made of them. */
  private loaded?: { id: string; fields: Snapshot; session?: object };
  /** The lifetime that this request has given to it; undefined when it has written nothing. */
  private given?: SessionMaxAge;
  /** The ids of sessions that have ended. */
  private readonly ended = new Set<string>();
  /** The session that turned out to have ended elsewhere. */
  private gone?: object;
  /** The ids that took the place of ended ones, which koa-session goes on using. */
  private readonly successors = new Map<string, string>();

  constructor(private readonly ctx: Context) {
    const { store, ContextStore } = ctx.app.config.session;
    this.store = ContextStore ? new ContextStore(ctx) : store!;
    ofRequest.set(ctx, this);
  }

  /** The one that koa-session built for this request; undefined when sessions live in the cookie. */
  static of(ctx: Context): RequestStore | undefined {
    return ofRequest.get(ctx);
  }

  async get(key: string, maxAge: SessionMaxAge | undefined, options: SessionStoreOptions) {
    const record = await this.store.get(key, maxAge, options);
    if (!isRecord(record)) return record;
    this.loaded = { id: key, fields: snapshot(record) };
    const { sessionOptions } = this.ctx;
    if (this.store.touch && sessionOptions.renew && record._expire === undefined) sessionOptions.rolling = true;
    return record;
  }

  /** To be called once koa-session has made the session of what `get` returned. */
  begin(): void {
    const { session } = this.ctx;
    if (session?.isNew) this.loaded = undefined; // refused
    if (this.loaded) this.loaded.session = session;
  }

  /** Whether the session differs from what is stored. */
  isChanged(): boolean {
    const { loaded, ctx: { session } } = this;
    if (!session) return false;
    if (!loaded || session === this.gone) return this.ended.size > 0;
    const { set, unset } = changesSince(loaded.fields, session.toJSON());
    return loaded.session !== session || Object.keys(set).length > 0 || !unset.every(isMeta);
  }

  /** The id that the session has under koa-session's `key`; undefined when it has ended. */
  idFor(key: string): string | undefined {
    const id = this.successors.get(key) ?? key;
    return this.ended.has(id) ? undefined : id;
  }

  async set(key: string, record: SessionRecord, maxAge: SessionMaxAge, options: SessionStoreOptions): Promise<void> {
    const { session, sessionOptions } = this.ctx;
    let id = this.successors.get(key) ?? key;
    if (this.ended.has(id)) {
      if (session === this.gone) return;
      // assigned to `ctx.session` after the one before had ended
      id = sessionOptions.genid(this.ctx) as string;
      this.successors.set(key, id);
    }
    const life = this.lifetime(record, maxAge);
    if (this.loaded?.id !== id) {
      await this.write(id, record, life, { ...options, changed: true });
    } else if (!await this.save(this.loaded, record, life, options)) {
      this.end(id, session);
      return;
    }
    this.loaded = { id, fields: snapshot(record), session };
    this.given = life;
    requireSave(session); // koa-session compares a later commit with what was loaded, not with what was saved since
    // koa-session leaves `externalKey` at the old id after `regenerate()`
    if (session.externalKey !== id) Object.defineProperty(session, 'externalKey', { value: id, configurable: true });
  }

  /** koa-session also asks for sessions that were never stored, and again at the end of a request that destroyed one. */
  async destroy(key: string, options: SessionStoreOptions): Promise<void> {
    const id = this.successors.get(key) ?? key;
    const { session } = this.ctx;
    if (this.loaded?.id !== id) return;
    if (session && session === this.loaded.session) {
      // regenerate(): what others have written moves too; of a session that has ended, only what this request adds
      const latest = session === this.gone ? undefined : await this.store.get(id, this.maxAge, options);
      this.adopt(isAlive(latest) ? latest : {});
    }
    await this.store.destroy(id, options);
    this.ended.add(id);
    this.loaded = undefined;
    this.gone = undefined;
  }

  /**
   * Does the work of `session.update()`.
   *
   * @param fn what to do with the data
   * @param unstored the data of a session that is not stored yet
   */
  async update(fn: (data: object) => unknown, unstored: object): Promise<void> {
    const { loaded, ctx: { session } } = this;
    if (session === this.gone) throw new Error(HAS_ENDED);
    if (!loaded || this.ended.has(loaded.id)) {
      await fn(unstored);
      return;
    }
    await inTurn(loaded.id, async () => {
      for (let attempt = 1; attempt <= MAX_UPDATE_ATTEMPTS; attempt++) {
        if (await this.tryUpdate(loaded.id, session, fn)) return;
        await sleep(Math.random() * Math.min(attempt, 20));
      }
      throw new Error(`[egg-tegg-session] session.update() gave up after ${MAX_UPDATE_ATTEMPTS} attempts: other ` +
        'requests changed the session each time. Let fn be quick, and make slow calls before or after it');
    });
  }

  private async tryUpdate(id: string, session: SessionRecord, fn: (data: object) => unknown): Promise<boolean> {
    const { ctx, store } = this;
    const options = { ctx, rolling: ctx.sessionOptions.rolling as boolean, changed: true };
    const { maxAge } = this;
    const stored = await store.get(id, maxAge, options);
    if (!isAlive(stored)) {
      this.end(id, session);
      throw new Error(HAS_ENDED);
    }
    const data = structuredClone(pick(stored, name => !isMeta(name)));
    await fn(data);
    assertRecord(data);
    const record = { ...pick(stored, isMeta), ...data };
    const changes = changesSince(snapshot(stored), record);
    if (!isEmpty(changes)) {
      if (maxAge !== 'session') record._expire = Date.now() + maxAge;
      const life = this.lifetime(record, maxAge === 'session' ? maxAge : maxAge + GRACE);
      if (!store.compareAndSet) await this.write(id, record, life, options);
      else if (!await store.compareAndSet(id, stored, this.forStore(record), life, options)) return false;
      this.given = life;
    }
    this.adopt(record, new Set([ ...Object.keys(changes.set), ...changes.unset ]));
    return true;
  }

  /**
   * Shows in the session what is stored now, except in fields that this request has changed since it was loaded.
   *
   * @param record what is stored
   * @param updated fields that are shown all the same
   */
  private adopt(record: SessionRecord, updated = new Set<string>()): void {
    const { loaded, ctx: { session } } = this;
    const own = changesSince(loaded!.fields, session.toJSON());
    // one that was assigned to `ctx.session` takes the place of all that others have written
    const theirs = session === loaded!.session ? changesSince(loaded!.fields, record) : { set: {}, unset: [] };
    const kept = new Set([ ...Object.keys(own.set), ...own.unset ].filter(name => !updated.has(name)));
    for (const name of [ ...Object.keys(theirs.set), ...theirs.unset, ...updated ]) {
      if (isMeta(name) || kept.has(name)) continue;
      if (name in record) session[name] = record[name];
      else delete session[name];
    }
    this.loaded = { ...loaded!, fields: snapshot(record) };
  }

  /** Writes to what was loaded; resolves to false when it is there no more. */
  private async save({ id, fields, session }: { id: string; fields: Snapshot; session?: object }, record: SessionRecord,
    life: SessionMaxAge, options: SessionStoreOptions): Promise<boolean> {
    const { store } = this;
    const changes = changesSince(fields, record);
    changes.replace = session !== undefined && session !== this.ctx.session;
    if (changes.replace) changes.set = pick(record, name => name !== '_expire' && record[name] !== undefined);
    const changed = !isEmpty(changes);
    if (!changed) {
      if (this.given === life) return true;
      if (store.touch) return await store.touch(id, life, options);
    }
    if (!store.touch) {
      if (record._expire === undefined) changes.unset.push('_expire');
      else changes.set._expire = record._expire;
    }
    if (store.merge) return await store.merge(id, changes, life, options);

    const latest = await store.get(id, this.maxAge, { ctx: this.ctx, rolling: options.rolling });
    if (!isAlive(latest)) return false;
    await this.write(id, applyChanges(latest, changes), life, { ...options, changed });
    return true;
  }

  private async write(id: string, record: SessionRecord, life: SessionMaxAge, options: SessionStoreOptions) {
    await this.store.set(id, this.forStore(record), life, options);
  }

  /** A store that can renew a session without writing it keeps the time of expiry itself. */
  private forStore(record: SessionRecord): SessionRecord {
    const withExpire = !this.store.touch;
    return pick(record, name => record[name] !== undefined && (name !== '_expire' || withExpire));
  }

  private get maxAge(): SessionMaxAge {
    return this.ctx.sessionOptions.maxAge ?? ONE_DAY;
  }

  /** A store that does not go by `_expire` is told the exact lifetime, not koa-session's with its period of grace. */
  private lifetime(record: SessionRecord, maxAge: SessionMaxAge): SessionMaxAge {
    return this.store.touch && typeof record._maxAge === 'number' ? record._maxAge : maxAge;
  }

  private end(id: string, session: object): void {
    this.ended.add(id);
    this.gone = session;
    this.ctx.coreLogger.info('[session][ended] nothing was saved: the session ended while the request was running');
  }
}

/** Has koa-session's next commit save the session, whatever its comparison of hashes says. */
export function requireSave(session: Context['session']): void {
  const { maxAge } = session;
  session.maxAge = maxAge; // setting it is what asks for that
}
