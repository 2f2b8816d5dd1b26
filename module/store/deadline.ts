import { setTimeout as sleep } from 'node:timers/promises';

/** The longest pause, in ms, before a task is tried again. */
const MAX_PAUSE = 50;

/**
 * What `promise` resolves to, unless it takes too long; what it does after that is ignored.
 *
 * @param promise what to wait for
 * @param ms for how long
 * @param late makes the error
 * @throws Error after `ms`
 */
export async function withDeadline<T>(promise: Promise<T>, ms: number, late: () => Error): Promise<T> {
  let timer!: NodeJS.Timeout;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), ms);
  });
  try {
    return await Promise.race([ promise, timeout ]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Tries again, after a short pause, until `attempt` resolves to true.
 *
 * @param attempt is given what tells it that the time is over: it must not take effect then
 * @param ms for how long
 * @param tooLate makes the error
 * @throws Error after `ms`, and what an attempt throws
 */
export async function retry(attempt: (isLate: () => boolean) => Promise<boolean>, ms: number, tooLate: () => Error): Promise<void> {
  let late = false;
  const isLate = () => late;
  const attempts = async () => {
    for (let pause = 1; !await attempt(isLate) && !isLate(); pause = Math.min(2 * pause, MAX_PAUSE)) {
      await sleep(Math.random() * pause);
    }
  };
  try {
    await withDeadline(attempts(), ms, tooLate);
  } finally {
    late = true;
  }
}
