import { strict as assert } from 'node:assert';
import { setTimeout as sleep } from 'node:timers/promises';
import v8 from 'node:v8';
import vm from 'node:vm';
import type { Context } from 'egg';
import type { SessionOptions } from '../..';
import { SingletonByConstructor, SingletonByProperty } from '../fixtures/apps/web/modules/inject/services';
import { MapStore } from '../support/MapStore';
import { count, read, start, stop } from '../support/web';

v8.setFlagsFromString('--expose-gc');
const collectGarbage: () => void = vm.runInNewContext('gc');

/** How many bytes are in use. */
function memory(): number {
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

describe('a ContextStore', () => {
  const shared = new MapStore();
  let made: ContextStore[] = [];

  /** A store that belongs to one request, and says so. */
  class ContextStore extends MapStore {
    readonly calls: string[] = [];
    override readonly entries = shared.entries;

    constructor(readonly ctx: Context) {
      super();
      made.push(this);
    }

    override async get(key: string) {
      this.calls.push('get');
      return await super.get(key);
    }

    override async set(...args: Parameters<MapStore['set']>) {
      this.calls.push('set');
      await super.set(...args);
    }
  }

  beforeEach(() => {
    made = [];
    shared.entries.clear();
  });
  afterEach(stop);

  it('is made once for each request, whatever the request does with it', async () => {
    const { run } = await start({ ContextStore });
    for (const handle of [ read, count, read ]) {
      made = [];
      let context!: Context;
      await run(async (session, ctx) => {
        context = ctx;
        for (const Holder of [ SingletonByProperty, SingletonByConstructor ]) {
          const { sessionStore } = await ctx.getEggObject<SingletonByProperty>(Holder);
          for (let i = 0; i < 3; i++) {
            assert.equal((sessionStore as unknown as ContextStore).ctx, ctx);
            await sessionStore.get(`another ${i}`, undefined, { ctx });
          }
        }
        await session.update((data: any) => {
          data.u = 1;
        });
        if (!session.isNew) await session.regenerate();
        return await handle(session, ctx);
      });
      assert.equal(made.length, 1);
      assert.equal(made[0].ctx, context);
    }
  });

  it('is the request\'s own, when several run at the same time', async () => {
    const { client } = await start({ ContextStore });
    await Promise.all(Array.from({ length: 10 }, () => client.another().run(async (session, ctx) => {
      const { sessionStore } = await ctx.getEggObject(SingletonByProperty);
      session.n = 1;
      await sleep(Math.random() * 10);
      assert.equal((sessionStore as unknown as ContextStore).ctx, ctx);
      await session.save();
      assert.ok((sessionStore as unknown as ContextStore).calls.includes('set'));
    })));
    assert.equal(made.length, 10);
    assert.equal(new Set(made.map(({ ctx }) => ctx)).size, 10);
    assert.equal(shared.entries.size, 10);
  });

  it('takes about as much memory for a request as a store of all requests', async () => {
    const REQUESTS = 200;
    const bytesOf = async (options: SessionOptions) => {
      const { run } = await start(options);
      const contexts: Context[] = [];
      const one = () => run((session, ctx) => {
        contexts.push(ctx);
        return session.n ?? null;
      });
      for (let i = 0; i < REQUESTS; i++) await one(); // whatever is made once
      const before = memory();
      for (let i = 0; i < REQUESTS; i++) await one();
      const grown = memory() - before;
      assert.equal(contexts.length, 2 * REQUESTS);
      return grown / REQUESTS;
    };
    const more = await bytesOf({ ContextStore: MapStore as never }) - await bytesOf({ store: new MapStore() });
    assert.ok(more < 20_000, `${Math.round(more)} bytes more`);
  });
});
