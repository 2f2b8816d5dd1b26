import type { Application, Context } from 'egg';
import onHeaders from 'on-headers';
import { legacyTexts, withCappedLifetime } from './LegacyCookie';
import { isAlive, isRecord } from './record';
import { largestField } from './tooLarge';
import { SealedCookie } from './SealedCookie';
import { Sealer } from './Sealer';
import type { SessionConfig } from './SessionConfig';
import type { SessionMaxAge, SessionRecord } from './store/SessionStore';

/** What browsers keep of a cookie, its name and value together (RFC 6265bis, 5.6). */
const MAX_COOKIE_BYTES = 4096;

/** What egg-cookies puts before the name of the partitioned twin of a cookie, under `config.cookies.autoChips`. */
const TWIN = '_CHIPS-';

/** The commas of a header that stand outside quoted strings. */
const OUTSIDE_QUOTES = /,(?=(?:[^"]*"[^"]*")*[^"]*$)/;

/** What shared caches go by instead of `Cache-Control` (RFC 9213). */
const FOR_SHARED_CACHES = [ 'cdn-cache-control', 'surrogate-control' ];

/** What a request's cookie holds. One that is `stale` has to be written anew. */
export type Opened<T> = { value: T; stale: boolean };

/** A `Cache-Control` that keeps the response out of shared caches. */
function privately(given: ReturnType<Context['res']['getHeader']>): string {
  if (given === undefined) return 'private';
  const directives = String(given).split(OUTSIDE_QUOTES).map(text => text.trim())
    .filter(text => text && !/^(public|s-maxage\b.*)$/i.test(text));
  if (!directives.some(text => /^(private|no-store)$/i.test(text))) directives.unshift('private');
  return directives.join(', ');
}

const KEPT_PRIVATE = Symbol('egg-tegg-session: kept private');
type WithResponse = Context & { [KEPT_PRIVATE]?: { hasId: boolean } };

const decode = (text: string) => JSON.parse(Buffer.from(text, 'base64').toString());

/**
 * Reads and writes the session's cookie: the data, or the id of a session in a store. It is sealed, unless the
 * application encodes it itself or has turned encryption off; then Egg signs or encrypts it as it always did.
 */
export class SessionCookie {
  readonly sealed: boolean;
  /** The names that browsers know the cookie and its signature by, each up to `=`. */
  private readonly names: string[];
  private cookies?: { data: SealedCookie; ids: SealedCookie };

  constructor(private readonly app: Application, private readonly config: SessionConfig) {
    const { key } = config;
    this.sealed = config.encrypt && !config.encode && !config.decode;
    this.names = [ key, `${key}.sig`, TWIN + key, `${TWIN}${key}.sig` ].map(name => `${name}=`);
    if (this.sealed && app.config.keys) this.sealedCookies();
  }

  /**
   * The session's data in the cookie.
   *
   * @return undefined without a cookie, null when it does not open
   * @throws what `config.session.decode` throws, unless that is a SyntaxError; the response then removes the cookie
   */
  readData(ctx: Context): Opened<SessionRecord> | null | undefined {
    const { config } = this;
    const text = this.read(ctx, 'data');
    if (text) {
      const value = this.decode(ctx, text.value);
      return isRecord(value) ? { value, stale: text.stale } : null;
    }
    const legacy = text === null && this.acceptsLegacy
      ? legacyTexts(ctx, config.key).map(old => this.decodeLegacy(old)).find(isAlive) : undefined;
    return legacy ? { value: withCappedLifetime(legacy, config.maxAge), stale: true } : text;
  }

  /** The id in the cookie; undefined without a cookie, null when it does not open. */
  readId(ctx: Context): Opened<string> | null | undefined {
    const { key } = this.config;
    const id = this.read(ctx, 'ids');
    if (id !== null || !this.acceptsLegacy) return id;
    const legacy = legacyTexts(ctx, key).find(text => /^[\x21-\x7e]+$/.test(text));
    return legacy === undefined ? null : { value: legacy, stale: true };
  }

  /**
   * The cookie's text for data, given as JSON, their lifetime, and when the session was created.
   *
   * @throws Error when browsers would not keep it
   */
  encode(data: string, maxAge: SessionMaxAge, createdAt: number): string {
    const { config: { key }, config } = this;
    const lifetime = maxAge === 'session' ? '"_session":true' : `"_expire":${Date.now() + maxAge},"_maxAge":${maxAge}`;
    const meta = `${lifetime},"_createdAt":${createdAt}`;
    const json = `${data.slice(0, -1)}${data === '{}' ? '' : ','}${meta}}`;
    const text = this.sealed ? this.sealedCookies().data.seal(json)
      : config.encode ? config.encode(JSON.parse(json)) : Buffer.from(json).toString('base64');
    // Egg encrypts in blocks of 16 bytes, and writes Base64
    const bytes = config.encrypt && !this.sealed
      ? Math.ceil((Math.floor(Buffer.byteLength(text) / 16) + 1) * 16 / 3) * 4
      : Buffer.byteLength(text);
    const name = this.app.config.cookies?.autoChips ? TWIN + key : key;
    if (name.length + bytes > MAX_COOKIE_BYTES) {
      throw new Error(`[egg-tegg-session] the session is too large for a cookie: ${name} would take ${name.length + bytes} ` +
        `bytes, and browsers drop what is over ${MAX_COOKIE_BYTES}. ${largestField(JSON.parse(data))}. Keep less in the session, ` +
        'or keep sessions in a store');
    }
    return text;
  }

  /** Writes the text of `encode`, or '' to remove the cookie. */
  writeText(ctx: Context, text: string): void {
    ctx.cookies.set(this.config.key, text, ctx.sessionOptions);
    this.keepPrivate(ctx);
  }

  /** Writes an id; one that the browser has already, it is sent as it has it. */
  writeId(ctx: Context, id: string): void {
    if (!this.sealed) return this.writeText(ctx, id);
    const { ids } = this.sealedCookies();
    const given = ctx.cookies.get(this.config.key, { signed: false });
    const held = given ? ids.open(given) : undefined;
    this.writeText(ctx, held?.text === id && !held.stale ? given! : ids.seal(id));
  }

  /** Has the browser remove the cookie. */
  remove(ctx: Context): void {
    this.writeText(ctx, '');
  }

  /** Takes back what this response would have done to the cookie. */
  withdraw(ctx: Context): void {
    this.setLines(ctx, this.lines(ctx).filter(line => !this.isOurs(line)));
  }

  /** Keeps a response that sets the cookie, or `hasId` in another way, out of shared caches, whatever its headers will be. */
  keepPrivate(ctx: Context, hasId = false): void {
    const before = (ctx as WithResponse)[KEPT_PRIVATE];
    if (before) {
      before.hasId ||= hasId;
      return;
    }
    // once: each would call the one before, in a handler that saves thousands of times too many
    const response = (ctx as WithResponse)[KEPT_PRIVATE] = { hasId };
    onHeaders(ctx.res, () => {
      if (!response.hasId && !this.lines(ctx).some(line => this.isOurs(line))) return;
      const { res } = ctx;
      res.setHeader('cache-control', privately(res.getHeader('cache-control')));
      for (const name of FOR_SHARED_CACHES) res.removeHeader(name);
      if (res.hasHeader('vary')) ctx.vary('Cookie');
      else res.setHeader('vary', 'Cookie');
    });
  }

  /** The cookie's text once the seal, the signature or the encryption is found good. */
  private read(ctx: Context, kind: 'data' | 'ids'): Opened<string> | null | undefined {
    const { key } = this.config;
    const raw = ctx.cookies.get(key, { signed: false });
    if (raw === undefined) return undefined;
    if (!this.sealed) {
      if (!raw) return undefined;
      const before = this.lines(ctx);
      const value = ctx.cookies.get(key, ctx.sessionOptions);
      // Egg signs anew, or removes the signature, on a route that may not even use the session
      const stale = this.lines(ctx).length !== before.length;
      if (stale) this.setLines(ctx, before);
      return value ? { value, stale } : null;
    }
    const cookie = this.sealedCookies()[kind];
    const opened = cookie.open(raw) ?? this.all(ctx).map(text => cookie.open(text)).find(Boolean);
    if (opened) return { value: opened.text, stale: opened.stale };
    return raw || this.all(ctx).length > 0 ? null : undefined;
  }

  /** All cookies of this name: other hosts of the domain can have the browser send one before ours. */
  private all(ctx: Context): string[] {
    const [ name ] = this.names;
    return ctx.get('cookie').split(';').map(text => text.trim())
      .filter(text => text.startsWith(name) && text !== name)
      .map(text => text.slice(name.length));
  }

  private decode(ctx: Context, text: string): unknown {
    const { config } = this;
    try {
      return this.sealed ? JSON.parse(text) : (config.decode ?? decode)(text);
    } catch (err) {
      if (err instanceof SyntaxError) return undefined;
      this.remove(ctx);
      // Egg's answer to an error has only the headers that the error has
      throw Object.assign(err as Error, { headers: { 'set-cookie': ctx.response.get('set-cookie') } });
    }
  }

  private decodeLegacy(text: string): unknown {
    try {
      return decode(text);
    } catch {
      return undefined;
    }
  }

  private get acceptsLegacy() {
    return this.sealed && this.config.acceptLegacyCookie;
  }

  private lines(ctx: Context): string[] {
    // Koa's own would copy all headers
    return ([] as string[]).concat(ctx.res.getHeader('set-cookie') as string[] | undefined ?? []);
  }

  private setLines(ctx: Context, lines: string[]): void {
    if (lines.length > 0) ctx.set('set-cookie', lines);
    else ctx.remove('set-cookie');
  }

  private isOurs(line: string): boolean {
    return this.names.some(name => line.startsWith(name));
  }

  /** Their keys are derived once; at boot, when the application has some. */
  private sealedCookies() {
    if (!this.cookies) {
      const sealer = new Sealer(this.app.keys as string[]);
      const { key } = this.config;
      // what an id is sealed for is another name: no data that were in the cookie once can be taken for an id, or the other way round
      this.cookies = { data: new SealedCookie(sealer, key), ids: new SealedCookie(sealer, `${key} id`) };
    }
    return this.cookies;
  }
}
