import { withDeadline } from './deadline';

/** Timeout of a task, in ms: its waiting and its run together. */
const TIMEOUT = 10_000;
const tooLate = () => new Error('[egg-tegg-session] the session store took longer than 10 s');

const running = new Map<string, Promise<unknown>>();

/** The number of ids that have a task which waits or runs. */
export const runningKeys = () => running.size;

/**
 * Runs tasks for the same id one after the other, as far as they are this process's. One that fails, or that takes
 * longer than 10 s, makes way for the next, and must not take effect any more: it is given what tells it that.
 *
 * @throws Error after 10 s
 */
export async function exclusively<T>(id: string, task: (isLate: () => boolean) => Promise<T>): Promise<T> {
  let late = false;
  const run = async () => {
    await running.get(id);
    if (late) throw tooLate(); // nobody waits for it any more
    return await task(() => late);
  };
  const mine = withDeadline(run(), TIMEOUT, tooLate);
  const settled = mine.catch(() => undefined);
  running.set(id, settled);
  try {
    return await mine;
  } finally {
    late = true;
    if (running.get(id) === settled) running.delete(id);
  }
}
