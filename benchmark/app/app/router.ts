import type { Application, Context } from 'egg';
import { settings } from '../settings';

const SIGNED_IN = { userId: 1234567, name: 'Ada Lovelace', roles: [ 'editor', 'reviewer' ], csrfToken: 'q3Xh0cZ1n8sVbT5yLw7KdR2u', n: 0 };

export default (app: Application) => {
  const withSession = settings.plugin !== 'none';
  app.get('/cpu', (ctx: Context) => {
    ctx.body = process.cpuUsage();
  });
  app.get('/sign-in', (ctx: Context) => {
    if (withSession) ctx.session = { ...SIGNED_IN };
    ctx.body = {};
  });
  app.get('/unused', (ctx: Context) => {
    ctx.body = { userId: SIGNED_IN.userId };
  });
  app.get('/read', (ctx: Context) => {
    ctx.body = { userId: (withSession ? ctx.session : SIGNED_IN).userId };
  });
  app.get('/write', (ctx: Context) => {
    if (withSession) ctx.session.n = (ctx.session.n ?? 0) + 1;
    ctx.body = { userId: (withSession ? ctx.session : SIGNED_IN).userId };
  });
};
