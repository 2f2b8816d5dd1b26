import type { Application, Context } from 'egg';

const SIGNED_IN = { userId: 1234567, name: 'Ada Lovelace', roles: [ 'editor', 'reviewer' ], csrfToken: 'q3Xh0cZ1n8sVbT5yLw7KdR2u', n: 0 };

export default (app: Application) => {
  app.get('/', (ctx: Context) => {
    ctx.body = {};
  });
  app.get('/sign-in', (ctx: Context) => {
    ctx.session = SIGNED_IN as never;
    ctx.body = {};
  });
  app.get('/read', (ctx: Context) => {
    ctx.body = { userId: ctx.session.userId };
  });
  app.get('/write', (ctx: Context) => {
    ctx.session.n!++;
    ctx.body = { userId: ctx.session.userId };
  });
};
