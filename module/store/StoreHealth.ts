import { channel } from 'node:diagnostics_channel';
import type { Application } from 'egg';

/** How many ms a store is left alone after it was found to be down, until a call asks whether it is back. @internal */
export const PAUSE = 1000;

/** From how many failures on, with no success in between, a store counts as down. */
const FAILURES = 5;

/** An outage is over when a call succeeds and none has failed for so many ms: what fails now and then is told once. */
const QUIET = 5000;

/** How many causes of an outage are logged, each once. */
const MAX_CAUSES = 10;

/** Of how many calls the latencies are kept. */
const SAMPLES = 1000;

/** A method of the store. */
export type StoreOperation = 'get' | 'set' | 'touch' | 'getAndTouch' | 'merge' | 'compareAndSet' | 'retire' | 'index' | 'list';

/**
 * What is published on the channel `egg-tegg-session:store` of `node:diagnostics_channel`, for each call of the store.
 *
 * ```ts
 * import { subscribe } from 'node:diagnostics_channel';
 *
 * subscribe('egg-tegg-session:store', message => {
 *   const { operation, duration, error } = message as StoreCall;
 * });
 * ```
 */
export interface StoreCall {
  /** The method that was called. */
  operation: StoreOperation;
  /** How long it took, in ms; 0 when it was not made. */
  duration: number;
  /** Whether it was not made, as the store was down a moment ago; `error` is what had failed then. */
  rejected: boolean;
  /** With `get` and `getAndTouch`: whether there was no session, or one that has ended. */
  missed: boolean;
  /** Why it failed; it has no id and no data. */
  error?: Error;
}

/** What each method counts as; `getAndTouch` is a renewal too. */
const COUNTERS = {
  get: 'loads', getAndTouch: 'loads', set: 'writes', merge: 'writes', compareAndSet: 'writes', touch: 'renewals', retire: 'ends', index: 'index', list: 'index',
} as const satisfies Record<StoreOperation, string>;

const calls = channel('egg-tegg-session:store');

const publish = (call: StoreCall) => calls.publish(call);

/** What is known of a store: whether it can be asked, and how its calls went. @internal */
export class StoreHealth {
  readonly counters = { loads: 0, writes: 0, renewals: 0, ends: 0, index: 0, misses: 0, errors: 0, rejected: 0 };
  lastError?: { error: Error; at: number };
  private readonly latencies: number[] = [];
  private samples = 0;
  /** Until when, by `performance.now()`, the store is left alone. */
  private pausedUntil?: number;
  private probing = false;
  private failures = 0;
  private lastSuccess = performance.now();
  private outage?: { lastFailure: number; failures: number; causes: Set<string> };

  /**
   * @param logger tells of outages
   * @param patience after how many ms without a success, in ms, failures make the store count as down
   */
  constructor(private readonly logger: Application['coreLogger'], private readonly patience: number) {}

  /** `open` while the store is left alone, `half-open` while a call asks whether it is back. */
  get breaker(): 'closed' | 'open' | 'half-open' {
    if (this.pausedUntil === undefined) return 'closed';
    return this.probing || performance.now() >= this.pausedUntil ? 'half-open' : 'open';
  }

  /** Whether the store may be asked now; after a pause, one call is the probe. */
  ask(operation: StoreOperation): 'allowed' | 'probe' | 'refused' {
    if (this.pausedUntil === undefined) return 'allowed';
    if (this.probing || performance.now() < this.pausedUntil) {
      this.counters.rejected++;
      if (calls.hasSubscribers) publish({ operation, duration: 0, rejected: true, missed: false, error: this.lastError?.error });
      return 'refused';
    }
    this.probing = true;
    return 'probe';
  }

  /** `start` is when the call began, by `performance.now()`. */
  succeeded(operation: StoreOperation, start: number, missed: boolean): void {
    const now = performance.now();
    this.note(operation, now - start, missed);
    this.lastSuccess = now;
    this.failures = 0;
    if (this.pausedUntil !== undefined) {
      this.pausedUntil = undefined;
      this.probing = false;
      this.logger.info('[egg-tegg-session] the session store answers again, and is asked by every request');
    }
    if (this.outage && now - this.outage.lastFailure > QUIET) {
      this.logger.info('[egg-tegg-session] the session store works again; %d calls had failed', this.outage.failures);
      this.outage = undefined;
    }
  }

  /** `start` is when the call began, by `performance.now()`. */
  failed(operation: StoreOperation, start: number, error: Error, isProbe: boolean): void {
    const now = performance.now();
    this.note(operation, now - start, false, error);
    this.counters.errors++;
    this.lastError = { error, at: Date.now() };
    this.failures++;
    this.outage ??= { lastFailure: now, failures: 0, causes: new Set() };
    const { outage: { causes } } = this;
    this.outage.failures++;
    this.outage.lastFailure = now;
    if (!causes.has(error.message) && causes.size < MAX_CAUSES) {
      causes.add(error.message);
      this.logger.error(explained(error, operation));
    }
    if (this.pausedUntil !== undefined) {
      if (!isProbe) return;
      this.pausedUntil = now + PAUSE;
      this.probing = false;
    } else if (this.failures >= FAILURES && now - this.lastSuccess >= this.patience) {
      this.pausedUntil = now + PAUSE;
      this.logger.warn('[egg-tegg-session] the session store is down: it is asked once a second whether it is back, and other ' +
        'requests do without it until then');
    }
  }

  /** The latency, in ms, that so many percent of the last 1,000 calls stayed within; 0 before the first. */
  percentile(percent: number): number {
    const sorted = this.latencies.toSorted((a, b) => a - b);
    return sorted[Math.max(0, Math.ceil(sorted.length * percent / 100) - 1)] ?? 0;
  }

  private note(operation: StoreOperation, duration: number, missed: boolean, error?: Error): void {
    const { counters } = this;
    counters[COUNTERS[operation]]++;
    if (operation === 'getAndTouch') counters.renewals++;
    if (missed) counters.misses++;
    this.latencies[this.samples++ % SAMPLES] = duration;
    if (calls.hasSubscribers) publish({ operation, duration, rejected: false, missed, error });
  }
}

/** The same error for the log, with what to do about it. */
function explained(error: Error, operation: StoreOperation): Error {
  const message = `[egg-tegg-session] the session store has failed (${operation}): ${error.message.replace(/\.$/, '')}. If its server ` +
    'can\'t be reached, check that it runs, and the host, the port and the password of its client';
  return Object.assign(new Error(message), error, { stack: error.stack?.replace(error.message, () => message) });
}
