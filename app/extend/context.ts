import type { Context } from 'egg';
import { RequestSession } from '../../module/RequestSession';
import type { ContextSession } from '../../module/SessionData';
import { environmentOf } from '../../module/SessionEnvironment';

export default {
  /**
   * Reads the session from where it is kept, if that has not been done, and resolves to `ctx.session`. Under `load: 'injected'`,
   * a request that has it injected nowhere calls this before it uses `ctx.session`.
   *
   * @throws what the store throws, which is answered with 503
   */
  async loadSession(): Promise<ContextSession> {
    const ctx = this as unknown as Context;
    await RequestSession.for(ctx, environmentOf(ctx.app)).ask();
    return ctx.session;
  },
};
