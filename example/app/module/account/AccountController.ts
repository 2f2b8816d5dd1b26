import { Context, HTTPBody, HTTPController, HTTPMethod, HTTPMethodEnum, HTTPQuery, Inject } from '@eggjs/tegg';
import type { Context as EggContext } from 'egg';
import { Session } from 'egg-tegg-session';
import { localPath } from '../page/localPath';
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
  async form(@Context() ctx: EggContext, @HTTPQuery() next?: string) {
    return await this.page.show(ctx, 'sign-in', { next });
  }

  @HTTPMethod({ method: HTTPMethodEnum.POST, path: '/sign-in' })
  async signIn(@Context() ctx: EggContext, @HTTPBody() body: Record<string, unknown>) {
    const [ name, password ] = [ body.name, body.password ].map(value => String(value ?? ''));
    const refuse = async (field: string, error: string) => {
      ctx.status = 422;
      return await this.page.show(ctx, 'sign-in', { field, error, name: name.slice(0, 40), next: body.next });
    };
    if (name === '') return await refuse('name', 'Enter your user name.');
    if (password === '') return await refuse('password', 'Enter your password.');
    if (!await this.users.hasPassword(name, password)) return await refuse('password', 'The user name or the password is wrong.');
    // an attacker may have set the old id in this browser (session fixation)
    await this.session.regenerate();
    ctx.rotateCsrfSecret();
    this.session.user = name;
    this.page.tell('Welcome, %s.', name);
    this.page.goTo(ctx, localPath(body.next));
  }

  @HTTPMethod({ method: HTTPMethodEnum.POST, path: '/sign-out' })
  async signOut(@Context() ctx: EggContext) {
    await this.session.destroy();
    this.page.goTo(ctx, '/');
  }
}
