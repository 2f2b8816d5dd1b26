import type { Application } from 'egg';
import { warnOfBrowserLifetime } from '../application/activeStore';
import type { SessionMaxAge } from '../record/SessionRecord';
import { warnOnce } from '../record/warnOnce';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** What days in seconds are multiples of. */
const DAY_IN_SECONDS = 86_400;

/** Warns of a lifetime that is hardly meant: in development, one that has been given in seconds. */
export function warnOfLifetime(app: Application, what: string, value: SessionMaxAge): void {
  if (value === 'session') return warnOfBrowserLifetime(app, what);
  if (value >= MINUTE && (value >= HOUR || value % DAY_IN_SECONDS !== 0)) return;
  if (app.config.env === 'prod' || app.config.env === 'unittest') return;
  warnOnce(app, `${what} ${value}`, '[egg-tegg-session] %s is %d, and that is milliseconds: a session ends after %d s. If seconds are ' +
    'meant, write %d * 1000', what, value, value / 1000, value);
}
