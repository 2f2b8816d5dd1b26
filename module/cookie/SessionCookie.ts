import type { Application, Context } from 'egg';
import type { SessionConfig } from '../options/SessionConfig';
import { type CookiePlace, distinct } from '../record/CookiePlace';
import type { SessionMaxAge } from '../record/SessionRecord';
import { cookieValues, unquoted } from './CookieHeader';
import { legacyTexts } from './LegacyCookie';
import { domainOf, hasChosenPlace, otherPlaces, placeOf } from './places';
import { SealedCookie, type Tries } from './SealedCookie';
import { Sealer, type Unsealed } from './Sealer';
import { trace } from '../record/trace';
import { keepPrivate } from './SharedCaches';

/** The most cookies of the name that are tried, and that may open: anybody can send hundreds, and each costs a decryption, or a read of the store. */
const MOST_TRIED = 4;

/** What egg-cookies puts before the name of the partitioned twin of a cookie, under `config.cookies.autoChips`. */
const TWIN = '_CHIPS-';

/** What a request's cookie holds. One that is `stale` has to be written anew. */
export interface Opened<T> {
  value: T;
  stale: boolean;
  /** The cookie's value as the browser has it. */
  raw: string;
}

/** The cookies of the name that a request came with. */
export interface Found<T> {
  /** Those that open, in the order of the header. */
  opened: Array<Opened<T>>;
  /** Whether there are others, which may be another application's. */
  hasForeign: boolean;
}

/** The part of Egg's cookies that signs and encrypts. */
interface EggKeys {
  verify(data: string, signature: string): number;
  decrypt(data: Buffer): { value: Buffer } | false;
}

/** An error of `config.session.decode`, which is its cause. */
export class DecodeFailure extends Error {
  constructor(cause: unknown) {
    super('', { cause });
  }
}

const NONE: Found<never> = { opened: [], hasForeign: false };
const FOUND = Symbol('egg-tegg-session: cookies');
const IS_GOOD = Symbol('egg-tegg-session: good');

/** A response with the state of its cookie. The context stays without: many properties make it slow. */
type Notes<T> = Context['response'] & { [FOUND]?: Found<T>; [IS_GOOD]?: () => boolean };

/** Whether the cookie is sealed: not when the application encodes it itself, or has turned encryption off. */
export const isSealed = ({ encrypt, encode, decode }: SessionConfig): boolean => encrypt && !encode && !decode;

/** Applications that were told of several cookies, and of a cookie without SameSite. */
const told = { several: new WeakSet<Application>(), sameSite: new WeakSet<Application>() };

/** What the cookie holds: the data of a session, or an id. */
export interface Content<T> {
  /** What a text that has opened holds; undefined when that is nothing of ours. */
  decode(text: string): T | undefined;
  /** The same for a text that egg-session has written. */
  decodeLegacy(text: string): T | undefined;
  /** Where cookies have been set that hold this, as far as they say. */
  placesOf(found: Found<T>): CookiePlace[];
  /** The value that takes the place of the cookies that have opened; '' removes them. */
  farewell(ctx: Context, found: Found<T>): { value: string; maxAge?: SessionMaxAge };
}

/**
 * The session's cookie, with the data or the id of a session in a store. It is sealed, or signed or encrypted as Egg always did.
 * A cookie that does not open is not ours: it stays where it is until a session is written, and changes no answer.
 */
export class SessionCookie<T> {
  readonly sealed: boolean;
  /** The names that browsers know the cookie and its signature by, each up to `=`. */
  private readonly names: string[];
  /** The cookie's name with Egg's twin: browsers count it too. */
  readonly longestName: string;
  private sealedCookie?: SealedCookie;

  /**
   * @param app the application
   * @param config its options
   * @param sealedFor what values are sealed for: no data that were in the cookie once can be taken for an id, or the other way round
   * @param content what the values stand for
   */
  constructor(private readonly app: Application, private readonly config: SessionConfig, private readonly sealedFor: string,
    private readonly content: Content<T>) {
    const { key } = config;
    this.sealed = isSealed(config);
    this.names = [ key, `${key}.sig`, TWIN + key, `${TWIN}${key}.sig` ].map(name => `${name}=`);
    this.longestName = app.config.cookies?.autoChips ? TWIN + key : key;
    if (this.sealed && app.config.keys && !config.externalKey) this.seals();
  }

  /** The cookies of this name, read once for each request. */
  found(ctx: Context): Found<T> {
    const notes: Notes<T> = ctx.response;
    try {
      notes[FOUND] ??= this.find(ctx);
    } catch (err) {
      throw err instanceof DecodeFailure ? this.withRemoval(ctx, err.cause) : err;
    }
    return notes[FOUND];
  }

  /** Sets the cookie to a value; '' removes it. When the headers are sent, it is taken back unless it `isGood`. */
  set(ctx: Context, value: string, more?: object, isGood?: () => boolean): void {
    const { sessionOptions } = ctx;
    const notes: Notes<T> = ctx.response;
    notes[IS_GOOD] = isGood;
    const domain = typeof sessionOptions.domain === 'function' && { domain: domainOf(ctx) };
    // what has come over HTTP can be removed there, and Egg would refuse to
    const insecure = value === '' && sessionOptions.secure && !ctx.secure && { secure: false };
    this.warnOfSameSite(ctx, value);
    ctx.cookies.set(this.config.key, value, more || domain || insecure ? { ...sessionOptions, ...domain, ...more, ...insecure } : sessionOptions);
    keepPrivate(ctx, () => {
      if (notes[IS_GOOD]?.() === false) this.undo(ctx);
      return this.lines(ctx).some(line => this.isOurs(line));
    });
  }

  /**
   * Has the browser remove the cookies that have opened, wherever they may have been set.
   *
   * @param ctx the request
   * @param known where the session's were set
   * @param wasFound whether one of them led to a session; what is neither sealed nor signed may be anything else
   */
  expire(ctx: Context, known: readonly CookiePlace[] = [], wasFound = true): void {
    const found = this.found(ctx);
    const { opened, hasForeign } = found;
    const { encrypt, signed } = this.config;
    const isOurs = wasFound || this.sealed || (!encrypt && signed !== false);
    if (opened.length === 0 || !isOurs) {
      this.undo(ctx);
      // a handler that has chosen a place for this response means the cookie there
      if (hasChosenPlace(ctx, this.config)) this.set(ctx, '');
      return;
    }
    const own = placeOf(ctx);
    // what is not ours may be anywhere else
    const guessed = hasForeign || /^__host-/i.test(this.config.key) ? [] : otherPlaces(ctx, own, opened.length > 1);
    const { value, ...more } = this.content.farewell(ctx, found);
    if (ctx.sessionOptions.overwrite) this.undo(ctx);
    for (const place of distinct([ ...known, ...this.content.placesOf(found), ...guessed ], [ own ])) this.removeFrom(ctx, place);
    // the last: for some clients, a cookie of the host is the same as one of its domain (RFC 6265, 5.3)
    this.set(ctx, value, { ...more, overwrite: false });
  }

  /** Takes back what this response would have done to the cookie. */
  undo(ctx: Context): void {
    const lines = this.lines(ctx);
    this.setLines(ctx, lines.filter(line => !this.isOurs(line)));
  }

  private removeFrom(ctx: Context, { domain, path = '/', partitioned }: CookiePlace): void {
    if (partitioned && !ctx.secure) return; // there can be none
    this.set(ctx, '', {
      domain, path, partitioned, overwrite: false, removeUnpartitioned: false,
      ...partitioned ? { secure: true, sameSite: 'none' } : {}, // else Egg leaves the attribute out
    });
  }

  seal(text: string): string {
    return this.seals().seal(text);
  }

  private find(ctx: Context): Found<T> {
    const values = cookieValues(ctx.get('cookie'), this.config.key);
    if (values.length === 0) return this.findElsewhere(ctx);
    const found: Found<T> = { opened: [], hasForeign: false };
    let failure: DecodeFailure | undefined;
    const tries: Tries = { left: MOST_TRIED };
    for (const raw of values) {
      if (raw === '') continue;
      let opened: Opened<T> | undefined;
      try {
        if (found.opened.length === MOST_TRIED) opened = undefined;
        else if (this.sealed) opened = this.openSealed(raw, tries);
        else if (tries.left-- > 0) opened = this.openUnsealed(ctx, raw);
      } catch (err) {
        if (!(err instanceof DecodeFailure)) throw err;
        failure = err;
      }
      if (opened) found.opened.push(opened);
      else found.hasForeign = true;
    }
    if (found.opened.length === 0 && this.sealed && this.config.acceptLegacyCookie) this.findLegacy(ctx, values, found);
    if (found.opened.length === 0 && failure) throw failure;
    if (found.opened.length > 1) this.warnOfSeveral();
    if (trace.enabled) trace('%s %s: cookies %s that do not open: %d', ctx.method, ctx.path, this.config.key, values.filter(Boolean).length - found.opened.length);
    return found;
  }

  /** Egg's twin of the cookie, and what egg-mock puts in place of cookies. */
  private findElsewhere(ctx: Context): Found<T> {
    const { config: { key } } = this;
    const raw = ctx.cookies.get(key, { signed: false });
    if (!raw) return NONE;
    if (this.sealed) return this.only(this.openSealed(raw));
    const before = this.lines(ctx);
    const text = ctx.cookies.get(key, ctx.sessionOptions);
    // Egg signs anew, or removes the signature, on a route that may not even use the session
    const stale = this.lines(ctx).length !== before.length;
    if (stale) this.setLines(ctx, before);
    return this.only(this.opened(text ? { text, stale } : undefined, raw));
  }

  private only(opened: Opened<T> | undefined): Found<T> {
    return { opened: opened ? [ opened ] : [], hasForeign: !opened };
  }

  private findLegacy(ctx: Context, values: string[], found: Found<T>): void {
    const { key } = this.config;
    const signatures = cookieValues(ctx.get('cookie'), `${key}.sig`).slice(0, MOST_TRIED).map(unquoted);
    for (const raw of values.filter(Boolean).slice(0, MOST_TRIED)) {
      for (const text of legacyTexts(ctx, key, unquoted(raw), signatures)) {
        const value = this.content.decodeLegacy(text);
        if (value === undefined) continue;
        found.opened.push({ value, stale: true, raw });
        break;
      }
    }
    found.hasForeign = found.opened.length < values.filter(Boolean).length;
  }

  private openSealed(raw: string, tries?: Tries): Opened<T> | undefined {
    const value = unquoted(raw);
    return this.opened(this.seals().open(value, tries), value);
  }

  /** A cookie that Egg signed or encrypted, or that anybody may have written. */
  private openUnsealed(ctx: Context, raw: string): Opened<T> | undefined {
    const { encrypt, signed } = ctx.sessionOptions;
    const { keys } = ctx.cookies as unknown as { keys: EggKeys };
    if (encrypt) {
      const decrypted = keys.decrypt(Buffer.from(unquoted(raw), 'base64'));
      return this.opened(decrypted ? { text: decrypted.value.toString(), stale: false } : undefined, raw);
    }
    const { key } = this.config;
    const signatures = signed === false ? undefined : cookieValues(ctx.get('cookie'), `${key}.sig`).slice(0, MOST_TRIED).map(unquoted);
    for (const text of new Set([ raw, unquoted(raw) ])) {
      const index = signatures ? signatures.map(signature => keys.verify(`${key}=${text}`, signature)).find(each => each >= 0) : 0;
      const opened = index === undefined ? undefined : this.opened({ text, stale: index > 0 }, text);
      if (opened) return opened;
    }
    return undefined;
  }

  private opened(unsealed: Unsealed | undefined, raw: string): Opened<T> | undefined {
    if (!unsealed) return undefined;
    const value = this.content.decode(unsealed.text);
    return value === undefined ? undefined : { value, stale: unsealed.stale, raw };
  }

  /** Removes a cookie that `config.session.decode` fails for, so that the next request does not. */
  private withRemoval(ctx: Context, err: unknown): unknown {
    this.set(ctx, '');
    // Egg's answer to an error has only the headers that the error has
    return Object.assign(err as Error, { headers: { 'set-cookie': ctx.response.get('set-cookie') } });
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

  /** Its keys are derived once; at boot, when the application has some. */
  private seals(): SealedCookie {
    this.sealedCookie ??= new SealedCookie(new Sealer(this.app.keys as string[]), this.sealedFor);
    return this.sealedCookie;
  }

  private warnOfSeveral(): void {
    if (told.several.has(this.app)) return;
    told.several.add(this.app);
    this.app.coreLogger.warn('[egg-tegg-session] a request came with several cookies %s that open: config.session.domain, path or ' +
      'partitioned has changed, two applications have the same config.keys, or another host of the domain has set one. The session ' +
      'that is alive is used, of several the youngest, and signing out ends all of them; a browser keeps a cookie of another path ' +
      'until it expires. To leave them all behind, set config.session.key to another name; only this host can set one that begins ' +
      'with __Host-', this.config.key);
  }

  private warnOfSameSite(ctx: Context, value: string): void {
    const { sessionOptions, app } = ctx;
    const sameSite = 'sameSite' in sessionOptions ? sessionOptions.sameSite : app.config.cookies?.sameSite;
    if (value === '' || typeof sameSite !== 'string' || sameSite.toLowerCase() !== 'none' || told.sameSite.has(this.app)) return;
    if (ctx.secure && sessionOptions.secure !== false) return;
    told.sameSite.add(this.app);
    this.app.coreLogger.warn('[egg-tegg-session] the cookie %s was sent without SameSite=None, as that needs HTTPS and Secure (%s %s): browsers ' +
      'take it for Lax, and send it from no other site. Use HTTPS, without config.session.secure: false; if a proxy in front speaks ' +
      'it, set config.proxy to true', this.config.key, ctx.method, ctx.path);
  }
}
