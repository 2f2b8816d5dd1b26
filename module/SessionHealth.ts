import { AccessLevel, SingletonProto } from '@eggjs/tegg';
import { currentApp } from './applications';
import { environmentOf } from './SessionEnvironment';
import type { StoreHealth } from './store/StoreHealth';

/**
 * How the session store does, in this process since it started; inject it anywhere with
 * `@Inject() sessionHealth: SessionHealth`. Without a store nothing is counted.
 */
@SingletonProto({ name: 'sessionHealth', accessLevel: AccessLevel.PUBLIC })
export class SessionHealth {
  /** `closed` when the store is asked, `open` while it is down and left alone, `half-open` while a call asks whether it is back. */
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

  /**
   * How many calls there were: reads of a session (`loads`), writes of one, renewals without data, ends, and calls of the index
   * (of who has which sessions). Each call is in one of these; a read
   * that renews is in two. Of them, `misses` are reads that found no session, and `errors` are
   * those that failed. Besides, `rejected` are calls that were not made, as the store was down.
   */
  get counters(): Readonly<StoreHealth['counters']> {
    return { ...this.health.counters };
  }

  toJSON() {
    const { breaker, lastError, latency, counters } = this;
    return { breaker, lastError: lastError && { message: lastError.error.message, at: lastError.at }, latency, counters };
  }

  private get health(): StoreHealth {
    return environmentOf(currentApp()).health;
  }
}
