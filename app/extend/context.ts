import type { Context } from 'egg';
import { noSession } from '../../module/access/injectSession';
import type { ContextSession } from '../../module/record/SessionData';
import { environmentOf } from '../../module/request/environment';
import { RequestSession } from '../../module/request/RequestSession';

export default {
  /**
   * Reads the session from where it is kept, if that has not been done, and resolves to `ctx.session`. Under `load: 'injected'`,
   * a request that has it injected nowhere calls this before it uses `ctx.session`.
   *
   * @throws what the store throws, which is answered with 503, and an Error where there is no session: outside a request, and
   *   where the session's middleware has not run
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
