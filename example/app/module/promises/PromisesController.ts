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
    this.eggSession.prepare();
    return await this.page.show(ctx, 'promises', { results: this.session.pop('results'), isBeside: this.eggSession.isHere });
  }

  @HTTPMethod({ method: HTTPMethodEnum.POST, path: '/' })
  async run(@Context() ctx: EggContext) {
    const here = ctx.socket.localPort!;
    const there = this.eggSession.isHere ? await this.eggSession.ports() : undefined;
    const both = there ? [ here, ctx.app.sessionStore ? there.store : there.cookie ] : [ here ];

    const [ tabs, signedIn, forgery ] = await Promise.all([
      Promise.all(both.map(twoTabs)),
      Promise.all(both.map(signOut)),
      this.forge(here, there?.cookie),
    ]);
    this.session.results = { tabs, forgery, signedIn };
    this.page.goTo(ctx, '/promises');
  }

  /** Tries this application at least as often as the other one. */
  private async forge(here: number, there?: number): Promise<Results['forgery']> {
    const theirs = there ? [ await forge(there, 'EGG_SESS') ] : [];
    return [ await forge(here, this.sessionConfig.key, Math.max(10, theirs[0]?.tried ?? 0)), ...theirs ];
  }
}
