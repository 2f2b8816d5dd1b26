import { Context, HTTPBody, HTTPController, HTTPMethod, HTTPMethodEnum, Inject } from '@eggjs/tegg';
import type { Context as EggContext } from 'egg';
import { Session, SessionRegistry } from 'egg-tegg-session';
import { Users } from '../account/Users';
import { Page } from '../page/Page';

@HTTPController({ path: '/admin' })
export class AdminController {
  @Inject()
  private readonly session: Session;

  @Inject()
  private readonly sessionRegistry: SessionRegistry;

  @Inject()
  private readonly users: Users;

  @Inject()
  private readonly page: Page;

  @HTTPMethod({ method: HTTPMethodEnum.GET, path: '/' })
  async list(@Context() ctx: EggContext) {
    if (!this.isAdmin(ctx)) return await this.page.show(ctx, 'admin', { isAdmin: false });
    const accounts = ctx.app.sessionStore && await Promise.all(this.users.names.map(async name => {
      const sessions = await this.sessionRegistry.list(name);
      return { name, sessions: sessions.length, lastSeenAt: sessions[0]?.lastSeenAt };
    }));
    return await this.page.show(ctx, 'admin', { isAdmin: true, accounts });
  }

  @HTTPMethod({ method: HTTPMethodEnum.POST, path: '/end' })
  async end(@Context() ctx: EggContext, @HTTPBody() { name }: { name?: string }) {
    if (!this.isAdmin(ctx)) return await this.page.show(ctx, 'admin', { isAdmin: false });
    const ended = await this.sessionRegistry.revokeAll(String(name), { exceptCurrent: true });
    this.page.tell('Sessions of %s ended: %s.', String(name), String(ended));
    this.page.goTo(ctx, '/admin');
  }

  private isAdmin(ctx: EggContext): boolean {
    const isAdmin = this.users.isAdmin(this.session.user);
    if (!isAdmin) ctx.status = 403;
    return isAdmin;
  }
}
