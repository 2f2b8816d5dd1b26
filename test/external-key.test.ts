import { strict as assert } from 'node:assert';
import type { Context } from 'egg';
import type { SessionOptions } from '..';
import { shortHash } from '../module/shortHash';
import { MapStore } from './support/MapStore';
import { count, EMPTY, listen, read, start, stop } from './support/web';

/** An id that travels in a header, and what `set` was called with. */
async function begin(options: SessionOptions = {}) {
  const store = new MapStore();
  const given: unknown[] = [];
  const started = await start({
    ...options, store,
    externalKey: {
      get: (ctx: Context) => ctx.get('x-session'),
      set(ctx: Context, id: string) {
        given.push(id);
        ctx.set('x-session', id);
      },
    },
  });
  return { ...started, store, given, ids: () => [ ...store.entries.keys() ] };
}

const add = (session: any) => {
  session.n = (session.n ?? 0) + 1;
};

const as = (id: string) => ({ 'x-session': id });

describe('externalKey', () => {
  afterEach(stop);

  it('is told the new id with a 503 too, as the old one has ended', async () => {
    const { client, run, store, ids } = await begin();
    await run(count);
    const [ first ] = ids();
    const response = await client.tryRun(async session => {
      await session.regenerate();
      session.n = 2;
      store.set = () => Promise.reject(new Error('the disk is full'));
    }, as(first));
    assert.equal(response.status, 503);
    assert.deepEqual([ response.headers['x-session'] ], ids());
  });

  it('is told nothing with a 503 of a session that has kept its id', async () => {
    const { client, run, store, given, ids } = await begin();
    await run(count);
    given.length = 0;
    const response = await client.tryRun(session => {
      session.n = 2;
      store.set = () => Promise.reject(new Error('the disk is full'));
    }, as(ids()[0]));
    assert.deepEqual([ response.status, given ], [ 503, []]);
  });

  it('is told each id that a session gets, and nothing else', async () => {
    const { run, given, ids } = await begin();
    await run(read);
    await run(read, as('no-such-session'));
    assert.deepEqual(given, []);

    await run(count);
    const [ first ] = ids();
    assert.deepEqual(given, [ first ]);

    await run(read, as(first));
    assert.deepEqual(given, [ first ]);

    const { json } = await run(count, as(first));
    assert.deepEqual(json(), { n: 2 });
    assert.deepEqual(given.splice(0), [ first, first ]);

    await run(session => session.regenerate(), as(first));
    const [ second ] = ids();
    assert.notEqual(second, first);
    assert.deepEqual(given.splice(0), [ second ]);

    for (const end of [
      (session: any) => session.destroy(),
      (session: any) => session.destroy(),
      (session: any) => session.regenerate(),
    ]) {
      await run(end, as(second));
    }
    await run((_, ctx) => {
      ctx.session = null;
    }, as('no-such-session'));
    for (const id of given) assert.match(id as string, /^[\w-]{24}$/);
  });

  for (const [ what, options ] of [[ 'rolling', { rolling: true }], [ 'renew', { renew: true }], [ 'autoCommit: false', { autoCommit: false }]] as const) {
    it(`is never told undefined, with ${what}`, async () => {
      const { run, given, store } = await begin(options);
      const commit = (handle: (session: any) => unknown) => async (session: any) => {
        await handle(session);
        if ('autoCommit' in options) await session.manuallyCommit();
      };
      await run(commit(add));
      const [ id ] = store.entries.keys();
      for (const handle of [ add, (session: any) => session.n, (session: any) => session.save(), (session: any) => session.regenerate() ]) {
        await run(commit(handle));
        await run(commit(handle), as('no-such-session'));
        await run(commit(handle), as(id));
      }
      await run(session => session.destroy(), as(id));
      assert.ok(given.length > 5);
      for (const each of given) assert.match(each as string, /^[\w-]{24}$/);
    });
  }

  it('is not told anything when the session has ended meanwhile', async () => {
    const { run, given, store, ids } = await begin();
    await run(count);
    const [ id ] = ids();
    given.length = 0;
    await run(session => {
      store.entries.clear();
      session.n = 7;
    }, as(id));
    assert.deepEqual(given, []);
    assert.deepEqual(ids(), []);
  });

  it('that gives no id, gives none', async () => {
    const { run, ids } = await begin();
    assert.deepEqual((await run(read, as(''))).json(), EMPTY);
    await run(count, as(''));
    assert.match(ids().join(), /^[\w-]{24}$/);
  });

  it('can\'t plant an id', async () => {
    const { run, ids } = await begin();
    await run(count, as('planted-id-of-an-attacker'));
    assert.equal(ids().length, 1);
    assert.equal(ids().includes('planted-id-of-an-attacker'), false);
  });

  it('appears in events and lines of the log as a hash', async () => {
    const { app, run } = await begin();
    const { events, lines } = listen(app);
    const id = 'an id with\ttabs, 100 % of them';
    await run(read, as(id));
    assert.deepEqual(events, [ 'missed' ]);
    assert.equal(lines().length, 1);
    assert.ok(lines()[0].trim().endsWith(`[session][missed] key(${shortHash(id)})`), lines()[0]);
  });

  it('is kept out of shared caches, where it is told', async () => {
    const { run, ids } = await begin();
    const cached = (handle: (session: any) => unknown) => async (session: any, ctx: Context) => {
      await handle(session);
      ctx.set('cache-control', 'public, max-age=60');
    };
    const control = async (handle: (session: any) => unknown, id = '') =>
      (await run(cached(handle), as(id))).headers['cache-control'];
    for (const handle of [ add, (session: any) => session.save(), (session: any) => session.regenerate() ]) {
      assert.equal(await control(handle), 'private, max-age=60');
    }
    const [ id ] = ids();
    assert.equal(await control(add, id), 'private, max-age=60');
    assert.equal(await control(session => session.n, id), 'public, max-age=60');
    assert.equal(await control(session => session.n), 'public, max-age=60');
  });

  it('is kept out of shared caches, where it is told after a session has ended', async () => {
    const { client, run, ids } = await begin();
    await run(count);
    const { headers } = await client.run(async (session, ctx) => {
      await session.destroy();
      ctx.session = { n: 7 };
      await (ctx.session as any).save();
      ctx.remove('set-cookie');
      ctx.set('cache-control', 'public');
    }, as(ids()[0]));
    assert.equal(headers['x-session'], ids()[0]);
    assert.equal(headers['cache-control'], 'private');
  });

  it('leaves cookies alone', async () => {
    const { client, run, ids } = await begin();
    client.cookies.set('EGG_SESS', 'what is this');
    for (const handle of [ read, count ]) assert.deepEqual((await run(handle)).setCookies, []);
    const [ id ] = ids();
    for (const handle of [ count, (session: any) => session.regenerate() ]) assert.deepEqual((await run(handle, as(id))).setCookies, []);
  });
});
