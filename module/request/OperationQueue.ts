/** Runs the operations of one request's session one after the other, each to its end. */
export class OperationQueue {
  private last?: Promise<unknown>;

  get isBusy(): boolean {
    return this.last !== undefined;
  }

  /** Runs an operation after those that were asked for before it, whether these succeed or fail. */
  run<T>(operation: () => Promise<T>): Promise<T> {
    const mine = this.last ? this.last.then(operation, operation) : operation();
    this.last = mine;
    const over = () => {
      if (this.last === mine) this.last = undefined;
    };
    mine.then(over, over);
    return mine;
  }

  /** Waits until no operation is under way. */
  async drain(): Promise<void> {
    while (this.last) await this.last.catch(() => undefined);
  }
}
