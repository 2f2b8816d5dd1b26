import { randomFillSync } from 'node:crypto';
import { KEY_NONCE_BYTES, NONCE_BYTES } from './Xaes256Gcm';

const MESSAGE_NONCE_BYTES = NONCE_BYTES - KEY_NONCE_BYTES;

/** The most nonces that begin alike. */
const MOST_ALIKE = 2 ** 16;

/** The longest time, in ms, for which nonces begin alike. */
const LONGEST_ALIKE = 3_600_000;

/**
 * The nonces of a process. The first half makes the key of a message, which is worth keeping: 2^16 nonces, within an hour, begin
 * alike. The other half is random for each, so that two messages under one key have the same nonce with a chance of
 * 2^32 / 2^97 = 2^-65, and a key comes again only when 96 random bits do.
 */
export class Nonces {
  private readonly nonce = Buffer.alloc(NONCE_BYTES);
  private left = 0;
  private end = 0;
  // asking for random bytes costs more than encrypting with them, however many: ask for those of many nonces at once
  private readonly pool = Buffer.alloc(1024 * MESSAGE_NONCE_BYTES);
  private used = this.pool.length;

  /**
   * A nonce that no other call gets; the next call overwrites it.
   *
   * @param now the time, in ms, by a clock that never goes back
   */
  next(now = performance.now()): Buffer {
    const { nonce, pool } = this;
    if (this.left === 0 || now >= this.end) {
      randomFillSync(nonce);
      this.left = MOST_ALIKE;
      this.end = now + LONGEST_ALIKE;
    }
    this.left--;
    if (this.used === pool.length) {
      randomFillSync(pool);
      this.used = 0;
    }
    this.used += pool.copy(nonce, KEY_NONCE_BYTES, this.used, this.used + MESSAGE_NONCE_BYTES);
    return nonce;
  }
}
