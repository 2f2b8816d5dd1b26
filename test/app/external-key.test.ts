import { strict as assert } from 'node:assert';
import type { Context } from 'egg';
import type { SessionOptions } from '../..';
import { shortHash } from '../../module/record/shortHash';
import { MapStore } from '../support/MapStore';
import { later } from '../support/app';
import { count, EMPTY, KEYS, listen, read, start, stop } from '../support/web';

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

const HEADER: NonNullable<SessionOptions['externalKey']> = {
  get: ctx => ctx.get('x-session') || undefined,
  set: (ctx, id) => ctx.set('x-session', id),
};

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

  for (const [ what, keys, more ] of [[ 'without config.keys', [], {}], [ 'with config.keys', KEYS, {}], [ 'Secure over HTTP', KEYS, { secure: true }]] as const) {
    it(`needs no cookie, ${what}: whatever a request does, none is read, set or removed`, async () => {
      const store = new MapStore();
      const options = { ...more, store, externalKey: HEADER, absoluteMaxAge: 60_000 };
      const { client } = await start(options, { keys: [ ...keys ] });
      const id = (response: { headers: Record<string, unknown> }) => response.headers['x-session'] as string;
      const lines: string[] = [];
      const send = async (handle: (session: any, ctx: Context) => unknown, headers = {}) => {
        const response = await client.tryRun(handle, { cookie: 'EGG_SESS=what; EGG_SESS.sig=is; EGG_SESS=this', ...headers });
        lines.push(...response.setCookies);
        for (const name of Object.keys(response.headers)) assert.notEqual(name, 'set-cookie');
        return response;
      };
      const first = await send(count);
      assert.equal(first.status, 200, first.text);
      assert.deepEqual((await send(count, as(id(first)))).json(), { n: 2 });
      const moved = await send(session => session.regenerate(), as(id(first)));
      assert.notEqual(id(moved), id(first));
      assert.equal((await send(session => session.update((data: any) => {
        data.n = 7;
      }), as(id(moved)))).status, 200);
      assert.deepEqual((await send(read, as(id(moved)))).json(), { n: 7, isNew: false });
      // ended elsewhere while a request runs
      const lost = await send(session => {
        store.entries.clear();
        session.n = 8;
      }, as(id(moved)));
      assert.equal(lost.status, 200);
      for (const end of [ (_: unknown, ctx: Context) => {
        ctx.session = null;
      }, (session: any) => session.destroy() ]) {
        const other = await send(count);
        assert.equal((await send(end, as(id(other)))).status, 200);
        assert.deepEqual((await send(read, as(id(other)))).json(), EMPTY);
        assert.equal((await send(end)).status, 200);
      }
      const old = await send(count);
      later(61_000);
      assert.deepEqual((await send(read, as(id(old)))).json(), EMPTY);
      assert.equal((await client.request('/no-such-page')).status, 404);
      assert.deepEqual(lines, []);
    });
  }

  it('without a store any more: each use of a session says that it needs one', async () => {
    const { app, client, run } = await begin();
    await run(count);
    app.sessionStore = null as never;
    for (const use of [ read, count, (session: any) => session.destroy(), (session: any) => session.save(), (_: unknown, ctx: Context) => {
      ctx.session = null;
    }, (_: unknown, ctx: Context) => {
      ctx.session = { n: 1 };
    } ]) {
      const response = await client.tryRun(use);
      assert.equal(response.status, 500);
      assert.match(response.text, /config\.session\.externalKey needs a store, .* set app\.sessionStore, or remove config\.session\.externalKey/);
      assert.deepEqual(response.setCookies, []);
    }
    assert.equal((await client.run(() => ({ ok: true }))).status, 200);
    app.sessionStore = new MapStore() as never;
    assert.deepEqual((await run(count)).json(), { n: 1 });
  });

  for (const [ what, given ] of [
    [ 'an array', [ 'a', 'b' ]], [ 'a number', 7 ], [ 'an object', { id: 'secret' }], [ 'a function', () => 'secret' ], [ 'true', true ],
    [ 'a promise', Promise.resolve('secret') ],
  ] as const) {
    it(`get that gives ${what}: a TypeError that names it, and nothing else of it`, async () => {
      const { client } = await start({ store: new MapStore(), externalKey: { get: () => given as never, set: () => undefined } });
      const { status, text } = await client.tryRun(read);
      assert.equal(status, 500);
      assert.match(text, new RegExp(`TypeError: \\[egg-tegg-session\\] config\\.session\\.externalKey\\.get returned ${what}; it must`));
      assert.doesNotMatch(text, /secret/);
    });
  }

  it('get that gives nothing, in whatever way, gives none', async () => {
    for (const given of [ undefined, null, '', false ]) {
      const { run } = await start({ store: new MapStore(), externalKey: { get: () => given as never, set: () => undefined } });
      assert.deepEqual((await run(read)).json(), EMPTY);
    }
  });

  for (const method of [ 'get', 'set' ] as const) {
    it(`${method} that returns a promise: a TypeError, also when it rejects, and no rejection is left behind`, async () => {
      const left: unknown[] = [];
      const note = (err: unknown) => left.push(err);
      process.on('unhandledRejection', note);
      try {
        for (const result of [ () => Promise.resolve('an id'), () => Promise.reject(new Error('too late')) ]) {
          const store = new MapStore();
          const { client } = await start({ store, externalKey: { ...HEADER, [method]: result } as never });
          for (const handle of [ count, (session: any) => session.save() ]) {
            const { status, text } = await client.tryRun(handle);
            assert.equal(status, 500);
            assert.match(text, new RegExp(`config\\.session\\.externalKey\\.${method} returned a promise; it must not be async`));
          }
        }
        await new Promise(setImmediate);
        assert.deepEqual(left, []);
      } finally {
        process.off('unhandledRejection', note);
      }
    });
  }
});
