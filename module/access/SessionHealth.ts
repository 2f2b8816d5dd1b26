import { AccessLevel, SingletonProto } from '@eggjs/tegg';
import { currentApp } from '../application/applications';
import { environmentOf } from '../request/environment';
import type { StoreHealth } from '../store/StoreHealth';

/** Numbers of calls of the store. Each call counts as one of the first five; a read that renews counts as a load and a renewal. */
export interface SessionCounters {
  /** Reads of a session. */
  readonly loads: number;
  /** Writes of a session. */
  readonly writes: number;
  /** Sessions that live on, and were not written. */
  readonly renewals: number;
  /** Sessions that were ended, or moved to a new id. */
  readonly ends: number;
  /** Calls of the index, which knows whose sessions there are. */
  readonly index: number;
  /** Reads that found no session. */
  readonly misses: number;
  /** Calls that failed. */
  readonly errors: number;
  /** Calls that were not made, as the store was down: in none of the others. */
  readonly rejected: number;
}

/** What {@link SessionHealth.toJSON} returns. */
export interface SessionHealthReport extends Pick<SessionHealth, 'breaker' | 'latency' | 'counters'> {
  /** What failed last, and when, in ms since 1970. */
  lastError: { message: string; at: number } | undefined;
}

/**
 * How the session store does, in this process since it started; inject it anywhere as `sessionHealth`, as for a health check.
 * Without a store nothing is counted.
 *
 * ```ts
 * @Inject()
 * private readonly sessionHealth: SessionHealth;
 *
 * if (this.sessionHealth.breaker === 'open') ctx.status = 503;
 * ```
 */
@SingletonProto({ name: 'sessionHealth', accessLevel: AccessLevel.PUBLIC })
export class SessionHealth {
  /**
   * `closed` when the store is asked, `open` while it is down and left alone, by reads, by writes or by both, `half-open` while a call asks
   * whether it is back.
   */
  get breaker(): 'closed' | 'open' | 'half-open' {
    return this.health.breaker;
  }

  /** What failed last, without ids and data, and when, in ms since 1970. */
  get lastError(): { error: Error; at: number } | undefined {
    return this.health.lastError;
  }

  /** The latencies, in ms, that 50, 95 and 99 percent of the last 1,000 calls stayed within. */
  get latency(): { p50: number; p95: number; p99: number } {
    const { health } = this;
    return { p50: health.percentile(50), p95: health.percentile(95), p99: health.percentile(99) };
  }

  /** Numbers of calls of the store. */
  get counters(): SessionCounters {
    return { ...this.health.counters };
  }

  /** All of this, for printing; of the last error, its message only. */
  toJSON(): SessionHealthReport {
    const { breaker, lastError, latency, counters } = this;
    return { breaker, lastError: lastError && { message: lastError.error.message, at: lastError.at }, latency, counters };
  }

  private get health(): StoreHealth {
    return environmentOf(currentApp()).health;
  }
}
