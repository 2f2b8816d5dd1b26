import type { SessionErrorCode } from './errors';
import type { SessionRecord } from './SessionRecord';

/** A session that its store would not take, and that was not sent there: nothing is wrong with the store. */
export class TooLargeError extends Error {
  readonly code = 'ERR_SESSION_TOO_LARGE' satisfies SessionErrorCode;
}

/** Which field of these data takes most, for people to read. */
export function largestField(data: SessionRecord): string {
  let [ largest, bytes ] = [ '', -1 ];
  for (const [ field, value ] of Object.entries(data)) {
    const size = Buffer.byteLength(JSON.stringify(value) ?? '');
    if (size > bytes) [ largest, bytes ] = [ field, size ];
  }
  return `The largest field is session.${largest}, ${bytes} bytes of JSON`;
}

/** @throws TooLargeError when a record takes more bytes than its store takes */
export function requireFit(record: SessionRecord, bytes: number, maxBytes: number): void {
  if (bytes <= maxBytes) return;
  throw new TooLargeError(`[egg-tegg-session] the session is too large for its store: it would take ${bytes} bytes there, and ${maxBytes} are the ` +
    `most (maxBytes). ${largestField(record)}. Keep less in the session, or raise the limit of the server, and maxBytes where you have set it`);
}
