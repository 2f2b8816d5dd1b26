import { AsyncLocalStorage } from 'node:async_hooks';

const turns = new Map<string, Promise<unknown>>();
const turnOf = new AsyncLocalStorage<string>();

/**
 * Runs tasks for the same id one after the other, as far as they are this process's.
 *
 * @throws when it is called inside a task for that id, as it would wait for itself
 */
export async function inTurn(id: string, task: () => Promise<void>): Promise<void> {
  if (turnOf.getStore() === id) throw new Error('[egg-tegg-session] session.update() inside the fn of another update()');
  const turn = (turns.get(id) ?? Promise.resolve()).then(() => turnOf.run(id, task));
  const settled = turn.catch(() => undefined);
  turns.set(id, settled);
  try {
    await turn;
  } finally {
    if (turns.get(id) === settled) turns.delete(id);
  }
}
