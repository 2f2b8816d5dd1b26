import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

const text = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** What a proof is made of; all may be wrong. */
export interface ProofParts {
  head?: object;
  body?: object;
  /** Takes the place of the signature, or makes it of what is signed. */
  signature?: string | ((signed: string) => string);
}

/** The key of a device, in software. */
export class DeviceKey {
  readonly publicKey: KeyObject;
  private readonly privateKey: KeyObject;

  constructor(readonly alg: 'ES256' | 'RS256' = 'ES256', modulusLength = 2048, namedCurve = 'P-256') {
    const pair = alg === 'ES256' ? generateKeyPairSync('ec', { namedCurve }) : generateKeyPairSync('rsa', { modulusLength });
    ({ publicKey: this.publicKey, privateKey: this.privateKey } = pair);
  }

  get jwk(): Record<string, unknown> {
    return { ...this.publicKey.export({ format: 'jwk' }) };
  }

  get privateJwk(): Record<string, unknown> {
    return { ...this.privateKey.export({ format: 'jwk' }) };
  }

  sign(signed: string): string {
    return sign('sha256', Buffer.from(signed), { key: this.privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url');
  }

  /** Any JWT; a good proof at a refresh by default. */
  jwt(challenge: string, { head = {}, body = {}, signature = signed => this.sign(signed) }: ProofParts = {}): string {
    const signed = `${text({ typ: 'dbsc+jwt', alg: this.alg, ...head })}.${text({ jti: challenge, ...body })}`;
    return `${signed}.${typeof signature === 'string' ? signature : signature(signed)}`;
  }

  /** A proof at a registration. */
  registration(challenge: string, { head = {}, ...more }: ProofParts = {}): string {
    return this.jwt(challenge, { head: { jwk: this.jwk, ...head }, ...more });
  }
}

/** What a thief might sign with: the public key as the secret of an HMAC. */
export const hmacWith = (key: KeyObject) => (signed: string) =>
  createHmac('sha256', key.export({ type: 'spki', format: 'pem' })).update(signed).digest('base64url');
