import { createHash } from 'node:crypto';
import type { Sealer } from '../cookie/Sealer';

/** How long, in ms, an offer to bind a session stands. */
export const OFFER_MS = 5 * 60_000;

/** What the clocks of two servers may differ by, in ms. */
const SKEW = 60_000;

/** What a challenge is for: one for the other purpose does not open. */
export type Purpose = 'registration' | 'refresh';

/** What a challenge says; nothing is stored for it. */
export interface Challenge {
  /** The key of the session's record. */
  readonly key: string;
  /** What the record must still have: whose it is, as {@link standFor} gives it, or the number of its proofs. */
  readonly state: string;
}

/** What stands for a principal in a challenge, whatever its length. */
export const standFor = (principal: string): string => createHash('sha256').update(principal).digest('base64url');

/** Makes and opens challenges: they are sealed, each for its purpose. */
export class Challenges {
  /**
   * @param sealer seals them
   * @param name the name of the session's cookie: another application with the same keys may have another
   */
  constructor(private readonly sealer: Pick<Sealer, 'seal' | 'open'>, private readonly name: string) {}

  make(purpose: Purpose, { key, state }: Challenge): string {
    return this.sealer.seal(this.nameOf(purpose), JSON.stringify([ Date.now(), key, state ]));
  }

  /** What a challenge says that was made for this purpose, not longer than `ms` ago; undefined for any other. */
  open(purpose: Purpose, challenge: string, ms: number): Challenge | undefined {
    const unsealed = this.sealer.open(this.nameOf(purpose), challenge);
    if (!unsealed) return undefined;
    const [ at, key, state ] = JSON.parse(unsealed.text) as [ number, string, string ];
    const age = Date.now() - at;
    return age >= -SKEW && age <= ms ? { key, state } : undefined;
  }

  private nameOf(purpose: Purpose): string {
    return `${this.name} device ${purpose}`;
  }
}
