import type { SessionOptions } from '../module/options/SessionOptions';

/** What an application gets with nothing configured; `SessionOptions` documents every option. */
const session: SessionOptions = {
  key: 'EGG_SESS',
  maxAge: 24 * 3600 * 1000,
  httpOnly: true,
  encrypt: true,
  logValue: true,
};

export default { session };
