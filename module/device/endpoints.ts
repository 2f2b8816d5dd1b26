import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from 'egg';
import { placesIn } from '../record/CookiePlace';
import { type DeviceBinding, isBound } from '../record/DeviceBinding';
import { type SessionUnprovenReason, tell } from '../record/events';
import { isAliveIn, lifetimeOf } from '../record/SessionRecord';
import { hasOutlived, type MetaFields, principalIn } from '../repository/RecordMeta';
import { SessionIndex } from '../repository/SessionIndex';
import { type AsRead, writeBinding } from '../repository/writeBinding';
import { answerUnavailable, SessionStoreError } from '../store/SessionStoreError';
import { OFFER_MS, standFor, stateOf } from './challenges';
import type { Device } from './Device';
import { isSignedBy, publicJwk, readProof, stringIn } from './proof';

/** The most tries to write a record that other requests are changing. */
const MOST_TRIES = 10;

/** The most characters of an identifier that a browser sends. */
const LONGEST_ID = 200;

/** Waits for a random time, longer each time: those who write the record at the same moment do not do so again. */
const pause = (tries: number) => sleep(Math.random() * 10 * (tries + 1));

/** A session that a refresh is about, and the id that led there. */
interface Bound extends AsRead {
  readonly id: string;
  readonly binding: DeviceBinding;
}

/** Answers the browsers that bind sessions, and that prove their device. */
export class DeviceEndpoints {
  private readonly register: string;
  private readonly refresh: string;

  constructor(private readonly device: Device) {
    const { path } = device.env.config.deviceBound;
    this.register = `${path}/register`;
    this.refresh = `${path}/refresh`;
  }

  /** Whether a request is one for these. */
  serves({ method, path }: Context): boolean {
    return method === 'POST' && (path === this.register || path === this.refresh);
  }

  async serve(ctx: Context): Promise<void> {
    try {
      const answered = ctx.path === this.register ? await this.registered(ctx) : await this.refreshed(ctx);
      if (!answered) this.unavailable(ctx);
    } catch (err) {
      if (!(err instanceof SessionStoreError)) throw err;
      answerUnavailable(ctx, err);
    }
    ctx.set('cache-control', 'no-store');
  }

  /** Binds the session that the challenge leads to: after a sign-in from another site, the request may have no cookie. False when it was overtaken each time. */
  private async registered(ctx: Context): Promise<boolean> {
    const { challenges, env: { app, config, storeFor } } = this.device;
    const proof = readProof(ctx.get('secure-session-response'));
    const challenge = proof && challenges.open('registration', proof.challenge, OFFER_MS);
    if (!challenge) return this.refuse(ctx);
    const { key, state } = challenge;
    const store = storeFor(ctx)!;
    const jwk = publicJwk(proof.jwk);
    for (let i = 0; i < MOST_TRIES; i++) {
      const record = await store.get(key, undefined, { ctx });
      // one that has moved is not followed: the move has made an offer of its own, and who planted the old one must not bind it
      if (!isAliveIn(store, record) || hasOutlived(record, config)) return this.refuse(ctx);
      const found = { store, key, record: record as MetaFields };
      const principal = principalIn(found.record, config);
      if (principal === undefined || standFor(principal) !== state) return this.refuse(ctx, 'bad challenge', found);
      if (!jwk || !isSignedBy(jwk, proof)) return this.refuse(ctx, 'bad proof', found);
      if (isBound(record)) return this.refuse(ctx, 'already bound', found);
      const binding = { id: randomBytes(18).toString('base64url'), key: jwk, at: Date.now(), proofs: 0 };
      if (!await this.bind(ctx, found, binding)) {
        await pause(i);
        continue;
      }
      tell(app, 'session:bound', this.device.about(ctx, record, store.nameOf(key)));
      return this.prove(ctx, key, binding);
    }
    return false;
  }

  /** Writes the first binding. When the answer of the store is lost, it is asked: the browser makes no second try. */
  private async bind(ctx: Context, found: AsRead, binding: DeviceBinding): Promise<boolean> {
    const { config } = this.device.env;
    return await writeBinding(found, binding, config, ctx).catch(async err => {
      if (!(err instanceof SessionStoreError) || !err.mayHaveHappened) throw err;
      const now = await found.store.get(found.key, undefined, { ctx }) as MetaFields | undefined;
      if (now?._device?.id === binding.id) return true;
      throw err;
    });
  }

  /** Renews the proof of a bound session. False when it was overtaken each time. */
  private async refreshed(ctx: Context): Promise<boolean> {
    const { device, device: { challenges, cookie, env: { config, ids } } } = this;
    const header = ctx.get('secure-session-response');
    for (let i = 0; i < MOST_TRIES; i++) {
      const found = await this.find(ctx);
      if (found === 'another' || found === 'ended') {
        if (found === 'ended') {
          ids.expire(ctx);
          cookie.expire(ctx);
        }
        return this.answer(ctx, { continue: false });
      }
      const { key, record, binding } = found;
      if (header === '') return this.challenge(ctx, key, binding);
      const proof = readProof(header);
      const challenge = proof && challenges.open('refresh', proof.challenge, config.deviceBound.maxAge + OFFER_MS);
      const isOfThis = challenge?.key === key && challenge.state === stateOf(binding);
      const isGood = proof && proof.jwk === undefined && isSignedBy(binding.key, proof);
      if (!isOfThis || !isGood) {
        device.tellUnproven(ctx, proof && !isOfThis ? 'bad challenge' : 'bad proof', record, found.store.nameOf(key));
        return this.challenge(ctx, key, binding);
      }
      const next = { ...binding, proofs: binding.proofs + 1 };
      if (!await writeBinding(found, next, config, ctx)) {
        await pause(i);
        continue;
      }
      this.renewCookie(ctx, found);
      return this.prove(ctx, key, next);
    }
    return false;
  }

  /**
   * The bound session that the browser asks about, also where it has just moved to; `ended` when its cookies lead to none that is alive, and `another`
   * when they lead to one that is not bound like that.
   */
  private async find(ctx: Context): Promise<Bound | 'ended' | 'another'> {
    const { env: { config, ids, storeFor } } = this.device;
    const asked = stringIn(ctx.get('sec-secure-session-id').slice(0, LONGEST_ID));
    const store = storeFor(ctx)!;
    const index = new SessionIndex(store, config, ctx);
    let isAlive = false;
    for (const { value: id } of ids.read(ctx)) {
      const live = await index.follow(store.keyOf(id));
      if (!live || live.isOver) continue;
      isAlive = true;
      const { key, record, record: { _device: binding } } = live;
      if (binding && (asked === undefined || asked === binding.id)) return { store, key, record, id, binding };
    }
    return isAlive ? 'another' : 'ended';
  }

  /** The record lives on by a refresh. Where it does so by being used, the cookie has to, too: `renew` goes by the record. */
  private renewCookie(ctx: Context, { store, key, record, id }: Bound): void {
    const { env: { ids } } = this.device;
    const { sessionOptions, sessionOptions: { rolling, renew } } = ctx;
    if (!(rolling || renew) || store.keyOf(id) !== key || placesIn(record)) return;
    sessionOptions.maxAge = lifetimeOf(record);
    ids.write(ctx, id, () => true);
  }

  private refuse(ctx: Context, reason?: SessionUnprovenReason, found?: AsRead): true {
    if (reason && found) this.device.tellUnproven(ctx, reason, found.record, found.store.nameOf(found.key));
    ctx.status = 403; // a 401 would end the binding in the browser
    ctx.body = '';
    return true;
  }

  private challenge(ctx: Context, key: string, binding: DeviceBinding): true {
    this.device.sendChallenge(ctx, key, binding);
    return this.refuse(ctx);
  }

  /** Answers a good proof: with the bound cookie, the next challenge, and what the browser is to do. */
  private prove(ctx: Context, key: string, binding: DeviceBinding): true {
    const { device, device: { cookie, cookie: { name, attributes } } } = this;
    cookie.set(ctx, binding.id);
    device.sendChallenge(ctx, key, binding);
    return this.answer(ctx, {
      session_identifier: binding.id,
      refresh_url: this.refresh,
      // without an origin, it is that of the request as the browser knows it, whatever a proxy has made of it
      scope: { include_site: false, scope_specification: [] },
      credentials: [{ type: 'cookie', name, attributes }],
      // or a link from another site would find the user signed out
      allowed_refresh_initiators: [ '*' ],
    });
  }

  private answer(ctx: Context, instructions: object): true {
    ctx.status = 200;
    ctx.body = instructions;
    return true;
  }

  /** For a browser to come again: 5xx leaves the binding as it is. */
  private unavailable(ctx: Context): void {
    ctx.status = 503;
    ctx.set('retry-after', '1');
    ctx.body = '';
  }
}
