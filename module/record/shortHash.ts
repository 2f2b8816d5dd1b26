import { createHash } from 'node:crypto';

/** The number of characters of a hash that are shown. */
export const SHORT = 8;

/** What stands for a session's id in log lines, events and errors, where the id itself would be a credential. */
export const shortHash = (id: string): string => createHash('sha256').update(id).digest('base64url')
  .slice(0, SHORT);
