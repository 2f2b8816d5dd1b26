import { strict as assert } from 'node:assert';
import mm from 'egg-mock';
import Keyv from 'keyv';
import {
  KeyvSessionStore, type SessionChanges, type SessionMaxAge, type SessionOptions, type SessionRecord, type SessionStoreOptions,
} from '../..';
import { applyChanges, lifetimeOf } from '../../module/record/SessionRecord';
import { later } from '../support/app';
import { forEachStore, redis, type Site, type Subject, SUBJECTS } from '../support/concurrent';
import { IndexedSite, REDIS } from '../support/indexed';
import { MapStore } from '../support/MapStore';
import { redisOfSuite, TestRedisStore } from '../support/redis';
import { until } from '../support/servers';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** How long a session may last in all. */
const LIMIT = 8 * HOUR;
const OPTIONS: SessionOptions = { absoluteMaxAge: LIMIT, maxAge: 104 * DAY };
/** For how much longer, in ms, a store of three methods is told to keep a record. */
const GRACE = 10 * SECOND;

const KEYV: Subject = {
  name: 'KeyvSessionStore',
  atomic: false,
  open() {
    const kept = new Map<string, string>();
    const store = new class extends KeyvSessionStore {
      protected readonly keyv = new Keyv({ store: kept });
    }();
    const ttl = (key: string) => {
      const [ , json ] = [ ...kept ].find(([ name ]) => name.endsWith(key)) ?? [];
      return json ? JSON.parse(json).expires - Date.now() : 0;
    };
    return { store, ttl, close: () => store.close() };
  },
};

type Work = (session: any, ctx: any, site: Site) => unknown;

/** What a request does to a session. Each lets it live on. */
const WRITES: Record<string, Work> = {
  'a plain write': session => void (session.n = 1),
  'ctx.session = { … }': (_, ctx) => void (ctx.session = { n: 1 }),
  'save()': session => session.save(),
  'save() and a write': async session => {
    session.n = 1;
    await session.save();
    session.n = 2;
  },
  'update()': session => session.update((data: any) => void (data.n = 1)),
  'update() that changes nothing but the lifetime': async session => {
    session.maxAge = 50 * DAY;
    await session.update(() => undefined);
  },
  'another maxAge': session => void (session.maxAge = 200 * DAY),
  'maxAge: session': session => void (session.maxAge = 'session'),
  'a write by manuallyCommit()': async session => {
    session.n = 1;
    await session.manuallyCommit();
  },
};
const MOVES: Record<string, Work> = {
  'regenerate()': session => session.regenerate(),
  'regenerate() and a write': async session => {
    await session.regenerate();
    session.n = 1;
  },
  'regenerate() of what another request has changed meanwhile': async (session, _, { client }) => {
    session.toJSON();
    await client.copy().run(other => void (other.m = 1));
    await session.regenerate();
  },
  'destroy(), and another session': async (session, ctx) => {
    await session.destroy();
    ctx.session = { n: 1 };
  },
};

for (const [ title, more ] of Object.entries<SessionOptions>({ '': {}, ', with rolling': { rolling: true }, ', with renew': { renew: true } })) {
  forEachStore(`no record is kept for longer than absoluteMaxAge${title}`, (site, { atomic }) => {
    const grace = atomic ? 0 : GRACE;

    async function isLimited(id: string | undefined, limit: number) {
      const ttl = await site.ttl(id);
      assert.ok(ttl <= limit + grace && ttl > limit + grace - MINUTE, `${ttl} ms, where ${limit} are left`);
      const { _createdAt, _expire, _maxAge, _session } = (await site.record(id))!;
      assert.ok(_session === true || _maxAge as number >= 50 * DAY, 'the lifetime of its own');
      if (typeof _expire === 'number') assert.ok(_expire <= (_createdAt as number) + LIMIT + SECOND, `${_expire}`);
    }

    for (const [ what, work ] of Object.entries({ ...WRITES, ...MOVES })) {
      it(`by ${what}`, async () => {
        let id: string | undefined;
        await site.client.run(async (session, ctx) => {
          await work(session, ctx, site);
          id = session.externalKey;
        });
        await isLimited(id, LIMIT);
      });
    }

    it('by a first write, and by reads of pages that use the session or do not', async () => {
      await isLimited(site.id, LIMIT);
      await site.client.run(session => ({ userId: session.userId }));
      await isLimited(site.id, LIMIT);
      await site.client.run(() => ({ unused: true }));
      await isLimited(site.id, LIMIT);
    });

    it('and a shorter lifetime ends it before that', async () => {
      await site.client.run(session => void (session.maxAge = MINUTE));
      await site.client.run(session => void (session.n = 1));
      assert.ok(await site.ttl() <= MINUTE + grace);
    });

    /** The record as 1.0.0 has left it, some time ago. */
    async function isOld(age: number) {
      const record = { ...await site.stored(), _maxAge: 104 * DAY, _createdAt: Date.now() - age };
      await site.write(atomic ? record : { ...record, _expire: Date.now() + 100 * DAY }, 104 * DAY);
    }

    for (const [ what, work ] of Object.entries(WRITES)) {
      it(`by ${what}, also of a record of version 1.0.0`, async () => {
        await isOld(LIMIT - HOUR);
        await site.client.run((session, ctx) => work(session, ctx, site));
        await isLimited(site.id, HOUR);
      });
    }

    it('and a record of version 1.0.0 that is over is ended where the store has a say', async () => {
      await isOld(LIMIT + SECOND);
      const { setCookies, json } = await site.client.run(session => ({ userId: session.userId ?? null }));
      assert.equal(json().userId, null);
      assert.equal(await site.stored() === undefined, atomic);
      // with rolling, the store has ended it as it was read
      assert.equal(setCookies.length, atomic && !more.rolling ? 1 : 0);
    });

    for (const [ what, work ] of Object.entries<Work>({
      'update()': session => assert.rejects(session.update((data: any) => void (data.n = 1)), /has ended/),
      'save()': session => {
        session.n = 1;
        return assert.rejects(session.save(), /has ended/);
      },
      'a write': session => void (session.n = 1),
    })) {
      it(`and ${what} past the end changes nothing`, async () => {
        const request = await site.slow((session, ctx) => work(session, ctx, site));
        await isOld(LIMIT + SECOND);
        assert.deepEqual((await request.finish()).setCookies, []);
        assert.equal((await site.stored())?.n, undefined);
        assert.equal((await site.client.run(session => ({ n: session.n ?? null }))).json().n, null);
      });
    }
  }, { ...OPTIONS, ...more }, title ? undefined : [ ...SUBJECTS, KEYV ]);
}

forEachStore('a session that lives for 104 days, and 4 s in all', site => {
  it('is gone from Redis when it is over, however it was used', async () => {
    let id!: string;
    await site.client.run(async session => {
      await session.regenerate();
      session.n = 1;
      id = session.externalKey!;
    });
    assert.ok(await site.ttl(id) <= 4 * SECOND);
    await until('the record is gone', async () => {
      await site.client.copy().run(session => void (session.n = Math.random()));
      return await redis.get(`session:${id}`) === null;
    });
  });
}, { absoluteMaxAge: 4 * SECOND, maxAge: 104 * DAY, rolling: true }, [ SUBJECTS[0] ]);

describe('absoluteMaxAge in Redis itself', () => {
  const suite = redisOfSuite();
  let store: TestRedisStore;
  const limited = { absoluteMaxAge: LIMIT, ctx: {} } as SessionStoreOptions;
  const left = () => suite.client.pttl('session:id');
  before(() => {
    store = new TestRedisStore(suite.client);
  });
  beforeEach(() => suite.client.flushall());
  afterEach(() => mm.restore());

  const CHANGES: SessionChanges = { set: { n: 2 }, unset: [], replace: false };
  /** Each call that lets a record live on; what it resolves to when there is none. */
  const CALLS: Record<string, [ call: () => Promise<unknown>, none: unknown ]> = {
    touch: [ () => store.touch('id', limited), false ],
    getAndTouch: [ () => store.getAndTouch('id', limited), undefined ],
    merge: [ () => store.merge('id', CHANGES, limited), false ],
    'merge of 200 fields': [ () => store.merge('id', {
      ...CHANGES, set: Object.fromEntries(Array.from({ length: 200 }, (_, i) => [ `field${i}`, i ])),
    }, limited), false ],
    'merge with replace': [ () => store.merge('id', { ...CHANGES, replace: true }, limited), false ],
    'merge that does not renew': [ () => store.merge('id', { ...CHANGES, renew: false }, limited), false ],
    compareAndSet: [ async () => {
      const record = await store.get('id', undefined, limited);
      return await store.compareAndSet('id', record!, { ...record, n: 2 }, 104 * DAY, limited);
    }, false ],
  };
  const DATA: Record<string, SessionRecord> = { 'little data': { n: 1 }, 'much data': { text: 'x'.repeat(500), n: 1, more: 'y'.repeat(500) } };

  for (const [ name, [ call, none ]] of Object.entries(CALLS)) {
    for (const [ what, data ] of Object.entries(DATA)) {
      for (const first of [ true, false ]) {
        const record = (age: number) => {
          const about = { _createdAt: Date.now() - age, _maxAge: 104 * DAY };
          return first ? { ...about, ...data } : { ...data, ...about };
        };

        it(`${name} leaves a record with ${what} no more than that, with its age ${first ? 'before' : 'after'} the data`, async () => {
          await store.set('id', record(LIMIT - HOUR), 104 * DAY);
          assert.notEqual(await call(), none);
          assert.ok(await left() <= HOUR && await left() > HOUR - MINUTE, `${await left()} ms`);
          const { _expire, _createdAt, _maxAge } = (await store.get('id', undefined, limited))!;
          assert.ok(Math.abs(_expire as number - (_createdAt as number) - LIMIT) < SECOND);
          assert.equal(_maxAge, 104 * DAY);
        });

        it(`${name} ends one that is over, with ${what} and its age ${first ? 'before' : 'after'} them`, async () => {
          await store.set('id', record(LIMIT), 104 * DAY);
          assert.equal(await call(), none);
          assert.equal(await suite.client.exists('session:id'), 0);
        });
      }
    }

    for (const [ title, offset ] of [[ 'ahead', 10 * HOUR ], [ 'behind', -10 * HOUR ]] as const) {
      it(`${name} goes by the clock of Redis, when that of the process which made the record is ${title}`, async () => {
        const { now } = Date;
        mm(Date, 'now', () => now() + offset);
        await store.set('id', { _createdAt: Date.now(), n: 1, _maxAge: 104 * DAY }, LIMIT, limited);
        for (const clock of [ () => now() + offset, now ]) {
          mm(Date, 'now', clock);
          assert.ok(await left() <= LIMIT && await left() > LIMIT - MINUTE, `${await left()} ms`);
          assert.notEqual(await call(), none);
        }
        assert.ok(await left() <= LIMIT && await left() > LIMIT - MINUTE, `${await left()} ms`);
        const { _expire } = (await store.get('id', undefined, limited))!;
        assert.ok(Math.abs(_expire as number - now() - LIMIT) < MINUTE);
      });

      it(`${name} counts from the clock of Redis when a process gives a record its age whose clock is ${title}`, async () => {
        if (!name.startsWith('merge')) return;
        const { now } = Date;
        await store.set('id', { n: 1, _maxAge: 104 * DAY }, 104 * DAY);
        mm(Date, 'now', () => now() + offset);
        await store.merge('id', { set: { _createdAt: Date.now() }, unset: [], replace: false }, limited);
        mm(Date, 'now', now);
        assert.notEqual(await call(), none);
        assert.ok(await left() <= LIMIT && await left() > LIMIT - MINUTE, `${await left()} ms`);
      });
    }
  }
});

forEachStore('a session that absoluteMaxAge is about to end, with renew', site => {
  it('is not written for nothing, with each read', async () => {
    const record = { ...await site.stored(), _createdAt: Date.now() - LIMIT + HOUR, _maxAge: DAY };
    await site.write({ ...record, _expire: Date.now() + HOUR }, HOUR);
    await site.client.run(session => session.save()); // changes nothing
    const before = await site.record();
    for (let i = 0; i < 3; i++) assert.deepEqual((await site.client.run(session => ({ userId: session.userId }))).setCookies, []);
    assert.deepEqual(await site.record(), before);
  });
}, { absoluteMaxAge: LIMIT, maxAge: DAY, renew: true });

describe('absoluteMaxAge and the index', () => {
  const site = new IndexedSite(REDIS, { ...OPTIONS, rolling: true });
  before(() => site.boot());
  after(() => site.close());

  it('a session that Redis has ended is listed no more', async () => {
    const browser = await site.signIn('ada');
    const [ key ] = await site.noted('ada');
    assert.ok(await site.redis!.pttl(`session:${key}`) <= LIMIT);
    const text = (await site.redis!.get(`session:${key}`))!;
    const { _createdAt } = JSON.parse(text);
    await site.redis!.set(`session:${key}`, text.replace(`"_createdAt":${_createdAt}`, `"_createdAt":${_createdAt - LIMIT}`), 'PX', DAY);
    assert.equal(await site.user(browser), null);
    assert.equal(await site.redis!.exists(`session:${key}`), 0);
    assert.deepEqual(await site.registry.list('ada'), []);
    assert.deepEqual(await site.noted('ada'), []);
  });
});

/** It knows nothing of `absoluteMaxAge`, and lets records live on by itself. */
class Touching extends MapStore {
  override async touch(key: string): Promise<SessionMaxAge | false> {
    const record = await this.get(key);
    if (!record) return false;
    await super.set(key, record, lifetimeOf(record));
    return lifetimeOf(record);
  }
}

class Merging extends Touching {
  override async merge(key: string, changes: SessionChanges): Promise<SessionMaxAge | false> {
    const record = await this.get(key);
    if (!record) return false;
    const merged = applyChanges(record, changes);
    await super.set(key, merged, lifetimeOf(merged));
    return lifetimeOf(merged);
  }
}

forEachStore('absoluteMaxAge, in a store of one\'s own that knows nothing of it', site => {
  it('ends a session all the same, and update() past it rejects', async () => {
    const request = await site.slow(session => assert.rejects(session.update((data: any) => void (data.n = 1)), /has ended/));
    await site.client.run(session => void (session.m = 1));
    later(LIMIT - MINUTE);
    assert.equal((await site.client.run(session => ({ m: session.m ?? null }))).json().m, 1);
    later(MINUTE);
    const { setCookies, json } = await site.client.run(session => ({ m: session.m ?? null }));
    assert.deepEqual([ json().m, setCookies ], [ null, []]);
    assert.equal((await site.stored())?.m, 1); // its clock may be another
    await request.finish();
    assert.equal((await site.stored())?.n, undefined);
  });
}, { ...OPTIONS, rolling: true }, [ Touching, Merging ].map(Store => ({
  name: Store.name,
  atomic: false,
  open() {
    const store = new Store();
    return { store, ttl: () => 0, close: () => store.close() };
  },
})));
