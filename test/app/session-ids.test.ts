import { strict as assert } from 'node:assert';
import { inspect } from 'node:util';
import type { Context } from 'egg';
import { MemorySessionStore, type SessionOptions } from '../..';
import { resolveConfig } from '../../module/options/SessionConfig';
import { MapStore } from '../support/MapStore';
import { count, read, start, stop } from '../support/web';

describe('session ids', () => {
  afterEach(stop);

  const genid = (options: SessionOptions = {}) => resolveConfig(options).genid({ path: '/a' } as Context);

  it('have 144 random bits, in 24 characters of base64url', async () => {
    assert.match(genid(), /^[\w-]{24}$/);
    assert.equal(Buffer.from(genid(), 'base64url').length, 18);
    const store = new MapStore();
    const { run } = await start({ store });
    await run(count);
    assert.match([ ...store.records.keys() ].join(), /^[\w-]{24}$/);
  });

  it('differ, 10,000 of them, and every bit of them is on in half of them', () => {
    const ids = Array.from({ length: 10_000 }, () => genid());
    assert.equal(new Set(ids).size, 10_000);
    const on = Array(144).fill(0);
    for (const id of ids) {
      const bits = [ ...Buffer.from(id, 'base64url') ].map(byte => byte.toString(2).padStart(8, '0')).join('');
      for (const [ at, bit ] of [ ...bits ].entries()) on[at] += Number(bit);
    }
    // eight standard deviations
    assert.ok(Math.min(...on) > 4600 && Math.max(...on) < 5400, String(on));
  });

  it('are what genid makes, or begin with prefix', () => {
    assert.equal(genid({ genid: ctx => `for ${ctx.path}`, prefix: 'not used:' }), 'for /a');
    assert.match(genid({ prefix: 'web:' }), /^web:[\w-]{24}$/);
  });

  for (const store of [ new MapStore(), new class extends MemorySessionStore {}() ]) {
    it(`may be always the same, and regenerate() leaves the session in the ${store instanceof MapStore ? 'MapStore' : 'MemorySessionStore'}`, async () => {
      const { run } = await start({ store, genid: () => 'the-id' });
      await run(count);
      for (const n of [ 2, 3 ]) {
        await run(async session => {
          session.n = n;
          await session.regenerate();
          assert.equal(session.externalKey, 'the-id');
        });
        assert.deepEqual((await run(read)).json(), { n, isNew: false });
      }
    });
  }

  for (const id of [ '', undefined, 7, null, Promise.resolve('an id') ]) {
    it(`can't be ${inspect(id)}`, async () => {
      const store = new MapStore();
      const { app, client } = await start({ store, encrypt: false, genid: () => id as string });
      app.mockLog('logger');
      const response = await client.tryRun(count);
      assert.equal(response.status, 500);
      assert.deepEqual(response.setCookies, []);
      assert.match(response.text, /config\.session\.genid returned .*; it must return a string that is not empty/);
      assert.equal(store.records.size, 0);
    });
  }

  it('can\'t be one that no cookie can carry', async () => {
    const { client } = await start({ store: new MapStore(), genid: () => 'x'.repeat(4000) });
    const { status, text, setCookies } = await client.tryRun(count);
    assert.deepEqual([ status, setCookies ], [ 500, []]);
    assert.match(text, /config\.session\.genid returned a string; it must return at most 2000 characters/);
  });
});
