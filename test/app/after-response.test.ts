import { strict as assert } from 'node:assert';
import { PassThrough } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import type { Context } from 'egg';
import type { SessionOptions } from '../..';
import type { Client } from '../support/app';
import { MapStore } from '../support/MapStore';
import { start, stop } from '../support/web';

type Task = (session: any, ctx: Context) => unknown;

const NEEDS_COOKIE = /session\.\w+\(\) has to set a cookie, and the response has begun: that is too late/;
const TOO_LATE = /a change of the session has to set a cookie, and the response has begun: that is too late/;
const LOST = /the session was saved when the request ended, and this change would be lost: call save\(\) before that, or session\.update\(\) here/;
const DONE = /^done$/;

/** What becomes of `task`: 'done', or the message of its error. */
const outcome = async (task: () => unknown) => {
  try {
    await task();
    return 'done';
  } catch (err) {
    return (err as Error).message;
  }
};

/** Answers with a stream, and runs `task` when the browser has the beginning of it. Resolves to what becomes of the task. */
async function whileStreaming(client: Client, task: Task): Promise<string> {
  const response = await client.run((session, ctx) => {
    const body = new PassThrough();
    body.write(' ');
    const run = async () => {
      while (!ctx.headerSent) await turn();
      body.end(JSON.stringify(await outcome(() => task(session, ctx))));
    };
    run();
    return body;
  });
  assert.deepEqual(response.setCookies, []);
  return response.json();
}

const n = async (client: Client) => (await client.run(session => ({ n: session.n ?? null }))).json().n;

const CALLS: Record<string, Task> = {
  'save()': session => session.save(),
  'ctx.session.save()': (_, ctx) => ctx.session.save(),
  'update()': session => session.update((data: any) => {
    data.n = 2;
  }),
  'destroy()': session => session.destroy(),
  'regenerate()': session => session.regenerate(),
  'a write': session => {
    session.n = 2;
  },
  delete: session => delete session.n,
  'pop()': session => session.pop('n'),
  'Object.assign()': session => Object.assign(session, { n: 2 }),
  'maxAge =': session => {
    session.maxAge = 5000;
  },
};

const start1 = async (session: SessionOptions) => {
  const started = await start(session);
  await started.run(session => {
    session.n = 1;
  });
  return started;
};

describe('after the response has begun', () => {
  afterEach(stop);

  describe('a session in a store', () => {
    const EXPECTED: Array<[ call: string, outcome: RegExp, n: number | null ]> = [
      [ 'save()', DONE, 1 ],
      [ 'ctx.session.save()', DONE, 1 ],
      [ 'update()', DONE, 2 ],
      [ 'destroy()', DONE, null ],
      [ 'regenerate()', NEEDS_COOKIE, 1 ],
      [ 'a write', LOST, 1 ],
      [ 'delete', LOST, 1 ],
      [ 'pop()', LOST, 1 ],
      [ 'Object.assign()', LOST, 1 ],
      [ 'maxAge =', LOST, 1 ],
    ];
    for (const [ call, expected, left ] of EXPECTED) {
      it(`${call}: ${expected.source.slice(0, 60)}`, async () => {
        const store = new MapStore();
        const { client } = await start1({ store });
        const [ id ] = store.entries.keys();
        assert.match(await whileStreaming(client, CALLS[call]), expected);
        assert.equal(await n(client), left);
        assert.deepEqual([ ...store.entries.keys() ], left === null ? [] : [ id ]);
      });
    }

    it('save() saves what was written through ctx.session, and inside a field', async () => {
      const { client } = await start1({ store: new MapStore() });
      await client.run(session => {
        session.cart = [ 'a' ];
      });
      assert.equal(await whileStreaming(client, async (session, ctx) => {
        ctx.session.n = 2;
        session.cart.push('b');
        await session.save();
      }), 'done');
      assert.deepEqual((await client.run(session => ({ ...session }))).json(), { n: 2, cart: [ 'a', 'b' ] });
    });

    it('can be read', async () => {
      const { client } = await start1({ store: new MapStore() });
      assert.equal(await whileStreaming(client, session => assert.deepEqual({ ...session }, { n: 1 })), 'done');
    });

    it('what was written before the stream began is stored', async () => {
      const { client } = await start1({ store: new MapStore() });
      await client.run(session => {
        session.n = 5;
        const body = new PassThrough();
        body.end('{}');
        return body;
      });
      assert.equal(await n(client), 5);
    });
  });

  for (const [ what, options ] of [
    [ 'a new session in a store', () => ({ store: new MapStore() }) ],
    [ 'a session in the cookie', () => ({}) ],
    [ 'a new session in the cookie', () => ({}) ],
  ] as Array<[ string, () => SessionOptions ]>) {
    const isNew = what.startsWith('a new');
    describe(what, () => {
      for (const call of Object.keys(CALLS)) {
        it(`${call} says that it is too late`, async () => {
          const given = options();
          const { client } = await (isNew ? start(given) : start1(given));
          const expected = !call.endsWith(')') || [ 'pop()', 'Object.assign()' ].includes(call) ? LOST
            : call === 'destroy()' && given.store ? DONE : NEEDS_COOKIE;
          assert.match(await whileStreaming(client, CALLS[call]), isNew && [ 'delete', 'pop()' ].includes(call) ? DONE : expected);
          assert.equal(await n(client), isNew ? null : 1);
          assert.equal((given.store as MapStore | undefined)?.entries.size ?? 0, 0);
        });
      }
    });
  }

  describe('autoCommit: false: manuallyCommit()', () => {
    const commit: Task = async session => {
      session.n = 2;
      await session.manuallyCommit();
    };
    const begin: Task = async session => {
      session.n = 1;
      await session.manuallyCommit();
    };

    it('saves a session in a store', async () => {
      const { client, run } = await start({ autoCommit: false, store: new MapStore() });
      await run(begin);
      assert.equal(await whileStreaming(client, commit), 'done');
      assert.equal(await n(client), 2);
    });

    it('says that it is too late for a new session in a store, and leaves no record', async () => {
      const store = new MapStore();
      const { client } = await start({ autoCommit: false, store });
      assert.match(await whileStreaming(client, commit), TOO_LATE);
      assert.equal(store.entries.size, 0);
    });

    it('says that it is too late for a session in the cookie', async () => {
      const { client, run } = await start({ autoCommit: false });
      await run(begin);
      assert.match(await whileStreaming(client, commit), TOO_LATE);
      assert.equal(await n(client), 1);
    });
  });

  describe('while the handler still runs', () => {
    /** Begins to answer, then goes on. */
    const flushed = (task: Task): Task => async (session, ctx) => {
      ctx.res.flushHeaders();
      await task(session, ctx);
      return { ok: true };
    };

    it('what is written to a session in a store is saved', async () => {
      const { client, run } = await start1({ store: new MapStore() });
      assert.deepEqual((await run(flushed(CALLS['a write']))).json(), { ok: true });
      assert.equal(await n(client), 2);
    });

    for (const [ what, isNew, options ] of [
      [ 'a new session in a store', true, () => ({ store: new MapStore() }) ],
      [ 'a session in the cookie', false, () => ({}) ],
    ] as Array<[ string, boolean, () => SessionOptions ]>) {
      it(`what is written to ${what} is an error in the log, and the response is whole`, async () => {
        const given = options();
        const { app, client, run } = await (isNew ? start(given) : start1(given));
        app.mockLog('coreLogger');
        assert.deepEqual((await run(flushed(CALLS['a write']))).json(), { ok: true });
        app.expectLog(TOO_LATE, 'coreLogger');
        assert.equal(await n(client), isNew ? null : 1);
        assert.equal((given.store as MapStore | undefined)?.entries.size ?? 0, 0);
      });
    }

    it('what is only to be renewed is no error', async () => {
      for (const more of [{ rolling: true }, { renew: true }]) {
        const { app, run } = await start1(more);
        app.mockLog('coreLogger');
        assert.deepEqual((await run(flushed(session => assert.equal(session.n, 1)))).json(), { ok: true });
        app.notExpectLog('the response has begun', 'coreLogger');
      }
    });

    it('ctx.session = null ends a session in a store, and is an error in the log for one in the cookie', async () => {
      const end = flushed((_, ctx) => {
        ctx.session = null;
      });
      const { client, run } = await start1({ store: new MapStore() });
      await run(end);
      assert.equal(await n(client), null);
      const inCookie = await start1({});
      inCookie.app.mockLog('coreLogger');
      assert.deepEqual((await inCookie.run(end)).json(), { ok: true });
      inCookie.app.expectLog(/has to set a cookie, and the response has begun/, 'coreLogger');
    });
  });
});

/** A store that answers when it is told to. */
class SlowStore extends MapStore {
  private gate?: Promise<void>;
  release!: () => void;

  hold() {
    this.gate = new Promise(resolve => {
      this.release = resolve;
    });
  }

  override async set(...args: Parameters<MapStore['set']>) {
    await this.gate;
    await super.set(...args);
  }

  override async destroy(key: string) {
    await this.gate;
    await super.destroy(key);
  }
}

describe('what a handler does not wait for', () => {
  afterEach(stop);

  for (const call of [ 'save', 'regenerate', 'destroy' ]) {
    it(`${call}(): the response waits for it`, async () => {
      const store = new SlowStore();
      const { client, run } = await start1({ store });
      store.hold();
      const { setCookies } = await run(session => {
        session[call]();
        setTimeout(store.release, 100);
        return { ok: true };
      });
      assert.equal(setCookies.length, 1);
      assert.equal(await n(client), call === 'destroy' ? null : 1);
      assert.equal(store.entries.size, call === 'destroy' ? 0 : 1);
    });
  }

  for (const [ call, begin ] of [[ 'regenerate', start1 ], [ 'regenerate', start ], [ 'save', start ]] as const) {
    it(`${call}(), when the response begins meanwhile: it says so`, async () => {
      const store = new SlowStore();
      const { run } = await begin({ store });
      const body = new PassThrough();
      let told!: Promise<string>;
      await run((session, ctx) => {
        const operate = async () => {
          while (!body.listenerCount('data')) await turn();
          store.hold();
          told = outcome(() => session[call]());
          await turn();
          body.end('{}');
          while (!ctx.headerSent) await turn();
          store.release();
        };
        operate();
        return body;
      });
      assert.match(await told, NEEDS_COOKIE);
    });
  }

  for (const [ what, options, isNew, expected ] of [
    [ 'in a store', () => ({ store: new MapStore() }), false, 'done' ],
    [ 'new, in a store', () => ({ store: new MapStore() }), true, NEEDS_COOKIE ],
    [ 'in the cookie', () => ({}), false, NEEDS_COOKIE ],
  ] as Array<[ string, () => SessionOptions, boolean, string | RegExp ]>) {
    it(`update() of a session ${what}, which is done after the response: ${expected}`, async () => {
      const { client, run } = await (isNew ? start(options()) : start1(options()));
      let open!: () => void;
      const gate = new Promise<void>(resolve => {
        open = resolve;
      });
      let told!: Promise<string>;
      await run(session => {
        told = outcome(() => session.update(async (data: any) => {
          await gate;
          data.n = 2;
        }));
        return { ok: true };
      });
      open();
      assert.match(await told, new RegExp(expected));
      assert.equal(await n(client), expected === 'done' ? 2 : isNew ? null : 1);
    });
  }
});

