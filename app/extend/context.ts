import type { Context } from 'egg';
import { noSession } from '../../module/access/injectSession';
import type { ContextSession } from '../../module/record/SessionData';
import { environmentOf } from '../../module/request/environment';
import { RequestSession } from '../../module/request/RequestSession';

export default {
  /**
   * Loads the session, unless it is loaded already, and resolves to `ctx.session`. Call it with `load: 'injected'`, where the controller does
   * not inject the session.
   *
   * @throws the store's error, for which the response is a 503, and an Error where there is no session: outside a request, and where the
   *   session's middleware has not run
   */
  async loadSession(): Promise<ContextSession> {
    const ctx = this as unknown as Context;
    const request = RequestSession.for(ctx, environmentOf(ctx.app));
    await request.ask();
    const { session } = ctx;
    if (request.phase === 'outside' && request.current === session) throw noSession(ctx); // not egg-mock's
    return session;
  },
};
