/* eslint-disable no-bitwise -- as ciphers do */
import { webcrypto } from 'node:crypto';

const { subtle } = webcrypto;

const toBigInt = (bytes: Uint8Array) => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
const toBytes = (block: bigint) => Buffer.from(block.toString(16).padStart(32, '0'), 'hex');

/** Derives from a secret, as docs/cookie.md says. */
export async function derive(secret: string, purpose: string, bytes: number): Promise<Buffer> {
  const key = await subtle.importKey('raw', Buffer.from(secret), 'HKDF', false, [ 'deriveBits' ]);
  const info = Buffer.from(`egg-tegg-session ${purpose} 2`);
  return Buffer.from(await subtle.deriveBits({ name: 'HKDF', hash: 'SHA-256', salt: Buffer.of(), info }, key, bytes * 8));
}

/** The key and the nonce for AES-256-GCM that XAES-256-GCM makes of its own. WebCrypto has AES in CBC mode only. */
async function gcm(secret: string, name: string, nonce: Buffer) {
  const cbc = await subtle.importKey('raw', await derive(secret, 'cookie seal', 32), 'AES-CBC', false, [ 'encrypt' ]);
  const aes = async (block: bigint) => {
    const blocks = await subtle.encrypt({ name: 'AES-CBC', iv: Buffer.alloc(16) }, cbc, toBytes(block));
    return toBigInt(new Uint8Array(blocks, 0, 16));
  };
  const l = await aes(0n);
  const k1 = BigInt.asUintN(128, l * 2n) ^ BigInt(l < 2n ** 127n ? 0 : 0x87);
  const cmac = async (counter: bigint) =>
    toBytes(await aes(k1 ^ (counter * 2n ** 112n + 0x58n * 2n ** 104n + toBigInt(nonce.subarray(0, 12)))));
  const raw = Buffer.concat([ await cmac(1n), await cmac(2n) ]);
  return {
    key: await subtle.importKey('raw', raw, 'AES-GCM', false, [ 'encrypt', 'decrypt' ]),
    params: { name: 'AES-GCM', iv: nonce.subarray(12), additionalData: Buffer.from(`2${name}`), tagLength: 128 },
  };
}

/** Seals as docs/cookie.md says, with WebCrypto and nothing of this package. */
export async function sealByHand(secret: string, name: string, text: string, nonce: Buffer): Promise<string> {
  const { key, params } = await gcm(secret, name, nonce);
  const sealed = Buffer.from(await subtle.encrypt(params, key, Buffer.from(text)));
  return `2${Buffer.concat([ await derive(secret, 'key hint', 3), nonce, sealed ]).toString('base64url')}`;
}

/** Opens what was sealed as docs/cookie.md says; rejects what was not. */
export async function openByHand(secret: string, name: string, value: string) {
  const bytes = Buffer.from(value.slice(1), 'base64url');
  const { key, params } = await gcm(secret, name, bytes.subarray(3, 27));
  const text = Buffer.from(await subtle.decrypt(params, key, bytes.subarray(27))).toString();
  return { version: value[0], hint: bytes.subarray(0, 3), text };
}
