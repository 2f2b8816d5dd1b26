import type { Context } from 'egg';
import { coded } from '../record/errors';
import { refusePromise, type SessionConfig } from '../options/SessionConfig';
import { type CookiePlace, placesIn } from '../record/CookiePlace';
import { kindOf } from '../record/kindOf';
import { type DeviceBinding, isBound } from '../record/DeviceBinding';
import { changesBetween, type SessionChanges, type SessionMaxAge, type SessionRecord } from '../record/SessionRecord';
import { warnOnce } from '../record/warnOnce';
import type { SessionStoreOptions } from '../store/SessionStore';

const MINUTE = 60_000;
const DAY = 1440 * MINUTE;

/** The most characters of a `User-Agent` that are kept. */
const MAX_USER_AGENT = 256;

/** The most characters of an address that are kept: behind a proxy, a header may say anything. */
const MAX_IP = 64;

/** What a record says about its session besides the data and the lifetime. */
export interface MetaFields extends SessionRecord {
  /** In ms since 1970, by the clock of the process that made it. */
  _createdAt?: number;
  /** The same by the clock of the store, where that is another one. */
  _storedAt?: number;
  /** Where requests have set its cookie, other than the options say, the last first. */
  _cookie?: CookiePlace[];
  /** The device that it is bound to. */
  _device?: DeviceBinding;
  /** When the principal signed in, in ms since 1970, under `deviceBound.required`. */
  _signedInAt?: number;
  // what follows is kept of a principal's sessions only, in a store with an index
  _principal?: string;
  /** In ms since 1970. */
  _seenAt?: number;
  _ip?: string;
  _userAgent?: string;
  /** The key of the record that `regenerate()` made this one of. */
  _movedFrom?: string;
}

const META_FIELDS = new Set([ '_createdAt', '_cookie', '_signedInAt', '_principal', '_seenAt', '_ip', '_userAgent' ]);

/** Whether a session is older than `absoluteMaxAge`, whatever it was used for (ASVS 7.3.2), by the clock of this process. */
export const hasOutlived = ({ _createdAt, _storedAt }: MetaFields, { absoluteMaxAge }: SessionConfig): boolean =>
  absoluteMaxAge !== undefined && typeof _createdAt === 'number' &&
  Math.max(_createdAt, _storedAt ?? _createdAt) + absoluteMaxAge <= Date.now();

/** The options of a call that lets a record live on, which the store is to end in time. */
export const limiting = (options: SessionStoreOptions, { absoluteMaxAge }: SessionConfig): SessionStoreOptions =>
  (absoluteMaxAge === undefined ? options : { ...options, absoluteMaxAge });

/** The time, in ms, that the index has to keep a session which lives for `maxAge` after each write. */
export function indexMs(maxAge: SessionMaxAge): number {
  const ms = maxAge === 'session' ? DAY : maxAge;
  // it may live on for some time though the index can't be written
  return ms + 2 * Math.min(Math.max(ms / 4, MINUTE), DAY);
}

/** When a session was created, whose it is, and when it was last seen, from where. */
export class RecordMeta {
  /** When the session was created, in ms since 1970. */
  createdAt = Date.now();
  /** Whose session it is by the data that are kept. */
  principal?: string;
  /** Where requests have set its cookie in a store, other than the options say, the last first. */
  places?: CookiePlace[];
  /** The device that it is bound to. */
  device?: DeviceBinding;
  /** The binding that this request has proven. */
  private proven?: string;
  private kept: MetaFields = {};
  /** When it was created by the clock that ends it. */
  private storedAt?: number;

  /**
   * @param ctx the request
   * @param config the options
   * @param isIndexed whether the store can tell which sessions a principal has
   */
  constructor(private readonly ctx: Context, private readonly config: SessionConfig, private readonly isIndexed: boolean) {}

  /** Takes what a record says that was read; `isProven` when the request may use it, and false for what it reads again. */
  load(record: SessionRecord, isProven = true): void {
    const kept: SessionRecord = {};
    for (const name of Object.keys(record)) if (name[0] === '_' && META_FIELDS.has(name)) kept[name] = record[name];
    this.kept = kept;
    const { _createdAt } = this.kept;
    this.device = (record as MetaFields)._device;
    if (isProven) this.proven = this.device?.id;
    this.places = placesIn(this.kept);
    if (typeof _createdAt === 'number') this.createdAt = _createdAt;
    this.storedAt = (record as MetaFields)._storedAt;
    try {
      this.principal = this.principalOf(record);
    } catch {
      this.principal = undefined; // signing out must be possible with it
    }
  }

  /** To be called when the session has ended, as another one may begin. */
  reset(): void {
    this.createdAt = Date.now();
    this.storedAt = undefined;
    this.principal = undefined;
    this.places = undefined;
    this.device = undefined;
    this.proven = undefined;
    this.kept = {};
  }

  /** Takes what was written. */
  keep(about: MetaFields, data: SessionRecord): void {
    this.kept = about;
    this.createdAt = about._createdAt!;
    if (this.endsBinding(data)) this.device = undefined;
    this.principal = this.principalUnless(data, () => true);
  }

  /**
   * What a record with these data is to say.
   *
   * @param data the data
   * @param createdAt when the session was created, in ms since 1970
   * @param isUnchanged whether the data are those that are kept: then nobody fails who has only read them
   * @throws TypeError as `principalOf` does, which has to be before anything is written
   */
  of(data: SessionRecord, createdAt = this.createdAt, isUnchanged?: () => boolean): MetaFields {
    const { places } = this;
    const principal = this.principalUnless(data, isUnchanged);
    const about: MetaFields = places ? { _createdAt: createdAt, _cookie: places } : { _createdAt: createdAt };
    if (this.config.deviceBound?.required && principal !== undefined) {
      about._signedInAt = principal === this.principal ? this.kept._signedInAt ?? this.createdAt : Date.now();
    }
    if (principal === undefined || !this.isIndexed) return about;
    const ip = this.ip ?? this.kept._ip;
    return {
      ...about, _principal: principal, _seenAt: Date.now(), ...ip === undefined ? {} : { _ip: ip },
      _userAgent: this.ctx.get('user-agent').slice(0, MAX_USER_AGENT),
    };
  }

  /** Whether these data sign somebody else in: a device that was bound before may be that of whoever has planted the session. */
  endsBinding(data: SessionRecord): boolean {
    if (!this.config.deviceBound) return false;
    const principal = this.principalIn(data);
    return principal !== undefined && principal !== this.principal;
  }

  /** Whether sessions can be bound to devices. */
  get mayBeBound(): boolean {
    return this.config.deviceBound !== undefined;
  }

  /** Whether the session is bound, and this request has the proof of that device. */
  get isProven(): boolean {
    return this.device !== undefined && this.device.id === this.proven;
  }

  /**
   * Whether a record that was read since is bound to another device than this request knows, or has lost its binding: somebody else has signed in there. One
   * that was bound since for the same principal is no stranger's.
   */
  isForeign(record: MetaFields): boolean {
    if (!this.config.deviceBound) return false;
    if (this.device) return record._device?.id !== this.device.id;
    return isBound(record) && this.principalIn(record) !== this.principal;
  }

  /** Whose session it is by its data; by what the record says, when these do not tell and are `isUnchanged`. */
  private principalUnless(data: SessionRecord, isUnchanged?: () => boolean): string | undefined {
    try {
      return this.principalOf(data);
    } catch (err) {
      if (!isUnchanged?.()) throw err;
      return this.kept._principal;
    }
  }

  /** Undefined on a unix socket, and once the client has hung up. */
  private get ip(): string | undefined {
    const ip = this.ctx.ip as string | undefined;
    return ip ? String(ip).slice(0, MAX_IP) : undefined;
  }

  /** The changes that make the record say `about`; with `replace`, all of its fields. */
  changes(about: MetaFields, replace = false): Pick<SessionChanges, 'set' | 'unset'> {
    return replace ? { set: { ...about }, unset: [ ...META_FIELDS ].filter(name => !(name in about)) } : changesBetween(this.kept, about);
  }

  /** Whether the record has to be written although the data have not changed: at most once a minute. */
  isDue(data: SessionRecord): boolean {
    const { kept } = this;
    if (typeof kept._createdAt !== 'number' && this.config.absoluteMaxAge) return true;
    if (!this.isIndexed) return false;
    let principal: string | undefined;
    try {
      principal = this.principalOf(data);
    } catch (err) {
      // the next write fails with it, and whoever only reads is served
      warnOnce(this.ctx.app, 'principal', '%s', (err as Error).message);
      return false;
    }
    return principal !== kept._principal || (principal !== undefined && Math.abs(Date.now() - (kept._seenAt ?? 0)) >= MINUTE);
  }

  /** The principal that the record names, whose index has the session. */
  get indexedFor(): string | undefined {
    return this.kept._principal;
  }

  /**
   * Whether to note the session in the index again: with the first write in each minute, as the index may have lost it, to a server
   * that is short of memory, in a failover, or by a hand.
   */
  mustIndex({ _seenAt }: MetaFields): boolean {
    const minute = (at: number) => Math.floor(at / MINUTE);
    return minute(_seenAt!) !== minute(this.kept._seenAt ?? 0);
  }

  /** Whether each field may be one that tells whose session it is. */
  get dependsOnAll(): boolean {
    return this.isIndexed && typeof this.config.principal === 'function';
  }

  /** As the function of this name. */
  principalOf(data: SessionRecord): string | undefined {
    return principalOf(data, this.config);
  }

  /** The same where it must not throw: undefined when the data do not tell. */
  principalIn(data: SessionRecord): string | undefined {
    return principalIn(data, this.config);
  }

  /** Whether a record is a session of the principal. */
  isOf(principal: string | undefined, record: SessionRecord): boolean {
    return principalIn(record, this.config) === principal;
  }

  /** Whether a session is older than `absoluteMaxAge` by now. */
  hasOutlived(record: SessionRecord): boolean {
    return hasOutlived(record, this.config);
  }

  /** When `absoluteMaxAge` ends the session, in ms since 1970; undefined for never. */
  get absoluteEnd(): number | undefined {
    const { config: { absoluteMaxAge }, createdAt, storedAt = createdAt } = this;
    return absoluteMaxAge === undefined ? undefined : storedAt + absoluteMaxAge;
  }

  /** The options of a call that lets a record live on, which the store is to end in time. */
  limiting(options: SessionStoreOptions): SessionStoreOptions {
    return limiting(options, this.config);
  }
}

/**
 * Whose session it is by these data.
 *
 * @throws TypeError when `config.session.principal` gives anything but a string, a number, undefined or null, or throws
 */
export function principalOf(data: SessionRecord, { principal }: SessionConfig): string | undefined {
  if (principal === undefined) return undefined;
  let value: unknown = typeof principal === 'function' ? ask(principal, JSON.parse(JSON.stringify(data))) : data[principal];
  refusePromise(value, 'principal');
  if (typeof value === 'object' && value !== null) value = JSON.parse(JSON.stringify(value)); // as it will be read again
  if (value === undefined || value === null || value === '') return undefined;
  if (typeof value === 'string' || Number.isFinite(value)) return String(value);
  throw coded('ERR_SESSION_CONFIG', new TypeError(`[egg-tegg-session] config.session.principal gives ${kindOf(value)} for this session; it ` +
    'must be a string or a number, or undefined when nobody is signed in'));
}

function ask(principal: (data: SessionRecord) => unknown, data: SessionRecord): unknown {
  try {
    return principal(data);
  } catch (err) {
    throw coded('ERR_SESSION_CONFIG', new TypeError(`[egg-tegg-session] config.session.principal has thrown: ${(err as Error | undefined)?.message ?? err}. ` +
      'It must return undefined when nobody is signed in, as data => data.user?.id does', { cause: err }));
  }
}

/** Whose session a record is by its data; by its own word, where they do not tell. */
export function principalIn(record: MetaFields, config: SessionConfig): string | undefined {
  try {
    return principalOf(record, config);
  } catch {
    return record._principal;
  }
}
