import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { mock } from 'node:test';
import vm from 'node:vm';
import { MemorySessionStore, type SessionOptions, type SessionRecord, testSessionStore } from '../..';
import { StoreAdapter } from '../../module/store/StoreAdapter';
import { StoreUnderTest } from '../../testing/StoreUnderTest';
import { type TestRunner, Tests } from '../../testing/TestRunner';
import { MapStore } from '../support/MapStore';
import { count, EMPTY, listen, read, start, stop } from '../support/web';

/** A store that returns and throws what it is told to. */
class OddStore extends MapStore {
  found?: () => unknown;
  fail: { [method: string]: ((key: string, ...args: any[]) => unknown) | undefined } = {};

  override get(key: string): Promise<SessionRecord | undefined> {
    if (this.fail.get) return this.fail.get(key) as never;
    if (this.found) return this.found() as never;
    return super.get(key);
  }

  override set(...args: Parameters<MapStore['set']>): Promise<void> {
    return (this.fail.set ? this.fail.set(...args) : super.set(...args)) as never;
  }

  override destroy(key: string): Promise<void> {
    return (this.fail.destroy ? this.fail.destroy(key) : super.destroy(key)) as never;
  }
}

const circular = () => {
  const record: SessionRecord = { n: 1 };
  record.self = record;
  return record;
};

class Odd {
  n = 1;
}

const begin = async () => {
  const store = new OddStore();
  const started = await start({ store });
  await started.run(session => {
    session.n = 1;
  });
  const [ id ] = store.entries.keys();
  return { ...started, store, id };
};

describe('a store that returns what is no record', () => {
  afterEach(stop);

  for (const [ what, value ] of [
    [ 'a list', [{ n: 1 }]],
    [ 'a Map', new Map([[ 'n', 1 ]]) ],
    [ 'a Set', new Set([ 1 ]) ],
    [ 'a Buffer', Buffer.from('{"n":1}') ],
    [ 'a text', '{"n":1}' ],
    [ 'an empty text', '' ],
    [ 'a number', 1 ],
    [ 'true', true ],
    [ 'false', false ],
    [ 'a function', () => ({ n: 1 }) ],
    [ 'a symbol', Symbol('n') ],
    [ 'an object of a class', new Odd() ],
    [ 'a Date', new Date() ],
    [ 'an Error', new Error('n') ],
    [ 'a Promise of a list', Promise.resolve([]) ],
  ] as Array<[ string, unknown ]>) {
    it(`${what}: a new session under another id, and one event`, async () => {
      const { app, run, store, id } = await begin();
      const { events, lines } = listen(app);
      store.found = () => value;
      const response = await run(read);
      assert.deepEqual(response.json(), EMPTY);
      assert.deepEqual(response.setCookies, []);
      assert.equal(events.length, 1);
      assert.equal(lines().length, 1);
      store.found = undefined;
      store.entries.delete(id);
      await run(session => {
        session.n = 7;
      });
      assert.deepEqual((await run(read)).json(), { n: 7, isNew: false });
      assert.equal(store.entries.has(id), false);
    });
  }

  for (const [ what, record ] of [
    [ 'frozen', () => Object.freeze({ n: 1 }) ],
    [ 'without a prototype', () => Object.assign(Object.create(null), { n: 1 }) ],
    [ 'of another realm', () => vm.runInNewContext('({ n: 1 })') ],
    [ 'with a Date', () => ({ n: 1, date: new Date(0) }) ],
    [ 'with undefined', () => ({ n: 1, nothing: undefined }) ],
  ] as Array<[ string, () => SessionRecord ]>) {
    it(`a record ${what} is one, and no change of it`, async () => {
      const { run, store } = await begin();
      store.found = record;
      let writes = 0;
      store.fail.set = () => {
        writes++;
      };
      assert.deepEqual((await run(read)).json(), { n: 1, isNew: false });
      assert.equal(writes, 0);
      await run(session => {
        session.n = 2;
      });
      await run(session => session.update((data: any) => {
        data.n++;
      }));
      assert.equal(writes, 2);
    });
  }

  for (const [ what, found, field ] of [
    [ 'a circle', circular, 'self' ],
    [ 'a BigInt', () => ({ n: 1, big: 1n }), 'big' ],
  ] as Array<[ string, () => unknown, string ]>) {
    it(`a record with ${what}: the error names the field`, async () => {
      const { client, store } = await begin();
      store.found = found;
      const { status, text } = await client.tryRun(read);
      assert.equal(status, 500);
      assert.match(text, new RegExp(`session\\.${field} can't be stored`));
    });
  }
});

describe('a store that throws', () => {
  afterEach(stop);

  const foreign = () => vm.runInNewContext('Object.assign(new Error("from elsewhere"), { code: "EELSEWHERE" })');
  const THROWN: Array<[ what: string, make: () => unknown, message: RegExp ]> = [
    [ 'undefined', () => undefined, /the session store failed with undefined instead of an Error/ ],
    [ 'null', () => null, /the session store failed with null instead of an Error/ ],
    [ 'a text', () => 'oh no', /the session store failed with a string instead of an Error/ ],
    [ 'an object', () => ({ secret: 'oh no' }), /the session store failed with an object instead of an Error/ ],
    [ 'an Error', () => new Error('as it says'), /as it says/ ],
    [ 'a frozen Error', () => Object.freeze(new TypeError('as it says')), /as it says/ ],
    [ 'an Error without a stack', () => Object.assign(new Error('as it says'), { stack: undefined }), /as it says/ ],
    [ 'an Error of another realm', foreign, /from elsewhere/ ],
    [ 'an Error whose stack is a list', () => Object.assign(new Error('as it says'), { stack: [] }), /as it says/ ],
    [ 'an Error whose name is a symbol', () => Object.assign(new Error('oh no'), { name: Symbol('name') }), /an error that can't be read/ ],
    [ 'an Error that can\'t be read', () => Object.defineProperty(new Error(), 'message', { get: () => assert.fail('oh no') }),
      /an error that can't be read/ ],
  ];
  for (const [ what, make, message ] of THROWN) {
    for (const [ how, fail ] of [
      [ 'rejects with', async () => {
        throw make();
      } ],
      [ 'throws at once', () => {
        throw make();
      } ],
    ] as Array<[ string, () => unknown ]>) {
      for (const method of [ 'get', 'set' ]) {
        it(`${how} ${what} at ${method}: the request fails with an error that says so`, async () => {
          const { app, client, store } = await begin();
          app.mockLog('coreLogger');
          store.fail[method] = fail;
          const { status, text, setCookies } = await client.tryRun(session => {
            session.n = 2;
          });
          assert.equal(status, 503);
          assert.match(text, message);
          assert.doesNotMatch(text, /oh no/);
          assert.deepEqual(setCookies, []);
          store.fail = {};
          assert.deepEqual((await client.run(read)).json(), { n: 1, isNew: false });
        });
      }
    }
  }

  it('keeps name and code of the error as its cause, and nothing else, and has its place in the stack', async () => {
    const { run, store, id } = await begin();
    store.fail.set = async key => {
      throw Object.assign(new RangeError(`no room for ${key}`), { code: 'EROOM', args: [ key ], cause: key });
    };
    const response = await run(async session => {
      const err = await session.save().catch((reason: unknown) => reason);
      assert.deepEqual([ err.name, err.code ], [ 'RangeError', 'ERR_SESSION_STORE' ]);
      assert.deepEqual(Object.keys(err).sort(), [ 'code', 'headers', 'name', 'status' ]);
      assert.deepEqual({ ...err.cause }, { name: 'RangeError', code: 'EROOM' });
      assert.equal(err.cause.message, err.message);
      assert.match(err.message, /^no room for [\w-]{8}$/);
      assert.match(err.stack, /^RangeError: no room for .*\n {4}at .*odd-stores\.test\.ts/);
      store.fail = {};
      return { message: err.message };
    });
    assert.ok(!response.text.includes(id));
  });

  it('shows neither the old id nor the new one when a session can\'t be moved', async () => {
    const { run, store, id } = await begin();
    const fields = { retire: async (key: string, successor: string) => {
      throw new Error(`can't move ${key} to ${successor}`);
    } };
    Object.assign(store, fields);
    let message = '';
    await run(async session => {
      ({ message } = await session.regenerate().catch((reason: unknown) => reason));
    });
    assert.match(message, /^can't move [\w-]{8} to [\w-]{8}$/);
    assert.ok(!message.includes(id));
    assert.deepEqual((await run(read)).json(), { n: 1, isNew: false });
  });
});

describe('an error of the handler\'s', () => {
  afterEach(stop);

  for (const [ what, fail ] of [
    [ 'the store', (store: OddStore) => {
      store.fail.set = async (key, record) => {
        throw Object.assign(new Error(`the disk is full, at ${key}`), { record });
      };
    } ],
    [ 'the store, with undefined', (store: OddStore) => {
      store.fail.set = async () => {
        throw undefined; // eslint-disable-line no-throw-literal
      };
    } ],
    [ 'a field that can\'t be stored', () => undefined ],
  ] as Array<[ string, (store: OddStore) => void ]>) {
    it(`wins over one of the commit that follows, which is logged: ${what}`, async () => {
      const { app, client, store, id } = await begin();
      app.mockLog('coreLogger');
      fail(store);
      const { status, text } = await client.tryRun((session, ctx) => {
        session.data = what.startsWith('a field') ? { secret: 1n } : 'a secret';
        ctx.throw(403, 'not for you');
      });
      assert.equal(status, 403);
      assert.match(text, /not for you/);
      app.expectLog(/the disk is full|failed with undefined|session\.data\S* can't be stored/, 'coreLogger');
      for (const secret of [ id, 'a secret' ]) app.notExpectLog(secret, 'coreLogger');
      store.fail = {};
      assert.deepEqual((await client.run(read)).json(), { n: 1, isNew: false });
    });
  }

  it('saves the session all the same when that works', async () => {
    const { client, run } = await begin();
    const { status } = await client.tryRun((session, ctx) => {
      session.n = 5;
      ctx.throw(403);
    });
    assert.equal(status, 403);
    assert.deepEqual((await run(read)).json(), { n: 5, isNew: false });
  });
});

describe('a store that lies', () => {
  afterEach(stop);

  it('with a record that can\'t be looked at: a 503', async () => {
    const { client, store } = await begin();
    store.found = () => new Proxy({}, {
      get: () => undefined,
      getPrototypeOf: () => {
        throw new Error('not for you');
      },
    });
    assert.equal((await client.tryRun(read)).status, 503);
  });

  it('with a record that no log line can print: the session starts anew, and the process goes on', async () => {
    const store = new MapStore();
    store.get = async () => ({ _expire: 1, n: 1n });
    const { app, run } = await start({ store });
    app.mockLog('coreLogger'); // the file may be written later
    await run(count);
    const told = once(app as never, 'session:expired');
    assert.deepEqual((await run(read)).json(), { n: null, isNew: true });
    await told;
    app.expectLog('[session][expired]', 'coreLogger');
  });

  it('with a tombstone that leads back to itself: destroy() comes to an end', async () => {
    const store = new class extends MemorySessionStore {
      override async retire(key: string) {
        return { _successor: key };
      }
    }();
    const { run } = await start({ store });
    await run(count);
    await run(session => session.destroy());
  });

  it('that answers after a write was given up: nothing is written any more', async () => {
    const store = new MapStore();
    const complete = new StoreAdapter(store);
    await store.set('id', { n: 1 }, 60_000);
    const { get } = store;
    let answer!: () => void;
    store.get = async key => {
      await new Promise<void>(resolve => {
        answer = resolve;
      });
      return await get.call(store, key);
    };
    const clock = mock.timers;
    clock.enable({ apis: [ 'setTimeout' ] });
    const merging = complete.merge('id', { set: { n: 2 }, unset: [], replace: false }, {} as never);
    await new Promise(setImmediate);
    clock.tick(10_000);
    await assert.rejects(merging, /took longer than 10 s/);
    clock.reset();
    answer();
    await new Promise(setImmediate);
    assert.equal(store.records.get('id')!.n, 1);
  });
});

describe('a hook of config.session that returns a promise', () => {
  afterEach(stop);
  for (const [ name, session ] of Object.entries({
    valid: { valid: () => Promise.resolve(false) },
    beforeSave: { beforeSave: () => Promise.resolve() },
  } as unknown as Record<string, SessionOptions>)) {
    it(`${name}: fails the request, as its answer would come too late`, async () => {
      const { client } = await start({ store: new MapStore(), ...session });
      await client.tryRun(count);
      const { status, text } = await client.tryRun(count);
      assert.equal(status, 500);
      assert.match(text, new RegExp(`config\\.session\\.${name} returned a promise; it must not be async`));
    });
  }
});

describe('a store that does not answer', () => {
  afterEach(stop);

  const never = () => new Promise<never>(() => undefined);
  /** As promises of libraries and query builders are. */
  const neverThen = () => ({ then: () => undefined });
  for (const [ method, call, what ] of [
    [ 'get', never, '' ], [ 'set', never, '' ], [ 'destroy', never, '' ],
    ...[ 'get', 'set', 'destroy' ].map(each => [ each, neverThen, ', with a promise that is not JavaScript\'s own' ] as const),
  ] as const) {
    it(`never at ${method}${what}: the answer is a 503 that says how long it waited, and the cookie is left alone`, async () => {
      const store = new OddStore();
      const { client, run } = await start({ store, storeTimeout: 100 });
      await run(count);
      store.fail[method] = call;
      const response = await client.tryRun(async session => {
        if (method === 'destroy') await session.destroy();
        session.n = 2;
      });
      assert.equal(response.status, 503);
      assert.match(response.text, /has not answered for 100 ms \(config\.session\.storeTimeout\)/);
      assert.deepEqual(response.setCookies, []);
      store.fail = {};
      assert.deepEqual((await run(read)).json(), { n: 1, isNew: false });
    });
  }

  for (const [ how, settle ] of [
    [ 'with a record', (resolve: (record: object) => void) => resolve({ n: 7 }) ],
    [ 'with an error', (_: unknown, reject: (err: Error) => void) => reject(new Error('too late')) ],
  ] as const) {
    it(`in time, but too late ${how}: nothing comes of it`, async () => {
      const store = new OddStore();
      const { app, client, run } = await start({ store, storeTimeout: 100 });
      await run(count);
      let answer!: () => void;
      store.fail.get = () => new Promise((resolve, reject) => {
        answer = () => settle(resolve, reject);
      });
      let handled = 0;
      const unhandled: unknown[] = [];
      const note = (err: unknown) => unhandled.push(err);
      process.on('unhandledRejection', note);
      try {
        assert.equal((await client.tryRun(() => ({ handled: ++handled }))).status, 503);
        app.mockLog('coreLogger');
        answer();
        await new Promise(resolve => {
          setImmediate(resolve);
        });
        assert.equal(handled, 0);
        assert.deepEqual(unhandled, []);
        app.notExpectLog('too late', 'coreLogger');
      } finally {
        process.off('unhandledRejection', note);
      }
      store.fail = {};
      assert.deepEqual((await run(read)).json(), { n: 1, isNew: false });
    });
  }
});

describe('while the store fails', () => {
  afterEach(stop);

  it('the end of an expired session is not logged besides the cause', async () => {
    const store = new class extends MemorySessionStore {}();
    const { app, run } = await start({ store });
    await run(count);
    app.mockLog('coreLogger');
    Object.assign(store, { get: async () => ({ n: 1, _expire: 1 }), merge: async () => Promise.reject(new Error('the disk is full')) });
    for (let i = 0; i < 3; i++) await run(read);
    const { _mockLogs: lines } = app.getLogger('coreLogger') as unknown as { _mockLogs: string[] };
    assert.equal(lines.filter(line => line.includes('the disk is full')).length, 1);
  });
});

it('testSessionStore says so when there is no test runner, or not all of one', () => {
  const message = (missing: string) => `[egg-tegg-session] testSessionStore has ${missing}: run the file with mocha or jest, or give it the ` +
    'functions of another test runner, as { runner } with import * as runner from \'vitest\' or \'node:test\'';
  const { describe, it, beforeEach } = globalThis;
  const test = (runner: object) => testSessionStore('a store', () => new OddStore(), { runner: runner as TestRunner });
  assert.throws(() => test({}), { name: 'TypeError', message: message('no describe, no it, no before, no after') });
  assert.throws(() => test({ describe, it, beforeAll: beforeEach }), { message: message('no after') });
});

describe('testSessionStore, of a store whose get() gives the text that it has kept', () => {
  it('says so', async () => {
    const subject = new StoreUnderTest(new Tests(undefined, 1000));
    subject.store = Object.assign(new OddStore(), { found: async () => '{"n":1}' });
    await assert.rejects(subject.read('key'), /^AssertionError.*: get\(\) returned a string, and not the object that set\(\) was given\. If it is a text, parse it$/);
  });
});
