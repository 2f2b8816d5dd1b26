import { Context, HTTPBody, HTTPController, HTTPMethod, HTTPMethodEnum, Inject } from '@eggjs/tegg';
import type { Context as EggContext } from 'egg';
import { Session, SessionRegistry } from 'egg-tegg-session';
import { Page } from '../page/Page';

@HTTPController({ path: '/devices' })
export class DevicesController {
  @Inject()
  private readonly session: Session;

  @Inject()
  private readonly sessionRegistry: SessionRegistry;

  @Inject()
  private readonly page: Page;

  @HTTPMethod({ method: HTTPMethodEnum.GET, path: '/' })
  async list(@Context() ctx: EggContext) {
    const { user } = this.session;
    if (!user) return this.askToSignIn(ctx);
    // only a store can tell which sessions there are
    const devices = ctx.app.sessionStore && await this.sessionRegistry.list(user);
    return await this.page.show(ctx, 'devices', { devices });
  }

  @HTTPMethod({ method: HTTPMethodEnum.POST, path: '/end' })
  async end(@Context() ctx: EggContext, @HTTPBody() { id }: { id?: string }) {
    const { user } = this.session;
    if (!user) return this.askToSignIn(ctx);
    const ended = await this.sessionRegistry.revoke(user, String(id));
    if (!this.session.user) return this.page.goTo(ctx, '/'); // it was this one
    this.page.tell(ended ? 'The device is signed out.' : 'The device had already been signed out.');
    this.page.goTo(ctx, '/devices');
  }

  @HTTPMethod({ method: HTTPMethodEnum.POST, path: '/end-others' })
  async endOthers(@Context() ctx: EggContext) {
    const { user } = this.session;
    if (!user) return this.askToSignIn(ctx);
    const ended = await this.sessionRegistry.revokeAll(user, { exceptCurrent: true });
    this.page.tell('Devices signed out: %s.', String(ended));
    this.page.goTo(ctx, '/devices');
  }

  private askToSignIn(ctx: EggContext) {
    this.page.tell('Sign in to see your devices.');
    this.page.goTo(ctx, '/sign-in?next=/devices');
  }
}
