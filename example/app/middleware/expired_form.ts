import type { Context } from 'egg';

/** A form of a session that has ended meanwhile has no valid CSRF token: that is no error to the visitor. */
export default () => async (ctx: Context, next: () => Promise<void>) => {
  try {
    await next();
  } catch (err) {
    const { status, message } = err as Error & { status?: number };
    if (status !== 403 || !/csrf token$/.test(message)) throw err;
    ctx.status = 403;
    ctx.body = await ctx.renderView('expired-form', { __: ctx.__.bind(ctx) }); // i18n comes later
  }
};
