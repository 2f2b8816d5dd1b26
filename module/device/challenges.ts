import { createHash } from 'node:crypto';
import type { Sealer } from '../cookie/Sealer';
import type { DeviceBinding } from '../record/DeviceBinding';

/** Lifetime of an offer to bind a session, in ms. */
export const OFFER_MS = 5 * 60_000;

/** The most difference, in ms, between the clocks of two servers. */
const SKEW = 60_000;

/** The purpose of a challenge: one for the other purpose does not open. */
export type Purpose = 'registration' | 'refresh';

/** The contents of a challenge; nothing is stored for it. */
export interface Challenge {
  /** The key of the session's record. */
  readonly key: string;
  /** The state of the record that it is good for: its principal, as {@link standFor} gives it, or its binding, as {@link stateOf} does. */
  readonly state: string;
}

/** The hash of a principal, which stands for it in a challenge. */
export const standFor = (principal: string): string => createHash('sha256').update(principal).digest('base64url');

/** A binding with the number of its proofs, in a challenge: one of an earlier binding counts no more. */
export const stateOf = ({ id, proofs }: DeviceBinding): string => `${id} ${proofs}`;

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

  /** The contents of a challenge that was made for this purpose, not longer than `ms` ago; undefined for any other. */
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
