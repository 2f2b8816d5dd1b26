import { strict as assert } from 'node:assert';
import { Client, createApp } from '../support/app';
import { ENDS, forEachStore, redis, setsNoCookie, SUBJECTS } from '../support/concurrent';

const HAS_ENDED = /the session has ended/;
/** Regenerates, and tells the id. */
const regenerate = async (session: any) => {
  await session.regenerate();
  return { id: session.externalKey };
};
const read = (session: any) => ({ session: session.toJSON() });

forEachStore('regenerate()', (site, { atomic, name }) => {
  const { slow, stored, record } = site;
  /** A call of the store's after which, and before nothing else, the old record is taken. */
  const taking = atomic ? 'retire' : 'set';

  it('moves the data to a new id, and sets the cookie for it', async () => {
    const response = await site.client.run(regenerate);
    const { id } = response.json();
    assert.notEqual(id, site.id);
    assert.equal(response.setCookies.length, 1);
    assert.equal(await stored(), undefined);
    assert.deepEqual(await stored(id), { userId: 1, cart: [ 'a' ] });
    assert.deepEqual((await site.client.run(read)).json(), { session: { userId: 1, cart: [ 'a' ] } });
    if (atomic) assert.deepEqual(await record(), { _successor: id });
    else assert.equal(await record(), undefined);
  });

  describe('takes along', () => {
    it('what others have written meanwhile', async () => {
      const writer = await slow(async session => {
        const { cart } = session;
        session.n = 1;
        await session.regenerate();
        cart.push('c');
        return { id: session.externalKey };
      });
      await site.client.run(session => {
        session.flash = 'from another tab';
      });
      const { id } = (await writer.finish()).json();
      assert.deepEqual(await stored(id), { userId: 1, cart: [ 'a', 'c' ], n: 1, flash: 'from another tab' });
    });

    it('what others have removed meanwhile, and shows it', async () => {
      const writer = await slow(async session => {
        await session.regenerate();
        return { session: session.toJSON(), id: session.externalKey };
      });
      await site.client.run(session => {
        delete session.cart;
      });
      const { session, id } = (await writer.finish()).json();
      assert.deepEqual(session, { userId: 1 });
      assert.deepEqual(await stored(id), { userId: 1 });
    });

    it('its own change where others have changed the same field', async () => {
      const writer = await slow(async session => {
        session.n = 'mine';
        delete session.cart;
        return await regenerate(session);
      });
      await site.client.run((session: any) => {
        session.n = 'theirs';
        session.cart.push('b');
      });
      const { id } = (await writer.finish()).json();
      assert.deepEqual(await stored(id), { userId: 1, n: 'mine' });
    });

    it('its own change of a field that others have removed', async () => {
      const writer = await slow(session => {
        session.cart.push('mine');
        return regenerate(session);
      });
      await site.client.run(session => {
        delete session.cart;
      });
      const { id } = (await writer.finish()).json();
      assert.deepEqual(await stored(id), { userId: 1, cart: [ 'a', 'mine' ] });
    });

    it('what is written after the new record and before the old one ends', async () => {
      const mover = await slow(regenerate);
      const retiring = site.hold(taking);
      const moved = mover.finish();
      await retiring.reached;
      await site.client.run(session => {
        session.flash = 'just in time';
      });
      retiring.go();
      const { id } = (await moved).json();
      if (atomic) assert.equal((await stored(id))!.flash, 'just in time');
    });

    it('what changes in the request while it runs', async () => {
      const response = await site.client.run(async session => {
        session.first = 1;
        const moving = session.regenerate();
        session.second = 2;
        delete session.cart;
        await moving;
        return { id: session.externalKey };
      });
      assert.deepEqual(await stored(response.json().id), { userId: 1, first: 1, second: 2 });
    });

    it('what is assigned before and while it runs', async () => {
      for (const value of [ 'before', 'while' ]) {
        const { id } = (await site.client.run(async (session, ctx) => {
          if (value === 'before') ctx.session = { value };
          const moving = ctx.session.regenerate();
          if (value === 'while') ctx.session = { value };
          await moving;
          return { id: session.externalKey };
        })).json();
        assert.deepEqual(await stored(id), { value });
      }
    });

    it('nothing that others have written, when it was assigned', async () => {
      const writer = await slow(async (session, ctx) => {
        ctx.session = { userId: 2 };
        return await regenerate(session);
      });
      await site.client.run(session => {
        session.flash = 'for user 1';
      });
      const { id } = (await writer.finish()).json();
      assert.deepEqual(await stored(id), { userId: 2 });
    });
  });

  if (atomic) {
    it('merges what others have written once', async () => {
      const mover = await slow(async session => {
        await session.regenerate();
        site.fail('merge');
      });
      await site.client.run(session => {
        session.flash = 'theirs';
      });
      await mover.finish();
      assert.equal((await mover.client.run(read)).json().session.flash, 'theirs');
    });

    it('merges nothing when nobody else has written, also with a lifetime of its own', async () => {
      for (const maxAge of [ undefined, 60_000 ]) {
        site.fail('merge');
        await site.client.run(async session => {
          session.n = 1;
          if (maxAge) session.maxAge = maxAge;
          await session.regenerate();
        });
      }
    });
  }

  it('twice in one request leaves one session', async () => {
    const ids: string[] = [];
    const response = await site.client.run(async session => {
      session.n = 1;
      ids.push((await regenerate(session)).id);
      session.n = 2;
      ids.push((await regenerate(session)).id);
    });
    const [ first, second ] = ids;
    assert.equal(response.setCookies.length, 1);
    for (const id of [ site.id, first ]) assert.equal(await stored(id), undefined);
    assert.deepEqual(await stored(second), { userId: 1, cart: [ 'a' ], n: 2 });
    assert.deepEqual((await site.client.run(read)).json().session, { userId: 1, cart: [ 'a' ], n: 2 });
  });

  it('twice at once in one request too', async () => {
    const response = await site.client.run(async session => {
      session.n = 1;
      await Promise.all([ session.regenerate(), session.regenerate() ]);
      return { id: session.externalKey };
    });
    assert.equal(response.setCookies.length, 1);
    assert.deepEqual(await stored(response.json().id), { userId: 1, cart: [ 'a' ], n: 1 });
    assert.deepEqual((await site.client.run(read)).json().session, { userId: 1, cart: [ 'a' ], n: 1 });
  });

  it('then destroy() in one request leaves nothing, and removes the cookie', async () => {
    const response = await site.client.run(async session => {
      const { id } = await regenerate(session);
      await session.destroy();
      return { id };
    });
    assert.match(response.setCookies.join(), /^EGG_SESS=;/);
    for (const id of [ site.id, response.json().id ]) assert.equal(await stored(id), undefined);
  });

  for (const calls of [[ 'regenerate', 'destroy' ], [ 'destroy', 'regenerate' ]]) {
    it(`at once with destroy() in one request leaves nothing either: ${calls}`, async () => {
      let id!: string;
      const response = await site.client.run(async (session: any) => {
        await Promise.allSettled(calls.map(call => session[call]().then(() => {
          id ??= session.externalKey;
        })));
      });
      assert.match(response.setCookies.join(), /^EGG_SESS=;/);
      for (const each of [ site.id, id ]) if (each) assert.equal(await stored(each), undefined);
    });
  }

  it('sets the cookie also when the request fails afterwards', async () => {
    const response = await site.client.tryRun(async session => {
      session.n = 1;
      await session.regenerate();
      session.m = 2;
      throw new Error('the handler fails');
    });
    assert.equal(response.status, 500);
    assert.deepEqual((await site.client.run(read)).json().session, { userId: 1, cart: [ 'a' ], n: 1, m: 2 });
  });

  it('is finished before the response, also when nobody waits for it', async () => {
    const response = await site.client.run(session => {
      void session.regenerate();
    });
    assert.equal(response.setCookies.length, 1);
    assert.equal(await stored(), undefined);
    assert.deepEqual((await site.client.run(read)).json().session, { userId: 1, cart: [ 'a' ] });
  });

  it('of two requests at once, one gets the data', async () => {
    const movers = [];
    for (const n of [ 1, 2 ]) {
      movers.push(await slow(async session => {
        session[`own${n}`] = n;
        return await regenerate(session);
      }));
    }
    const ids = (await Promise.all(movers.map(({ finish }) => finish()))).map(response => response.json().id);
    const both = await Promise.all(ids.map(id => stored(id)));
    assert.equal(both.filter(data => data!.userId === 1).length, 1);
    assert.deepEqual(both.map(data => [ data!.own1, data!.own2 ]), [[ 1, undefined ], [ undefined, 2 ]]);
    assert.equal(await stored(), undefined);
  });

  describe('against a sign-out', () => {
    /** No session has data of the one that was signed out. */
    const isSignedOut = async (ids: string[]) => {
      for (const id of ids) assert.equal((await stored(id))?.userId, undefined);
    };

    it('that came just before, it begins a session without its data', async () => {
      const mover = await slow(regenerate);
      await ENDS['session.destroy()'](site);
      await isSignedOut([ site.id, (await mover.finish()).json().id ]);
    });

    it('that comes while it has written the new record, it begins a session without its data', async () => {
      const mover = await slow(async session => {
        session.n = 1;
        return { ...await regenerate(session), session: session.toJSON() };
      });
      const retiring = site.hold(taking);
      const moved = mover.finish();
      await retiring.reached;
      await ENDS['session.destroy()'](site);
      retiring.go();
      const { id, session } = (await moved).json();
      await isSignedOut([ site.id, id ]);
      assert.deepEqual(session, { n: 1 });
      assert.deepEqual((await mover.client.run(read)).json(), { session: { n: 1 } });
    });

    it('when the session it begins then can\'t be written, nothing of the old one is left', async () => {
      const ids: string[] = [];
      const mover = await slow(async (session, ctx) => {
        const { genid } = ctx.sessionOptions;
        ctx.sessionOptions.genid = (context: any) => {
          ids.push(genid(context));
          return ids.at(-1);
        };
        session.n = 1;
        await assert.rejects(session.regenerate(), /set failed/);
      });
      const retiring = site.hold(taking);
      const moved = mover.finish();
      await retiring.reached;
      await ENDS['session.destroy()'](site);
      site.fail('set');
      retiring.go();
      setsNoCookie(await moved);
      assert.ok(ids.length > 0);
      for (const id of [ site.id, ...ids ]) assert.equal(await stored(id), undefined);
    });

    if (atomic) {
      it('that comes before what others wrote is merged, it begins a session without its data', async () => {
        const mover = await slow(async session => {
          session.n = 1;
          return { ...await regenerate(session), session: session.toJSON() };
        });
        await site.client.run(session => {
          session.flash = 'theirs';
        });
        const merging = site.hold('merge');
        const moved = mover.finish();
        await merging.reached;
        await ENDS['session.destroy()'](site);
        merging.go();
        const { id, session } = (await moved).json();
        assert.deepEqual(session, { n: 1 });
        assert.deepEqual(await stored(id), { n: 1 });
        assert.deepEqual((await mover.client.run(read)).json(), { session: { n: 1 } });
      });

      for (const moves of [ 1, 2, 3 ]) {
        it(`that had begun before ${moves} of them, its result ends too`, async () => {
          const signOut = await slow(session => session.destroy());
          const ids = [ site.id ];
          for (let i = 0; i < moves; i++) ids.push((await site.client.run(regenerate)).json().id);
          assert.equal((await stored(ids.at(-1)))!.userId, 1);
          setsNoCookie(await signOut.finish());
          await isSignedOut(ids);
          assert.deepEqual(await record(ids.at(-1)), { _successor: null });
        });
      }

      it('by a request that comes with the old id, its result ends too', async () => {
        const late = site.client.copy();
        const { id } = (await site.client.run(regenerate)).json();
        setsNoCookie(await late.run((_, ctx) => {
          ctx.session = null;
        }));
        await isSignedOut([ site.id, id ]);
      });
    } else {
      it('that had begun before, its result stays: nothing leads there from the old id', async () => {
        const signOut = await slow(session => session.destroy());
        const { id } = (await site.client.run(regenerate)).json();
        await signOut.finish();
        assert.equal(await stored(), undefined);
        assert.equal((await stored(id))!.userId, 1);
      });
    }
  });

  it('when the record is removed from elsewhere meanwhile, it begins a session without its data', async () => {
    const mover = await slow(async session => {
      session.n = 1;
      return await regenerate(session);
    });
    const retiring = site.hold(taking);
    const moved = mover.finish();
    await retiring.reached;
    await site.removeElsewhere();
    retiring.go();
    if (!atomic) return void await moved; // it was read before
    assert.deepEqual(await stored((await moved).json().id), { n: 1 });
  });

  describe('when something refuses', () => {
    const REFUSALS: Record<string, [ RegExp, (session: any, ctx: any) => void ]> = {
      'a name that is reserved': [ /session\.constructor is reserved/, (_, ctx) => {
        Object.defineProperty(ctx.session, 'constructor', { value: 1, enumerable: true, configurable: true, writable: true });
      } ],
      'a value that JSON can\'t hold': [ /session\.n can't be stored/, session => {
        session.n = 1n;
      } ],
      'a cookie for HTTPS only': [ /is for HTTPS only/, (_, ctx) => {
        ctx.sessionOptions.secure = true;
      } ],
      'a lifetime that is none': [ /ctx\.sessionOptions\.maxAge/, (_, ctx) => {
        ctx.sessionOptions.maxAge = -1;
      } ],
      genid: [ /no id/, (_, ctx) => {
        ctx.sessionOptions.genid = () => {
          throw new Error('no id');
        };
      } ],
    };
    for (const [ title, [ error, prepare ]] of Object.entries(REFUSALS)) {
      it(`${title}: nothing is removed, and no cookie set`, async () => {
        const response = await site.client.tryRun(async (session, ctx) => {
          session.added = 1;
          prepare(session, ctx);
          await assert.rejects(session.regenerate(), error);
          throw Object.assign(new Error('the handler gives up'), { status: 400 });
        });
        assert.equal(response.status, 400);
        setsNoCookie(response);
        assert.deepEqual(await stored(), { userId: 1, cart: [ 'a' ] });
        assert.deepEqual((await site.client.run(read)).json().session, { userId: 1, cart: [ 'a' ] });
      });
    }

    const FAILURES: Array<[ title: string, break_: () => unknown, mend: () => unknown ]> = [
      [ 'the write of the new record', () => site.fail('set'), () => undefined ],
      [ 'the end of the old record', () => site.fail('retire'), () => undefined ],
    ];
    if (name === 'RedisSessionStore') {
      FAILURES.push([ 'Redis, all writes',
        () => redis.call('ACL', 'SETUSER', 'default', '-@scripting', '-@write'),
        () => redis.call('ACL', 'SETUSER', 'default', '+@all') ]);
    }
    for (const [ title, breakIt, mend ] of FAILURES) {
      it(`${title}: the old session works on with its cookie, without what was meant for the new one`, async () => {
        const ids: string[] = [];
        const response = await site.client.run(async (session, ctx) => {
          const { genid } = ctx.sessionOptions;
          ctx.sessionOptions.genid = (context: any) => {
            ids.push(genid(context));
            return ids.at(-1);
          };
          session.userId = 2;
          await breakIt();
          await assert.rejects(session.regenerate(), /failed|NOPERM/).finally(mend);
          assert.equal(session.externalKey, site.id);
        });
        setsNoCookie(response);
        assert.equal(ids.length, 1);
        assert.equal(await stored(ids[0]), undefined);
        assert.deepEqual((await site.client.run(read)).json().session, { userId: 1, cart: [ 'a' ] });
        await site.client.run(session => {
          session.n = 1;
        });
        assert.deepEqual(await stored(), { userId: 1, cart: [ 'a' ], n: 1 });
      });
    }

    it('it is told in the log if something has changed', async () => {
      const logged = site.logged();
      for (const n of [ undefined, 1 ]) {
        await site.client.run(async session => {
          if (n) session.n = n;
          site.fail('set');
          await assert.rejects(session.regenerate(), /set failed/);
        });
        assert.equal(logged().length, n ?? 0);
      }
      assert.match(logged()[0], /INFO.* nothing was saved: regenerate\(\) has failed/);
    });

    it('it can be tried again, with all that was meant for the new id', async () => {
      const response = await site.client.run(async session => {
        session.userId = 2;
        site.fail('set');
        await assert.rejects(session.regenerate(), /set failed/);
        session.n = 1;
        return await regenerate(session);
      });
      assert.equal(response.setCookies.length, 1);
      assert.deepEqual(await stored(response.json().id), { userId: 2, cart: [ 'a' ], n: 1 });
      assert.equal(await stored(), undefined);
    });

    it('what others wrote is not lost when it can\'t be merged: the session is at its new id', async () => {
      if (!atomic) return;
      const mover = await slow(async session => {
        site.fail('merge');
        await assert.rejects(session.regenerate(), /merge failed/);
      });
      await site.client.run(session => {
        session.flash = 'theirs';
        session.maxAge = 60_000;
      });
      const response = await mover.finish();
      assert.equal(response.setCookies.length, 1);
      assert.match(response.setCookies[0], /max-age=60;/);
      const { session, maxAge } = (await mover.client.run(session => ({ ...read(session), maxAge: session.maxAge }))).json();
      assert.deepEqual(session, { userId: 1, cart: [ 'a' ], flash: 'theirs' });
      assert.equal(maxAge, 60_000);
    });
  });

  describe('beside other calls in one request', () => {
    const add = (field: string) => (data: any) => {
      data[field] = (data[field] ?? 0) + 1;
    };
    const slowAdd = (field: string) => async (data: any) => {
      await new Promise(resolve => setImmediate(resolve));
      add(field)(data);
    };
    const ORDERS: Record<string, Array<(session: any) => Promise<void>>> = {
      'update(), regenerate()': [ s => s.update(add('n')), s => s.regenerate() ],
      'regenerate(), update()': [ s => s.regenerate(), s => s.update(add('n')) ],
      'slow update(), regenerate()': [ s => s.update(slowAdd('n')), s => s.regenerate() ],
      'regenerate(), slow update()': [ s => s.regenerate(), s => s.update(slowAdd('n')) ],
      'save(), regenerate(), update()': [ s => s.save(), s => s.regenerate(), s => s.update(add('n')) ],
      'save(), update(), regenerate()': [ s => s.save(), s => s.update(add('n')), s => s.regenerate() ],
      'update(), save(), regenerate(), save()': [ s => s.update(add('n')), s => s.save(), s => s.regenerate(), s => s.save() ],
      'regenerate(), update(), regenerate()': [ s => s.regenerate(), s => s.update(add('n')), s => s.regenerate() ],
    };
    for (const [ title, calls ] of Object.entries(ORDERS)) {
      it(`${title} at once`, async () => {
        const response = await site.client.run(async session => {
          session.own = 1;
          const all = Promise.all(calls.map(call => call(session)));
          session.later = 1;
          await all;
          return { id: session.externalKey, session: session.toJSON() };
        });
        const { id, session } = response.json();
        assert.notEqual(id, site.id);
        assert.deepEqual(session, { userId: 1, cart: [ 'a' ], own: 1, later: 1, n: 1 });
        assert.deepEqual(await stored(id), { userId: 1, cart: [ 'a' ], own: 1, later: 1, n: 1 });
        assert.equal(await stored(), undefined);
        assert.equal(response.setCookies.length, 1);
        assert.deepEqual((await site.client.run(read)).json().session, { userId: 1, cart: [ 'a' ], own: 1, later: 1, n: 1 });
      });

      it(`${title} at once, on a session that is new`, async () => {
        const browser = site.client.another();
        const response = await browser.run(async (session: any) => {
          session.own = 1;
          const all = Promise.all(calls.map(call => call(session)));
          session.later = 1;
          await all;
        });
        assert.equal(response.setCookies.length, 1);
        assert.deepEqual((await browser.run(read)).json().session, { own: 1, later: 1, n: 1 });
      });

      it(`${title}, and nobody waits for them`, async () => {
        const response = await site.client.run(session => {
          session.own = 1;
          for (const call of calls) void call(session);
        });
        assert.equal(response.setCookies.length, 1);
        const { session } = (await site.client.run(read)).json();
        assert.equal(session.own, 1);
        assert.equal(session.userId, 1);
      });
    }

    for (const method of [ 'set', 'retire', 'compareAndSet', 'get' ] as const) {
      it(`an update() is not lost however slow the store's ${method} is`, async () => {
        for (const order of [ 'update(), regenerate()', 'regenerate(), update()' ]) {
          const { id } = (await site.client.run(async session => {
            const held = site.hold(method);
            const all = Promise.all(ORDERS[order].map(call => call(session)));
            await held.reached;
            for (let i = 0; i < 20; i++) await new Promise(resolve => setImmediate(resolve));
            held.go();
            await all;
            return { id: session.externalKey };
          })).json();
          assert.equal(typeof (await stored(id))!.n, 'number');
        }
        assert.equal((await site.client.run(read)).json().session.n, 2);
      });
    }
  });

  it('that a slower request has made can be used by the browser that is then given its cookie', async () => {
    const mover = await slow(regenerate);
    const reader = await slow(session => ({ userId: session.userId }));
    await mover.finish();
    const response = await reader.finish();
    setsNoCookie(response);
    assert.deepEqual(response.json(), { userId: 1 });
    assert.deepEqual((await mover.client.run(read)).json().session, { userId: 1, cart: [ 'a' ] });
  });
}, {}, SUBJECTS);

forEachStore('a slower regenerate() of a session that was signed out', site => {
  it('keeps nothing of a field that it had only changed inside', async () => {
    await site.client.run(session => {
      Object.assign(session, { user: { name: 'alice' } });
    });
    const slower = await site.slow(async (session: any) => {
      session.user.seen = true;
      session.own = { is: 'kept' };
      await session.regenerate();
      return { session: session.toJSON() };
    });
    await site.client.run(session => session.destroy());
    const response = await slower.finish();
    assert.deepEqual(response.json().session, { own: { is: 'kept' } });
    assert.deepEqual((await slower.client.run(read)).json().session, { own: { is: 'kept' } });
  });
});

forEachStore('under autoCommit: false, regenerate()', (site, { atomic }) => {
  it('moves what is stored and what has changed, without a commit', async () => {
    const { id } = (await site.client.run(async session => {
      session.n = 1;
      const moved = await regenerate(session);
      session.lost = 1;
      return moved;
    })).json();
    assert.deepEqual(await site.stored(id), { userId: 1, cart: [ 'a' ], n: 1 });
    assert.equal(await site.stored(), undefined);
  });

  it('is followed by manuallyCommit()', async () => {
    const { id } = (await site.client.run(async session => {
      const moved = await regenerate(session);
      session.n = 1;
      await session.manuallyCommit();
      return moved;
    })).json();
    assert.equal((await site.stored(id))!.n, 1);
  });

  if (atomic) {
    it('that another request has called: manuallyCommit() saves nothing, save() rejects', async () => {
      const writer = await site.slow(async session => {
        session.n = 1;
        await session.manuallyCommit();
        await assert.rejects(session.save(), HAS_ENDED);
      });
      await site.client.run(regenerate);
      setsNoCookie(await writer.finish());
    });
  }
}, { autoCommit: false });

let refuses = false;
forEachStore('when beforeSave throws, regenerate()', site => {
  afterEach(() => {
    refuses = false;
  });

  it('removes nothing, and sets no cookie', async () => {
    const response = await site.client.run(async session => {
      session.n = 1;
      refuses = true;
      await assert.rejects(session.regenerate(), /beforeSave says no/);
      refuses = false;
    });
    setsNoCookie(response);
    assert.deepEqual(await site.stored(), { userId: 1, cart: [ 'a' ] });
    assert.deepEqual((await site.client.run(read)).json().session, { userId: 1, cart: [ 'a' ] });
  });
}, {
  beforeSave: () => {
    if (refuses) throw new Error('beforeSave says no');
  },
});

describe('regenerate() of a session in a cookie', () => {
  for (const status of [ 200, 400 ]) {
    it(`refuses what is too large, and leaves the cookie, when the handler answers ${status} after that`, async () => {
      const app = await createApp('web');
      const client = await Client.of(app);
      await client.run(session => {
        session.n = 1;
      });
      const response = await client.tryRun(async (session: any) => {
        session.n = 'x'.repeat(5000);
        await assert.rejects(session.regenerate(), /too large for a cookie/);
        session.n = 2;
        if (status !== 200) throw Object.assign(new Error('the handler gives up'), { status });
      });
      assert.equal(response.status, status);
      setsNoCookie(response);
      assert.deepEqual((await client.run(read)).json().session, { n: 1 });
      await client.close();
      await app.close();
    });
  }
});
