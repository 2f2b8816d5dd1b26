import type { Application, Context } from 'egg';
import type { IdTransport } from '../cookie/IdTransport';
import { Sealer } from '../cookie/Sealer';
import type { SessionConfig } from '../options/SessionConfig';
import { type DeviceBinding, isBound } from '../record/DeviceBinding';
import { type SessionUnprovenReason, tell } from '../record/events';
import { dataOf } from '../record/SessionRecord';
import { printable } from '../record/printable';
import { type MetaFields, principalIn } from '../repository/RecordMeta';
import type { Store } from '../store/GuardedStore';
import { BoundCookie } from './BoundCookie';
import { Challenges, standFor, stateOf } from './challenges';

/** The time, in ms, in which a sign-in has to be bound under `required`. */
const UNBOUND_MS = 2 * 60_000;

const OFFER = 'secure-session-registration';

/** The part of an application that its devices need. */
export interface DeviceEnvironment {
  readonly app: Application;
  readonly config: SessionConfig & { readonly deviceBound: NonNullable<SessionConfig['deviceBound']> };
  readonly ids: IdTransport;
  storeFor(ctx: Context): Store | undefined;
}

/** Binds the sessions of an application to devices: offers that at a sign-in, and knows which requests may use a session. */
export class Device {
  readonly cookie: BoundCookie;
  private sealer?: Sealer;
  private made?: Challenges;

  constructor(readonly env: DeviceEnvironment) {
    const { app, config } = env;
    this.cookie = new BoundCookie(config, app.config.cookies, () => this.seals(), config.deviceBound.maxAge);
  }

  get challenges(): Challenges {
    this.made ??= new Challenges(this.seals(), this.env.config.key);
    return this.made;
  }

  private seals(): Sealer {
    this.sealer ??= new Sealer(this.env.app.keys as string[]);
    return this.sealer;
  }

  /** Has the response offer the browser to bind the session under this key, which the principal has signed in to. */
  offer(ctx: Context, key: string, principal: string): void {
    if (ctx.headerSent || !ctx.secure) return; // browsers register over HTTPS only
    const challenge = this.challenges.make('registration', { key, state: standFor(principal) });
    ctx.set(OFFER, `(ES256 RS256);path="${this.env.config.deviceBound.path}/register";challenge="${challenge}"`);
  }

  /** Has the response give the browser the challenge that its next proof is to answer, for the session under this key. */
  sendChallenge(ctx: Context, key: string, binding: DeviceBinding): void {
    if (!ctx.headerSent) ctx.set('secure-session-challenge', `"${this.challenges.make('refresh', { key, state: stateOf(binding) })}";id="${binding.id}"`);
  }

  /** Takes back an offer for a session that has ended in this request. */
  withdraw(ctx: Context): void {
    if (!ctx.headerSent) ctx.remove(OFFER);
  }

  /** Why a request may not use a session; undefined when it may. */
  refusalOf(ctx: Context, record: MetaFields): SessionUnprovenReason | undefined {
    const { cookie, env: { config } } = this;
    if (isBound(record)) {
      const found = cookie.check(ctx, record._device!.id);
      return found === 'good' ? undefined : found;
    }
    if (!config.deviceBound.required || principalIn(record, config) === undefined) return undefined;
    return Date.now() - (record._signedInAt ?? record._createdAt ?? 0) > UNBOUND_MS ? 'not bound' : undefined;
  }

  /** Tells that a request had no session, or that a proof was refused; `name` stands for the session's id. */
  tellUnproven(ctx: Context, reason: SessionUnprovenReason, record: MetaFields, name: string): void {
    const skipped = ctx.get('secure-session-skipped');
    tell(this.env.app, 'session:unproven', { ...this.about(ctx, record, name), reason, ...skipped ? { skipped: printable(skipped) } : {} });
  }

  /** The fields of an event about a session. */
  about(ctx: Context, record: MetaFields, key: string) {
    const { config } = this.env;
    return { ctx, key, ...config.logValue ? { value: dataOf(record), principal: principalIn(record, config) } : {} };
  }
}
