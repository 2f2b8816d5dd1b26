import { setTimeout as sleep } from 'node:timers/promises';

/** The shortest pause between two batches, in ms. */
const PAUSE = 20;

/** A batch: the number of rows that had expired, of those that were deleted, and when the last of them ended. */
export interface Swept {
  readonly found: number;
  readonly rows: number;
  readonly last: number;
}

/**
 * Deletes all expired rows. A pause follows each batch, twice as long as the batch took, so that the database can answer requests.
 *
 * @param deleteSome deletes a batch of those that ended then or later, in the order in which they ended
 * @return the number of deleted rows
 */
export async function removeAllExpired(deleteSome: (from: number) => Promise<Swept>): Promise<number> {
  let removed = 0;
  let from = 0;
  for (;;) {
    const start = performance.now();
    const some = await deleteSome(from);
    if (some.found === 0) return removed;
    removed += some.rows;
    from = some.last; // what was deleted stays in the index for a while, where each batch would read all of it
    await sleep(Math.max(PAUSE, 2 * (performance.now() - start)), undefined, { ref: false });
  }
}

/**
 * Has a store delete its expired rows at an interval.
 *
 * @param sweep deletes them once
 * @param ms the interval; 0 for never
 * @param failed is called with the first of several consecutive errors
 * @return a function that stops the interval
 */
export function sweepEvery(sweep: () => Promise<unknown>, ms: number, failed: (err: Error) => void): () => void {
  if (!(ms > 0)) return () => undefined;
  let running = false;
  let told = false;
  const once = async () => {
    if (running) return;
    running = true;
    try {
      await sweep();
      told = false;
    } catch (err) {
      if (!told) failed(err as Error);
      told = true;
    } finally {
      running = false;
    }
  };
  const timer = setInterval(once, ms).unref();
  return () => clearInterval(timer);
}
