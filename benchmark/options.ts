import type { Kept } from './cases';

export interface Options {
  /** Measures only sessions that are kept there. */
  kept?: Kept;
  rounds: number;
  /** In each round. */
  requests: number;
  /** How many sessions take part in the requests. */
  sessions: number;
  /** How many sessions are in Redis at scale. */
  scale: number;
}
