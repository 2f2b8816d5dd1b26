import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import type { PublicJwk } from '../record/DeviceBinding';

/** The most characters of a header with a proof; one under RS256 with 4,096 bits has about 2,500. */
const LONGEST = 8192;

/** Sizes of RSA keys, in bits: shorter ones can be broken, and longer ones cost too much to check. */
const RSA_BITS = { least: 2048, most: 4096 };

/** The bytes of a coordinate on P-256, and of half a signature. */
const COORDINATE = 32;

/** The exponent of RSA keys of devices, 65537; with others, signatures can be forged, or take long to check. */
const EXPONENT = 'AQAB';

/** The members that make a JWK a private or a secret key (RFC 7518, 6.2.2, 6.3.2, 6.4). */
const PRIVATE = [ 'd', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k' ];

/** A proof as it came, read but not verified. */
export interface Proof {
  readonly alg: 'ES256' | 'RS256';
  /** The key that it brings along, as it came; undefined when it brings none. */
  readonly jwk: unknown;
  /** The challenge that it answers. */
  readonly challenge: string;
  /** The signed bytes, and the signature. */
  readonly signed: Buffer;
  readonly signature: Buffer;
}

/** The bytes of a text in base64url, in the one spelling that there is; undefined for anything else. */
function bytesOf(text: unknown): Buffer | undefined {
  if (typeof text !== 'string' || text === '') return undefined;
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : undefined;
}

/** The JSON object in a text in base64url. */
function objectIn(text: string): Record<string, unknown> | undefined {
  const bytes = bytesOf(text);
  if (!bytes) return undefined;
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value as Record<string, unknown> : undefined;
  } catch {
    return undefined;
  }
}

/** The text of a structured field, which browsers also send without its quotes (RFC 9651, 3.3.3), up to its parameters. */
export function stringIn(header: string): string | undefined {
  const [ , quoted, bare ] = /^(?:"([\w.~-]+)"|([\w.~-]+))(?: *;.*)?$/.exec(header) ?? [];
  return quoted ?? bare;
}

/** Reads the proof in `Secure-Session-Response`; undefined for what is none. */
export function readProof(header: string): Proof | undefined {
  if (header.length > LONGEST) return undefined;
  const parts = stringIn(header)?.split('.') ?? [];
  if (parts.length !== 3) return undefined;
  const [ head, body ] = [ objectIn(parts[0]), objectIn(parts[1]) ];
  const signature = bytesOf(parts[2]);
  // what `crit` names would have to be understood (RFC 7515, 4.1.11)
  if (!head || !body || !signature || head.typ !== 'dbsc+jwt' || 'crit' in head) return undefined;
  const { alg, jwk } = head;
  if ((alg !== 'ES256' && alg !== 'RS256') || typeof body.jti !== 'string') return undefined;
  return { alg, jwk, challenge: body.jti, signed: Buffer.from(`${parts[0]}.${parts[1]}`), signature };
}

/** The public key that a browser has sent, with nothing else in it; undefined for what is none, or too weak. */
export function publicJwk(given: unknown): PublicJwk | undefined {
  if (typeof given !== 'object' || given === null) return undefined;
  const { kty, crv, x, y, n, e } = given as Record<string, unknown>;
  if (PRIVATE.some(name => name in given)) return undefined;
  let jwk: PublicJwk | undefined;
  if (kty === 'EC' && crv === 'P-256') {
    if ([ x, y ].every(each => bytesOf(each)?.length === COORDINATE)) jwk = { kty, crv, x: x as string, y: y as string };
  } else if (kty === 'RSA' && e === EXPONENT) {
    const bytes = bytesOf(n);
    if (bytes && bytes[0] !== 0 && bytes.length <= RSA_BITS.most / 8) jwk = { kty, n: n as string, e };
  }
  return jwk && keyOf(jwk) ? jwk : undefined;
}

function keyOf(jwk: PublicJwk): KeyObject | undefined {
  try {
    const key = createPublicKey({ key: { ...jwk }, format: 'jwk' }); // throws for a point that is not on the curve
    const { modulusLength = RSA_BITS.least } = key.asymmetricKeyDetails ?? {};
    return modulusLength >= RSA_BITS.least && modulusLength <= RSA_BITS.most ? key : undefined;
  } catch {
    return undefined;
  }
}

/** Whether the holder of the key has signed the proof, with the algorithm that belongs to the key. */
export function isSignedBy(jwk: PublicJwk, { alg, signed, signature }: Proof): boolean {
  const key = alg === (jwk.kty === 'EC' ? 'ES256' : 'RS256') ? keyOf(jwk) : undefined;
  if (!key || (alg === 'ES256' && signature.length !== 2 * COORDINATE)) return false;
  try {
    return verify('sha256', signed, { key, dsaEncoding: 'ieee-p1363' }, signature);
  } catch {
    return false;
  }
}
