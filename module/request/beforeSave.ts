import type { Context } from 'egg';
import { coded } from '../record/errors';
import { placeOf } from '../cookie/places';
import { refusePromise, type SessionConfig } from '../options/SessionConfig';

/**
 * Runs `config.session.beforeSave`.
 *
 * @throws Error when the cookie could not be sent, and what the function throws
 */
export function runBeforeSave(ctx: Context, config: SessionConfig, session: object): void {
  if (ctx.sessionOptions.secure && !ctx.secure && !ctx.headerSent && !config.externalKey) {
    const option = /^__(host|secure)-/i.test(config.key) ? 'config.session.key' : config.secure ? 'config.session.secure' : 'ctx.sessionOptions.secure';
    throw coded('ERR_SESSION_INSECURE', new Error(`[egg-tegg-session] the cookie ${config.key} is for HTTPS only, by ${option}, and this request came over ` +
      'plain HTTP. In development, set that option in config.prod only; if a proxy in front speaks HTTPS, set config.proxy to true'));
  }
  if (config.beforeSave) refusePromise(config.beforeSave(ctx, session), 'beforeSave');
  if (!config.externalKey && typeof config.domain === 'function') placeOf(ctx); // throws when it returns no domain
}
