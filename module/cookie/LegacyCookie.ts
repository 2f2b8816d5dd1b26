import type { Context } from 'egg';
import { dataOf, type SessionMaxAge, type SessionRecord } from '../record/SessionRecord';

/** The part of Egg's cookies that signs and encrypts. */
interface EggKeys {
  /** Makes one of the same kind with other keys. */
  constructor: new (keys: string[]) => EggKeys;
  verify(data: string, signature: string): number;
  /** Egg 3 wants to know the key, and gives the bare text; Egg 4 tries all keys, and gives it with its key's number. */
  decrypt(data: Buffer, key: string): Buffer | { value: Buffer } | false;
}

/**
 * What egg-session may have put into a cookie with this value, which it signed or encrypted: each text that one of the keys
 * gives, as its encryption can't tell the right key from a wrong one. For `acceptLegacyCookie`, and gone with it one day.
 */
export function legacyTexts(ctx: Context, name: string, value: string, signatures: readonly string[]): string[] {
  const { keys } = ctx.cookies as unknown as { keys: EggKeys };
  if (signatures.some(signature => keys.verify(`${name}=${value}`, signature) >= 0)) return [ value ];
  const encrypted = Buffer.from(value, 'base64');
  return (ctx.app.keys as string[]).map(key => new keys.constructor([ key ]).decrypt(encrypted, key)).filter(text => text !== false)
    .map(text => String('value' in text ? text.value : text));
}

/** The record with no longer to live than a new session has: who forges a cookie chooses its lifetime too. */
export function withCappedLifetime(record: SessionRecord, maxAge: SessionMaxAge): SessionRecord {
  if (maxAge === 'session') return { ...dataOf(record), _session: true };
  const cap = (value: unknown, limit: number) => (typeof value === 'number' ? Math.min(value, limit) : limit);
  return { ...dataOf(record), _maxAge: cap(record._maxAge, maxAge), _expire: cap(record._expire, Date.now() + maxAge) };
}
