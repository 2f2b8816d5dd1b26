import type { Kept } from './cases';
import type { DatabaseName } from './engines';

export interface Options {
  /** Whether other frameworks are measured, too. */
  all: boolean;
  /** Measures only sessions that are kept there. */
  kept?: Kept;
  rounds: number;
  /** In each round. */
  requests: number;
  /** Requests per second of each process, for `workers`. */
  rate: number;
  /** How many sessions take part in the requests. */
  sessions: number;
  /** How many sessions are in Redis at scale. */
  scale: number;
  /** How many sessions a sweep removes. */
  expired: number;
  /** How many of them go at once; 0 for what the store has. */
  batch: number;
  /** Sweeps only this one. */
  database?: DatabaseName;
}
