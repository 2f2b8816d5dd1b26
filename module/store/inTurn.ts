import { withDeadline } from '../deadline';

/** For how many ms a task may wait for the ones before it, and run. */
const TURN_TIMEOUT = 10_000;

const turns = new Map<string, Promise<unknown>>();

/** How many ids have a task that waits or runs. */
export const waitingTurns = () => turns.size;

/**
 * Runs tasks for the same id one after the other, as far as they are this process's. One that fails, or that takes
 * longer than 10 s, makes way for the next.
 *
 * @throws Error after 10 s
 */
export async function inTurn<T>(id: string, task: () => Promise<T>): Promise<T> {
  const turn = withDeadline((turns.get(id) ?? Promise.resolve()).then(task), TURN_TIMEOUT,
    '[egg-tegg-session] the session store took longer than 10 s');
  const settled = turn.catch(() => undefined);
  turns.set(id, settled);
  try {
    return await turn;
  } finally {
    if (turns.get(id) === settled) turns.delete(id);
  }
}
