import { LateError } from './failureOf';

/** A call of the store that is under way. */
export interface Call {
  /** When it began, by `performance.now()`. */
  readonly start: number;
  /** Ends it with an error; does nothing when it has ended. */
  reject(err: Error): void;
}

/**
 * Ends the calls that take too long. One timer watches all of them, as long as there are any; one for each would cost
 * every request. It does not keep the process alive.
 */
export class Deadlines {
  /** In the order in which they began, as the same time is allowed to each. */
  private readonly calls = new Set<Call>();
  private timer?: NodeJS.Timeout;

  /** @param timeout how long a call may take, in ms */
  constructor(private readonly timeout: number) {}

  add(call: Call): void {
    this.calls.add(call);
    if (!this.timer) this.wait(this.timeout);
  }

  delete(call: Call): void {
    this.calls.delete(call);
  }

  private wait(ms: number): void {
    this.timer = setTimeout(() => {
      const now = performance.now();
      // an answer that has come while this process was busy is not late
      setImmediate(() => this.check(now));
    }, ms).unref();
  }

  private check(now: number): void {
    this.timer = undefined;
    for (const call of this.calls) {
      const left = call.start + this.timeout - now;
      if (left > 0) return this.wait(Math.ceil(left));
      this.calls.delete(call);
      call.reject(new LateError(
        `[egg-tegg-session] the session store has not answered for ${this.timeout} ms (config.session.storeTimeout)`));
    }
  }
}
