import { withDeadline } from '../request/deadline';

/** For how many ms a task may wait for the ones before it, and run. */
const TURN_TIMEOUT = 10_000;
const TOO_LATE = '[egg-tegg-session] the session store took longer than 10 s';

const turns = new Map<string, Promise<unknown>>();

/** How many ids have a task that waits or runs. */
export const waitingTurns = () => turns.size;

/**
 * Runs tasks for the same id one after the other, as far as they are this process's. One that fails, or that takes
 * longer than 10 s, makes way for the next, and must not take effect any more: it is given what tells it that.
 *
 * @throws Error after 10 s
 */
export async function inTurn<T>(id: string, task: (isLate: () => boolean) => Promise<T>): Promise<T> {
  let late = false;
  const run = async () => {
    await turns.get(id);
    if (late) throw new Error(TOO_LATE); // nobody waits for it any more
    return await task(() => late);
  };
  const turn = withDeadline(run(), TURN_TIMEOUT, TOO_LATE);
  const settled = turn.catch(() => undefined);
  turns.set(id, settled);
  try {
    return await turn;
  } finally {
    late = true;
    if (turns.get(id) === settled) turns.delete(id);
  }
}
