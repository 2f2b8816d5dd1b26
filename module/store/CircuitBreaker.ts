import type { Application } from 'egg';

/** Pause, in ms, in which a store that is down is left alone, until a call asks whether it is back. @internal */
export const PAUSE = 1000;

/** The number of failures, with no success in between, after which a store counts as down. */
const FAILURES = 5;

/** An outage is over when a call succeeds and none has failed for so many ms: what fails now and then is told once. */
const QUIET = 5000;

/** What Redis adds to an error: it is the same one in each script. */
const IN_A_SCRIPT = /\.? script: \w+, on @user_script:\d+\.?$/;

/** The most causes of an outage that are logged, each once. */
const MAX_CAUSES = 10;

type Logger = Application['coreLogger'];

/** What one kind of call has of its own: that writes fail says nothing of reads, and the other way round. */
export class CircuitBreaker {
  private readonly logger: Logger;
  private readonly patience: number;
  private readonly lines: { down: string; up: string };
  /** The end of the pause, by `performance.now()`. */
  private pausedUntil?: number;
  private probing = false;
  private failures = 0;
  private lastSuccess = performance.now();
  private outage?: { lastFailure: number; failures: number; causes: Set<string> };
  /** The last failure that counted. */
  cause?: Error;

  /**
   * @param logger tells of outages
   * @param patience after how many ms without a success failures open it
   * @param lines what the log has when it opens, and when it closes
   * @param lines.down the one
   * @param lines.up the other
   */
  constructor(logger: Logger, patience: number, lines: { down: string; up: string }) {
    this.logger = logger;
    this.patience = patience;
    this.lines = lines;
  }

  get state(): 'closed' | 'open' | 'half-open' {
    if (this.pausedUntil === undefined) return 'closed';
    return this.probing || performance.now() >= this.pausedUntil ? 'half-open' : 'open';
  }

  /** Whether the store may be asked now; after a pause, one call is the probe. */
  ask(): 'allowed' | 'probe' | 'refused' {
    if (this.pausedUntil === undefined) return 'allowed';
    if (this.probing || performance.now() < this.pausedUntil) return 'refused';
    this.probing = true;
    return 'probe';
  }

  succeeded(now: number): void {
    this.lastSuccess = now;
    this.failures = 0;
    if (this.pausedUntil !== undefined) {
      this.pausedUntil = undefined;
      this.probing = false;
      this.logger.info(this.lines.up);
    }
    if (this.outage && now - this.outage.lastFailure > QUIET) {
      this.logger.info('[egg-tegg-session] the session store works again; %d calls had failed', this.outage.failures);
      this.outage = undefined;
    }
  }

  /** Logs a failure, unless it was in this outage. */
  tell(now: number, error: Error, text: string): void {
    this.outage ??= { lastFailure: now, failures: 0, causes: new Set() };
    const { outage: { causes } } = this;
    this.outage.failures++;
    this.outage.lastFailure = now;
    const cause = error.message.replace(IN_A_SCRIPT, '');
    if (causes.has(cause) || causes.size >= MAX_CAUSES) return;
    causes.add(cause);
    this.logger.error(Object.assign(new Error(text), error, { stack: error.stack?.replace(error.message, () => text) }));
  }

  /** To be called when a call has failed; `error` when that counts: then the store may be down. */
  failed(now: number, isProbe: boolean, error?: Error): void {
    if (!error) {
      if (isProbe) this.probing = false; // the next call is one
      return;
    }
    this.cause = error;
    this.failures++;
    if (this.pausedUntil !== undefined) {
      if (!isProbe) return;
      this.pausedUntil = now + PAUSE;
      this.probing = false;
    } else if (this.failures >= FAILURES && now - this.lastSuccess >= this.patience) {
      this.pausedUntil = now + PAUSE;
      this.logger.warn(this.lines.down);
    }
  }
}
