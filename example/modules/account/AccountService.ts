import { AccessLevel, Inject, SingletonProto } from '@eggjs/tegg';
import { Session } from 'egg-tegg-session';
import { isPasswordOf } from './users';

/** One object for all requests; `session` is always that of the request that calls. */
@SingletonProto({ accessLevel: AccessLevel.PUBLIC })
export class AccountService {
  @Inject()
  private readonly session!: Session;

  async signIn(name: string, password: string): Promise<boolean> {
    if (!await isPasswordOf(name, password)) {
      this.session.flash = `Wrong password, or no user “${name.slice(0, 40)}”.`;
      return false;
    }
    // a session id that somebody planted before the sign-in is worth nothing after it
    await this.session.regenerate();
    this.session.user = name;
    this.session.flash = 'You are signed in.';
    return true;
  }

  async signOut(): Promise<void> {
    await this.session.destroy();
  }
}
