import { strict as assert } from 'node:assert';
import type { Context } from 'egg';
import mm, { type MockApplication } from 'egg-mock';
import { MapStore } from '../support/MapStore';
import { MODES, start, stop } from '../support/web';

/** What a sign-in does, as the documents show it. */
const SIGN_IN: Array<[ how: string, signIn: (session: any, ctx: Context) => Promise<unknown> ]> = [
  [ 'the injected session', async session => {
    await session.regenerate();
    session.userId = 7;
    await session.save();
    await session.manuallyCommit();
    return { ...session };
  } ],
  [ 'ctx.session', async (_, { session }) => {
    await session.regenerate();
    session.userId = 7;
    await session.save();
    await session.manuallyCommit();
    return { ...session };
  } ],
  [ 'ctx.session, with a callback', (_, { session }) => new Promise((resolve, reject) => {
    session.regenerate((err?: Error) => {
      if (err) return reject(err);
      session.userId = 7;
      resolve({ ...session });
    });
  }) ],
];

for (const [ mode, given ] of MODES) {
  describe(`a session that is mocked, with ${mode} in the cookie`, () => {
    afterEach(stop);

    for (const [ how, signIn ] of SIGN_IN) {
      it(`lets a test sign in: ${how}`, async () => {
        const options = given();
        const { app, client } = await start(options);
        app.mockSession({ cart: [ 'a' ] });
        const response = await client.run(signIn);
        assert.deepEqual(response.json(), { cart: [ 'a' ], userId: 7 });
        assert.deepEqual(response.setCookies, []);
        assert.equal((options.store as MapStore | undefined)?.entries.size ?? 0, 0);
      });
    }

    it('can be updated and destroyed', async () => {
      const { app, run } = await start(given());
      app.mockSession({ n: 1, gone: true });
      const response = await run(async (session, ctx) => {
        await session.update((data: any) => {
          data.n++;
          delete data.gone;
        });
        const updated = { ...ctx.session };
        await assert.rejects(session.update(() => ({ n: 5 })), TypeError);
        await session.destroy();
        return { updated, after: ctx.session };
      });
      assert.deepEqual(response.json(), { updated: { n: 2 }, after: null });
    });

    it('is what each request begins with, and real again afterwards', async () => {
      const { app, run } = await start(given());
      await run(session => {
        session.n = 5;
      });
      app.mockSession({ n: 1 });
      assert.deepEqual((await run(session => ({ n: session.n }))).json(), { n: 1 });
      await mm.restore();
      assert.deepEqual((await run(session => ({ n: session.n, isNew: session.isNew }))).json(), { n: 5, isNew: false });
      await run(session => session.regenerate());
      assert.deepEqual((await run(session => ({ n: session.n }))).json(), { n: 5 });
    });

    it('with its own methods keeps them', async () => {
      const { app, run } = await start(given());
      const called: string[] = [];
      const methods = Object.fromEntries([ 'save', 'regenerate', 'manuallyCommit' ].map(name => [ name, async () => {
        called.push(name);
      } ]));
      (app as MockApplication).mockSession({ n: 1, ...methods });
      await run(async (session, ctx) => {
        for (const name of Object.keys(methods)) await session[name]();
        await ctx.session.regenerate();
      });
      assert.deepEqual(called, [ 'save', 'regenerate', 'manuallyCommit', 'regenerate' ]);
    });

    it('is refused when it is no object', async () => {
      const { app, client } = await start(given());
      for (const [ value, kind ] of [[ 'text', 'a string' ], [ 5, 'a number' ]]) {
        app.mockSession(value as never);
        for (const use of [ (session: any) => session.n, (session: any) => Object.assign(session, { n: 1 }) ]) {
          const { text } = await client.tryRun(use, { accept: 'application/json' });
          assert.equal(JSON.parse(text).message, `[egg-tegg-session] app.mockSession() was given ${kind}: give it an object with the fields of the session`);
        }
      }
    });

    it('works in app.mockContext(), without a request', async () => {
      const { app } = await start(given());
      app.mockSession({ n: 1 });
      const ctx = app.mockContext();
      assert.equal(ctx.session.n, 1);
      ctx.session.n = 2;
      assert.equal(ctx.session.n, 2);
    });
  });
}
