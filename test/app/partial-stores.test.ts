import { strict as assert } from 'node:assert';
import { MapStore } from '../support/MapStore';
import { forEachStore, type Method, type Subject } from '../support/concurrent';
import { applyChanges, lifetimeOf } from '../../module/record/SessionRecord';
import type { SessionChanges, SessionMaxAge, SessionRecord } from '../..';

const KEEP = 3600_000;

class Merging extends MapStore {
  override async merge(key: string, changes: SessionChanges): Promise<SessionMaxAge | false> {
    const record = await this.get(key);
    if (!record || '_successor' in record) return false;
    const merged = applyChanges(record, changes);
    await super.set(key, merged, KEEP);
    return lifetimeOf(merged);
  }
}

class Retiring extends MapStore {
  override async retire(key: string, successor: string | null): Promise<SessionRecord | undefined> {
    const record = await this.get(key);
    if (record && !('_successor' in record)) await super.set(key, { _successor: successor }, KEEP);
    return record;
  }
}

class Comparing extends MapStore {
  override async compareAndSet(key: string, expected: SessionRecord, record: SessionRecord): Promise<boolean> {
    if (JSON.stringify(await this.get(key)) !== JSON.stringify(expected)) return false;
    await super.set(key, record, KEEP);
    return true;
  }
}

class MergingAndRetiring extends Merging {
  override retire = Retiring.prototype.retire;
}

class MergingAndComparing extends Merging {
  override compareAndSet = Comparing.prototype.compareAndSet;
}

class RetiringAndComparing extends Retiring {
  override compareAndSet = Comparing.prototype.compareAndSet;
}

const subject = (create: () => MapStore): Subject => {
  const store = create();
  return { name: store.constructor.name, atomic: false, open: () => ({ store, ttl: () => KEEP, close: () => store.close() }) };
};

forEachStore('among the requests of a process, a store with some of the optional methods', site => {
  const { slow, stored } = site;
  const add = (data: any) => {
    data.n = (data.n ?? 0) + 1;
  };

  /** Lets `first` get as far as its write to the store, and `second` try to be done before that. */
  async function overlap(first: () => Promise<unknown>, second: () => Promise<unknown>, method: Method = 'set') {
    const writing = site.hold(method);
    const firstDone = first();
    await Promise.race([ writing.reached, firstDone ]); // a method of its own is one step
    const secondDone = second();
    for (let i = 0; i < 50; i++) await new Promise(resolve => setImmediate(resolve));
    writing.go();
    await Promise.all([ firstDone, secondDone ]);
  }

  it('loses no write while it updates', async () => {
    const writer = await slow(session => {
      session.m = 1;
    });
    await overlap(() => site.client.copy().run(session => session.update(add)), writer.finish);
    assert.deepEqual(await stored(), { userId: 1, cart: [ 'a' ], n: 1, m: 1 });
  });

  it('loses no update while it writes', async () => {
    const writer = await slow(session => {
      session.m = 1;
    });
    await overlap(writer.finish, () => site.client.copy().run(session => session.update(add)));
    assert.deepEqual(await stored(), { userId: 1, cart: [ 'a' ], n: 1, m: 1 });
  });

  it('loses no write while it moves', async () => {
    const mover = await slow(session => session.regenerate());
    const writer = await slow(session => {
      session.m = 1;
    });
    // where the record is read and then destroyed, that is one turn: the write comes before it, or finds nothing
    let written!: { setCookies: string[] };
    await overlap(mover.finish, async () => {
      written = await writer.finish();
    }, 'retire');
    const { m } = (await mover.client.run(session => session.toJSON())).json();
    assert.equal(m ?? null, written.setCookies.length > 0 ? 1 : null);
  });

  it('brings no session back that ends while it writes', async () => {
    for (const work of [ (session: any) => session.update(add), (session: any) => {
      session.n = 1;
    } ]) {
      const writer = await slow(work);
      const signOut = await slow(session => session.destroy());
      await overlap(writer.finish, signOut.finish);
      assert.equal(await stored(), undefined);
      await site.client.close();
      await site.signIn();
    }
  });
}, {}, [ Merging, Retiring, Comparing, MergingAndRetiring, MergingAndComparing, RetiringAndComparing ]
  .map(Store => subject(() => new Store())));
