import { AccessLevel, Inject, SingletonProto } from '@eggjs/tegg';
import type { Context } from 'egg';
import { Session } from 'egg-tegg-session';

declare module 'egg-tegg-session' {
  interface SessionData {
    /** A message for the next page, shown once: a text of config/locale, and what goes into it. */
    flash?: { text: string; values: string[] };
  }
}

/** What all pages have in common. */
@SingletonProto({ accessLevel: AccessLevel.PUBLIC })
export class Page {
  @Inject()
  private readonly session: Session;

  /** Says something on the page that is shown next. */
  tell(text: string, ...values: string[]) {
    this.session.flash = { text, values };
  }

  /** The HTML of a page of app/view. */
  async show(ctx: Context, view: string, data: object = {}): Promise<string> {
    ctx.set('cache-control', 'no-store'); // the back button shows no page of somebody who has signed out
    const flash = this.session.pop('flash');
    return await ctx.renderView(view, {
      ...data,
      view,
      user: this.session.user,
      flash: flash && ctx.__(flash.text, ...flash.values),
    });
  }

  /** See Other: the browser shows the page with a GET, and a reload does not send the form again. */
  goTo(ctx: Context, path: string) {
    ctx.status = 303;
    ctx.redirect(path);
  }
}
