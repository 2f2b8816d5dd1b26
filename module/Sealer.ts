import { createCipheriv, createDecipheriv, hkdfSync, randomFillSync } from 'node:crypto';

const VERSION = '1';
const HINT_BYTES = 3;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const CIPHER = 'aes-256-gcm';

interface Key {
  hint: Buffer;
  key: Buffer;
}

const derive = (secret: string, purpose: string, bytes: number) =>
  Buffer.from(hkdfSync('sha256', secret, '', `egg-tegg-session ${purpose} ${VERSION}`, bytes));

// asking for random bytes costs more than encrypting with them, however many: ask for those of many nonces at once
const nonces = Buffer.alloc(1024 * NONCE_BYTES);
let used = nonces.length;

/** Random bytes that no other call gets; they are overwritten by a later one. */
function nextNonce(): Buffer {
  if (used === nonces.length) {
    randomFillSync(nonces);
    used = 0;
  }
  const start = used;
  used += NONCE_BYTES;
  return nonces.subarray(start, used);
}

/**
 * Authenticated encryption of cookie values: AES-256-GCM under a fresh random nonce, with keys that HKDF-SHA-256
 * (RFC 5869, no salt) derives from the application's. A sealed value is
 *
 *     '1' + base64url( key hint: 3 bytes | nonce: 12 | ciphertext | tag: 16 )
 *
 * without padding: 1 + ⌈(31 + n) * 4 / 3⌉ characters for n bytes. The version and the cookie's name are authenticated
 * with it, so that a value that is moved to another cookie does not open.
 */
export class Sealer {
  private readonly keys: Key[];

  /**
   * @param secrets `config.keys`: the first seals, any opens; empty ones, as everybody knows them, count for nothing
   * @throws Error when there is none
   */
  constructor(secrets: readonly string[]) {
    this.keys = secrets.filter(Boolean).map(secret => ({
      hint: derive(secret, 'key hint', HINT_BYTES),
      key: derive(secret, 'cookie seal', 32),
    }));
    if (this.keys.length === 0) throw new Error('[egg-tegg-session] config.keys is empty: set a secret to seal cookies with');
  }

  /** Seals a text for the cookie `name`. */
  seal(name: string, text: string): string {
    const { hint, key } = this.keys[0];
    const nonce = nextNonce();
    const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES }).setAAD(Buffer.from(VERSION + name));
    const parts = [ hint, nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag() ];
    return VERSION + Buffer.concat(parts).toString('base64url');
  }

  /**
   * Opens a value of the cookie `name`.
   *
   * @return the text, and whether it is `stale`: sealed under another key than the first; undefined when this is no value
   *   that one of the keys has sealed for this cookie
   */
  open(name: string, value: string): { text: string; stale: boolean } | undefined {
    if (value[0] !== VERSION) return undefined;
    const sealed = Buffer.from(value.slice(1), 'base64url');
    const end = sealed.length - TAG_BYTES;
    // Buffer.from skips what is not base64url: only the one spelling that seal() makes is accepted
    if (end < HINT_BYTES + NONCE_BYTES || sealed.toString('base64url') !== value.slice(1)) return undefined;
    for (const [ index, { hint, key }] of this.keys.entries()) {
      if (!hint.equals(sealed.subarray(0, HINT_BYTES))) continue;
      const decipher = createDecipheriv(CIPHER, key, sealed.subarray(HINT_BYTES, HINT_BYTES + NONCE_BYTES),
        { authTagLength: TAG_BYTES }).setAAD(Buffer.from(VERSION + name)).setAuthTag(sealed.subarray(end));
      try {
        const text = decipher.update(sealed.subarray(HINT_BYTES + NONCE_BYTES, end), undefined, 'utf8') + decipher.final('utf8');
        return { text, stale: index > 0 };
      } catch {
        // another key may have the same hint
      }
    }
    return undefined;
  }
}
