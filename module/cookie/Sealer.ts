import { hkdfSync } from 'node:crypto';
import { coded } from '../record/errors';
import { Nonces } from './Nonces';
import { NONCE_BYTES, Xaes256Gcm } from './Xaes256Gcm';

/** What browsers keep of a cookie, its name and value together (RFC 6265bis, 5.6). */
export const MAX_COOKIE_BYTES = 4096;

const VERSION = '2';
const HINT_BYTES = 3;

/** What a value holds; a `stale` one was sealed under another key than the first. */
export interface Unsealed {
  text: string;
  stale: boolean;
}

interface Key {
  hint: Buffer;
  cipher: Xaes256Gcm;
}

const derive = (secret: string, purpose: string, bytes: number) =>
  Buffer.from(hkdfSync('sha256', secret, '', `egg-tegg-session ${purpose} ${VERSION}`, bytes));

const nonces = new Nonces();

/**
 * Authenticated encryption of cookie values: XAES-256-GCM under a random nonce, with keys that HKDF-SHA-256
 * (RFC 5869, no salt) derives from the application's. A sealed value is
 *
 *     '2' + base64url( key hint: 3 bytes | nonce: 24 | ciphertext | tag: 16 )
 *
 * without padding: 1 + ⌈(43 + n) * 4 / 3⌉ characters for n bytes. The version and the cookie's name are authenticated
 * with it, so that a value that is moved to another cookie does not open. The hint, derived from the key too, tells which
 * key to try.
 */
export class Sealer {
  private readonly keys: Key[];
  /** What the values begin with that each key has sealed: three bytes are four characters. */
  private readonly beginnings: string[];

  /**
   * @param secrets `config.keys`: the first seals, any opens; empty ones, as everybody knows them, count for nothing
   * @throws Error when there is none
   */
  constructor(secrets: readonly string[]) {
    this.keys = secrets.filter(Boolean).map(secret => ({
      hint: derive(secret, 'key hint', HINT_BYTES),
      cipher: new Xaes256Gcm(derive(secret, 'cookie seal', 32)),
    }));
    this.beginnings = this.keys.map(({ hint }) => VERSION + hint.toString('base64url'));
    if (this.keys.length === 0) throw coded('ERR_SESSION_SETUP', new Error('[egg-tegg-session] config.keys is empty: set a secret to seal cookies with'));
  }

  /** Seals a text for the cookie `name`. */
  seal(name: string, text: string): string {
    const { hint, cipher } = this.keys[0];
    const nonce = nonces.next();
    const sealed = cipher.seal(nonce, Buffer.from(text), Buffer.from(VERSION + name));
    return VERSION + Buffer.concat([ hint, nonce, sealed ]).toString('base64url');
  }

  /** Whether a value has the version and the hint of a key, and no more characters than browsers keep, for what it costs to look at. */
  mayOpen(value: string): boolean {
    return value.length <= MAX_COOKIE_BYTES && this.beginnings.some(beginning => value.startsWith(beginning));
  }

  /** Opens a value of the cookie `name`; undefined when none of the keys has sealed it for this cookie. */
  open(name: string, value: string): Unsealed | undefined {
    if (value[0] !== VERSION) return undefined;
    const bytes = Buffer.from(value.slice(1), 'base64url');
    // Buffer.from skips what is not base64url: only the one spelling that seal() makes is accepted
    if (bytes.toString('base64url') !== value.slice(1)) return undefined;
    const hint = bytes.subarray(0, HINT_BYTES);
    const nonce = bytes.subarray(HINT_BYTES, HINT_BYTES + NONCE_BYTES);
    const sealed = bytes.subarray(HINT_BYTES + NONCE_BYTES);
    const aad = Buffer.from(VERSION + name);
    for (const [ index, key ] of this.keys.entries()) {
      // two keys may have the same hint
      const text = key.hint.equals(hint) ? key.cipher.open(nonce, sealed, aad)?.toString() : undefined;
      if (text !== undefined) return { text, stale: index > 0 };
    }
    return undefined;
  }
}
