import { strict as assert } from 'node:assert';
import { setImmediate as turn } from 'node:timers/promises';
import type { MockApplication } from 'egg-mock';
import { Client, createApp, later } from '../support/app';
import { ENDS, forEachStore, gate, holdTimers, setsNoCookie, SUBJECTS } from '../support/concurrent';

/** After how many ms an `update()` is given up. */
const DEADLINE = 10_000;
const TOOK_TOO_LONG = /session\.update\(\) took longer than 10 s/;
const HAS_ENDED = /the session has ended/;

const add = (data: any) => {
  data.n = (data.n ?? 0) + 1;
};
const read = (session: any) => ({ session: session.toJSON() });

forEachStore('session.update()', (site, { atomic }) => {
  const { slow, stored } = site;

  it(`is atomic${atomic ? '' : ' in one process'}: 100 of them at the same time count to 100`, async () => {
    await Promise.all(Array.from({ length: 100 }, () => site.client.copy().run(session => session.update(add))));
    assert.equal((await stored())!.n, 100);
  });

  it('is atomic beside plain writes of other fields', async () => {
    await Promise.all(Array.from({ length: 40 }, (_, i) => site.client.copy().run((session: any) => {
      if (i % 2) return session.update(add);
      session[`field${i}`] = i;
    })));
    const { n, ...rest } = (await stored())!;
    assert.equal(n, 20);
    assert.equal(Object.keys(rest).length, 22);
  });

  it('runs fn again on the data of a request that was faster', async () => {
    const seen: unknown[] = [];
    const first = gate();
    const goOn = gate();
    const slower = site.client.copy().run(session => session.update(async (data: any) => {
      seen.push(data.n ?? null);
      first.open();
      await goOn.opened;
      add(data);
    }));
    await first.opened;
    await site.client.copy().run(session => session.update(add));
    goOn.open();
    await slower;
    assert.deepEqual(seen, [ null, 1 ]);
    assert.equal((await stored())!.n, 2);
  });

  it('does not run fn again because another request has let the session live on', async () => {
    let runs = 0;
    await site.client.run(session => session.update(async data => {
      runs++;
      later(1000 * runs);
      await site.client.copy().run(other => other.save());
      add(data);
    }));
    assert.equal(runs, 1);
    assert.equal((await stored())!.n, 1);
  });

  describe('and what its own request has changed', () => {
    it('fn sees it on top of the latest data, and it is saved with them', async () => {
      const writer = await slow(async session => {
        session.own = 'unsaved';
        session.both = 'mine';
        delete session.cart;
        await session.update(async (data: any) => {
          await turn();
          assert.deepEqual({ ...data }, { userId: 1, n: 5, own: 'unsaved', both: 'mine' });
          data.n++;
          delete data.userId;
        });
        return { session: session.toJSON(), stored: await stored() };
      });
      await site.client.run(session => {
        Object.assign(session, { n: 5, both: 'theirs' });
      });
      const expected = { own: 'unsaved', both: 'mine', n: 6 };
      assert.deepEqual((await writer.finish()).json(), { session: expected, stored: expected });
      assert.deepEqual(await stored(), expected);
    });

    it('n = 5, then n++ makes 6', async () => {
      await site.client.run(async session => {
        session.n = 5;
        await session.update(add);
      });
      assert.equal((await stored())!.n, 6);
    });

    it('what changes while an async fn runs is kept, and saved at the end', async () => {
      const response = await site.client.run(async (session: any) => {
        session.first = 1;
        const running = gate();
        const updating = session.update(async (data: any) => {
          running.open();
          await turn();
          Object.assign(data, { first: 'fn', second: 'fn', third: 'fn' });
          delete data.userId;
        });
        await running.opened;
        session.second = 'handler';
        session.userId = 'handler';
        delete session.cart;
        await updating;
        return { session: session.toJSON(), stored: await stored() };
      });
      const { session, stored: during } = response.json();
      assert.deepEqual(during, { cart: [ 'a' ], first: 'fn', second: 'fn', third: 'fn' });
      assert.deepEqual(session, { userId: 'handler', first: 'fn', second: 'handler', third: 'fn' });
      assert.deepEqual(await stored(), session);
    });

    it('fn works on a copy: nothing of the session changes before it is stored', async () => {
      await site.client.run(async (session: any) => {
        session.nested = { list: [ 1 ] };
        await session.update((data: any) => {
          data.nested.list.push(2);
          data.cart.push('b');
          assert.deepEqual(session.toJSON(), { userId: 1, cart: [ 'a' ], nested: { list: [ 1 ] } });
        });
        assert.deepEqual(session.toJSON(), { userId: 1, cart: [ 'a', 'b' ], nested: { list: [ 1, 2 ] } });
      });
      assert.deepEqual(await stored(), { userId: 1, cart: [ 'a', 'b' ], nested: { list: [ 1, 2 ] } });
    });

    it('ctx.session = {…} before it takes the place of all that is stored', async () => {
      await site.client.run(async (session, ctx) => {
        ctx.session = { n: 7 };
        await session.update((data: any) => {
          assert.deepEqual({ ...data }, { n: 7 });
          data.n++;
        });
      });
      assert.deepEqual(await stored(), { n: 8 });
    });

    it('ctx.session = {…} while fn runs has fn run again on that', async () => {
      await site.client.run(async (session, ctx) => {
        const running = gate();
        const updating = session.update(async data => {
          running.open();
          await turn();
          add(data);
        });
        await running.opened;
        ctx.session = { n: 7 };
        await updating;
      });
      assert.deepEqual(await stored(), { n: 8 });
    });

    it('destroy() while fn runs: it says that the session has ended, and stores nothing', async () => {
      for (const end of [ (session: any) => session.destroy(), (_: any, ctx: any) => {
        ctx.session = null;
      } ]) {
        await site.client.run(async (session, ctx) => {
          const running = gate();
          const goOn = gate();
          const updating = session.update(async data => {
            running.open();
            await goOn.opened;
            add(data);
          });
          await running.opened;
          const rejected = assert.rejects(updating, HAS_ENDED);
          await end(session, ctx);
          goOn.open();
          await rejected;
        });
        assert.equal(await stored(), undefined);
        await site.client.close();
        await site.signIn();
      }
    });

    it('save() and destroy() inside fn do not wait for it', async () => {
      await site.client.run(async (session: any) => {
        session.own = 1;
        await session.update(async (data: any) => {
          await session.save();
          add(data);
        });
        assert.deepEqual(await stored(), { userId: 1, cart: [ 'a' ], own: 1, n: 1 });
        await assert.rejects(session.update(() => session.destroy()), HAS_ENDED);
      });
      assert.equal(await stored(), undefined);
    });

    it('several at once all count', async () => {
      await site.client.run(async session => {
        await Promise.all(Array.from({ length: 5 }, () => session.update(async data => {
          await turn();
          add(data);
        })));
        assert.equal(session.n, 5);
      });
      assert.equal((await stored())!.n, 5);
    });

    it('one that changes nothing writes nothing, and sets no cookie', async () => {
      const before = await site.record();
      setsNoCookie(await site.client.run(session => session.update(() => undefined)));
      assert.deepEqual(await site.record(), before);
    });

    it('it sets the cookie, which has to live as long as what it stored', async () => {
      assert.equal((await site.client.run(session => session.update(add))).setCookies.length, 1);
    });

    it('it is not written again at the end of the request', async () => {
      await site.client.run(async session => {
        await session.update(add);
        await site.write({ seen: true });
      });
      assert.deepEqual(await stored(), { seen: true });
    });
  });

  it('under autoCommit: false as well', async () => {
    await site.client.run(async (session, ctx) => {
      session.n = 1;
      await session.update(add);
      ctx.session.lost = true;
      assert.equal((await stored())!.n, 2);
    });
  });

  describe('leaves all as it was, and says why, when', () => {
    const unchanged = async (run: (session: any) => Promise<unknown>) => {
      await site.client.run(async session => {
        const before = session.toJSON();
        await run(session);
        assert.deepEqual(session.toJSON(), before);
      });
      assert.deepEqual(await stored(), { userId: 1, cart: [ 'a' ] });
    };

    it('fn throws', () => unchanged(session => assert.rejects(session.update((data: any) => {
      data.n = 1;
      data.cart.push('b');
      throw new Error('changed my mind');
    }), /changed my mind/)));

    it('fn rejects', () => unchanged(session => assert.rejects(session.update(async (data: any) => {
      data.n = 1;
      await turn();
      throw new Error('changed my mind');
    }), /changed my mind/)));

    it('the store fails', () => unchanged(session => {
      site.fail('compareAndSet');
      return assert.rejects(session.update(add), /failed/);
    }));

    it('fn returns an object instead of changing its argument', () => unchanged(async session => {
      for (const fn of [ (data: any) => ({ ...data, n: 2 }), () => ({}), async () => ({ n: 1 }) ]) {
        await assert.rejects(session.update(fn), { name: 'TypeError', message: /[Cc]hange the argument/ });
      }
    }));

    it('fn writes a name that is reserved', () => unchanged(async session => {
      for (const name of [ 'isNew', 'save', 'toJSON', 'maxAge', 'constructor', '__proto__', 'destroy', 'update', 'pop', '_maxAge', '_expire', '_session',
        '_successor', '_rev' ]) {
        await assert.rejects(session.update((data: any) => {
          Object.defineProperty(data, name, { value: 'x', enumerable: true });
        }), { name: 'TypeError', message: new RegExp(`session\\.${name} is reserved`) });
      }
    }));

    it('fn writes what JSON can\'t hold: the error names the field', () => unchanged(async session => {
      await assert.rejects(session.update((data: any) => {
        data.total = 1n;
      }), { name: 'TypeError', message: /session\.total can't be stored/ });
      await assert.rejects(session.update((data: any) => {
        data.self = data;
      }), { name: 'TypeError', message: /session\.self can't be stored/ });
    }));

    it('it is called inside the fn of another one', () => unchanged(session => assert.rejects(
      session.update(() => session.update(add)), /update\(\) inside the fn of another/)));
  });

  it('takes no offence at what an arrow function happens to return', async () => {
    await site.client.run(async (session: any) => {
      session.nested = { list: [{ id: 1 }, { id: 2 }], deep: { deeper: {} }, none: null };
      await session.update((data: any) => data);
      await session.update((data: any) => Object.assign(data, { n: 1 }));
      await session.update((data: any) => data.n++);
      await session.update((data: any) => (data.at = 'now'));
      await session.update((data: any) => data.nested);
      await session.update((data: any) => (data.nested.deep.deeper = { set: true }));
      await session.update((data: any) => data.cart.splice(0, 1));
      await session.update((data: any) => data.nested.list.pop());
      await session.update((data: any) => delete data.userId);
      await session.update(() => null);
    });
    assert.deepEqual(await stored(), { cart: [], n: 2, at: 'now', nested: { list: [{ id: 1 }], deep: { deeper: { set: true } }, none: null } });
  });

  for (const [ title, end ] of Object.entries(ENDS)) {
    it(`says that the session has ended, after ${title} while fn runs`, async () => {
      const running = gate();
      const goOn = gate();
      const updating = site.client.copy().run(session => assert.rejects(session.update(async data => {
        running.open();
        await goOn.opened;
        add(data);
      }), HAS_ENDED));
      await running.opened;
      await end(site);
      goOn.open();
      setsNoCookie(await updating);
      assert.equal(await stored(), undefined);
    });
  }

  describe('whose fn never settles', () => {
    it('rejects after 10 s; meanwhile and afterwards others work at once, and a late end of fn writes nothing', async () => {
      const stuck = await slow(async session => {
        const end = gate();
        const running = gate();
        const { result, timers } = holdTimers(() => session.update(async (data: any) => {
          data.stuck = true;
          running.open();
          await end.opened;
        }));
        await running.opened;

        for (const n of [ 1, 2 ]) {
          await site.client.copy().run(other => other.update(add));
          assert.equal((await stored())!.n, n);
        }
        assert.deepEqual(timers.map(({ ms }) => ms), [ DEADLINE ]);
        timers[0].fire();
        await assert.rejects(result, TOOK_TOO_LONG);

        await session.update(add);
        await site.client.copy().run(other => other.update(add));
        assert.equal((await stored())!.n, 4);
        end.open();
        for (let i = 0; i < 20; i++) await turn();
        assert.deepEqual(await stored(), { userId: 1, cart: [ 'a' ], n: 4 });
      });
      await stuck.finish();
      assert.deepEqual(await stored(), { userId: 1, cart: [ 'a' ], n: 4 });
    });

    it('writes nothing when it ends late after all, also when nobody else has written', async () => {
      await site.client.run(async session => {
        const end = gate();
        const running = gate();
        const { result, timers } = holdTimers(() => session.update(async data => {
          running.open();
          await end.opened;
          add(data);
        }));
        await running.opened;
        timers[0].fire();
        await assert.rejects(result, TOOK_TOO_LONG);
        end.open();
        for (let i = 0; i < 20; i++) await turn();
        await session.update(() => undefined);
      });
      assert.deepEqual(await stored(), { userId: 1, cart: [ 'a' ] });
    });

    it('does so on a session that is new', async () => {
      await site.client.another().run(async session => {
        const end = gate();
        const { result, timers } = holdTimers(() => session.update(async (data: any) => {
          data.stuck = true;
          await end.opened;
        }));
        timers[0].fire();
        await assert.rejects(result, TOOK_TOO_LONG);
        end.open();
        for (let i = 0; i < 20; i++) await turn();
        assert.deepEqual(session.toJSON(), {});
      });
    });
  });

  it('rejects after 10 s when others were faster each time', async () => {
    await site.client.run(async session => {
      const calls = gate();
      let runs = 0;
      const { result, timers } = holdTimers(() => session.update(async data => {
        await site.client.copy().run((other: any) => {
          other.faster = ++runs;
        });
        if (runs === 3) calls.open();
        add(data);
      }));
      const rejected = assert.rejects(result, TOOK_TOO_LONG);
      await calls.opened;
      timers[0].fire();
      await rejected;
    });
    const { n, faster } = (await stored())!;
    assert.equal(n, undefined);
    assert.ok(faster as number >= 3);
  });

  it('leaves no timer behind', async () => {
    const timers = () => process.getActiveResourcesInfo().filter(type => type === 'Timeout').length;
    await site.client.run(async session => {
      const before = timers();
      for (let i = 0; i < 50; i++) {
        await session.update(add);
        await assert.rejects(session.update(() => Promise.reject(new Error('no'))), /no/);
      }
      assert.ok(timers() < before + 20, `${timers()} timers, ${before} before`);
    });
  });

  describe('of a session that is new', () => {
    it('is saved with the response', async () => {
      const browser = site.client.another();
      const response = await browser.run(async session => {
        session.own = 1;
        await session.update(add);
        assert.equal(session.n, 1);
      });
      assert.equal(response.setCookies.length, 1);
      assert.deepEqual((await browser.run(read)).json().session, { own: 1, n: 1 });
    });

    it('changes nothing when fn throws', async () => {
      const browser = site.client.another();
      setsNoCookie(await browser.run(session => assert.rejects(session.update((data: any) => {
        data.n = 1;
        throw new Error('changed my mind');
      }), /changed my mind/)));
    });

    it('keeps what changes while an async fn runs', async () => {
      const browser = site.client.another();
      await browser.run(async (session: any) => {
        const running = gate();
        const updating = session.update(async (data: any) => {
          running.open();
          await turn();
          Object.assign(data, { n: 'fn', m: 'fn' });
        });
        await running.opened;
        session.n = 'handler';
        await updating;
      });
      assert.deepEqual((await browser.run(read)).json().session, { n: 'handler', m: 'fn' });
    });

    it('counts each of several at once', async () => {
      const browser = site.client.another();
      await browser.run(async session => {
        await Promise.all(Array.from({ length: 5 }, () => session.update(async data => {
          await turn();
          add(data);
        })));
      });
      assert.deepEqual((await browser.run(read)).json().session, { n: 5 });
    });

    it('has fn run again on what is assigned meanwhile', async () => {
      const browser = site.client.another();
      await browser.run(async (session, ctx) => {
        const running = gate();
        const updating = session.update(async data => {
          running.open();
          await turn();
          add(data);
        });
        await running.opened;
        ctx.session = { n: 7 };
        await updating;
      });
      assert.deepEqual((await browser.run(read)).json().session, { n: 8 });
    });

    it('works beside save()', async () => {
      for (const calls of [[ 'save', 'update' ], [ 'update', 'save' ]]) {
        const browser = site.client.another();
        await browser.run(async (session: any) => {
          session.own = 1;
          await Promise.all(calls.map(call => (call === 'save' ? session.save() : session.update(add))));
        });
        assert.deepEqual((await browser.run(read)).json().session, { own: 1, n: 1 });
      }
    });
  });

  it('says so when nobody has waited for it, and the response is on its way', async () => {
    const goOn = gate();
    let updating!: Promise<void>;
    await site.client.another().run(session => {
      updating = session.update(async data => {
        await goOn.opened;
        add(data);
      });
      updating.catch(() => undefined);
    });
    goOn.open();
    await assert.rejects(updating, /session\.update\(\) has to set a cookie, and the response has begun/);
  });

  describe('and names that a record should not have', () => {
    it('they are dropped when it is loaded', async () => {
      const { _rev, _maxAge, _expire } = (await site.record())!;
      await site.write({
        userId: 1, isNew: true, save: 'x', maxAge: 'x', toJSON: 'x', length: 7, populated: 'x', externalKey: 'x', regenerate: 'x',
        manuallyCommit: 'x', commit: 'x', constructor: 'x', _unknown: 'x', _rev, _maxAge, _expire,
      }, _maxAge as number);
      const response = await site.client.run(async (session, ctx) => {
        assert.deepEqual(session.toJSON(), { userId: 1 });
        assert.deepEqual(ctx.session.toJSON(), { userId: 1 });
        assert.equal(session.isNew, false);
        assert.equal(session.externalKey, site.id);
        assert.equal(session.length, 1);
        assert.equal(session.maxAge, _maxAge);
        await session.update((data: any) => {
          assert.deepEqual({ ...data }, { userId: 1 });
          data.n = 1;
        });
        assert.equal((await site.record())!._unknown, 'x', 'what another version of the plugin has written is lost');
        Object.assign(session, { userId: 2 });
        await session.save();
        return await session.regenerate().then(() => ({ id: session.externalKey }));
      });
      const { id } = response.json();
      assert.equal((await stored(id))!.userId, 2);
      await site.client.run(session => session.destroy());
      assert.equal(await stored(id), undefined);
    });

    it('a prototype is no way in', async () => {
      await site.write(JSON.parse('{ "userId": 1, "_maxAge": 60000, "__proto__": { "admin": true, "_session": true } }'));
      await site.client.run((session: any, ctx: any) => {
        assert.equal(session.admin, undefined);
        assert.equal(ctx.session.admin, undefined);
        assert.equal(session.maxAge, 60_000);
        assert.equal(({} as any).admin, undefined);
        session.n = 1;
      });
      assert.equal((await stored())!.n, 1);
    });
  });
}, {}, SUBJECTS);

forEachStore('under autoCommit: false, session.update()', site => {
  it('beside destroy() finds the session ended, and leaves the removal of the cookie alone', async () => {
    const response = await site.client.run(async session => {
      const [ updated, destroyed ] = await Promise.allSettled([ session.update(add), session.destroy() ]);
      assert.deepEqual([ updated.status, destroyed.status ], [ 'rejected', 'fulfilled' ]);
    });
    assert.match(response.setCookies.join(), /^EGG_SESS=;/);
    assert.equal(await site.stored(), undefined);
  });
}, { autoCommit: false });

describe('session.update() of a session in a cookie', () => {
  let app: MockApplication;
  let client: Client;
  before(async () => {
    app = await createApp('web');
  });
  beforeEach(async () => {
    client = await Client.of(app);
    await client.run(session => {
      session.n = 1;
    });
  });
  afterEach(() => client.close());
  after(() => app.close());

  it('is saved with the response', async () => {
    for (let n = 2; n < 4; n++) {
      const response = await client.run(async session => {
        await session.update(async data => {
          await turn();
          add(data);
        });
        return { n: session.n };
      });
      assert.deepEqual(response.json(), { n });
    }
  });

  it('sees what the request has changed, and keeps what changes while fn runs', async () => {
    await client.run(async (session: any) => {
      session.n = 5;
      const running = gate();
      const updating = session.update(async (data: any) => {
        running.open();
        await turn();
        data.m = data.n + 1;
        data.both = 'fn';
      });
      await running.opened;
      session.both = 'handler';
      await updating;
    });
    assert.deepEqual((await client.run(read)).json().session, { n: 5, m: 6, both: 'handler' });
  });

  it('counts each of several at once', async () => {
    await client.run(async session => {
      await Promise.all(Array.from({ length: 5 }, () => session.update(async data => {
        await turn();
        add(data);
      })));
    });
    assert.deepEqual((await client.run(read)).json().session, { n: 6 });
  });

  it('changes nothing when fn throws', async () => {
    setsNoCookie(await client.run(session => assert.rejects(session.update((data: any) => {
      data.n = 2;
      data.m = 2;
      throw new Error('changed my mind');
    }), /changed my mind/)));
    assert.deepEqual((await client.run(read)).json().session, { n: 1 });
  });

  it('refuses reserved names, and a returned object', async () => {
    await client.run(async session => {
      await assert.rejects(session.update((data: any) => {
        data.isNew = 'x';
      }), { name: 'TypeError', message: /session\.isNew is reserved/ });
      await assert.rejects(session.update(data => ({ ...data, n: 2 })), { name: 'TypeError', message: /[Cc]hange the argument/ });
    });
    assert.deepEqual((await client.run(read)).json().session, { n: 1 });
  });

  it('rejects after 10 s when fn never settles', async () => {
    setsNoCookie(await client.run(async session => {
      const end = gate();
      const { result, timers } = holdTimers(() => session.update(async (data: any) => {
        data.stuck = true;
        await end.opened;
      }));
      assert.deepEqual(timers.map(({ ms }) => ms), [ DEADLINE ]);
      timers[0].fire();
      await assert.rejects(result, TOOK_TOO_LONG);
      end.open();
      for (let i = 0; i < 20; i++) await turn();
    }));
    assert.deepEqual((await client.run(read)).json().session, { n: 1 });
  });
});
