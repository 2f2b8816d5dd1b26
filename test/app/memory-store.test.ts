import { strict as assert } from 'node:assert';
import mm from 'egg-mock';
import { until } from '../support/servers';
import { MemorySessionStore, type SessionRecord } from '../..';

const MINUTE = 60_000;

class Store extends MemorySessionStore {
  get size() {
    return this.records.size;
  }
}

async function all<T>(lists: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const each of lists) found.push(each);
  return found;
}

describe('MemorySessionStore alone', () => {
  afterEach(() => mm.restore());

  it('keeps no reference to what it is given, and gives none away', async () => {
    const store = new Store();
    const list = [ 1 ];
    const read = async () => {
      const { list, later, whole } = (await store.get('id'))!;
      return { list, later, whole };
    };
    const expected = { list: [ 1 ], later: [ 1 ], whole: [ 1 ] };
    await store.set('id', { list, _maxAge: MINUTE }, MINUTE);
    await store.merge('id', { set: { later: list }, unset: [], replace: false });
    const record: SessionRecord = { ...(await store.get('id'))!, whole: list };
    await store.compareAndSet('id', record, record, MINUTE);
    list.push(2);
    assert.deepEqual(await read(), expected);
    ((await store.get('id'))!.list as number[]).push(2);
    assert.deepEqual(await read(), expected);
    const taken = await store.retire('id', 'next', MINUTE);
    assert.ok(taken && 'list' in taken);
    await store.close();
  });

  it('looks for what has expired every 5 s, until it is closed', async () => {
    const timers: Array<{ ms: number; purge: () => void; timer: NodeJS.Timeout }> = [];
    const setReal = setInterval;
    mm(globalThis, 'setInterval', (purge: () => void, ms: number) => {
      const timer = setReal(purge, ms);
      timers.push({ ms, purge, timer });
      return timer;
    });
    const cleared: unknown[] = [];
    const clearReal = clearInterval;
    mm(globalThis, 'clearInterval', (timer: NodeJS.Timeout) => {
      cleared.push(timer);
      clearReal(timer);
    });

    const store = new Store();
    await store.set('short', {}, 1);
    await store.set('long', {}, MINUTE);
    const [{ ms, purge, timer }] = timers;
    assert.equal(ms, 5000);
    assert.equal(timers.length, 1);
    assert.equal(timer.hasRef(), false, 'it would keep the process alive');
    await until('the short one has expired', async () => {
      purge();
      return store.size === 1;
    });
    assert.ok(await store.get('long'));
    assert.deepEqual(cleared, []);
    await store.close();
    assert.deepEqual(cleared, [ timer ]);
  });

  it('its index of principals does not outgrow maxEntries', async () => {
    let purge!: () => void;
    const setReal = setInterval;
    mm(globalThis, 'setInterval', (callback: () => void, ms: number) => {
      purge = callback;
      return setReal(callback, ms);
    });
    const store = new class extends Store {
      protected override readonly maxEntries = 10;
    }();
    const principals = [ 'ann', 'bob' ];
    for (let i = 0; i < 100; i++) {
      await store.set(`key${i}`, {}, MINUTE);
      await store.index(principals[i < 50 ? 0 : 1], `key${i}`, MINUTE);
    }
    purge();
    const { length } = (await all(store.list('bob'))).flat();
    assert.equal(length, 10);
    assert.deepEqual((await all(store.list('ann'))).flat(), []);
    await store.close();
  });
});
