import { strict as assert } from 'node:assert';
import { crc32 } from 'node:zlib';
import mm, { type MockApplication } from 'egg-mock';
import Redis from 'ioredis';
import { MemorySessionStore, RedisSessionStore, type SessionOptions, type SessionStore, type SessionStoreOptions } from '..';
import { Client, createApp } from './support/app';
import { MapStore } from './support/MapStore';
import { startRedis, type TestServer } from './support/servers';

/** Lets requests wait for one another. */
function gate() {
  let open!: () => void;
  const opened = new Promise<void>(resolve => {
    open = resolve;
  });
  return { open, opened };
}

const OPTIONS = {} as SessionStoreOptions;

interface Subject {
  name: string;
  create(): Promise<SessionStore> | SessionStore;
  remove(): Promise<void> | void;
}

let server: TestServer;
let redis: Redis;
const SUBJECTS: Subject[] = [
  {
    name: 'RedisSessionStore',
    async create() {
      server = await startRedis();
      redis = new Redis(server.port);
      return new class extends RedisSessionStore {
        protected readonly redis = redis;
      }();
    },
    async remove() {
      redis.disconnect();
      await server.stop();
    },
  },
  { name: 'MemorySessionStore', create: () => new class extends MemorySessionStore {}(), remove: () => undefined },
  { name: 'a store with three methods', create: () => new MapStore(), remove: () => undefined },
];

for (const { name, create, remove } of SUBJECTS) {
  describe(`requests of one session at the same time, with ${name}`, () => {
    let app: MockApplication;
    let store: SessionStore;
    let client: Client;
    let id: string;

    async function start(options?: SessionOptions) {
      store = await create();
      app = await createApp('web', { session: { store, ...options } });
    }
    before(() => start());
    beforeEach(async () => {
      client = await Client.of(app);
      const response = await client.run((session, ctx) => {
        ctx.session = { userId: 1, cart: [ 'a' ] };
        return session.save().then(() => ({ id: session.externalKey }));
      });
      id = response.json().id;
    });
    afterEach(async () => {
      mm.restore();
      await client.close();
    });
    after(async () => {
      await app.close();
      await remove();
    });

    const stored = async () => {
      const record = await store.get(id, 60_000, OPTIONS);
      return record && !('_successor' in record) && Object.fromEntries(Object.entries(record).filter(([ field ]) => field[0] !== '_'));
    };
    /** A request that has loaded the session, and goes on with `work` when it is told to. */
    async function slow(work: (session: any, ctx: any) => unknown) {
      const loaded = gate();
      const goOn = gate();
      const browser = client.copy();
      const response = browser.run(async (session, ctx) => {
        loaded.open();
        await goOn.opened;
        return await work(session, ctx);
      });
      await loaded.opened;
      const finish = () => {
        goOn.open();
        return response;
      };
      return { finish, browser };
    }

    describe('only what changed is written', () => {
      it('different fields do not overwrite each other', async () => {
        const first = await slow(session => {
          session.first = 1;
        });
        const second = await slow(session => {
          session.second = 2;
          delete session.userId;
        });
        await first.finish();
        await second.finish();
        assert.deepEqual(await stored(), { cart: [ 'a' ], first: 1, second: 2 });
      });

      it('the same field is the last writer\'s', async () => {
        const first = await slow(session => {
          session.n = 1;
        });
        await client.run(session => {
          session.n = 2;
        });
        await first.finish();
        assert.equal((await stored())!.n, 1);
      });

      it('a change inside a field counts as a change of the field', async () => {
        const first = await slow(session => {
          session.cart.push('b');
        });
        await client.run(session => {
          session.n = 2;
        });
        await first.finish();
        assert.deepEqual(await stored(), { userId: 1, cart: [ 'a', 'b' ], n: 2 });
      });

      it('a request that changes nothing undoes nothing', async () => {
        const reader = await slow(session => ({ n: session.n ?? null }));
        await client.run(session => {
          session.n = 2;
        });
        assert.deepEqual((await reader.finish()).json(), { n: null });
        assert.equal((await stored())!.n, 2);
      });

      it('a changed field is found exactly, where 32-bit hashes are equal', async () => {
        const [ before, after ] = [ '9cr3ml', '1x1uw6h' ];
        assert.equal(crc32(JSON.stringify({ text: before })), crc32(JSON.stringify({ text: after })));
        await client.run((_, ctx) => {
          ctx.session = { text: before };
        });
        await client.run(session => {
          session.text = after;
        });
        assert.deepEqual(await stored(), { text: after });
      });
    });

    describe('a session that has ended can\'t come back', () => {
      const ENDS: Record<string, () => Promise<unknown>> = {
        'session.destroy()': () => client.run(session => session.destroy()),
        'ctx.session = null': () => client.run((_, ctx) => {
          ctx.session = null;
        }),
        'regenerate()': () => client.run(session => session.regenerate()),
        'a removal of its record from elsewhere': () => store.destroy(id, OPTIONS),
      };
      for (const [ title, end ] of Object.entries(ENDS)) {
        it(`by a slower request, after ${title}: it writes nothing, sets no cookie, and logs it once`, async () => {
          const writer = await slow(async session => {
            session.n = 1;
            await assert.rejects(session.save(), /session\.save\(\): the session has ended/);
            session.n = 2;
          });
          await end();
          app.mockLog('coreLogger');
          const response = await writer.finish();
          assert.equal(response.status, 200, response.text);
          assert.ok(!await stored());
          assert.deepEqual(response.setCookies, []);
          const lines = (app.coreLogger as any)._mockLogs.filter((line: string) => line.includes('[session][ended]'));
          assert.equal(lines.length, 1);
          assert.match(lines[0], /INFO/);
        });
      }

      it('by a slower request that replaces it', async () => {
        const writer = await slow((_, ctx) => {
          ctx.session = { userId: 2 };
        });
        await ENDS['session.destroy()']();
        await writer.finish();
        assert.ok(!await stored());
      });

      it('by a slower regenerate(): only what that request adds gets the new id', async () => {
        const writer = await slow(async session => {
          session.n = 3;
          await session.regenerate();
          return { session };
        });
        await ENDS['session.destroy()']();
        assert.deepEqual((await writer.finish()).json(), { session: { n: 3 } });
        assert.ok(!await stored());
      });

      it('by update(), which says so', async () => {
        const writer = await slow(session => assert.rejects(
          session.update((data: any) => {
            data.n = 1;
          }), /the session has ended/));
        await ENDS['session.destroy()']();
        const response = await writer.finish();
        assert.equal(response.status, 200, response.text);
        assert.ok(!await stored());
      });
    });

    it('regenerate() takes along what others have written meanwhile', async () => {
      const writer = await slow(async session => {
        const { cart } = session;
        session.n = 1;
        await session.regenerate();
        cart.push('c');
        return { id: session.externalKey };
      });
      await client.run(session => {
        session.flash = 'from another tab';
      });
      id = (await writer.finish()).json().id;
      assert.deepEqual(await stored(), { userId: 1, cart: [ 'a', 'c' ], n: 1, flash: 'from another tab' });
    });

    describe('session.update()', () => {
      it('is atomic: 100 of them at the same time count to 100', async () => {
        const responses = await Promise.all(Array.from({ length: 100 }, () => client.run(session =>
          session.update((data: any) => {
            data.n = (data.n ?? 0) + 1;
          }))));
        assert.ok(responses.every(({ status }) => status === 200));
        assert.equal((await stored())!.n, 100);
      });

      it('gives fn the latest data, and shows the result with the request\'s own changes', async () => {
        const writer = await slow(async session => {
          session.own = 'unsaved';
          session.both = 'mine';
          await (session as any).update(async (data: { userId?: number; n: number }) => {
            await Promise.resolve();
            assert.deepEqual(data, { userId: 1, cart: [ 'a' ], n: 5, own: 'unsaved', both: 'mine' });
            data.n++;
            delete (data as { userId?: number }).userId;
          });
          return { session };
        });
        await client.run(session => Object.assign(session, { n: 5, both: 'theirs' }) && { ok: true });
        const response = await writer.finish();
        const expected = { cart: [ 'a' ], own: 'unsaved', both: 'mine', n: 6 };
        assert.deepEqual(response.json(), { session: expected }, response.text);
        assert.deepEqual(await stored(), expected);
      });

      it('stores nothing when fn throws', async () => {
        const response = await client.run(session => assert.rejects(session.update((data: any) => {
          data.n = 1;
          throw new Error('changed my mind');
        }), /changed my mind/));
        assert.equal(response.status, 200, response.text);
        assert.deepEqual(await stored(), { userId: 1, cart: [ 'a' ] });
      });

      it('refuses to run inside another one, which would wait for ever', async () => {
        const response = await client.run(session => assert.rejects(
          session.update(() => session.update(() => undefined)), /update\(\) inside the fn of another/));
        assert.equal(response.status, 200, response.text);
      });

      it('simply runs on a session that is new', async () => {
        const response = await client.another().run(async session => {
          await session.update((data: any) => {
            data.n = 1;
          });
          return { n: session.n };
        });
        assert.deepEqual(response.json(), { n: 1 });
        assert.equal(response.setCookies.length, 1);
      });
    });

    describe('ctx.session = {…}', () => {
      it('replaces the whole session, also what others have written', async () => {
        const writer = await slow((_, ctx) => {
          ctx.session = { n: 1 };
        });
        await client.run(session => {
          session.flash = 'unknown to the other';
        });
        await writer.finish();
        assert.deepEqual(await stored(), { n: 1 });
      });

      it('is what a slower change of a field merges onto', async () => {
        const writer = await slow(session => {
          session.flash = 'mine';
        });
        await client.run((_, ctx) => {
          ctx.session = { n: 1 };
        });
        await writer.finish();
        assert.deepEqual(await stored(), { n: 1, flash: 'mine' });
      });
    });

    it('save() in the middle merges, and the end of the request does not write the same again', async () => {
      const writer = await slow(async session => {
        session.n = 1;
        await session.save();
        return { before: await stored() };
      });
      await client.run(session => {
        session.flash = 'theirs';
      });
      const { before } = (await writer.finish()).json();
      assert.deepEqual(before, { userId: 1, cart: [ 'a' ], n: 1, flash: 'theirs' });
      await client.run(async session => {
        session.n = 2;
        await session.save();
        await store.set(id, { seen: true }, 60_000, OPTIONS);
      });
      assert.deepEqual(await stored(), { seen: true });
    });
  });
}

describe('session.update() of a session in a cookie', () => {
  it('simply runs', async () => {
    const app = await createApp('web');
    const client = await Client.of(app);
    for (let n = 1; n < 3; n++) {
      const response = await client.run(async session => {
        await session.update(async data => {
          await Promise.resolve();
          data.n = (data.n ?? 0) + 1;
        });
        return { n: session.n };
      });
      assert.deepEqual(response.json(), { n });
    }
    await client.close();
    await app.close();
  });
});
