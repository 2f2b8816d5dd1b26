import { strict as assert } from 'node:assert';
import type { Context } from 'egg';
import mm from 'egg-mock';
import { MemorySessionStore, type SessionMaxAge, type SessionOptions, type SessionRecord, type SessionStoreOptions } from '../..';
import { resolveConfig } from '../../module/options/SessionConfig';
import { ChangeTracker } from '../../module/record/ChangeTracker';
import type { ContextSession } from '../../module/record/SessionData';
import { dataOf, lifetimeOf } from '../../module/record/SessionRecord';
import { Snapshot } from '../../module/record/Snapshot';
import { RecordMeta } from '../../module/repository/RecordMeta';
import { StoredSession } from '../../module/repository/StoredSession';
import { ChangeClock } from '../../module/store/ChangeClock';
import { Deadlines } from '../../module/store/Deadlines';
import { GuardedStore } from '../../module/store/GuardedStore';
import { StoreAdapter } from '../../module/store/StoreAdapter';
import { StoreHealth } from '../../module/store/StoreHealth';

const LOGGER = { error() { /* not looked at */ }, warn() { /* not looked at */ }, info() { /* not looked at */ } };
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** A store in memory, and the requests that work on one session of it. */
class Site {
  readonly memory = new class extends MemorySessionStore {}();
  readonly clock = new ChangeClock();
  readonly store: GuardedStore;
  private readonly config;
  private ids = 0;

  constructor(options: SessionOptions = {}) {
    this.config = resolveConfig({ principal: 'userId', ...options });
    this.store = new GuardedStore(new StoreAdapter(this.memory), new StoreHealth(LOGGER as never, MINUTE), new Deadlines(MINUTE), this.clock, true);
  }

  /** The session of a request that is new, or has read the record of an id. */
  async request(id?: string) {
    const ctx = {
      app: { listenerCount: () => 0 }, coreLogger: LOGGER, ip: '', get: () => '', sessionOptions: { genid: () => `id ${++this.ids}` },
    } as unknown as Context;
    const meta = new RecordMeta(ctx, this.config, true);
    const stored = new StoredSession(ctx, this.store, meta);
    const record: SessionRecord = id === undefined ? {} : (await this.record(id))!;
    if (id !== undefined) {
      stored.id = id;
      stored.maxAge = lifetimeOf(record);
      meta.load(record);
    }
    const data = dataOf(record);
    const session = { ...data } as ContextSession;
    const tracker = new ChangeTracker(session, Snapshot.of(data), data);
    const save = (chosen?: SessionMaxAge) => stored.save(tracker, tracker.now(), chosen);
    const move = (chosen?: SessionMaxAge) => stored.move(stored.newId(), tracker.now(), chosen);
    return { stored, meta, session, tracker, save, move };
  }

  /** A session that is there, and a request that has read it. */
  async signedIn(data: SessionRecord = { userId: 7 }, maxAge: SessionMaxAge = HOUR) {
    const { stored } = await this.request();
    await stored.create(Snapshot.of(data), maxAge);
    return { id: stored.id, ...await this.request(stored.id) };
  }

  readonly record = async (id: string) => await this.memory.get(this.store.keyOf(id));

  /** The sessions that are alive, and those that the index has for a principal. */
  async alive(): Promise<SessionRecord[]> {
    const all: SessionRecord[] = [];
    for await (const keys of this.memory.list()) for (const key of keys) all.push((await this.memory.get(key))!);
    return all.filter(record => !('_successor' in record)).map(dataOf);
  }

  async indexed(principal: string): Promise<string[]> {
    const all: string[] = [];
    for await (const keys of this.memory.list(principal)) all.push(...keys);
    return all;
  }

  readonly keys = (...ids: string[]) => ids.map(id => this.store.keyOf(id));

  /** Has the next call of a method of the store's fail. */
  fail(method: 'index' | 'retire' | 'set', err = Object.assign(new Error('ERR no'), { name: 'ReplyError' })) {
    this.before(method, () => {
      throw err;
    });
  }

  /** Runs something before the next call of a method of the store's. */
  before(method: 'index' | 'retire' | 'set' | 'merge', run: () => unknown) {
    const store = this.memory as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
    const real = store[method];
    mm(store, method, async (...args: unknown[]) => {
      delete store[method];
      await run();
      return await real.apply(store, args);
    });
  }
}

const OPTIONS = {} as SessionStoreOptions;

describe('a session in a store', () => {
  afterEach(() => mm.restore());

  describe('when it signs in', () => {
    it('is in the index before it is there, and not there when that fails', async () => {
      const site = new Site();
      const { stored } = await site.request();
      site.fail('index');
      await assert.rejects(stored.create(Snapshot.of({ userId: 7 }), HOUR), /ERR no/);
      assert.deepEqual(await site.alive(), []);
    });

    it('is in the index, though somebody has looked before it was there, and has taken it off', async () => {
      const site = new Site();
      const { stored } = await site.request();
      site.before('set', async () => {
        const [ key ] = await site.indexed('7');
        await site.memory.index('7', key, 0);
      });
      await stored.create(Snapshot.of({ userId: 7 }), HOUR);
      assert.deepEqual(await site.indexed('7'), site.keys(stored.id));
    });

    it('is in no index as one of whom it was before', async () => {
      const site = new Site();
      const { id, session, save } = await site.signedIn();
      session.userId = 8;
      assert.equal(await save(), true);
      assert.deepEqual([ await site.indexed('7'), await site.indexed('8') ], [[], site.keys(id) ]);
    });

    it('stays in the index when it has signed out, and another request in again meanwhile', async () => {
      const site = new Site();
      const { id, session, save } = await site.signedIn();
      delete session.userId;
      // the other one has read the record as it was, and finds its index in order
      site.before('index', () => site.memory.merge(site.store.keyOf(id), { set: { userId: 7, _principal: '7' }, unset: [], replace: false }, OPTIONS));
      await save();
      assert.deepEqual(await site.indexed('7'), site.keys(id));
    });

    it('is in the index when another request has signed out meanwhile, and has taken it off', async () => {
      const site = new Site();
      const { id, session, save } = await site.signedIn({ n: 1 });
      session.userId = 7;
      site.before('merge', () => site.memory.index('7', site.store.keyOf(id), 0));
      await save();
      assert.deepEqual(await site.indexed('7'), site.keys(id));
    });
  });

  describe('that has ended', () => {
    it('is told by a write, which brings nothing back', async () => {
      const site = new Site();
      const { id, session, save } = await site.signedIn();
      await site.memory.retire(site.store.keyOf(id), null, MINUTE);
      session.userId = 8;
      assert.equal(await save(), false);
      assert.deepEqual(await site.alive(), []);
    });

    it('does not move', async () => {
      const site = new Site();
      const { id, move } = await site.signedIn();
      await site.memory.retire(site.store.keyOf(id), null, MINUTE);
      assert.equal(await move(), undefined);
      assert.deepEqual(await site.alive(), []);
      assert.deepEqual(await site.indexed('7'), site.keys(id), 'as it was before');
    });

    it('does not move when absoluteMaxAge has ended it', async () => {
      const site = new Site({ absoluteMaxAge: HOUR });
      const { move, id } = await site.signedIn({ userId: 7 }, 9 * HOUR);
      const { _createdAt } = (await site.record(id))!;
      mm(site.memory, 'retire', async () => ({ ...await site.record(id), _createdAt: Number(_createdAt) - HOUR }));
      assert.equal(await move(), undefined);
    });
  });

  describe('when it moves', () => {
    it('leaves nothing of the old id but a tombstone', async () => {
      const site = new Site();
      const { id, stored, move } = await site.signedIn({ userId: 7, n: 1 });
      await move();
      assert.notEqual(stored.id, id);
      assert.deepEqual(await site.record(id), { _successor: site.store.keyOf(stored.id) });
      assert.deepEqual(await site.alive(), [{ userId: 7, n: 1 }]);
      assert.deepEqual(await site.indexed('7'), site.keys(stored.id));
    });

    it('leaves nothing of the new id when that fails', async () => {
      const site = new Site();
      const { id, stored, move } = await site.signedIn();
      site.fail('retire');
      await assert.rejects(move(), /ERR no/);
      assert.equal(stored.id, id);
      assert.deepEqual(await site.alive(), [{ userId: 7 }]);
      assert.deepEqual(await site.indexed('7'), site.keys(id));
    });

    it('has the lifetime that the request has chosen', async () => {
      const site = new Site();
      const { stored, move } = await site.signedIn();
      await move(2 * HOUR);
      assert.equal((await site.record(stored.id))!._maxAge, 2 * HOUR);
    });
  });

  describe('may be sent without asking the store', () => {
    const MOMENT = 500;
    it('for half a second after its word', async () => {
      const site = new Site();
      let now = 1_000_000;
      mm(performance, 'now', () => now);
      const { stored } = await site.signedIn();
      assert.equal(stored.isFresh(), false, 'it was read some time ago');
      await stored.latest();
      assert.equal(stored.isFresh(), true);
      now += MOMENT - 1;
      assert.equal(stored.isFresh(), true);
      now++;
      assert.equal(stored.isFresh(), false);
    });

    it('unless a request of this process has ended it since', async () => {
      const site = new Site();
      const { id, stored } = await site.signedIn();
      await stored.latest();
      site.clock.tick(site.store.keyOf(id));
      assert.equal(stored.isFresh(), false);
    });

    it('unless one has ended it while the store was answering', async () => {
      const site = new Site();
      const { id, stored } = await site.signedIn();
      const latest = stored.latest();
      site.clock.tick(site.store.keyOf(id));
      await latest;
      assert.equal(stored.isFresh(), false);
    });

    it('unless the request has waited for something else since', async () => {
      const { stored } = await new Site().signedIn();
      await stored.latest();
      stored.markStale();
      assert.equal(stored.isFresh(), false);
    });

    it('when the request has made its id: nobody else knows it', async () => {
      const { stored } = await new Site().request();
      await stored.create(Snapshot.of({ n: 1 }), HOUR);
      stored.markStale();
      assert.equal(stored.isFresh(), true);
    });
  });

  it('lives on, and no more, at a write that changes nothing', async () => {
    const site = new Site();
    const { id, save } = await site.signedIn({ n: 1 });
    mm(Date, 'now', () => 2_000_000_000_000);
    site.before('merge', () => assert.fail('a touch is enough'));
    await site.memory.set(site.store.keyOf(id), (await site.record(id))!, HOUR);
    assert.equal(await save(), true);
    assert.equal((await site.record(id))!._expire, 2_000_000_000_000 + HOUR);
  });
});
