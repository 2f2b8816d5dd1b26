import { createHash } from 'node:crypto';

/** The key that a store of tegg's has for a session's id. */
export const keyOf = (id: string): string => createHash('sha256').update(id).digest('base64url');
