import type { Context as EggContext } from 'egg';
import { Context, HTTPBody, HTTPController, HTTPMethod, HTTPMethodEnum, Inject } from '@eggjs/tegg';
import { Session } from 'egg-tegg-session';
import { AccountService } from '../account/AccountService';
import { page } from './page';

@HTTPController()
export class PageController {
  @Inject()
  private readonly session!: Session;

  @Inject()
  private readonly accountService!: AccountService;

  @HTTPMethod({ method: HTTPMethodEnum.GET, path: '/' })
  show(@Context() ctx: EggContext) {
    const flash = this.session.pop('flash');
    this.session.visits = (this.session.visits ?? 0) + 1;

    ctx.set('cache-control', 'no-store');
    return page(ctx, this.session, flash);
  }

  @HTTPMethod({ method: HTTPMethodEnum.POST, path: '/sign-in' })
  async signIn(@Context() ctx: EggContext, @HTTPBody() { name, password }: Record<string, unknown>) {
    if (await this.accountService.signIn(String(name), String(password))) ctx.rotateCsrfSecret();
    redirect(ctx);
  }

  @HTTPMethod({ method: HTTPMethodEnum.POST, path: '/sign-out' })
  async signOut(@Context() ctx: EggContext) {
    await this.accountService.signOut();
    redirect(ctx);
  }
}

/** See Other: the browser shows the page with a GET, and a reload does not send the form again. */
function redirect(ctx: EggContext) {
  ctx.status = 303;
  ctx.redirect('/');
}
