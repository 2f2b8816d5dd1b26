import { strict as assert } from 'node:assert';
import type { Context } from 'egg';
import type { Session, SessionOptions } from '../..';
import { SingletonByConstructor, SingletonByProperty } from '../fixtures/apps/web/modules/inject/services';
import { fixture } from '../support/app';
import { MapStore } from '../support/MapStore';
import { start, stop } from '../support/web';

/** All that can be done with the injected session. */
const USES: Record<string, (session: any) => unknown> = {
  read: session => session.n,
  write: session => Object.assign(session, { n: 2 }),
  delete: session => delete session.n,
  in: session => 'n' in session,
  keys: session => Object.keys(session),
  copy: session => ({ ...session }),
  toJSON: session => session.toJSON(),
  pop: session => session.pop('n'),
  isNew: session => session.isNew,
  externalKey: session => session.externalKey,
  maxAge: session => session.maxAge,
  'maxAge =': session => Object.assign(session, { maxAge: 5000 }),
  save: session => session.save(),
  manuallyCommit: session => session.manuallyCommit(),
  regenerate: session => session.regenerate(),
  destroy: session => session.destroy(),
  update: session => session.update((data: any) => Object.assign(data, { n: 2 }) && undefined),
};

/** Expects that each use of the session fails with this message. */
async function expectNone(session: Session, message: RegExp) {
  for (const [ name, use ] of Object.entries(USES)) await assert.rejects(async () => use(session), message, name);
}

describe('where the session\'s middleware has not run', () => {
  afterEach(async () => {
    fixture.job = undefined;
    await stop();
  });

  const STORES: Array<[ mode: string, given: () => SessionOptions ]> = [
    [ 'in a store', () => ({ store: new MapStore() }) ],
    [ 'in the cookie', () => ({}) ],
  ];
  for (const [ mode, given ] of STORES) {
    for (const [ what, left ] of [
      [ 'ignore', { ignore: (ctx: Context) => ctx.get('x-session') === 'off' }],
      [ 'match', { match: (ctx: Context) => ctx.get('x-session') !== 'off' }],
    ] as Array<[ string, SessionOptions ]>) {
      it(`by config.session.${what}, the injected session ${mode} throws, and the session stays as it was`, async () => {
        const options = { ...given(), ...left };
        const { client } = await start(options);
        await client.run(session => {
          session.n = 1;
        });
        const { setCookies } = await client.run(async session => {
          await expectNone(session, /^Error: .*there is no session here: GET \/run is left out by config\.session\.enable, match or ignore/);
        }, { 'x-session': 'off' });
        assert.deepEqual(setCookies, []);
        assert.equal((options.store as MapStore | undefined)?.entries.size ?? 0, options.store ? 1 : 0);
        assert.deepEqual((await client.run(session => ({ ...session }))).json(), { n: 1 });
      });
    }

    it(`by config.session.enable: false, the injected session ${mode} throws`, async () => {
      const { client } = await start({ ...given(), enable: false });
      await client.run(session => expectNone(session, /there is no session here: GET \/run is left out/));
    });

    it(`in a schedule, the injected session ${mode} throws`, async () => {
      const options = given();
      const { app } = await start(options);
      const holders = await Promise.all([ SingletonByProperty, SingletonByConstructor ].map(Holder =>
        app.getEggObject<{ session: Session }>(Holder)));
      let ran = false;
      fixture.job = async () => {
        for (const { session } of holders) {
          await expectNone(session, /there is no session here: this is a schedule, which belongs to no user\. Use sessionRegistry/);
        }
        ran = true;
      };
      await app.runSchedule('job');
      assert.ok(ran);
      assert.equal((options.store as MapStore | undefined)?.entries.size ?? 0, 0);
    });

    it(`in an anonymous context, the injected session ${mode} throws`, async () => {
      const options = given();
      const { app } = await start(options);
      const { session } = await app.getEggObject(SingletonByProperty);
      let ran = false;
      await app.runInAnonymousContextScope(async () => {
        await expectNone(session, /there is no session here: this context was made by the application, not by a request/);
        ran = true;
      });
      assert.ok(ran);
      assert.equal((options.store as MapStore | undefined)?.entries.size ?? 0, 0);
    });

    it(`ctx.session ${mode} is koa-session's, which begins empty where there is no middleware to load it`, async () => {
      const { app, client } = await start({ ...given(), ignore: '/run' });
      const response = await client.run((_, ctx) => {
        assert.equal(ctx.session.isNew, true);
        ctx.session.n = 1;
        return { n: ctx.session.n };
      });
      assert.deepEqual(response.json(), { n: 1 });
      assert.deepEqual(response.setCookies, []);
      await app.runInAnonymousContextScope(async ctx => {
        ctx.session.n = 2;
        assert.equal(ctx.session.n, 2);
      });
    });
  }

  it('awaiting the injected session is no use of it', async () => {
    const { app } = await start();
    const { session } = await app.getEggObject(SingletonByProperty);
    await app.runInAnonymousContextScope(async () => {
      assert.equal(await session, session);
    });
  });
});
