/**
 * What `promise` resolves to, unless it takes too long; what it does after that is ignored.
 *
 * @param promise what to wait for
 * @param ms for how long
 * @param message of the error
 * @throws Error after `ms`
 */
export async function withDeadline<T>(promise: Promise<T>, ms: number, message: string): Promise<T> {
  let timer!: NodeJS.Timeout;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(message)), ms);
  });
  try {
    return await Promise.race([ promise, late ]);
  } finally {
    clearTimeout(timer);
  }
}
