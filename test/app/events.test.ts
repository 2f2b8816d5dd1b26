import { strict as assert } from 'node:assert';
import { inspect } from 'node:util';
import type { Context } from 'egg';
import mm from 'egg-mock';
import type { SessionOptions } from '../..';
import { shortHash } from '../../module/record/shortHash';
import { later } from '../support/app';
import { listenToEvents as listen, type Told } from '../support/events';
import { IndexedSite, INDEXED_STORES } from '../support/indexed';
import { MapStore } from '../support/MapStore';
import { redisOfSuite, TestRedisStore } from '../support/redis';
import { start, stop } from '../support/web';

const brief = (told: Told[]) => told.map(({ event, reason }) => (reason ? `${event} ${reason}` : event));

const signIn = (session: any) => {
  session.userId = 'u1';
};
const about = (session: any) => ({ id: session.externalKey });

function testEvents(where: string, newStore: () => SessionOptions['store'], inStore: boolean) {
  describe(`events about sessions, kept in ${where}`, () => {
    afterEach(stop);
    const boot = async (options: SessionOptions = {}) => {
      const store = newStore();
      const site = await start({ principal: 'userId', ...options, ...(store ? { store } : {}) });
      return { ...site, store, take: listen(site.app) };
    };

    const once: Array<[ what: string, handle: (session: any, ctx: Context) => unknown, events: string[] ]> = [
      [ 'a first write', signIn, [ 'created' ]],
      [ 'save() and a write', async session => {
        signIn(session);
        await session.save();
        session.n = 2;
      }, [ 'created' ]],
      [ 'update() of a new session', session => session.update((data: any) => {
        data.userId = 'u1';
      }), [ 'created' ]],
      [ 'ctx.session = { … }', (_, ctx) => {
        ctx.session = { userId: 'u1' };
      }, [ 'created' ]],
      [ 'regenerate() of a new session', async session => {
        await session.regenerate();
        signIn(session);
      }, [ 'created' ]],
      [ 'a read', session => session.userId, []],
      [ 'destroy() of a new session', session => session.destroy(), []],
      [ 'destroy() of data that were never saved', async session => {
        signIn(session);
        await session.destroy();
      }, []],
      [ 'save() and destroy()', async session => {
        signIn(session);
        await session.save();
        await session.destroy();
        await session.destroy();
      }, [ 'created', 'destroyed logout' ]],
    ];
    for (const [ what, handle, events ] of once) {
      it(`${what} of a browser without a session: ${events.join(', ') || 'nothing'}`, async () => {
        const { run, take } = await boot();
        await run(handle);
        assert.deepEqual(brief(await take()), events);
      });
    }

    const kept: Array<[ what: string, handle: (session: any, ctx: Context) => unknown, events: string[] ]> = [
      [ 'a read', session => session.userId, []],
      [ 'a write', session => {
        session.n = 2;
      }, []],
      [ 'update() and save()', async session => {
        await session.update((data: any) => {
          data.n = 2;
        });
        await session.save();
      }, []],
      [ 'ctx.session = { … }', (_, ctx) => {
        ctx.session = { userId: 'u1', n: 2 };
      }, []],
      [ 'regenerate()', session => session.regenerate(), [ 'regenerated' ]],
      [ 'destroy(), twice', async session => {
        await session.destroy();
        await session.destroy();
      }, [ 'destroyed logout' ]],
      [ 'ctx.session = null', (_, ctx) => {
        ctx.session = null;
      }, [ 'destroyed logout' ]],
      [ 'destroy() and a new session', async (session, ctx) => {
        await session.destroy();
        ctx.session = { userId: 'u2' };
      }, [ 'destroyed logout', 'created' ]],
      [ 'another principal', session => {
        session.userId = 'u2';
      }, [ 'destroyed replaced' ]],
      [ 'another principal by update()', session => session.update((data: any) => {
        data.userId = 'u2';
      }), [ 'destroyed replaced' ]],
      [ 'a principal that signs out', session => {
        delete session.userId;
      }, []],
    ];
    for (const [ what, handle, events ] of kept) {
      it(`${what} with a session: ${events.join(', ') || 'nothing'}`, async () => {
        const { run, take } = await boot();
        await run(signIn);
        await take();
        await run(handle);
        assert.deepEqual(brief(await take()), events);
        await run(session => session.n);
        assert.deepEqual(brief(await take()), []);
      });
    }

    it('under autoCommit: false, manuallyCommit() tells, and nothing else does', async () => {
      const { run, take } = await boot({ autoCommit: false });
      await run(signIn);
      assert.deepEqual(brief(await take()), []);
      await run(async session => {
        signIn(session);
        await session.manuallyCommit();
        await session.manuallyCommit();
      });
      assert.deepEqual(brief(await take()), [ 'created' ]);
      await run((_, ctx) => {
        ctx.session = null as never;
      });
      assert.deepEqual(brief(await take()), []);
    });

    it('nothing is told of what has failed', async () => {
      let fails = true;
      const { client, run, take } = await boot({ beforeSave: () => {
        if (fails) throw new Error('not now');
      } });
      await client.tryRun(signIn);
      assert.deepEqual(brief(await take()), []);
      fails = false;
      await run(signIn);
      await take();
      fails = true;
      await run(async session => {
        await assert.rejects(session.regenerate(), /not now/);
      });
      await client.tryRun((session: any) => {
        session.userId = 'u2';
      });
      assert.deepEqual(brief(await take()), []);
    });

    it('a principal that is none fails before anything is written', async () => {
      const { client, run, take, store } = await boot();
      const { status, setCookies } = await client.tryRun((session: any) => {
        session.userId = { not: 'an id' };
      });
      assert.equal(status, 500);
      assert.deepEqual(setCookies, []);
      assert.deepEqual(brief(await take()), []);
      if (store instanceof MapStore) assert.equal(store.records.size, 0);
      assert.deepEqual((await run(session => ({ isNew: session.isNew }))).json(), { isNew: true });
    });

    it('carry the request, the data and the principal', async () => {
      const { run, take } = await boot();
      await run(signIn);
      await run(async session => {
        session.n = 1;
        await session.regenerate();
      });
      await run(session => {
        session.userId = 'u2';
      });
      await run(session => session.destroy());
      const told = await take();
      assert.deepEqual(told.map(({ event, principal }) => [ event, principal ]),
        [[ 'created', 'u1' ], [ 'regenerated', 'u1' ], [ 'destroyed', 'u1' ], [ 'destroyed', 'u2' ]]);
      assert.deepEqual(told.map(({ value }) => value),
        [{ userId: 'u1' }, { userId: 'u1', n: 1 }, undefined, { userId: 'u2', n: 1 }]);
      for (const { ctx } of told) assert.equal(ctx.path, '/run');
    });

    it('a sign-in with regenerate() carries who signed in', async () => {
      const { run, take } = await boot();
      await run(session => {
        session.cart = [];
      });
      await run(async session => {
        signIn(session);
        await session.regenerate();
      });
      assert.deepEqual((await take()).map(({ event, principal }) => [ event, principal ]), [[ 'created', undefined ], [ 'regenerated', 'u1' ]]);
    });

    for (const logValue of [ true, false ]) {
      it(`none has the id or the cookie${logValue ? '' : ', nor the data or the principal'}, with logValue: ${logValue}`, async () => {
        const { client, run, take } = await boot({ logValue, absoluteMaxAge: 60_000 });
        const secrets: string[] = [];
        const remember = async () => {
          const { id } = (await run(about)).json();
          if (id) secrets.push(id);
          for (const [ , value ] of client.cookies) secrets.push(value);
        };
        const data = (session: any) => {
          session.userId = 'principal-4711';
          session.secret = 'secret-4711';
        };
        await run(data);
        await remember();
        await run(session => session.regenerate());
        await remember();
        await run(session => {
          session.userId = 'principal-4712';
        });
        await run(session => session.destroy());
        await run(data);
        await remember();
        later(60_000);
        await run(session => session.n);
        const told = await take();
        assert.deepEqual(brief(told),
          [ 'created', 'regenerated', 'destroyed replaced', 'destroyed logout', 'created', 'expired' ]);
        for (const { ctx, ...rest } of told) {
          assert.ok(ctx);
          const text = inspect(rest, { depth: 9, showHidden: true });
          for (const secret of secrets) assert.ok(!text.includes(secret), text);
          assert.equal(/471[12]/.test(text), logValue, text);
          if (!logValue) {
            assert.equal(rest.value, undefined);
            assert.equal(rest.principal, undefined);
          }
        }
      });
    }

    it('a session that is older than absoluteMaxAge is told of, with each request that shows it', async () => {
      const { client, run, take } = await boot({ absoluteMaxAge: 60_000 });
      await run(signIn);
      await take();
      const copy = client.copy();
      later(60_000);
      await run(() => undefined);
      assert.deepEqual(brief(await take()), []);
      await run(session => session.n);
      await run(session => session.n);
      assert.deepEqual(brief(await take()), inStore ? [ 'expired', 'expired' ] : [ 'expired' ]); // without a store, the cookie is gone
      await copy.run(session => session.n);
      assert.deepEqual(brief(await take()), [ 'expired' ]);
    });

    it('say nothing of a cookie that does not open: it may be another application\'s', async () => {
      for (const handle of [ (session: any) => session.n, (_: unknown, ctx: Context) => {
        ctx.session = { n: 1 };
        ctx.session = { n: 2 };
      } ]) {
        const { client, run, take } = await boot();
        client.cookies.set('EGG_SESS', 'rubbish');
        await run(() => undefined);
        assert.deepEqual(brief(await take()), []);
        await run(handle);
        assert.deepEqual(brief(await take()), handle.length > 1 ? [ 'created' ] : []);
      }
    });

    if (!inStore) {
      it('have no key', async () => {
        const { run, take } = await boot();
        await run(signIn);
        await run(session => session.regenerate());
        await run(session => session.destroy());
        for (const { key, previousKey } of await take()) assert.deepEqual([ key, previousKey ], [ undefined, undefined ]);
      });
      return;
    }

    it('have a short hash of the id as their key, the same in all events of a session', async () => {
      const { client, run, take, store } = await boot();
      await run(signIn);
      const first = shortHash((await run(about)).json().id);
      const stale = client.copy();
      await run(session => session.regenerate());
      const { id } = (await run(about)).json();
      const second = shortHash(id);
      await run(session => {
        session.userId = 'u2';
      });
      assert.deepEqual((await take()).map(({ event, key, previousKey }) => [ event, key, previousKey ]), [
        [ 'created', first, undefined ], [ 'regenerated', second, first ], [ 'destroyed', second, undefined ],
      ]);
      if (store instanceof MapStore) {
        await run(session => session.destroy());
      } else { // a browser with the old id ends the session that took its place
        await stale.run(session => session.destroy());
      }
      assert.deepEqual((await take()).map(({ event, key, principal }) => [ event, key, principal ]), [[ 'destroyed', second, 'u2' ]]);
    });

    it('a session that another request has ended is told of once', async () => {
      const { client, run, take } = await boot();
      await run(signIn);
      await take();
      const other = client.copy();
      await run(async session => {
        await other.run(theirs => theirs.destroy());
        await session.destroy();
      });
      assert.deepEqual(brief(await take()), [ 'destroyed logout' ]);
    });

    it('a session that another request has ended is not regenerated or created', async () => {
      const { client, run, take } = await boot();
      await run(signIn);
      await take();
      const other = client.copy();
      await run(async session => {
        assert.equal(session.userId, 'u1');
        await other.run(theirs => theirs.destroy());
        session.n = 1;
      });
      assert.deepEqual(brief(await take()), [ 'destroyed logout' ]);
    });

    it('session:missed, when the store has no such session', async () => {
      const { run, take, store } = await boot();
      await run(signIn);
      const { id } = (await run(about)).json();
      await take();
      await store!.destroy(id, { ctx: {} } as never);
      await run(session => session.n);
      assert.deepEqual((await take()).map(({ event, key }) => [ event, key ]), [[ 'missed', shortHash(id) ]]);
    });

    it('session:storeError, with neither the id nor the data, and no other event', async () => {
      const { client, run, take, store } = await boot();
      await run(signIn);
      const { id } = (await run(about)).json();
      await take();
      const fail = async (key: string) => {
        throw new Error(`could not write ${key}`);
      };
      Object.assign(store!, { set: fail, merge: fail, compareAndSet: fail, retire: fail, destroy: fail });
      for (const handle of [ (session: any) => {
        session.n = 'secret';
      }, (session: any) => session.regenerate(), (session: any) => session.destroy() ]) {
        await client.tryRun(handle);
        const told = await take();
        assert.ok(told.length >= 1);
        for (const { event, error, ctx } of told) {
          assert.equal(event, 'storeError');
          assert.equal(ctx.path, '/run');
          assert.match(error.message, /could not write [\w-]{8}$/);
          assert.ok(!inspect(error, { showHidden: true }).includes(id));
        }
      }
    });
  });
}

testEvents('the cookie', () => undefined, false);
testEvents('a store of three methods', () => new MapStore(), true);
describe('', () => {
  const redis = redisOfSuite();
  let store: TestRedisStore;
  testEvents('RedisSessionStore', () => (store ??= new TestRedisStore(redis.client)), true);
});

for (const subject of INDEXED_STORES.slice(0, 2)) {
  describe(`events about sessions of principals, with ${subject.name}`, () => {
    const site = new IndexedSite(subject, { maxSessions: 2, absoluteMaxAge: 60_000 });
    let take: ReturnType<typeof listen>;
    before(async () => {
      await site.boot();
      take = listen(site.app);
    });
    beforeEach(() => take());
    afterEach(() => mm.restore());
    after(() => site.close());

    it('expired: with the principal that the record names', async () => {
      const browser = await site.signIn('x1');
      await take();
      later(60_000);
      assert.equal(await site.user(browser), null);
      const told = await take();
      assert.deepEqual(brief(told), [ 'expired' ]);
      assert.equal(told[0].principal, 'x1');
    });

    it('revoked: once each, with the key that the session was created with', async () => {
      const browsers = [ await site.signIn('r1'), await site.signIn('r1') ];
      const created = (await take()).map(({ key }) => key).sort();
      const [{ id }] = await site.registry.list('r1');
      await site.registry.revoke('r1', id);
      await site.registry.revoke('r1', id);
      await site.registry.revokeAll('r1');
      for (const browser of browsers) await site.user(browser);
      const told = await take();
      assert.deepEqual(brief(told), [ 'destroyed revoked', 'destroyed revoked' ]);
      assert.deepEqual(told.map(({ key }) => key).sort(), created);
      for (const { principal, value, key } of told) {
        assert.deepEqual([ principal, value ], [ 'r1', { userId: 'r1' }]);
        assert.match(key, /^[\w-]{8}$/);
      }
    });

    it('revoked, when a request ends its own session by the registry', async () => {
      const browser = await site.signIn('r2');
      await take();
      await browser.run(() => site.registry.revokeAll('r2'));
      assert.deepEqual((await take()).map(({ event, reason, principal }) => [ event, reason, principal ]), [[ 'destroyed', 'revoked', 'r2' ]]);
    });

    it('evicted: the session that goes over maxSessions, once', async () => {
      await site.signIn('e1');
      const [ first ] = (await take()).map(({ key }) => key);
      later(1000);
      await site.signIn('e1');
      later(1000);
      await site.signIn('e1');
      const told = await take();
      assert.deepEqual(brief(told).sort(), [ 'created', 'created', 'destroyed evicted' ]);
      assert.deepEqual(told.filter(({ reason }) => reason).map(({ key, principal }) => [ key, principal ]), [[ first, 'e1' ]]);
    });
  });
}
