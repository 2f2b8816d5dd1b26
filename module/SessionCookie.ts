import type { Application, Context } from 'egg';
import { isAlive, isRecord } from './changes';
import { RequestStore } from './RequestStore';
import { Sealer } from './Sealer';
import type { SessionConfig } from './SessionConfig';
import type { SessionRecord } from './SessionStore';

/** What browsers keep of a cookie, its name and value together (RFC 6265bis, 5.6). */
const MAX_COOKIE_BYTES = 4096;

/** The part of Egg's cookies that signs and encrypts. */
interface EggKeys {
  verify(data: string, signature: string): number;
  decrypt(data: Buffer): { value: Buffer } | false;
}

/** What an id is sealed for: no data that were in the cookie once can be taken for an id, or the other way round. */
const forId = (key: string) => `${key} id`;

/** What koa-session removes a cookie with. */
const EXPIRED = { maxAge: false, expires: new Date(0) };

const encode = (record: SessionRecord) => Buffer.from(JSON.stringify(record)).toString('base64');
const decode = (text: string) => JSON.parse(Buffer.from(text, 'base64').toString());

/**
 * Writes and reads the session's cookie: the data, or the id of a session in a store. It is sealed, unless the
 * application encodes it itself or has turned encryption off; then Egg signs or encrypts it as it always did.
 */
export class SessionCookie {
  private readonly sealed: boolean;
  private sealer?: Sealer;
  /** Records from a cookie that was sealed under an older key. */
  private readonly stale = new WeakSet<object>();
  /** Empty records, for cookies that may be egg-session's. */
  private readonly legacy = new WeakSet<object>();
  /** Requests whose cookie is to be written anew. */
  private readonly renewing = new WeakSet<Context>();

  constructor(private readonly app: Application, private readonly config: SessionConfig) {
    this.sealed = config.encrypt && !config.encode && !config.decode;
    if (this.sealed && app.config.keys) this.keys();
  }

  /** The options with which koa-session reads and writes the cookie through this object. */
  koaOptions() {
    const { config } = this;
    return {
      ...(this.sealed ? { encrypt: false, signed: false } : {}),
      encode: (record: SessionRecord) => this.encode(record),
      decode: (text: string) => this.decode(text),
      valid: (ctx: Context, record: unknown) => this.accept(ctx, record) && (config.valid?.(ctx, record) ?? true),
      externalKey: {
        get: (ctx: Context) => (config.externalKey ? config.externalKey.get(ctx) : this.readId(ctx)),
        set: (ctx: Context, key: string) => this.writeId(ctx, key),
      },
    };
  }

  /** Whether the session came in a cookie that is good, but has to be sealed anew. */
  isStale(ctx: Context): boolean {
    return this.renewing.has(ctx) && !ctx.session.isNew;
  }

  /** Reports a cookie that Egg refuses, of which koa-session only says that there is none. */
  check(ctx: Context): void {
    if (this.sealed || RequestStore.of(ctx)) return;
    const { key } = this.config;
    if (ctx.cookies.get(key, { signed: false }) && !ctx.cookies.get(key, ctx.sessionOptions)) this.reportInvalid(ctx);
  }

  /** Keeps a response that sets the cookie out of shared caches, as far as the application has not decided itself. */
  protect(ctx: Context): void {
    const names = [ `${this.config.key}=`, `_CHIPS-${this.config.key}=` ];
    const lines = ([] as string[]).concat(ctx.response.get('set-cookie') ?? []);
    if (!lines.some(line => names.some(name => line.startsWith(name)))) return;
    if (!ctx.response.get('cache-control')) ctx.set('cache-control', 'private');
    ctx.vary('Cookie');
  }

  private encode(record: SessionRecord): string {
    const { config: { key }, config } = this;
    const text = this.sealed ? this.keys().seal(key, JSON.stringify(record)) : (config.encode ?? encode)(record);
    // Egg encrypts in blocks of 16 bytes, and writes Base64
    const bytes = config.encrypt && !this.sealed
      ? Math.ceil((Math.floor(Buffer.byteLength(text) / 16) + 1) * 16 / 3) * 4
      : Buffer.byteLength(text);
    if (Buffer.byteLength(key) + bytes > MAX_COOKIE_BYTES) {
      throw new Error(`[egg-tegg-session] the session is too large for a cookie: ${key} would take ` +
        `${Buffer.byteLength(key) + bytes} bytes, and browsers drop what is over ${MAX_COOKIE_BYTES}. ` +
        'Keep less in the session, or keep sessions in a store');
    }
    return text;
  }

  /**
   * Whatever holds no session comes out as an empty list, which `accept` refuses; the text itself is not for log lines, as
   * it may be a token that is good elsewhere.
   */
  private decode(text: string): unknown {
    const { config } = this;
    try {
      if (!this.sealed) {
        const record = (config.decode ?? decode)(text);
        return isRecord(record) ? record : [];
      }
      const opened = this.keys().open(config.key, text);
      if (!opened && config.acceptLegacyCookie) {
        const record = {};
        this.legacy.add(record);
        return record;
      }
      const record = opened && JSON.parse(opened.text);
      if (!isRecord(record)) return [];
      if (opened?.stale) this.stale.add(record);
      return record;
    } catch (err) {
      if (err instanceof SyntaxError) return [];
      throw err;
    }
  }

  private accept(ctx: Context, record: unknown): record is SessionRecord {
    if (!isRecord(record)) return false;
    if (this.legacy.has(record)) {
      try {
        const legacy = decode(this.openLegacy(ctx) ?? '');
        if (!isAlive(legacy)) return false;
        Object.assign(record, legacy);
      } catch {
        return false;
      }
      this.renewing.add(ctx);
    }
    if (this.stale.has(record)) this.renewing.add(ctx);
    return true;
  }

  private readId(ctx: Context): string | undefined {
    const { config: { key, acceptLegacyCookie }, sealed } = this;
    const value = ctx.cookies.get(key, { signed: false });
    if (!value) return undefined;
    const opened = sealed ? this.keys().open(forId(key), value) : undefined;
    const legacy = sealed && !opened && acceptLegacyCookie ? this.openLegacy(ctx) : undefined;
    if (opened?.stale || legacy) this.renewing.add(ctx);
    const id = sealed ? opened?.text ?? legacy : ctx.cookies.get(key, ctx.sessionOptions);
    if (!id) this.reportInvalid(ctx);
    return id;
  }

  private writeId(ctx: Context, key: string): void {
    const { config, sealed } = this;
    const id = RequestStore.of(ctx)!.idFor(key);
    if (config.externalKey) {
      if (id) config.externalKey.set(ctx, id);
    } else if (id) {
      ctx.cookies.set(config.key, sealed ? this.keys().seal(forId(config.key), id) : id, ctx.sessionOptions);
    } else {
      ctx.cookies.set(config.key, '', { ...ctx.sessionOptions, ...EXPIRED });
    }
  }

  /** What egg-session put into this request's cookie, which it signed or encrypted. */
  private openLegacy(ctx: Context): string | undefined {
    const { key } = this.config;
    const { keys } = ctx.cookies as unknown as { keys: EggKeys };
    const value = ctx.cookies.get(key, { signed: false });
    if (!value) return undefined;
    const signature = ctx.cookies.get(`${key}.sig`, { signed: false });
    if (signature && keys.verify(`${key}=${value}`, signature) >= 0) return value;
    const decrypted = keys.decrypt(Buffer.from(value, 'base64'));
    return decrypted ? decrypted.value.toString() : undefined;
  }

  private reportInvalid(ctx: Context): void {
    setImmediate(() => this.app.emit('session:invalid', { ctx }));
  }

  /** Derived once; at boot, when the application has keys. */
  private keys(): Sealer {
    this.sealer ??= new Sealer(this.app.keys as string[]);
    return this.sealer;
  }
}
