import type { Context } from 'egg';
import { cookieValues, unquoted } from '../cookie/CookieHeader';
import { SealedCookie } from '../cookie/SealedCookie';
import type { Sealer } from '../cookie/Sealer';
import type { SessionConfig } from '../options/SessionConfig';

/** The most cookies of the name that are tried: anybody can send hundreds, and each costs a decryption. */
const MOST_TRIED = 4;

/** The time, in ms, by which the seal outlives the cookie in the browser, which may send it in its last moment. */
const GRACE = 10_000;

/** `<key>.device`: a sealed cookie that names a binding, and until when that counts as proven. */
export class BoundCookie {
  readonly name: string;
  /** As the instructions declare them: browsers ask for a proof while they have no cookie with exactly these. */
  readonly attributes: string;
  private sealed?: SealedCookie;

  /**
   * @param config the options
   * @param cookies `config.cookies`, Egg's defaults for all cookies
   * @param sealer is asked for when it is first needed
   * @param maxAge lifetime of a proof, in ms
   */
  constructor(config: SessionConfig, cookies: { path?: string; sameSite?: unknown } | undefined, private readonly sealer: () => Sealer, private readonly maxAge: number) {
    this.name = `${config.key}.device`;
    const { path = cookies?.path ?? '/', httpOnly, sameSite = cookies?.sameSite } = config;
    this.attributes = [ `Path=${path}`, 'Secure', httpOnly ? 'HttpOnly' : '', sameSite ? `SameSite=${sameSiteOf(sameSite)}` : '' ].filter(Boolean).join('; ');
  }

  /** Whether a request has one of this binding that is not over; or why not. */
  check(ctx: Context, id: string): 'good' | 'no cookie' | 'bad cookie' | 'old cookie' {
    const values = cookieValues(ctx.get('cookie'), this.name);
    if (values.length === 0) return 'no cookie';
    const tries = { left: MOST_TRIED };
    let found: 'bad cookie' | 'old cookie' = 'bad cookie';
    for (const value of values) {
      const [ until, of ] = this.seals().open(unquoted(value), tries)?.text.split(' ') ?? [];
      if (of === undefined || of !== id) continue;
      if (Number(until) > Date.now()) return 'good';
      found = 'old cookie';
    }
    return found;
  }

  /** Has the browser keep one of this binding. */
  set(ctx: Context, id: string): void {
    const value = this.seals().seal(`${Date.now() + this.maxAge + GRACE} ${id}`);
    this.send(ctx, `${this.name}=${value}; Max-Age=${Math.floor(this.maxAge / 1000)}; ${this.attributes}`);
  }

  /** Has the browser remove it, if the request came with one: a form of another site comes without, and must sign nobody out. */
  expire(ctx: Context): void {
    if (cookieValues(ctx.get('cookie'), this.name).length === 0 || ctx.headerSent) return;
    this.send(ctx, `${this.name}=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; ${this.attributes}`);
  }

  private send(ctx: Context, line: string): void {
    const lines = ([] as string[]).concat(ctx.res.getHeader('set-cookie') as string[] | undefined ?? []);
    ctx.set('set-cookie', [ ...lines, line ]);
  }

  private seals(): SealedCookie {
    this.sealed ??= new SealedCookie(this.sealer(), `${this.name} bound`);
    return this.sealed;
  }
}

function sameSiteOf(value: unknown): string {
  if (value === true) return 'Strict';
  const text = String(value).toLowerCase();
  return text[0].toUpperCase() + text.slice(1);
}
