import { Context, HTTPController, HTTPMethod, HTTPMethodEnum, Inject } from '@eggjs/tegg';
import type { Context as EggContext } from 'egg';
import { SessionConfig, type SessionErrorCode, SessionHealth, SessionRegistry } from 'egg-tegg-session';
import { Page } from '../page/Page';
import { placeOf } from './placeOf';

/** The options to show: none of them is a secret. */
const OPTIONS = [
  'key', 'maxAge', 'rolling', 'absoluteMaxAge', 'principal', 'encrypt', 'httpOnly', 'sameSite', 'secure', 'storeTimeout', 'onStoreError',
] as const;

@HTTPController()
export class StatusController {
  @Inject()
  private readonly sessionConfig: SessionConfig;

  @Inject()
  private readonly sessionHealth: SessionHealth;

  @Inject()
  private readonly sessionRegistry: SessionRegistry;

  @Inject()
  private readonly page: Page;

  @HTTPMethod({ method: HTTPMethodEnum.GET, path: '/status' })
  async show(@Context() ctx: EggContext) {
    const isDown = ctx.app.sessionStore && await this.isDown();
    const { latency, counters, lastError } = this.sessionHealth;
    return await this.page.showWithoutSession(ctx, 'status', {
      options: OPTIONS.map(name => [ name, this.sessionConfig[name] ]),
      kind: placeOf(ctx.app.sessionStore),
      isDown, latency, counters,
      failedAt: lastError?.at, // its text may name hosts, which is not for everybody
    });
  }

  /** Asks the store now, as nobody else may have since it went down; `sessionHealth.breaker` tells of the requests so far. */
  private async isDown(): Promise<boolean> {
    try {
      await this.sessionRegistry.list('nobody');
      return false;
    } catch (err) {
      if ((err as { code?: string }).code !== ('ERR_SESSION_STORE' satisfies SessionErrorCode)) throw err;
      return true;
    }
  }
}
