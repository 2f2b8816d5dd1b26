import { Context, HTTPBody, HTTPController, HTTPMethod, HTTPMethodEnum, Inject } from '@eggjs/tegg';
import type { Context as EggContext } from 'egg';
import { Session } from 'egg-tegg-session';
import { Page } from '../page/Page';
import { Users } from './Users';

declare module 'egg-tegg-session' {
  interface SessionData {
    /** The name of who is signed in. */
    user?: string;
  }
}

@HTTPController()
export class AccountController {
  @Inject()
  private readonly session: Session;

  @Inject()
  private readonly users: Users;

  @Inject()
  private readonly page: Page;

  @HTTPMethod({ method: HTTPMethodEnum.GET, path: '/sign-in' })
  async form(@Context() ctx: EggContext) {
    return await this.page.show(ctx, 'sign-in');
  }

  @HTTPMethod({ method: HTTPMethodEnum.POST, path: '/sign-in' })
  async signIn(@Context() ctx: EggContext, @HTTPBody() body: Record<string, unknown>) {
    const [ name, password ] = [ body.name, body.password ].map(value => String(value ?? ''));
    if (name === '') return await this.refuse(ctx, 'name', 'Enter your user name.');
    if (password === '') return await this.refuse(ctx, 'password', 'Enter your password.', name);
    if (!await this.users.hasPassword(name, password)) {
      return await this.refuse(ctx, 'password', 'This user name and password don’t go together.', name);
    }
    // an id that somebody planted before the sign-in is worth nothing after it
    await this.session.regenerate();
    ctx.rotateCsrfSecret();
    this.session.user = name;
    this.page.tell('Welcome, %s.', name);
    this.page.goTo(ctx, '/');
  }

  @HTTPMethod({ method: HTTPMethodEnum.POST, path: '/sign-out' })
  async signOut(@Context() ctx: EggContext) {
    await this.session.destroy();
    this.page.goTo(ctx, '/');
  }

  private async refuse(ctx: EggContext, field: string, error: string, name = '') {
    ctx.status = 422;
    return await this.page.show(ctx, 'sign-in', { field, error, name: name.slice(0, 40) });
  }
}
