import { strict as assert } from 'node:assert';
import { setImmediate as turn } from 'node:timers/promises';
import type { Context } from 'egg';
import mm from 'egg-mock';
import { runBeforeSave } from '../../module/request/beforeSave';
import { SessionStoreError } from '../../module/store/SessionStoreError';
import { gate, holdTimers } from '../support/concurrent';
import { Requests } from '../support/requests';

const HOUR = 3600_000;
const down = () => Promise.reject(Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }));

describe('a request', () => {
  afterEach(() => mm.restore());

  it('reads its session, writes what it has changed, and sends the id', async () => {
    const site = new Requests();
    const visitor = await site.visitor({ n: 1 });
    const { ctx } = await site.serve(visitor, ({ data }) => data().n++);
    assert.deepEqual(await site.stored(visitor), { n: 2 });
    assert.ok(ctx.cookie !== undefined);
    assert.equal((await site.serve(visitor, ({ data }) => data().n)).ctx.cookie, undefined, 'nothing has changed');
  });

  it('does not end before its save(), though nobody waits for that', async () => {
    const site = new Requests();
    const visitor = { ids: [] };
    const { ctx } = await site.serve(visitor, ({ session, data }) => {
      data();
      void session.save();
    });
    assert.ok(ctx.cookie !== undefined);
    assert.equal(await site.count(), 1);
  });

  it('saves nothing under autoCommit: false', async () => {
    for (const site of [ new Requests({ autoCommit: false }), new Requests({ autoCommit: false }, 'in the cookie') ]) {
      const { ctx } = await site.serve({ ids: [] }, ({ data }) => {
        data().n = 1;
      });
      assert.equal(ctx.cookie, undefined);
    }
  });

  it('fails with the handler\'s own error, where the store fails too', async () => {
    const site = new Requests();
    const visitor = await site.visitor();
    mm(site.memory!, 'merge', down);
    await assert.rejects(site.serve(visitor, ({ data }) => {
      data().n = 2;
      throw new Error('the handler\'s own');
    }), /the handler's own/);
  });

  it('tells a client without cookies its new id, also with an answer of 503', async () => {
    const site = new Requests({ externalKey: { get: () => undefined, set() { /* not asked */ } } });
    const visitor = await site.visitor();
    const { ctx, session } = await site.serve(visitor, async request => {
      request.data();
      await request.session.regenerate();
      mm(site.memory!, 'merge', down);
      request.data().n = 2;
      await request.session.save();
    });
    assert.equal(ctx.status, 503);
    assert.deepEqual(visitor.ids, [ session.externalKey ]);
  });

  it('sends no id of a session that has ended since it was saved', async () => {
    const site = new Requests();
    const visitor = await site.visitor();
    const { ctx, session } = await site.serve(visitor, async request => {
      request.data().n = 2;
      await request.session.save();
      await site.endElsewhere(visitor);
    });
    assert.deepEqual([ ctx.cookie, session.state.at ], [ undefined, 'ended' ]);
  });

  it('sends no id of a session that this process has ended while its headers waited', async () => {
    const site = new Requests();
    const visitor = await site.visitor();
    const old = { ...visitor };
    const { ctx } = await site.serve(visitor, request => {
      request.data().n = 2;
    });
    const { isGood } = ctx.cookie as unknown as { isGood(): boolean };
    assert.equal(isGood(), true);
    await site.serve(old, ({ session }) => session.destroy());
    assert.equal(isGood(), false);
  });

  it('fails for no session that is over, and that the store can\'t remove', async () => {
    const site = new Requests({ absoluteMaxAge: HOUR });
    const visitor = await site.visitor();
    // another process has the same clock, and another option
    const record = (await site.record(visitor))!;
    mm(site.memory!, 'get', async () => ({ ...record, _createdAt: Date.now() - HOUR }));
    mm(site.memory!, 'merge', down);
    const { session, ctx } = await site.serve(visitor, ({ data }) => assert.equal(data().n, undefined));
    assert.deepEqual([ session.state.at, ctx.status ], [ 'new', undefined ]);
  });

  it('notes that a session was seen which lives on as it was read, though the request has no use for it', async () => {
    const site = new Requests({ rolling: true, principal: 'userId' });
    const visitor = await site.visitor({ userId: 7 });
    const { _seenAt } = (await site.record(visitor))!;
    const then = Number(_seenAt) + 60_000;
    mm(Date, 'now', () => then);
    await site.serve(visitor);
    assert.equal((await site.record(visitor))!._seenAt, then);
  });

  for (const [ tookMs, waits ] of [[ 0, 50 ], [ 20, 200 ], [ 100, 500 ]]) {
    it(`with a new id leaves ${waits} ms after a store that has taken ${tookMs} ms to move the session`, async () => {
      const site = new Requests();
      const visitor = await site.visitor();
      let now = 0;
      mm(performance, 'now', () => now);
      const { retire } = site.memory!;
      mm(site.memory!, 'retire', async (...args: Parameters<typeof retire>) => {
        now += tookMs;
        return await retire.apply(site.memory, args);
      });
      await site.serve(visitor, async ({ session, data }) => {
        data();
        await session.regenerate();
        assert.equal((session.state as { leaveAt?: number }).leaveAt, now + waits);
      });
    });
  }

  it('is warned of session fixation when the session had its id before, and then only', async () => {
    const site = new Requests({ principal: 'userId' });
    const signIn = ({ data }: { data(): Record<string, unknown> }) => void (data().userId = 7);
    await site.serve({ ids: [] }, signIn);
    await site.serve(await site.visitor(), async request => {
      signIn(request);
      await request.session.regenerate();
    });
    assert.equal(site.fixations, 0);
    await site.serve(await site.visitor(), signIn);
    assert.equal(site.fixations, 1);
    await site.serve(await site.visitor(), async ({ session, data }) => {
      data();
      await session.update(async latest => ({ ...latest, userId: 7 }));
    });
    assert.equal(site.fixations, 2);
  });

  describe('in an outage', () => {
    it('fails, and its session counts as none that was read: nothing is saved', async () => {
      const site = new Requests();
      const visitor = await site.visitor();
      mm(site.memory!, 'get', down);
      const { session, ctx } = site.request(visitor);
      await session.serve(async () => assert.fail('the handler does not run'));
      assert.equal(ctx.status, 503);
      assert.equal(session.available, false);
      await assert.rejects(session.save(), SessionStoreError);
      await assert.rejects(session.update(async data => data), SessionStoreError);
    });

    it('goes on without under onStoreError: \'anonymous\', and nothing is saved', async () => {
      const site = new Requests({ onStoreError: 'anonymous' });
      const visitor = await site.visitor();
      mm(site.memory!, 'get', down);
      const { session, ctx } = await site.serve(visitor, ({ data }) => {
        assert.equal(data().n, undefined);
        data().n = 5;
      });
      assert.deepEqual([ session.available, ctx.cookie ], [ false, undefined ]);
      mm.restore();
      assert.deepEqual(await site.stored(visitor), { n: 1 });
    });

    it('fails under that too, where it is `valid` that has a bug', async () => {
      let broken = false;
      const valid = () => {
        if (broken) throw new TypeError('a bug');
        return true;
      };
      const site = new Requests({ onStoreError: 'anonymous', valid });
      const visitor = await site.visitor();
      broken = true;
      await assert.rejects(site.serve(visitor), { name: 'TypeError', message: 'a bug' });
    });
  });

  describe('of a session that has ended elsewhere', () => {
    it('knows it when it has noted that the session was seen', async () => {
      const site = new Requests({ principal: 'userId' });
      const visitor = await site.visitor({ userId: 7 });
      const then = Date.now() + 60_000;
      const { session, ctx } = await site.serve(visitor, async ({ data }) => {
        assert.equal(data().userId, 7);
        mm(Date, 'now', () => then);
        await site.endElsewhere(visitor);
      });
      assert.deepEqual([ session.state.at, ctx.cookie ], [ 'ended', undefined ]);
    });

    it('brings nothing back', async () => {
      const site = new Requests();
      const visitor = await site.visitor();
      await site.endElsewhere(visitor);
      const { session, ctx } = await site.serve(visitor, ({ data }) => {
        data().n = 5;
      });
      assert.deepEqual([ session.state.at, ctx.cookie, await site.count() ], [ 'ended', undefined, 0 ]);
    });

    it('begins another one at a sign-in, without what was in it', async () => {
      const site = new Requests({ principal: 'userId' });
      const visitor = await site.visitor({ cart: [ 1 ] });
      await site.serve(visitor, async ({ data }) => {
        assert.deepEqual(data().cart, [ 1 ]);
        await site.endElsewhere(visitor);
        data().userId = 7;
      });
      assert.deepEqual(await site.stored(visitor), { userId: 7 });
    });

    it('takes an id back that it was about to send, and removes no cookie: the browser may have another one', async () => {
      const site = new Requests();
      const visitor = await site.visitor();
      const { ctx } = await site.serve(visitor, async ({ session, data }) => {
        data().n = 2;
        await session.save();
        await site.endElsewhere(visitor);
        data().n = 3;
      });
      assert.equal(ctx.cookie, undefined);
    });

    it('removes no cookie when it signs out, for the same reason', async () => {
      const site = new Requests();
      const visitor = await site.visitor();
      const { ctx } = await site.serve(visitor, async ({ session, data }) => {
        data();
        await site.endElsewhere(visitor);
        await session.destroy();
      });
      assert.equal(ctx.cookie, undefined);
    });

    it('has the key that it had, by which others know whether it was theirs', async () => {
      const site = new Requests();
      const visitor = await site.visitor();
      const key = site.store!.keyOf(visitor.ids[0]);
      await site.endElsewhere(visitor);
      assert.equal((await site.serve(visitor)).session.storeKey, key);
      assert.equal((await site.serve({ ids: [] })).session.storeKey, undefined);
    });
  });

  describe('that saves', () => {
    it('replaces what was saved by what was assigned meanwhile, of a new session too', async () => {
      for (const method of [ 'set', 'merge' ] as const) {
        const site = new Requests();
        const visitor = method === 'set' ? { ids: [] } : await site.visitor();
        const [ reached, held ] = [ gate(), gate() ];
        await site.serve(visitor, async ({ session, data }) => {
          const real = site.memory![method] as (...args: unknown[]) => Promise<never>;
          mm(site.memory!, method, async (...args: unknown[]) => {
            mm.restore();
            reached.open();
            await held.opened;
            return await real.apply(site.memory, args);
          });
          data().n = 2;
          const saving = session.save();
          await reached.opened;
          session.assign({ other: 1 });
          held.open();
          await saving;
        });
        assert.deepEqual(await site.stored(visitor), { other: 1 }, method);
      }
    });

    it('does not ask the store again once the response has begun', async () => {
      const site = new Requests();
      const visitor = await site.visitor();
      let reads = 0;
      await site.serve(visitor, async ({ session, data, ctx }) => {
        data().n = 2;
        await session.save();
        ctx.headerSent = true;
        const { get } = site.memory!;
        mm(site.memory!, 'get', (...args: Parameters<typeof get>) => {
          reads++;
          return get.apply(site.memory, args);
        });
      });
      assert.equal(reads, 0, 'nothing can be changed any more');
    });

    it('tells of a session that is new, and of no other', async () => {
      const site = new Requests();
      const told: string[] = [];
      site.app.on('session:created', () => told.push('created'));
      const visitor = await site.visitor();
      await site.serve(visitor, async ({ session, data }) => {
        data().n = 2;
        await session.save();
        data().n = 3;
      });
      await turn();
      assert.deepEqual(told, [ 'created' ]);
    });

    it('tells events with data and principal only where logs may have them', async () => {
      for (const logValue of [ true, false ]) {
        const site = new Requests({ principal: 'userId', logValue });
        const told: unknown[] = [];
        site.app.on('session:created', ({ value, principal }) => told.push({ value, principal }));
        await site.visitor({ userId: 7 });
        await turn();
        assert.deepEqual(told, [ logValue ? { value: { userId: 7 }, principal: '7' } : { value: undefined, principal: undefined } ]);
      }
    });

    it('is refused over plain HTTP where the cookie is for HTTPS, before anything is written', () => {
      const ctx = (secure: boolean, headerSent = false) => ({ sessionOptions: { secure: true }, secure, headerSent }) as unknown as Context;
      const { env: { config } } = new Requests({ secure: true });
      assert.throws(() => runBeforeSave(ctx(false), config, {}), /the cookie sid is for HTTPS only/);
      runBeforeSave(ctx(true), config, {});
      runBeforeSave(ctx(false, true), config, {});
    });
  });

  describe('that regenerates', () => {
    it('keeps the age of a session in the cookie when that fails', async () => {
      const site = new Requests({}, 'in the cookie');
      const visitor = await site.visitor();
      const created = Number(visitor.data!._createdAt);
      mm(Date, 'now', () => created + HOUR);
      await site.serve(visitor, async ({ session, data }) => {
        data();
        mm(site.env.data, 'write', () => {
          throw new Error('too large');
        });
        await assert.rejects(session.regenerate(), /too large/);
        assert.equal(session.createdAt, created);
      });
    });

    it('goes on where genid makes the id that it has', async () => {
      const site = new Requests({ genid: () => 'the same' });
      const visitor = await site.visitor();
      await site.serve(visitor, async ({ session, data }) => {
        data().n = 2;
        await session.regenerate();
      });
      assert.deepEqual(await site.stored(visitor), { n: 2 });
    });

    it('takes along what others have written meanwhile', async () => {
      const site = new Requests();
      const visitor = await site.visitor();
      const key = site.store!.keyOf(visitor.ids[0]);
      await site.serve(visitor, async ({ session, data }) => {
        data().mine = 1;
        await site.memory!.merge!(key, { set: { theirs: 1 }, unset: [], replace: false });
        await session.regenerate();
        assert.equal(data().theirs, 1);
      });
      assert.deepEqual(await site.stored(visitor), { n: 1, mine: 1, theirs: 1 });
    });
  });

  describe('that signs out', () => {
    it('fails once the response has begun, where the data are in the cookie', async () => {
      const site = new Requests({}, 'in the cookie');
      const visitor = await site.visitor();
      await site.serve(visitor, async ({ session, ctx }) => {
        ctx.headerSent = true;
        await assert.rejects(session.destroy(), /session\.destroy\(\) has to set a cookie, and the response has begun/);
      });
    });

    it('begins the next session anew, with an age of its own and nobody\'s', async () => {
      const site = new Requests({ principal: 'userId' });
      const visitor = await site.visitor({ userId: 7 });
      const then = Date.now() + HOUR;
      mm(Date, 'now', () => then);
      await site.serve(visitor, async ({ session }) => {
        await session.destroy();
        session.assign({ n: 1 });
        assert.equal(session.createdAt, then);
        assert.equal(session.watch.principal, undefined);
      });
      assert.equal((await site.record(visitor))!._createdAt, then);
    });

    it('fails when the session of another cookie could not be ended', async () => {
      const site = new Requests();
      const one = await site.visitor({ n: 1 });
      const two = await site.visitor({ n: 2 });
      const { retire } = site.memory!;
      const key = site.store!.keyOf(one.ids[0]);
      const browser = { ids: [ ...one.ids, ...two.ids ] };
      await site.serve(browser, async ({ session, data }) => {
        const own = data().n;
        assert.ok(own === 1 || own === 2);
        mm(site.memory!, 'retire', (...args: Parameters<NonNullable<typeof retire>>) =>
          ((own === 1 ? args[0] === key : args[0] !== key) ? retire!.apply(site.memory, args) : down()));
        await assert.rejects(session.destroy(), SessionStoreError);
        assert.equal(session.state.at, 'destroyed');
      });
    });
  });

  describe('that updates', () => {
    const add = async (data: Record<string, any>) => ({ ...data, n: (data.n ?? 0) + 1 });

    it('is refused inside of another update()', async () => {
      const site = new Requests();
      await site.serve(await site.visitor(), async ({ session, data }) => {
        data();
        await session.update(async latest => {
          await assert.rejects(session.update(add), /session\.update\(\) inside the fn of another update\(\)/);
          return latest;
        });
      });
    });

    it('does so again when the session has moved meanwhile', async () => {
      const site = new Requests();
      let runs = 0;
      await site.serve(await site.visitor(), async ({ session, data }) => {
        data();
        await session.update(async latest => {
          if (++runs === 1) await session.regenerate();
          return latest;
        });
      });
      assert.equal(runs, 2);
    });

    it('loses none of two at a time, where the data are in the cookie', async () => {
      const site = new Requests({}, 'in the cookie');
      const visitor = await site.visitor({ n: 1 });
      await site.serve(visitor, async ({ session, data }) => {
        data();
        await Promise.all([ session.update(add), session.update(add) ]);
      });
      assert.deepEqual(await site.stored(visitor), { n: 3 });
    });

    it('is refused after the last commit, where it would have to be saved with the response', async () => {
      const site = new Requests({}, 'in the cookie');
      const { session } = await site.serve(await site.visitor(), ({ data }) => data());
      await assert.rejects(session.update(add), /session\.update\(\) has to set a cookie, and the response has begun/);
    });

    it('gives up after 10 s', async () => {
      const site = new Requests();
      await site.serve(await site.visitor(), async ({ session, data }) => {
        data();
        const { result, timers } = holdTimers(() => session.update(() => new Promise(() => undefined)));
        assert.deepEqual(timers.map(({ ms }) => ms), [ 10_000 ]);
        timers[0].fire();
        await assert.rejects(result, /session\.update\(\) took longer than 10 s/);
      });
    });
  });
});
