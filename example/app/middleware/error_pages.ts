import type { Context } from 'egg';

/** Answers browsers with a page in the layout when there is no page, when the session store is down, and when a request fails. */
export default () => async (ctx: Context, next: () => Promise<void>) => {
  try {
    await next();
  } catch (err) {
    if (!wantsPage(ctx)) throw err;
    const { status: given = 500, message } = err as Error & { status?: number };
    const status = given >= 400 ? given : 500;
    const isCsrf = status === 403 && /csrf token$/.test(message); // that of a session that has ended meanwhile
    if (!isCsrf) ctx.app.emit('error', err, ctx); // for the log
    return await show(ctx, status, isCsrf ? 'expired-form' : status < 500 ? 'refused' : 'failed');
  }
  if (ctx.status === 404 && wantsPage(ctx)) await show(ctx, 404, 'not-found');
  if (ctx.status === 503 && wantsPage(ctx)) await show(ctx, 503, 'unavailable'); // the plugin's answer
};

const wantsPage = (ctx: Context) => Boolean(ctx.accepts('html')) && !ctx.headerSent;

async function show(ctx: Context, status: number, view: string) {
  ctx.status = status;
  ctx.set('cache-control', 'no-store');
  ctx.body = await ctx.renderView(view, { __: ctx.__.bind(ctx), isGet: ctx.method === 'GET' }); // i18n comes later
  ctx.type = 'html';
}
