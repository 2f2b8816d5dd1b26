import { checkMaxAge } from '../options/SessionConfig';
import { lifetimeOf, ONE_DAY, type SessionMaxAge, type SessionRecord } from '../record/SessionRecord';
import type { SessionEnvironment } from './environment';

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
  /** Counts the choices of the request; `keptChoices` those that are kept. */
  private choices = 0;
  private keptChoices = 0;

  constructor(private readonly options: SessionEnvironment['options'], private readonly env: Pick<SessionEnvironment, 'config' | 'hints'>) {}

  /** `session.maxAge`, which stands among the options of the request. */
  get maxAge(): SessionMaxAge | undefined {
    return this.options.maxAge;
  }

  /** @throws TypeError when it is no lifetime */
  set maxAge(value: unknown) {
    this.options.maxAge = checkMaxAge(value ?? this.env.config.maxAge, 'session.maxAge');
    this.choices++;
  }

  /** Takes the lifetime of what was loaded, and returns it; without one in the record, the one of the options. */
  load(record: SessionRecord): SessionMaxAge {
    const { options } = this;
    if ('_maxAge' in record || '_session' in record) options.maxAge = lifetimeOf(record);
    this.kept = options.maxAge;
    return this.valid();
  }

  /** Forgets that of a session that has ended: the next one has its own, unless the request has chosen one. */
  forget(): void {
    if (this.isChosen) return;
    this.options.maxAge = this.env.config.maxAge;
    this.kept = this.env.config.maxAge;
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
    if (chosen !== undefined) this.env.hints.lifetime('session.maxAge', chosen);
    return { choices, maxAge, chosen };
  }

  /** To be called when it is kept: that counts, unless the request has chosen again since `then`. */
  keep(then: Chosen, kept = then.maxAge): void {
    this.kept = kept;
    this.keptChoices = then.choices;
    if (this.choices === then.choices && this.maxAge === then.maxAge) this.options.maxAge = kept;
  }

  /** @throws TypeError when `ctx.sessionOptions.maxAge` is no lifetime */
  valid(): SessionMaxAge {
    return checkMaxAge(this.maxAge ?? ONE_DAY, 'ctx.sessionOptions.maxAge');
  }
}
