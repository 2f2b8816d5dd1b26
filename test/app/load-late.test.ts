import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import type { Context } from 'egg';
import { BackgroundTaskHelper } from '@eggjs/tegg';
import { InSingleton } from '../fixtures/apps/load/modules/graph/services';
import type { Client } from '../support/app';
import { gate } from '../support/concurrent';
import { KEPT, loadingSite, NOT_LOADED } from '../support/load';

const EGG = '/egg/run';

for (const kept of KEPT) {
  describe(`ctx.loadSession() late, the session ${kept.name}`, () => {
    const site = loadingSite(kept);
    let client: Client;
    beforeEach(async () => {
      client = await site.signIn();
    });

    it('loads it in a handler that goes on while its response is sent', async () => {
      const response = await client.run(async (_, ctx) => {
        ctx.respond = false;
        ctx.res.write('{');
        const session = await ctx.loadSession();
        ctx.res.end(`"n":${session.n}}`);
      }, {}, EGG);
      assert.deepEqual(response.json(), { n: 1 });
    });

    it('loads it once when it is called twice at a time, and what was changed after the first stays', async () => {
      await client.run(async (_, ctx) => {
        const [ first, second ] = [ ctx.loadSession(), ctx.loadSession() ];
        (await first).n = 5;
        assert.equal(await second, ctx.session);
        assert.equal(ctx.session.n, 5);
      }, {}, EGG);
      const { commands } = await site.work();
      assert.equal(commands.filter(command => command === 'get').length, kept.isStore ? 1 : 0, commands.join());
      assert.equal((await client.run(session => ({ n: session.n }))).json().n, 5);
    });

    it('loads it in a handler that outlives the response', async () => {
      let outlived!: Promise<unknown>;
      await client.run((_, ctx) => {
        outlived = (async () => {
          await once(ctx.res, 'close');
          while (Reflect.get(ctx.teggContext, 'destroyed') === false) await turn();
          return { ...await ctx.loadSession() };
        })();
      }, {}, EGG);
      assert.equal(((await outlived) as { n: number }).n, 1);
    });

    for (const [ what, background ] of [
      [ 'ctx.runInBackground()', async (ctx: Context, task: () => Promise<void>) => ctx.runInBackground(task) ],
      [ 'BackgroundTaskHelper', async (ctx: Context, task: () => Promise<void>) => {
        (await ctx.getEggObject(BackgroundTaskHelper)).run(task);
      } ],
    ] as const) {
      it(`loads it in ${what}, after the response`, async () => {
        const answered = gate();
        let ran!: Promise<unknown>;
        await client.run(async (_, ctx) => {
          const { session } = await ctx.getEggObject(InSingleton);
          ran = new Promise((resolve, reject) => {
            background(ctx, async () => {
              try {
                await answered.opened;
                assert.throws(() => session.n, NOT_LOADED);
                await ctx.loadSession();
                if (kept.isStore) {
                  await session.update(data => {
                    data.n = 9;
                  });
                }
                resolve(session.n);
              } catch (err) {
                reject(err);
              }
            });
          });
        }, {}, EGG);
        answered.open();
        assert.equal(await ran, kept.isStore ? 9 : 1);
        assert.equal((await client.run(session => ({ n: session.n }))).json().n, kept.isStore ? 9 : 1);
      });
    }
  });
}
