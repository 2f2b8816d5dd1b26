import { strict as assert } from 'node:assert';
import type { Context } from 'egg';
import { type SessionOptions, MemorySessionStore } from '../..';
import { later } from '../support/app';
import { MapStore } from '../support/MapStore';
import { redisOfSuite, TestRedisStore } from '../support/redis';
import { start, stop } from '../support/web';

class TestMemoryStore extends MemorySessionStore {}

function testCreatedAt(where: string, newStore: () => SessionOptions['store']) {
  describe(`session.createdAt, of sessions in ${where}`, () => {
    let store: SessionOptions['store'];
    afterEach(async () => {
      await stop();
      await (store as TestMemoryStore | undefined)?.close?.();
    });
    const boot = async (options: SessionOptions = {}) => {
      store = newStore();
      const site = await start({ ...options, ...(store ? { store } : {}) });
      later(0); // from here on, the clock stands still
      return site;
    };
    const createdAt = (session: any) => ({ createdAt: session.createdAt });
    const write = (session: any) => {
      session.n = (session.n ?? 0) + 1;
      return createdAt(session);
    };

    it('is now for a new session, and stays', async () => {
      const { run } = await boot({ rolling: true });
      const begun = Date.now();
      assert.deepEqual((await run(write)).json(), { createdAt: begun });
      for (const handle of [ createdAt, write, (session: any) => session.save().then(() => createdAt(session)),
        async (session: any) => {
          await session.update((data: any) => {
            data.n = 7;
          });
          return createdAt(session);
        }, (session: any, ctx: Context) => {
          ctx.session = { n: 1 };
          return createdAt(session);
        } ]) {
        later(1000);
        assert.deepEqual((await run(handle)).json(), { createdAt: begun });
      }
    });

    it('is now after regenerate(), in that request and from then on', async () => {
      const { run } = await boot();
      await run(write);
      later(5000);
      const moved = Date.now();
      assert.deepEqual((await run(async session => {
        await session.regenerate();
        return createdAt(session);
      })).json(), { createdAt: moved });
      later(5000);
      assert.deepEqual((await run(createdAt)).json(), { createdAt: moved });
    });

    it('stays when regenerate() fails', async () => {
      let fails = false;
      const { run } = await boot({ rolling: true, beforeSave: () => {
        if (fails) throw new Error('not now');
      } });
      const begun = Date.now();
      await run(write);
      later(5000);
      assert.deepEqual((await run(async session => {
        fails = true;
        await assert.rejects(session.regenerate(), /not now/);
        fails = false;
        return createdAt(session);
      })).json(), { createdAt: begun });
      assert.deepEqual((await run(createdAt)).json(), { createdAt: begun });
    });

    it('is undefined after destroy(), and now for a new session in the same request', async () => {
      const { run } = await boot();
      await run(write);
      later(5000);
      const begun = Date.now();
      assert.deepEqual((await run(async (session, ctx) => {
        await session.destroy();
        assert.equal(session.createdAt, undefined);
        ctx.session = { n: 1 };
        return createdAt(session);
      })).json(), { createdAt: begun });
      later(5000);
      assert.deepEqual((await run(createdAt)).json(), { createdAt: begun });
    });

    it('is not among the data', async () => {
      const { run } = await boot();
      await run(write);
      assert.deepEqual((await run(session => {
        assert.deepEqual(session.toJSON(), { n: 1 });
        assert.deepEqual({ ...session }, { n: 1 });
        assert.equal('createdAt' in session, false);
        return { session };
      })).json(), { session: { n: 1 } });
      await run((_, ctx) => {
        assert.deepEqual(ctx.session.toJSON(), { n: 1 });
        assert.equal(ctx.session.createdAt, undefined);
        assert.equal(ctx.session._createdAt, undefined);
      });
    });

    it('can\'t be written, through the injected session', async () => {
      const { run } = await boot();
      const begun = Date.now();
      await run(write);
      later(5000);
      await run(async session => {
        for (const name of [ 'createdAt', '_createdAt' ]) {
          const reserved = { name: 'TypeError', message: new RegExp(`session\\.${name} is reserved`) };
          assert.throws(() => {
            session[name] = 1;
          }, reserved);
          assert.throws(() => Object.assign(session, { [name]: 1 }), reserved);
          await assert.rejects(session.update((data: any) => {
            data[name] = 1;
          }), reserved);
        }
      });
      assert.deepEqual((await run(createdAt)).json(), { createdAt: begun });
    });

    it('is not moved by _createdAt in data that are assigned to ctx.session, and that is dropped', async () => {
      const { run } = await boot();
      const begun = Date.now();
      await run(write);
      later(5000);
      await run((_, ctx) => {
        ctx.session = { n: 5, _createdAt: 1 };
        Object.assign(ctx.session, { _createdAt: 2 });
      });
      assert.deepEqual((await run((session, ctx) => ({ ...createdAt(session), data: ctx.session.toJSON() }))).json(),
        { createdAt: begun, data: { n: 5 } });
    });

    it('leaves an application its own field of that name in ctx.session', async () => {
      const { run } = await boot();
      const begun = Date.now();
      await run((_, ctx) => {
        ctx.session.createdAt = 'Tuesday';
      });
      later(5000);
      assert.deepEqual((await run((session, ctx) => ({
        ours: session.createdAt, theirs: ctx.session.createdAt, data: session.toJSON(),
      }))).json(), { ours: begun, theirs: 'Tuesday', data: { createdAt: 'Tuesday' } });
    });
  });
}

testCreatedAt('the cookie', () => undefined);
testCreatedAt('a store of three methods', () => new MapStore());
testCreatedAt('MemorySessionStore', () => new TestMemoryStore());
describe('', () => {
  const redis = redisOfSuite();
  testCreatedAt('RedisSessionStore', () => new TestRedisStore(redis.client));
});
