import { channel } from 'node:diagnostics_channel';
import type { Application } from 'egg';
import { CircuitBreaker, PAUSE } from './CircuitBreaker';
import type { Failure } from './failureOf';

/** The number of calls whose latencies are kept. */
const SAMPLES = 1000;

/** A method of the store. */
export type StoreOperation = 'get' | 'set' | 'touch' | 'getAndTouch' | 'merge' | 'compareAndSet' | 'retire' | 'index' | 'list';

/**
 * The message on the channel `egg-tegg-session:store` of `node:diagnostics_channel`, for each call to the store.
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
  /** Its duration in ms; 0 when it was not made. */
  duration: number;
  /** Whether it was not made, as the breaker was open; `error` is the error that had opened it. */
  rejected: boolean;
  /** With `get` and `getAndTouch`: whether there was no session, or one that has ended. */
  missed: boolean;
  /** The error, without id and data, if it failed. */
  error?: Error;
}

/** What each method counts as; `getAndTouch` is a renewal too. */
const COUNTERS = {
  get: 'loads', getAndTouch: 'loads', set: 'writes', merge: 'writes', compareAndSet: 'writes', touch: 'renewals', retire: 'ends', index: 'index', list: 'index',
} as const satisfies Record<StoreOperation, string>;

const calls = channel('egg-tegg-session:store');

const publish = (call: StoreCall) => calls.publish(call);

/** The health of a store: its circuits, counters and latencies. @internal */
export class StoreHealth {
  readonly counters = { loads: 0, writes: 0, renewals: 0, ends: 0, index: 0, misses: 0, errors: 0, rejected: 0 };
  lastError?: { error: Error; at: number };
  private readonly latencies: number[] = [];
  private samples = 0;
  /** The end, by `performance.now()`, of the time in which a server that has refused to write is only read. */
  private readOnlyUntil = 0;
  private readonly reads: CircuitBreaker;
  private readonly writes: CircuitBreaker;

  /**
   * @param logger tells of outages
   * @param patience after how many ms without a success failures make the store count as down
   */
  constructor(logger: Application['coreLogger'], patience: number) {
    this.reads = new CircuitBreaker(logger, patience, {
      down: '[egg-tegg-session] the session store is down: one call a second checks whether it is back, and no others are made until ' +
        'then',
      up: '[egg-tegg-session] the session store answers again, and is called as before',
    });
    this.writes = new CircuitBreaker(logger, patience, {
      down: '[egg-tegg-session] the session store is down for writes: one write a second checks whether it takes them again, and all ' +
        'others fail at once until then',
      up: '[egg-tegg-session] the session store takes writes again',
    });
  }

  /** `open` while the store is left alone, by reads or by writes; `half-open` while a call asks whether it is back. */
  get breaker(): 'closed' | 'open' | 'half-open' {
    const states = [ this.reads.state, this.writes.state ];
    return states.includes('open') ? 'open' : states.includes('half-open') ? 'half-open' : 'closed';
  }

  /** Whether the store may be asked now. */
  ask(operation: StoreOperation): 'allowed' | 'probe' | 'refused' {
    const circuit = this.circuitOf(operation);
    const permission = circuit.ask();
    if (permission === 'refused') {
      this.counters.rejected++;
      if (calls.hasSubscribers) publish({ operation, duration: 0, rejected: true, missed: false, error: circuit.cause });
    }
    return permission;
  }

  /** Whether the server has refused to write a moment ago: clients connect anew when it does, and what they have sent for others suffers. */
  get isReadOnly(): boolean {
    return this.readOnlyUntil > 0 && performance.now() < this.readOnlyUntil;
  }

  /** Why the store is not asked. */
  causeOf(operation: StoreOperation): Error {
    return this.circuitOf(operation).cause!;
  }

  /** `start` is when the call began, by `performance.now()`. */
  succeeded(operation: StoreOperation, start: number, missed: boolean): void {
    const now = performance.now();
    this.note(operation, now - start, missed);
    const circuit = this.circuitOf(operation);
    if (circuit === this.reads) circuit.succeeded(now);
    if (circuit === this.writes || operation === 'getAndTouch') {
      this.writes.succeeded(now);
      this.readOnlyUntil = 0;
    }
  }

  /** `start` is when the call began, by `performance.now()`. */
  failed(operation: StoreOperation, start: number, error: Error, failure: Failure, isProbe: boolean): void {
    const now = performance.now();
    this.note(operation, now - start, false, error);
    this.counters.errors++;
    this.lastError = { error, at: Date.now() };
    if (failure === 'writes') this.readOnlyUntil = now + PAUSE;
    const circuit = this.circuitOf(operation);
    (failure === 'writes' ? this.writes : circuit).tell(now, error, explained(error, operation, failure));
    circuit.failed(now, isProbe, failure === 'server' ? error : undefined);
  }

  /** To be called when a call that was allowed was not made. */
  notMade(operation: StoreOperation, isProbe: boolean): void {
    this.circuitOf(operation).failed(performance.now(), isProbe);
  }

  private circuitOf(operation: StoreOperation): CircuitBreaker {
    return operation === 'get' || operation === 'getAndTouch' || operation === 'list' ? this.reads : this.writes;
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

const ADVICE: Record<Failure, string> = {
  server: 'If its server can\'t be reached, check that it runs, and the host, the port and the password of its client',
  writes: 'Its server refuses writes, and sessions are read-only until it accepts them again: see the log of the server for the reason',
  call: 'Only this call has failed, and others are made as before: check the store\'s code, and the rights of its user',
};

/** What the log says of an error: what to do about it, too. */
function explained(error: Error, operation: StoreOperation, failure: Failure): string {
  return `[egg-tegg-session] the session store has failed (${operation}): ${error.message.replace(/\.$/, '')}. ${ADVICE[failure]}`;
}
