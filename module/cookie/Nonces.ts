import { randomFillSync } from 'node:crypto';
import { KEY_NONCE_BYTES, NONCE_BYTES } from './Xaes256Gcm';

const MESSAGE_NONCE_BYTES = NONCE_BYTES - KEY_NONCE_BYTES;

/** The number of nonces that begin alike. */
const ALIKE = 1024;

/**
 * The nonces of a process. The first half makes the key of a message, which is worth keeping: 1,024 nonces begin alike, and the other
 * half is random for each. Two of n messages have the same nonce with a chance of n / 2^87: there are n * 2^9 pairs under one key,
 * and 96 random bits; that a key comes again adds nothing to speak of, as that takes 96 bits more.
 */
export class Nonces {
  private readonly nonce = Buffer.alloc(NONCE_BYTES);
  // asking for random bytes costs more than encrypting with them, however many: ask for those of many nonces at once
  private readonly random = Buffer.alloc(KEY_NONCE_BYTES + ALIKE * MESSAGE_NONCE_BYTES);
  private used = this.random.length;

  /** A nonce that no other call gets; the next call overwrites it. */
  next(): Buffer {
    const { nonce, random } = this;
    if (this.used === random.length) {
      randomFillSync(random);
      this.used = random.copy(nonce, 0, 0, KEY_NONCE_BYTES);
    }
    this.used += random.copy(nonce, KEY_NONCE_BYTES, this.used, this.used + MESSAGE_NONCE_BYTES);
    return nonce;
  }
}
