import type { Context as EggContext } from 'egg';
import { Context, HTTPController, HTTPMethod, HTTPMethodEnum, HTTPQuery, Inject } from '@eggjs/tegg';
import type { Session, SessionData } from 'egg-tegg-session';
import { settings } from './settings';

const { GET } = HTTPMethodEnum;
const bare = settings.sessions === 'none';
const [ someData ] = Object.values(settings.data);

interface SignedIn {
  userId: number;
  n: number;
}

/** Reaches the session as applications with egg-session do. */
@HTTPController()
export class ContextController {
  @HTTPMethod({ method: GET, path: '/sign-in' })
  async signIn(@Context() ctx: EggContext, @HTTPQuery() bytes: string) {
    if (!bare) ctx.session = { ...settings.data[bytes] };
    return { userId: settings.data[bytes].userId };
  }

  @HTTPMethod({ method: GET, path: '/read' })
  async read(@Context() ctx: EggContext) {
    return { userId: (bare ? someData : ctx.session).userId };
  }

  /** Reads a session that may be missing. */
  @HTTPMethod({ method: GET, path: '/look' })
  async look(@Context() ctx: EggContext) {
    void ctx.session.userId;
    return { userId: 1234567 };
  }

  @HTTPMethod({ method: GET, path: '/write' })
  async write(@Context() ctx: EggContext) {
    const session: SignedIn = bare ? someData : ctx.session as never;
    session.n++;
    return { userId: session.userId };
  }

  @HTTPMethod({ method: GET, path: '/write-and-regenerate' })
  async writeAndRegenerate(@Context() ctx: EggContext) {
    ctx.session.n = 1;
    await ctx.session.regenerate();
    return { userId: ctx.session.userId };
  }

  @HTTPMethod({ method: GET, path: '/regenerate-and-write' })
  async regenerateAndWrite(@Context() ctx: EggContext) {
    await ctx.session.regenerate();
    ctx.session.n = 1;
    return { userId: ctx.session.userId };
  }

  @HTTPMethod({ method: GET, path: '/sign-out' })
  async signOut(@Context() ctx: EggContext) {
    ctx.session = null;
    return { userId: 1234567 };
  }
}

/** Reaches the session by injection. */
@HTTPController()
export class InjectedController {
  @Inject()
  private readonly session!: Session & SignedIn;

  @HTTPMethod({ method: GET, path: '/sign-in' })
  async signIn(@HTTPQuery() bytes: string) {
    Object.assign(this.session, settings.data[bytes]);
    return { userId: this.session.userId };
  }

  @HTTPMethod({ method: GET, path: '/read' })
  async read() {
    return { userId: this.session.userId };
  }

  @HTTPMethod({ method: GET, path: '/write' })
  async write() {
    this.session.n++;
    return { userId: this.session.userId };
  }

  @HTTPMethod({ method: GET, path: '/write-and-regenerate' })
  async writeAndRegenerate() {
    this.session.n++;
    await this.session.regenerate();
    return { userId: this.session.userId };
  }

  @HTTPMethod({ method: GET, path: '/regenerate-and-write' })
  async regenerateAndWrite() {
    await this.session.regenerate();
    this.session.n++;
    return { userId: this.session.userId };
  }

  @HTTPMethod({ method: GET, path: '/sign-out' })
  async signOut() {
    await this.session.destroy();
    return { userId: 1234567 };
  }
}

/** Is beside either. */
@HTTPController()
export class UpdateController {
  @Inject()
  private readonly session!: Session & SignedIn;

  @HTTPMethod({ method: GET, path: '/update' })
  async update() {
    await this.session.update((data: SessionData) => { data.n = Number(data.n) + 1; });
    return { userId: this.session.userId };
  }
}
