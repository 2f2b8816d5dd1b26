import { Context, HTTPController, HTTPMethod, HTTPMethodEnum, Inject } from '@eggjs/tegg';
import type { Context as EggContext } from 'egg';
import { SessionConfig, SessionHealth } from 'egg-tegg-session';
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
  private readonly page: Page;

  @HTTPMethod({ method: HTTPMethodEnum.GET, path: '/status' })
  async show(@Context() ctx: EggContext) {
    const { breaker, latency, counters, lastError } = this.sessionHealth;
    return await this.page.show(ctx, 'status', {
      options: OPTIONS.map(name => [ name, this.sessionConfig[name] ]),
      kind: placeOf(ctx.app.sessionStore),
      breaker, latency, counters,
      failedAt: lastError?.at, // its text may name hosts, which is not for everybody
    });
  }
}
