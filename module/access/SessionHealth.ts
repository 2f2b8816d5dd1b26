import { AccessLevel, SingletonProto } from '@eggjs/tegg';
import { currentApp } from '../application/applications';
import { environmentOf } from '../request/environment';
import type { StoreHealth } from '../store/StoreHealth';

/** Numbers of calls to the store. Each call counts as one of the first five; a read that renews counts as a load and a renewal. */
export interface SessionCounters {
  /** Reads of a session. */
  readonly loads: number;
  /** Writes of a session. */
  readonly writes: number;
  /** Renewals of a session that wrote no data. */
  readonly renewals: number;
  /** Sessions that were ended, or moved to a new id. */
  readonly ends: number;
  /** Calls of the index, which has the sessions of each principal. */
  readonly index: number;
  /** Reads that found no session. */
  readonly misses: number;
  /** Calls that failed. */
  readonly errors: number;
  /** Calls that were not made, as the breaker was open; no other number includes them. */
  readonly rejected: number;
}

/** What {@link SessionHealth.toJSON} returns. */
export interface SessionHealthReport extends Pick<SessionHealth, 'breaker' | 'latency' | 'counters'> {
  /** The last error, and its time in ms since 1970. */
  lastError: { message: string; at: number } | undefined;
}

/**
 * The health of the session store, as this process has seen it since it started; inject it anywhere as `sessionHealth`, for example for a
 * health check. Without a store, nothing is counted.
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
   * `closed` while the store is called; `open` while reads, writes or both are not sent to it, as it is down; `half-open` while a call
   * probes it.
   */
  get breaker(): 'closed' | 'open' | 'half-open' {
    return this.health.breaker;
  }

  /** The last error, without ids and data, and its time in ms since 1970. */
  get lastError(): { error: Error; at: number } | undefined {
    return this.health.lastError;
  }

  /** The 50th, 95th and 99th percentile of the latency of the last 1,000 calls, in ms. */
  get latency(): { p50: number; p95: number; p99: number } {
    const { health } = this;
    return { p50: health.percentile(50), p95: health.percentile(95), p99: health.percentile(99) };
  }

  /** Numbers of calls of the store. */
  get counters(): SessionCounters {
    return { ...this.health.counters };
  }

  /** All of this, to print it; of the last error, only the message. */
  toJSON(): SessionHealthReport {
    const { breaker, lastError, latency, counters } = this;
    return { breaker, lastError: lastError && { message: lastError.error.message, at: lastError.at }, latency, counters };
  }

  private get health(): StoreHealth {
    return environmentOf(currentApp()).health;
  }
}
