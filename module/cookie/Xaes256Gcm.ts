/* eslint-disable no-bitwise -- as ciphers do */
import { type Cipher, createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from 'node:crypto';

export const NONCE_BYTES = 24;
/** The part of a nonce that makes the key of a message; the rest is AES-GCM's own nonce. */
export const KEY_NONCE_BYTES = 12;
const TAG_BYTES = 16;
const GCM = 'aes-256-gcm';
const OPTIONS = { authTagLength: TAG_BYTES };

/**
 * Authenticated encryption under nonces that are long enough to be random: XAES-256-GCM, as https://c2sp.org/XAES-256-GCM
 * specifies it. The first half of a nonce makes a key for one message (NIST SP 800-108r1, counter mode, AES-256-CMAC), and
 * AES-256-GCM encrypts under that key with the second half. A nonce of another length is a RangeError.
 */
export class Xaes256Gcm {
  private readonly aes: Cipher;
  /** The specification's M1 ⊕ K1 and M2 ⊕ K1, for a nonce of zeros. */
  private readonly blocks: Buffer;
  /** The key of the last message that was sealed: the next one may begin its nonce alike. */
  private last?: { readonly nonce: Buffer; readonly key: KeyObject };

  /** @param key 32 bytes; RangeError for another length */
  constructor(key: Buffer) {
    this.aes = createCipheriv('aes-256-ecb', key, null);
    const l = this.aes.update(Buffer.alloc(16));
    const k1 = l.map((byte, i) => (byte << 1) ^ (i < 15 ? l[i + 1] >> 7 : (l[0] >> 7) * 0x87));
    this.blocks = Buffer.concat([ 1, 2 ].map(counter => k1.map((byte, i) => byte ^ [ 0, counter, 0x58 ][i])));
  }

  /** The ciphertext and its tag of 16 bytes; `nonce`: 24 bytes that no other message under this key may have. */
  seal(nonce: Buffer, plaintext: Buffer, aad: Buffer): Buffer {
    requireLength(nonce);
    if (!this.last?.nonce.equals(nonce.subarray(0, KEY_NONCE_BYTES))) {
      this.last = { key: createSecretKey(this.keyFor(nonce)), nonce: Buffer.from(nonce.subarray(0, KEY_NONCE_BYTES)) };
    }
    const cipher = createCipheriv(GCM, this.last.key, nonce.subarray(KEY_NONCE_BYTES), OPTIONS).setAAD(aad);
    return Buffer.concat([ cipher.update(plaintext), cipher.final(), cipher.getAuthTag() ]);
  }

  /** The plaintext; undefined when `seal` has not made `sealed` with this key, this nonce and this `aad`. */
  open(nonce: Buffer, sealed: Buffer, aad: Buffer): Buffer | undefined {
    const end = sealed.length - TAG_BYTES;
    if (end < 0) return undefined;
    requireLength(nonce);
    const decipher = createDecipheriv(GCM, this.keyFor(nonce), nonce.subarray(KEY_NONCE_BYTES), OPTIONS).setAAD(aad);
    const plaintext = decipher.setAuthTag(sealed.subarray(end)).update(sealed.subarray(0, end));
    const { stackTraceLimit } = Error;
    try {
      Reflect.set(Error, 'stackTraceLimit', 0); // nobody sees the stack, which takes as long as all else; Error may be frozen
      decipher.final();
      return plaintext;
    } catch {
      return undefined;
    } finally {
      Reflect.set(Error, 'stackTraceLimit', stackTraceLimit);
    }
  }

  private keyFor(nonce: Buffer): Buffer {
    const blocks = Buffer.from(this.blocks);
    for (let i = 0; i < KEY_NONCE_BYTES; i++) {
      blocks[4 + i] ^= nonce[i];
      blocks[20 + i] ^= nonce[i];
    }
    return this.aes.update(blocks);
  }
}

function requireLength(nonce: Buffer): void {
  if (nonce.length !== NONCE_BYTES) throw new RangeError(`a nonce has ${NONCE_BYTES} bytes, not ${nonce.length}`);
}
