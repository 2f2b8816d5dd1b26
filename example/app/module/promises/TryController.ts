import { once } from 'node:events';
import { Context, HTTPController, HTTPMethod, HTTPMethodEnum, HTTPQuery, Inject } from '@eggjs/tegg';
import type { Context as EggContext } from 'egg';
import { Session } from 'egg-tegg-session';

declare module 'egg-tegg-session' {
  interface SessionData {
    nickname?: string;
    admin?: number;
    tabOne?: boolean;
    tabTwo?: boolean;
  }
}

/** What the trials of the page of promises ask for: of this application, and of the one in egg-session/, which has the same. */
@HTTPController({ path: '/try' })
export class TryController {
  @Inject()
  private readonly session: Session;

  @HTTPMethod({ method: HTTPMethodEnum.GET, path: '/' })
  async read(@Context() ctx: EggContext) {
    const { nickname, admin, tabOne, tabTwo } = this.session;
    return { csrf: ctx.csrf, nickname, admin, tabOne, tabTwo };
  }

  @HTTPMethod({ method: HTTPMethodEnum.POST, path: '/guest' })
  async signIn(@HTTPQuery() nickname: string) {
    await this.session.regenerate();
    Object.assign(this.session, { nickname, admin: 0 });
    return {};
  }

  /** Has read the session, when it says that it is being processed, and changes it when the upload has ended. */
  @HTTPMethod({ method: HTTPMethodEnum.POST, path: '/upload' })
  async upload(@Context() ctx: EggContext, @HTTPQuery() tab: string) {
    const field = tab === 'tabOne' ? 'tabOne' : 'tabTwo';
    const before = this.session[field];
    ctx.res.writeProcessing();
    ctx.req.resume();
    await once(ctx.req, 'end');
    this.session[field] = true;
    return { before };
  }

  @HTTPMethod({ method: HTTPMethodEnum.POST, path: '/sign-out' })
  async signOut() {
    await this.session.destroy();
    return {};
  }
}
