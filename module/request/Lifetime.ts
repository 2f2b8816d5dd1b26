import type { Application, Context } from 'egg';
import { lifetimeOf, ONE_DAY } from '../record';
import { checkMaxAge, type SessionConfig } from '../SessionConfig';
import { environmentOf } from './environment';
import { warnOfBrowserLifetime } from '../store/activeStore';
import type { SessionMaxAge, SessionRecord } from '../store/SessionStore';
import { warnOnce } from '../warnOnce';

/** A lifetime at one moment, and as the request has chosen it; undefined when it has chosen none. */
export interface Chosen {
  readonly maxAge: SessionMaxAge | undefined;
  readonly chosen: SessionMaxAge | undefined;
  readonly choices: number;
}

/**
 * The lifetime of a request's session. A request that chooses none leaves the one that is kept as it is, also when another
 * request changes it meanwhile.
 */
export class Lifetime {
  private kept?: SessionMaxAge;
  /** How often the request has chosen, and how many of these are kept. */
  private choices = 0;
  private keptChoices = 0;

  constructor(private readonly ctx: Context, private readonly config: SessionConfig) {}

  /** `session.maxAge`, which koa-session keeps with the options of the request. */
  get maxAge(): SessionMaxAge | undefined {
    return this.ctx.sessionOptions.maxAge;
  }

  /** @throws TypeError when it is no lifetime */
  set maxAge(value: unknown) {
    this.ctx.sessionOptions.maxAge = checkMaxAge(value ?? this.config.maxAge, 'session.maxAge');
    this.choices++;
  }

  /** Takes the lifetime of what was loaded, and returns it; without one in the record, the one of the options. */
  load(record: SessionRecord): SessionMaxAge {
    const { ctx: { sessionOptions } } = this;
    if ('_maxAge' in record || '_session' in record) sessionOptions.maxAge = lifetimeOf(record);
    this.kept = sessionOptions.maxAge;
    return this.valid();
  }

  /** Whether `session.maxAge` was set, to whatever, and is not kept yet. */
  get isChosen(): boolean {
    return this.choices !== this.keptChoices;
  }

  /** Whether it differs from what is kept, as when `ctx.sessionOptions` was written to. */
  get isChanged(): boolean {
    return this.maxAge !== this.kept;
  }

  now(): Chosen {
    const { choices, maxAge } = this;
    const chosen = this.isChosen || this.isChanged ? this.valid() : undefined;
    if (chosen !== undefined) warnOfLifetime(environmentOf(this.ctx.app).app, 'session.maxAge', chosen);
    return { choices, maxAge, chosen };
  }

  /** To be called when it is kept: that counts, unless the request has chosen again since `then`. */
  keep(then: Chosen, kept = then.maxAge): void {
    this.kept = kept;
    this.keptChoices = then.choices;
    if (this.choices === then.choices && this.maxAge === then.maxAge) this.ctx.sessionOptions.maxAge = kept;
  }

  /** @throws TypeError when `ctx.sessionOptions.maxAge` is no lifetime */
  valid(): SessionMaxAge {
    return checkMaxAge(this.maxAge ?? ONE_DAY, 'ctx.sessionOptions.maxAge');
  }
}

const MINUTE = 60_000;

/** Warns of a lifetime that is hardly meant: in development, one that has been given in seconds. */
export function warnOfLifetime(app: Application, what: string, value: SessionMaxAge): void {
  if (value === 'session') return warnOfBrowserLifetime(app, what);
  if (value >= MINUTE || app.config.env === 'prod' || app.config.env === 'unittest') return;
  warnOnce(app, `${what} ${value}`, '[egg-tegg-session] %s is %d, and that is milliseconds: a session ends after %d s. If seconds are ' +
    'meant, write %d * 1000', what, value, value / 1000, value);
}
