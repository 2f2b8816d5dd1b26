import { randomInt } from 'node:crypto';
import { LONGEST } from '../record/SessionRecord';

/** Checked before it is sent, as the error of a server may quote what it was given. @throws RangeError for what is no lifetime in ms */
export function requireLifetime(ms: number): number {
  if (ms > 0 && ms <= LONGEST) return ms;
  throw new RangeError(`[egg-tegg-session] no lifetime for a session: ${ms} ms`);
}

/** The `_rev` of a record that is written: of every other it is another. */
export const newRevision = () => randomInt(2 ** 47);

/** The most difference, in ms, between clocks that count as the same: a call takes its time, too. */
export const CLOCK_MARGIN = 1000;
