/** For how many ms a closing application waits for its requests: egg-cluster ends the process after 5 s. */
const PATIENCE = 4000;

/** Counts the requests that have not saved their session yet. */
export class RunningRequests {
  private count = 0;
  private whenNone?: () => void;

  begin(): void {
    this.count++;
  }

  end(): void {
    if (--this.count === 0) this.whenNone?.();
  }

  /** Waits until there is none, for 4 s at most. */
  async settled(): Promise<void> {
    if (this.count === 0) return;
    await new Promise<void>(resolve => {
      const timer = setTimeout(resolve, PATIENCE);
      this.whenNone = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
