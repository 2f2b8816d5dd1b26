import { Context, HTTPController, HTTPMethod, HTTPMethodEnum, Inject } from '@eggjs/tegg';
import type { Context as EggContext } from 'egg';
import { Session, SessionConfig } from 'egg-tegg-session';
import { Page } from '../page/Page';
import { EggSession } from './EggSession';
import { forge, signOut, twoTabs } from './trials';

/** What came out, for the application itself and for egg-session; without the latter, only for the application. */
interface Results {
  tabs: number[];
  forgery: Array<{ tried: number; accepted: boolean }>;
  signedIn: boolean[];
}

declare module 'egg-tegg-session' {
  interface SessionData {
    /** Of the last run, for the next page. */
    results?: Results;
  }
}

@HTTPController({ path: '/promises' })
export class PromisesController {
  @Inject()
  private readonly session: Session;

  @Inject()
  private readonly sessionConfig: SessionConfig;

  @Inject()
  private readonly eggSession: EggSession;

  @Inject()
  private readonly page: Page;

  @HTTPMethod({ method: HTTPMethodEnum.GET, path: '/' })
  async show(@Context() ctx: EggContext) {
    return await this.page.show(ctx, 'promises', { results: this.session.pop('results'), isBeside: this.eggSession.isHere });
  }

  @HTTPMethod({ method: HTTPMethodEnum.POST, path: '/' })
  async run(@Context() ctx: EggContext) {
    const { isHere } = this.eggSession;
    const here = ctx.socket.localPort!;
    const stores = isHere ? await this.eggSession.port(ctx.app.sessionStore ? 'store' : 'cookie') : undefined;
    const cookies = isHere ? await this.eggSession.port('cookie') : undefined;
    const both = stores ? [ here, stores ] : [ here ];

    const tabs: number[] = [];
    const signedIn: boolean[] = [];
    for (const port of both) {
      tabs.push(await twoTabs(port));
      signedIn.push(await signOut(port));
    }
    const there = cookies ? await forge(cookies, 'EGG_SESS') : undefined;
    const forgery = [ await forge(here, this.sessionConfig.key, Math.max(10, there?.tried ?? 0)), ...(there ? [ there ] : []) ];

    this.session.results = { tabs, forgery, signedIn };
    this.page.goTo(ctx, '/promises');
  }
}
