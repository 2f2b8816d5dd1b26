import { setTimeout as sleep } from 'node:timers/promises';

/** The shortest pause between two batches, in ms. */
const PAUSE = 5;

/** A batch: the number of rows that had expired, of those that were deleted, and when the last of them ended. */
export interface Swept {
  readonly found: number;
  readonly rows: number;
  readonly last: number;
}

/**
 * Deletes all that has expired. A pause follows each batch, twice as long as that has taken, so that the database answers requests in between.
 *
 * @param deleteSome deletes a batch of those that ended then or later, in the order in which they ended
 * @return how many in all
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
 * Has a store delete what has expired, again and again.
 *
 * @param sweep does it once
 * @param ms the time between two of them; 0 for never
 * @param failed is told of errors, the first of a row
 * @return ends it
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
