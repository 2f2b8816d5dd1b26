import { inspect } from 'node:util';

/** What a value is, for an error to say: not itself, as it may be a secret. */
export function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object' && value !== null) return 'an object';
  return value === '' || value === null || value === undefined || typeof value === 'boolean' ? inspect(value) : `a ${typeof value}`;
}
