import type { Context } from 'egg';

/** Says in words what is no error of the visitor's. */
export default () => async (ctx: Context, next: () => Promise<void>) => {
  const show = async (status: number, view: string) => {
    ctx.status = status;
    ctx.body = await ctx.renderView(view, { __: ctx.__.bind(ctx) }); // i18n comes later
  };
  try {
    await next();
  } catch (err) {
    const { status, message } = err as Error & { status?: number };
    if (status !== 403 || !/csrf token$/.test(message)) throw err;
    await show(403, 'expired-form'); // that of a session that has ended meanwhile
    return;
  }
  if (ctx.status === 503 && ctx.accepts('html')) await show(503, 'unavailable'); // the plugin's answer while the store is down
};
