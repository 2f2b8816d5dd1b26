import { strict as assert } from 'node:assert';
import { crc32 } from 'node:zlib';
import { forEachStore, setsNoCookie, SUBJECTS } from '../support/concurrent';

forEachStore('only what a request has changed is written', (site, { atomic }) => {
  const { slow, stored } = site;

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

  it('the order of the fields is no change', async () => {
    const response = await site.client.run(session => {
      const { userId } = session;
      delete session.userId;
      session.userId = userId;
    });
    assert.deepEqual(response.setCookies, []);
  });

  it('commit() of koa-session saves, moves and calls back too', async () => {
    const { id } = (await site.client.run(async (session, ctx) => {
      session.n = 1;
      await ctx.session.commit();
      const unchanged = await site.stored();
      await ctx.session.commit({ regenerate: true });
      session.n = 2;
      await new Promise((resolve, reject) => {
        ctx.session.commit({ save: true }, (err?: Error) => (err ? reject(err) : resolve(undefined)));
      });
      assert.equal(unchanged!.n, 1);
      return { id: session.externalKey };
    })).json();
    assert.notEqual(id, site.id);
    assert.equal(await stored(), undefined);
    assert.deepEqual(await stored(id), { userId: 1, cart: [ 'a' ], n: 2 });
    await site.client.run((_, ctx) => new Promise<void>((resolve, reject) => {
      ctx.session.n = 3;
      ctx.session.commit((err?: Error) => (err ? reject(err) : resolve()));
    }));
    assert.equal((await stored(id))!.n, 3);
  });

  it('the same field is the last writer\'s', async () => {
    const first = await slow(session => {
      session.n = 1;
    });
    await site.client.run(session => {
      session.n = 2;
    });
    await first.finish();
    assert.equal((await stored())!.n, 1);
  });

  it('a change inside a field counts as a change of the field', async () => {
    const first = await slow(session => {
      session.cart.push('b');
    });
    await site.client.run(session => {
      session.n = 2;
    });
    await first.finish();
    assert.deepEqual(await stored(), { userId: 1, cart: [ 'a', 'b' ], n: 2 });
  });

  it('a request that changes nothing undoes nothing', async () => {
    const reader = await slow(session => ({ n: session.n ?? null }));
    await site.client.run(session => {
      session.n = 2;
    });
    assert.deepEqual((await reader.finish()).json(), { n: null });
    assert.equal((await stored())!.n, 2);
  });

  it('another order of the fields is no change', async () => {
    setsNoCookie(await site.client.run(session => {
      const { userId } = session;
      delete session.userId;
      session.userId = userId;
    }));
  });

  it('a changed field is found exactly, where 32-bit hashes are equal', async () => {
    const [ before, after ] = [ '9cr3ml', '1x1uw6h' ];
    assert.equal(crc32(JSON.stringify({ text: before })), crc32(JSON.stringify({ text: after })));
    await site.client.run((_, ctx) => {
      ctx.session = { text: before };
    });
    await site.client.run(session => {
      session.text = after;
    });
    assert.deepEqual(await stored(), { text: after });
  });

  it(atomic ? '50 slower requests at once' : '50 slower requests at once, all in one process', async () => {
    const writers = await Promise.all(Array.from({ length: 50 }, (_, i) => slow(session => {
      session[`field${i}`] = i;
    })));
    await Promise.all(writers.map(({ finish }) => finish()));
    assert.equal(Object.keys((await stored())!).length, 52);
  });

  describe('ctx.session = {…}', () => {
    it('replaces the whole session, also what others have written', async () => {
      const writer = await slow((_, ctx) => {
        ctx.session = { n: 1 };
      });
      await site.client.run(session => {
        session.flash = 'unknown to the other';
      });
      await writer.finish();
      assert.deepEqual(await stored(), { n: 1 });
    });

    it('is what a slower change of a field merges onto', async () => {
      const writer = await slow(session => {
        session.flash = 'mine';
      });
      await site.client.run((_, ctx) => {
        ctx.session = { n: 1 };
      });
      await writer.finish();
      assert.deepEqual(await stored(), { n: 1, flash: 'mine' });
    });

    it('replaces it after ctx.session = null in the same request too', async () => {
      await site.client.run((_, ctx) => {
        ctx.session = null;
        ctx.session = { n: 1 };
      });
      assert.deepEqual((await site.client.run(session => ({ session }))).json(), { session: { n: 1 } });
      await site.client.run((_, ctx) => {
        ctx.session = null;
        ctx.session = {};
      });
      assert.deepEqual((await site.client.run(session => ({ session }))).json(), { session: {} });
    });

    it('replaces it once: what others write after save() is kept', async () => {
      await site.client.run(async (session, ctx) => {
        ctx.session = { first: 1 };
        await session.save();
        await site.client.copy().run(other => {
          other.theirs = 1;
        });
        session.second = 1;
      });
      assert.deepEqual(await stored(), { first: 1, theirs: 1, second: 1 });
    });

    it('replaces what a save() before it is still writing', async () => {
      const browser = site.client.another();
      await browser.run(async (session, ctx) => {
        session.first = 1;
        const saving = session.save();
        ctx.session = { second: 2 };
        await saving;
      });
      assert.deepEqual((await browser.run(session => ({ session }))).json(), { session: { second: 2 } });
    });
  });

  describe('save()', () => {
    it('in the middle merges, and the end of the request does not write the same again', async () => {
      const writer = await slow(async session => {
        session.n = 1;
        await session.save();
        return { before: await stored() };
      });
      await site.client.run(session => {
        session.flash = 'theirs';
      });
      const { before } = (await writer.finish()).json();
      assert.deepEqual(before, { userId: 1, cart: [ 'a' ], n: 1, flash: 'theirs' });
      await site.client.run(async session => {
        session.n = 2;
        await session.save();
        await site.write({ seen: true });
      });
      assert.deepEqual(await stored(), { seen: true });
    });

    it('leaves what changes while it writes to the end of the request', async () => {
      await site.client.run(async session => {
        session.first = 1;
        const saving = session.save();
        session.second = 2;
        delete session.cart;
        await saving;
        assert.deepEqual(await stored(), { userId: 1, cart: [ 'a' ], first: 1 });
      });
      assert.deepEqual(await stored(), { userId: 1, first: 1, second: 2 });
    });

    it('makes one session, also when it is called twice at once on a new one', async () => {
      const browser = site.client.another();
      const response = await browser.run(async session => {
        session.n = 1;
        const first = session.save();
        session.n = 2;
        const ids = [ session.externalKey ];
        await Promise.all([ first, session.save() ]);
        return { ids: [ ...ids, session.externalKey ] };
      });
      const { ids: [ before, after ] } = response.json();
      assert.equal(before, after);
      assert.deepEqual(await stored(after), { n: 2 });
      assert.equal(response.setCookies.length, 1);
    });
  });
}, {}, SUBJECTS);
