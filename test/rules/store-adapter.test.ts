import { strict as assert } from 'node:assert';
import mm from 'egg-mock';
import type { SessionRecord, SessionStoreOptions } from '../..';
import { StoreAdapter } from '../../module/store/StoreAdapter';
import { gate, holdTimers } from '../support/concurrent';
import { MapStore } from '../support/MapStore';

const NOW = 1_764_000_000_000;
const optionsOf = (listeners = 0) => ({ ctx: { app: { listenerCount: () => listeners } } }) as unknown as SessionStoreOptions;
const OPTIONS = optionsOf();

describe('a store of three methods', () => {
  beforeEach(() => mm(Date, 'now', () => NOW));
  afterEach(() => mm.restore());

  it('keeps a session for 10 s after it has expired, as under koa-session', async () => {
    const store = new MapStore();
    await new StoreAdapter(store).set('key', { n: 1 }, 60_000, OPTIONS);
    assert.equal(store.entries.get('key')!.expires, NOW + 70_000);
    assert.deepEqual(store.records.get('key'), { n: 1, _maxAge: 60_000, _expire: NOW + 60_000 });
  });

  it('is asked what a session was, before it ends, where somebody wants to be told', async () => {
    const store = new MapStore();
    const adapter = new StoreAdapter(store);
    for (const listeners of [ 0, 1 ]) {
      await adapter.set('key', { n: 1 }, 60_000, OPTIONS);
      const left = await adapter.retire('key', null, 1000, optionsOf(listeners));
      assert.equal(left && (left as SessionRecord).n, listeners ? 1 : undefined);
      assert.equal(store.entries.size, 0);
    }
  });

  it('has no change when a session was let live on: update() need not run again', async () => {
    const store = new MapStore();
    const adapter = new StoreAdapter(store);
    await adapter.set('key', { n: 1 }, 60_000, OPTIONS);
    const seen = store.records.get('key')!;
    mm(Date, 'now', () => NOW + 1000);
    await adapter.touch('key', OPTIONS);
    assert.notEqual(store.records.get('key')!._expire, seen._expire);
    assert.equal(await adapter.compareAndSet('key', seen, { n: 2 }, 60_000, OPTIONS), true);
    assert.equal(await adapter.compareAndSet('key', seen, { n: 3 }, 60_000, OPTIONS), false);
    assert.equal(store.records.get('key')!.n, 2);
  });

  const LATE: Record<string, (adapter: StoreAdapter, seen: SessionRecord) => Promise<unknown>> = {
    'a write': adapter => adapter.merge('key', { set: { n: 2 }, unset: [], replace: false }, OPTIONS),
    'an update()': (adapter, seen) => adapter.compareAndSet('key', seen, { n: 2 }, 60_000, OPTIONS),
  };
  for (const [ what, write ] of Object.entries(LATE)) {
    it(`is not written to by ${what} that was given up`, async () => {
      const store = new MapStore();
      const adapter = new StoreAdapter(store);
      await adapter.set('key', { n: 1 }, 60_000, OPTIONS);
      const seen = store.records.get('key')!;
      const [ reading, goOn ] = [ gate(), gate() ];
      const { get } = store;
      mm(store, 'get', async (key: string) => {
        reading.open();
        await goOn.opened;
        return await get.call(store, key);
      });
      const { result, timers } = holdTimers(() => write(adapter, seen));
      await reading.opened;
      timers[0].fire();
      await assert.rejects(result, /took longer than 10 s/);
      goOn.open();
      await new Promise(setImmediate);
      assert.equal(store.records.get('key')!.n, 1);
    });
  }
});

describe('a store with some of the optional methods', () => {
  /** Changes a field in one step, but has nothing else that does. */
  class Merging extends MapStore {
    override async merge(key: string, { set }: { set: SessionRecord }) {
      const record = await this.get(key);
      if (!record) return false;
      await this.set(key, { ...record, ...set }, 60_000);
      return 60_000;
    }
  }

  it('has what it lacks made up for by writes that wait for one another', async () => {
    const store = new Merging();
    const adapter = new StoreAdapter(store);
    await adapter.set('key', { n: 1 }, 60_000, OPTIONS);
    const seen = store.records.get('key')!;
    const [ reading, goOn ] = [ gate(), gate() ];
    const { get } = store;
    let reads = 0;
    mm(store, 'get', async (key: string) => {
      const record = await get.call(store, key);
      if (++reads === 1) {
        reading.open();
        await goOn.opened;
      }
      return record;
    });
    const update = adapter.compareAndSet('key', seen, { ...seen, n: 2 }, 60_000, OPTIONS);
    await reading.opened;
    const merge = adapter.merge('key', { set: { other: 1 }, unset: [], replace: false }, OPTIONS);
    await new Promise(setImmediate);
    goOn.open();
    await Promise.all([ update, merge ]);
    mm.restore();
    const { n, other } = store.records.get('key')!;
    assert.deepEqual({ n, other }, { n: 2, other: 1 });
  });

  it('counts none of another object, which may be anything', () => {
    const { get, set, destroy } = new MapStore();
    const adapter = new StoreAdapter({ get, set, destroy, touch: () => undefined } as never);
    assert.deepEqual([ adapter.keepsExpiry, adapter.renewsOnRead, adapter.isIndexed ], [ false, false, false ]);
  });
});
