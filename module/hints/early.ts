import type { Application, Context } from 'egg';
import type { ChangeTracker } from '../record/ChangeTracker';
import { warnOnce } from '../record/warnOnce';

/** Warns of middleware that has changed `ctx.session` before the session was loaded: nothing saves that. */
export function warnOfLostChange(app: Application, { method, path }: Context, data: ChangeTracker | null): void {
  if (data && !isChanged(data)) return;
  warnOnce(app, 'early', '[egg-tegg-session] ctx.session was changed before the session was loaded, and that is lost (%s %s): put the ' +
    'middleware that does so after the session\'s, into config.middleware', method, path);
}

function isChanged(data: ChangeTracker): boolean {
  try {
    return data.isChanged(data.now());
  } catch {
    return true; // there is something in it that can't be stored
  }
}
