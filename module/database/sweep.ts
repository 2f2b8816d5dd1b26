import { setTimeout as sleep } from 'node:timers/promises';

/** The shortest pause between two batches, in ms. */
const PAUSE = 5;

/**
 * Deletes all expired rows. A pause follows each batch, twice as long as the batch took, so that the database can answer requests.
 *
 * @param deleteSome deletes a batch, and returns its number of rows
 * @return the number of deleted rows
 */
export async function removeAllExpired(deleteSome: () => Promise<number>): Promise<number> {
  let removed = 0;
  for (;;) {
    const start = performance.now();
    const some = await deleteSome();
    if (some === 0) return removed;
    removed += some;
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
