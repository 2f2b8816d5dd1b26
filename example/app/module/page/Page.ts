import { AccessLevel, Inject, SingletonProto } from '@eggjs/tegg';
import type { Context } from 'egg';
import { Session } from 'egg-tegg-session';

declare module 'egg-tegg-session' {
  interface SessionData {
    /** A message for the next page, shown once: a text of config/locale, and what goes into it. */
    flash?: { text: string; values: string[] };
  }
}

/** Shows the pages, and messages on them. */
@SingletonProto({ accessLevel: AccessLevel.PUBLIC })
export class Page {
  @Inject()
  private readonly session: Session;

  /** Shows a message on the next page. */
  tell(text: string, ...values: string[]) {
    this.session.flash = { text, values };
  }

  /** The HTML of a page of app/view. */
  async show(ctx: Context, view: string, data: object = {}): Promise<string> {
    const flash = this.session.pop('flash');
    return await this.showWithoutSession(ctx, view, {
      ...data,
      hasSession: true,
      user: this.session.user,
      flash: flash && ctx.__(flash.text, ...flash.values),
    });
  }

  /** The same for a page that does not know who is signed in. */
  async showWithoutSession(ctx: Context, view: string, data: object = {}): Promise<string> {
    ctx.set('cache-control', 'no-store'); // the back button shows no page of somebody who has signed out
    return await ctx.renderView(view, { ...data, view });
  }

  /** See Other: the browser shows the page with a GET, and a reload does not send the form again. */
  goTo(ctx: Context, path: string) {
    ctx.status = 303;
    ctx.redirect(path);
  }
}
