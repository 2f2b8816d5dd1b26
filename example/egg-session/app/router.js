'use strict';

const { once } = require('node:events');

// The same routes as app/module/promises/TryController.ts.
module.exports = ({ router }) => {
  router.get('/try', ctx => {
    const { nickname, admin, tabOne, tabTwo } = ctx.session;
    ctx.body = { nickname, admin, tabOne, tabTwo };
  });

  router.post('/try/guest', ctx => {
    ctx.session = { nickname: ctx.query.nickname, admin: 0 };
    ctx.body = {};
  });

  router.post('/try/upload', async ctx => {
    const { session } = ctx;
    ctx.res.writeProcessing();
    ctx.req.resume();
    await once(ctx.req, 'end');
    session[ctx.query.tab] = true;
    ctx.body = {};
  });

  router.post('/try/sign-out', ctx => {
    ctx.session = null;
    ctx.body = {};
  });
};
