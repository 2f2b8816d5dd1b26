import type { Application, Context } from 'egg';
import { coded } from '../record/errors';
import { refusePromise, requireText, type SessionConfig } from '../options/SessionConfig';
import { type CookiePlace, distinct, isSamePlace, placesIn, remembered } from '../record/CookiePlace';
import { isAlive, isRecord, ONE_DAY, type SessionMaxAge, type SessionRecord } from '../record/SessionRecord';
import type { Snapshot } from '../record/Snapshot';
import { largestField } from '../record/tooLarge';
import { withCappedLifetime } from './LegacyCookie';
import { placeOf } from './places';
import { type Content, DecodeFailure, type Found, type Opened, SessionCookie } from './SessionCookie';
import { MAX_COOKIE_BYTES } from './Sealer';

/** The longest lifetime, in ms, that browsers give a cookie (RFC 6265bis, 5.5). */
const LONGEST_COOKIE = 400 * ONE_DAY;

const decode = (text: string) => JSON.parse(Buffer.from(text, 'base64').toString());

/** When a cookie was written, in ms since 1970; of several, the youngest counts. */
function writtenAt({ _savedAt, _expire, _maxAge }: SessionRecord): number {
  const at = Math.floor(typeof _savedAt === 'number' ? _savedAt : Number(_expire) - Number(_maxAge));
  return Number.isSafeInteger(at) ? at : 0; // what is neither sealed nor signed may say anything
}

/** The cookie of an application without a store: it has the session's data. */
export class DataCookie implements Content<SessionRecord> {
  private readonly cookie: SessionCookie<SessionRecord>;

  constructor(app: Application, private readonly config: SessionConfig) {
    this.cookie = new SessionCookie(app, config, config.key, this);
  }

  /**
   * The session in the request's cookie; of several, the youngest, as nothing else tells which of them have ended.
   *
   * @throws what `config.session.decode` throws, unless that is a SyntaxError; the response then removes the cookie
   */
  read(ctx: Context): Opened<SessionRecord> | undefined {
    const youngest = this.youngest(ctx);
    return youngest?.value._ended === true ? undefined : youngest;
  }

  /**
   * Writes the cookie.
   *
   * @param ctx the request
   * @param data the session's data
   * @param maxAge their lifetime
   * @param createdAt when the session was created
   * @throws Error when browsers would not keep it
   */
  write(ctx: Context, data: Snapshot, maxAge: SessionMaxAge, createdAt: number): void {
    const now = Date.now();
    const before = this.youngest(ctx)?.value;
    const newest = before ? writtenAt(before) : 0;
    const lifetime = maxAge === 'session' ? '"_session":true' : `"_expire":${now + maxAge},"_maxAge":${maxAge}`;
    // must be the youngest, whatever the clocks of other servers say
    const savedAt = maxAge === 'session' || newest >= now ? `,"_savedAt":${Math.max(now, newest + 1)}` : '';
    const place = placeOf(ctx);
    const earlier = before && placesIn(before);
    const cookie = earlier || !isSamePlace(place, {}) ? `,"_cookie":${JSON.stringify(remembered(place, earlier))}` : '';
    const text = this.encode(data.toJson(`,${lifetime},"_createdAt":${createdAt}${savedAt}${cookie}`));
    // Egg encrypts in blocks of 16 bytes, and writes Base64
    const bytes = this.config.encrypt && !this.cookie.sealed
      ? Math.ceil((Math.floor(Buffer.byteLength(text) / 16) + 1) * 16 / 3) * 4
      : Buffer.byteLength(text);
    const total = this.cookie.longestName.length + bytes;
    if (total > MAX_COOKIE_BYTES) throw tooLarge(this.cookie.longestName, total, data);
    this.cookie.set(ctx, text);
  }

  /** Has the browser remove the cookies that have opened, as {@link SessionCookie.expire} says. */
  expire(ctx: Context, known?: readonly CookiePlace[], wasFound?: boolean): void {
    this.cookie.expire(ctx, known, wasFound);
  }

  decode(text: string): SessionRecord | undefined {
    const record = this.parse(text);
    refusePromise(record, 'decode');
    return isRecord(record) ? record : undefined;
  }

  private parse(text: string): unknown {
    try {
      return this.cookie.sealed ? JSON.parse(text) : (this.config.decode ?? decode)(text);
    } catch (err) {
      if (err instanceof SyntaxError) return undefined;
      throw new DecodeFailure(err);
    }
  }

  decodeLegacy(text: string): SessionRecord | undefined {
    try {
      const record = decode(text);
      return isAlive(record) ? withCappedLifetime(record, this.config.maxAge) : undefined;
    } catch {
      return undefined;
    }
  }

  placesOf({ opened, hasForeign }: Found<SessionRecord>): CookiePlace[] {
    // a cookie without `_cookie` is in the default place; but one of version 1.0.0 may be anywhere, and beside foreign cookies nobody can tell
    return opened.flatMap(({ value }) => placesIn(value) ?? (hasForeign ? [] : [{}]));
  }

  /**
   * Where all cookies are known, they are removed. A cookie in an unknown place would stay and count again: then a younger one takes their
   * place, which says that the session has ended (`_ended`).
   */
  farewell(ctx: Context, found: Found<SessionRecord>) {
    const { opened, hasForeign } = found;
    const place = placeOf(ctx);
    const places = opened.map(({ value }) => placesIn(value)?.[0]);
    const isUnknown = distinct(places.map(each => each ?? {})).length < opened.length ||
      (hasForeign && places.includes(undefined) && !isSamePlace(place, {}));
    const { encode, decode: custom } = this.config;
    const isRefused = ctx.sessionOptions.secure && !ctx.secure;
    if (!isUnknown || encode || custom || isRefused) return { value: '' };
    const now = Date.now();
    const lives = opened.map(({ value: { _expire } }) => (typeof _expire === 'number' ? _expire - now : LONGEST_COOKIE));
    const maxAge = opened.every(({ value }) => value._session === true) ? 'session' as const : Math.min(Math.max(1000, ...lives), LONGEST_COOKIE);
    const value = this.encode(JSON.stringify({
      _ended: true,
      ...maxAge === 'session' ? { _session: true } : { _expire: now + maxAge, _maxAge: maxAge },
      _savedAt: Math.max(now, ...opened.map(({ value }) => writtenAt(value) + 1)),
      _cookie: remembered(place, this.placesOf(found)),
    }));
    return { value, maxAge };
  }

  private youngest(ctx: Context): Opened<SessionRecord> | undefined {
    const { opened } = this.cookie.found(ctx);
    if (opened.length < 2) return opened[0];
    return opened.reduce((best, each) => (writtenAt(each.value) > writtenAt(best.value) ? each : best));
  }

  private encode(json: string): string {
    const { encode, encrypt } = this.config;
    if (this.cookie.sealed) return this.cookie.seal(json);
    if (!encode) return Buffer.from(json).toString('base64');
    const text = requireText(encode(JSON.parse(json)), 'encode');
    if (encrypt || !/^[ \t]|;|[ \t]$/.test(text)) return text;
    throw coded('ERR_SESSION_CONFIG', new TypeError('[egg-tegg-session] config.session.encode returned a string with a semicolon, or a blank at an end; it must return what ' +
      'a cookie can hold, as Base64, or config.session.encrypt be left on'));
  }
}

function tooLarge(name: string, bytes: number, data: Snapshot): Error {
  return coded('ERR_SESSION_TOO_LARGE', new Error(`[egg-tegg-session] the session is too large for a cookie: ${name} would take ${bytes} bytes, and browsers drop what is over ` +
    `${MAX_COOKIE_BYTES}. ${largestField(data.toData())}. Keep less in the session, or keep sessions in a store`));
}
