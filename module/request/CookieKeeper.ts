import type { ChangeTracker } from '../record/ChangeTracker';
import type { SessionEndReason } from '../record/events';
import { dataOf } from '../record/SessionRecord';
import type { Snapshot } from '../record/Snapshot';
import { runBeforeSave } from './beforeSave';
import type { Keeper, SessionInRequest } from './Keeper';
import { type Loaded, loadFromCookie } from './load';
import { destroyed, written } from './state';

/** Keeps a request's session in the cookie: it is opened on first use, and written with the response. */
export class CookieKeeper implements Keeper {
  readonly store = undefined;
  readonly id = undefined;
  readonly key = undefined;
  readonly name = undefined;
  readonly hasOldId = false;

  constructor(private readonly session: SessionInRequest) {}

  load(): undefined { /* it is opened on first use */ }

  open(): Loaded {
    const { session: { ctx, env } } = this;
    return loadFromCookie(ctx, env);
  }

  begin(): void { /* the data are all there is */ }

  writeAtOnce(data: ChangeTracker, now: Snapshot): boolean {
    if (this.session.env.config.beforeSave) return false;
    this.save(data, now);
    return true;
  }

  async write(now?: Snapshot): Promise<void> {
    const { data } = this.session.state;
    if (data) this.save(data, now);
  }

  private save(data: ChangeTracker, known?: Snapshot): void {
    const { session, session: { ctx, lifetime, meta, env, state: { at } } } = this;
    const now = session.prepare(data, known);
    const chosen = lifetime.now();
    const about = meta.of(data.session, undefined, () => !data.isChanged(now));
    env.data.write(ctx, now, lifetime.valid(), about._createdAt!);
    meta.keep(about, data.session);
    if (at !== 'saved') session.tell('session:created', {}, () => now.toData());
    session.notePrincipal();
    data.markSaved(now);
    session.state = written(session.state);
    lifetime.keep(chosen);
  }

  async noteSeen(): Promise<void> { /* the cookie is written when that is due */ }

  async noteUnused(): Promise<void> { /* a cookie that nobody has opened does not live on */ }

  confirm(): true {
    return true;
  }

  markStale(): void { /* nobody else writes the cookie */ }

  /** The cookie has no id: what begins anew is the session's age. */
  async regenerate(data: ChangeTracker): Promise<void> {
    const { session, session: { meta, meta: { createdAt }, state: { at } } } = this;
    meta.createdAt = Date.now();
    try {
      this.save(data);
    } catch (err) {
      meta.createdAt = createdAt;
      throw err;
    }
    if (at === 'saved') session.tell('session:regenerated', {}, () => data.now().toData());
  }

  async destroy(reason: SessionEndReason, data: ChangeTracker | null | undefined): Promise<void> {
    const { session, session: { ctx, env, meta, watch, state } } = this;
    if (state.at === 'saved') session.tell('session:destroyed', { reason }, () => dataOf(state.record));
    const { places } = meta;
    session.state = destroyed(state, data);
    meta.reset();
    watch.forget();
    env.data.expire(ctx, places, state.at !== 'new' || state.cookie === 'expired');
  }

  sendId(): void { /* there is none */ }

  expire(): void {
    this.session.env.data.expire(this.session.ctx);
  }

  beforeSave(data: ChangeTracker): void {
    runBeforeSave(this.session.ctx, this.session.env.config, data.session);
  }
}
