import { strict as assert } from 'node:assert';
import type { MockApplication } from 'egg-mock';
import { Client, createApp, later } from '../support/app';
import { forEachStore, setsNoCookie, type Subject } from '../support/concurrent';
import { MapStore } from '../support/MapStore';
import type { SessionRecord, SessionStore } from '../..';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const DAY = 24 * 60 * MINUTE;
/** For how much longer, in ms, a store of three methods is told to keep a record. */
const GRACE = 10 * SECOND;

const regenerate = async (session: any) => {
  await session.regenerate();
};
/** What a slower request does that has chosen no lifetime. */
const WORK: Record<string, (session: any, ctx: any) => unknown> = {
  'a plain write': session => {
    session.n = 1;
  },
  'ctx.session = {…}': (_, ctx) => {
    ctx.session = { n: 1 };
  },
  'save() without a change': session => session.save(),
  'save() and a write': async session => {
    session.n = 1;
    await session.save();
    session.n = 2;
  },
  'update()': session => session.update((data: any) => {
    data.n = 1;
  }),
  'regenerate()': regenerate,
  'a plain write and regenerate()': session => {
    session.n = 1;
    return regenerate(session);
  },
  'regenerate() of what was assigned': (_, ctx) => {
    ctx.session = { n: 1 };
    return regenerate(ctx.session);
  },
};

const maxAgeIn = ({ setCookies }: { setCookies: string[] }) => {
  assert.equal(setCookies.length, 1);
  const [ , seconds ] = /max-age=(\d+)/.exec(setCookies[0]) ?? [];
  return seconds === undefined ? undefined : Number(seconds) * SECOND;
};

forEachStore('a request that sets no maxAge', (site, { atomic }) => {
  /** The lifetime that is stored, how long the record is kept, and what the cookie says. */
  async function check(response: { setCookies: string[] }, maxAge: number | 'session', id = site.id) {
    const { _maxAge, _session, _expire } = (await site.record(id))!;
    if (maxAge === 'session') assert.equal(_expire ?? null, null);
    assert.deepEqual([ _maxAge, _session ], maxAge === 'session' ? [ undefined, true ] : [ maxAge, undefined ]);
    const kept = maxAge === 'session' ? DAY : maxAge + (atomic ? 0 : GRACE);
    const ttl = await site.ttl(id);
    assert.ok(ttl > kept - 20 * SECOND && ttl <= kept, `${ttl} ms, where ${kept} are due`);
    assert.equal(maxAgeIn(response), maxAge === 'session' ? undefined : maxAge);
  }

  for (const [ title, given ] of [[ 'shortened', MINUTE ], [ 'lengthened', 30 * DAY ], [ 'made the browser\'s', 'session' ]] as const) {
    describe(`leaves a session as it is that another request has ${title}:`, () => {
      for (const [ name, work ] of Object.entries(WORK)) {
        it(name, async () => {
          let id!: string;
          const slower = await site.slow(async (session, ctx) => {
            await work(session, ctx);
            id = session.externalKey;
            return { maxAge: session.maxAge };
          });
          await check(await site.client.run(session => {
            session.maxAge = given;
          }), given);
          await check(await slower.finish(), given, id);
        });
      }

      it('and is told its lifetime once it has saved', async () => {
        const slower = await site.slow(async session => {
          session.n = 1;
          await session.save();
          return { maxAge: session.maxAge };
        });
        await site.client.run(session => {
          session.maxAge = given;
        });
        assert.equal((await slower.finish()).json().maxAge, given);
      });

      it('but one that sets it wins', async () => {
        for (const work of [ ...Object.values(WORK), () => undefined ]) {
          let id!: string;
          const slower = await site.slow(async (session, ctx) => {
            session.maxAge = 2 * MINUTE;
            await work(session, ctx);
            id = session.externalKey;
          });
          await site.client.run(session => {
            session.maxAge = given;
          });
          await check(await slower.finish(), 2 * MINUTE, id);
          await site.client.close();
          await site.signIn();
        }
      });
    });
  }

  it('and only reads lets it end when it is due, without rolling or renew', async () => {
    const { _expire } = (await site.record())!;
    later(DAY - MINUTE);
    setsNoCookie(await site.client.run(session => ({ userId: session.userId })));
    assert.equal((await site.record())!._expire, _expire);
  });

  it('but one that sets it to what it has loaded wins too', async () => {
    const slower = await site.slow(session => {
      session.maxAge = DAY;
    });
    await site.client.run(session => {
      session.maxAge = MINUTE;
    });
    await check(await slower.finish(), DAY);
  });

  for (const [ title, before ] of [[ 'has saved', undefined ], [ 'has saved a lifetime of its own', 2 * MINUTE ]] as const) {
    it(`leaves a lifetime that is set after it ${title}`, async () => {
      const slower = await site.slow(async session => {
        session.n = 1;
        if (before) session.maxAge = before;
        await session.save();
        await site.client.run(other => {
          other.maxAge = 3 * MINUTE;
        });
        session.n = 2;
      });
      await site.client.copy().run(session => {
        session.maxAge = MINUTE;
      });
      await check(await slower.finish(), 3 * MINUTE);
    });
  }

  it('one that sets it by ctx.sessionOptions wins too', async () => {
    const slower = await site.slow((session, ctx) => {
      session.n = 1;
      ctx.sessionOptions.maxAge = 2 * MINUTE;
    });
    await site.client.run(session => {
      session.maxAge = MINUTE;
    });
    await check(await slower.finish(), 2 * MINUTE);
  });

  describe('one that sets it', () => {
    const SETTERS: Record<string, (session: any, ctx: any, given: number | 'session') => unknown> = {
      'before save()': async (session, _, given) => {
        session.maxAge = given;
        await session.save();
      },
      'while save() runs': async (session, _, given) => {
        session.n = 1;
        const saving = session.save();
        session.maxAge = given;
        await saving;
      },
      'while save() runs, by ctx.sessionOptions': async (session, ctx, given) => {
        session.n = 1;
        const saving = session.save();
        ctx.sessionOptions.maxAge = given;
        await saving;
      },
      'after save()': async (session, _, given) => {
        session.n = 1;
        await session.save();
        session.maxAge = given;
      },
      'after save(), by ctx.sessionOptions': async (session, ctx, given) => {
        session.n = 1;
        await session.save();
        ctx.sessionOptions.maxAge = given;
      },
      'before update()': async (session, _, given) => {
        session.maxAge = given;
        await session.update(() => undefined);
      },
      'inside the fn of update()': (session, _, given) => session.update((data: any) => {
        data.n = 1;
        session.maxAge = given;
      }),
      'while update() runs': async (session, _, given) => {
        await session.update(async (data: any) => {
          data.n = 1;
          await new Promise(resolve => setImmediate(resolve));
          session.maxAge = given;
        });
      },
      'after update()': async (session, _, given) => {
        await session.update((data: any) => {
          data.n = 1;
        });
        session.maxAge = given;
      },
      'before regenerate()': async (session, _, given) => {
        session.maxAge = given;
        await session.regenerate();
      },
      'while regenerate() runs': async (session, _, given) => {
        const moving = session.regenerate();
        session.maxAge = given;
        await moving;
      },
      'after regenerate()': async (session, _, given) => {
        await session.regenerate();
        session.maxAge = given;
      },
      'by ctx.session = { maxAge }': (_, ctx, given) => {
        ctx.session = { n: 1, maxAge: given };
      },
      'and nothing else': (session, _, given) => {
        session.maxAge = given;
      },
    };
    for (const [ name, set ] of Object.entries(SETTERS)) {
      for (const given of [ MINUTE, 'session' ] as const) {
        it(`${name}: ${given}`, async () => {
          let id!: string;
          const response = await site.client.run(async (session, ctx) => {
            await set(session, ctx, given);
            id = session.externalKey!;
          });
          await check(response, given, id);
        });
      }
    }
  });
});

for (const load of [ 'always', 'injected' ] as const) {
  forEachStore(`with rolling and load: '${load}', a request that sets no maxAge and only reads`, (site, { atomic }) => {
    for (const maxAge of [ MINUTE, 30 * DAY ]) {
      for (const [ what, work ] of [[ 'by itself', () => undefined ], [ 'with update()', WORK['update()'] ]] as const) {
        it(`leaves a lifetime that another request has set ${what}: ${maxAge} ms`, async () => {
          const reader = await site.slow(session => ({ userId: session.userId }));
          await site.client.run((session, ctx) => {
            session.maxAge = maxAge;
            return work(session, ctx);
          });
          assert.equal(maxAgeIn(await reader.finish()), maxAge);
          assert.equal((await site.record())!._maxAge, maxAge);
          const kept = maxAge + (atomic ? 0 : GRACE);
          const ttl = await site.ttl();
          assert.ok(ttl > kept - 20 * SECOND && ttl <= kept, `${ttl} ms`);
        });
      }
    }

    it('leaves a lifetime that another request was setting while it was loaded', async () => {
      const setting = site.hold('merge');
      const setter = site.client.copy().run(session => {
        session.maxAge = MINUTE;
      });
      await setting.reached;
      const reader = await site.slow(session => ({ userId: session.userId }));
      setting.go();
      assert.equal(maxAgeIn(await setter), MINUTE);
      assert.equal(maxAgeIn(await reader.finish()), MINUTE);
      assert.equal((await site.record())!._maxAge, MINUTE);
    });

    it('lets the record live on, and undoes nothing', async () => {
      const reader = await site.slow(session => ({ userId: session.userId }));
      await site.client.run(session => {
        session.n = 1;
      });
      await reader.finish();
      assert.deepEqual(await site.stored(), { userId: 1, cart: [ 'a' ], n: 1 });
    });
  }, { rolling: true, load });
}

/** By how much `_expire` moves at least when a record is renewed a minute later: Redis' own clock has not moved on. */
const gained = (ms: number, { hasClock }: Subject) => (hasClock ? 1 : ms - SECOND);

forEachStore('with rolling, a request whose session config.session.valid refuses', (site, subject) => {
  it('does not let it live on; one that it allows does', async () => {
    const before = await site.record();
    later(MINUTE);
    const reads = (headers?: Record<string, string>) => site.client.copy().run(session => ({ userId: session.userId ?? null }), headers);
    assert.equal((await reads({ 'x-refuse': 'yes' })).json().userId, null);
    assert.deepEqual(await site.record(), before);
    assert.equal((await reads()).json().userId, 1);
    assert.ok((await site.record())!._expire as number >= (before!._expire as number) + gained(MINUTE, subject));
  });
}, { rolling: true, load: 'injected', valid: ctx => !ctx.get('x-refuse') });

forEachStore('with rolling, a request that does not use the session', (site, { atomic }) => {
  it('writes nothing to the browser; a store that can lets it live on as it is read', async () => {
    const before = (await site.record())!;
    later(MINUTE);
    setsNoCookie(await site.client.run(() => ({ unused: true })));
    const after = (await site.record())!;
    assert.deepEqual({ ...after, _expire: 0 }, { ...before, _expire: 0 });
    assert.equal((after._expire as number) > (before._expire as number), atomic);
  });
}, { rolling: true });

forEachStore('with rolling and without autoCommit, a request that only reads', (site, subject) => {
  it('does not let it live on, unless it commits', async () => {
    const before = await site.record();
    later(MINUTE);
    setsNoCookie(await site.client.run(session => ({ userId: session.userId })));
    assert.deepEqual(await site.record(), before);
    assert.equal((await site.client.run(session => session.manuallyCommit())).setCookies.length, 1);
    assert.ok((await site.record())!._expire as number >= (before!._expire as number) + gained(MINUTE, subject));
  });
}, { rolling: true, load: 'injected', autoCommit: false });

forEachStore('with renew, a request that only reads', (site, subject) => {
  const { atomic } = subject;
  const reads = () => site.client.run(session => ({ userId: session.userId }));

  it('leaves a session alone that has more than half of its lifetime left', async () => {
    const before = await site.record();
    later(DAY / 2 - MINUTE);
    assert.deepEqual((await reads()).setCookies, []);
    assert.deepEqual(await site.record(), before);
  });

  it('lets one live on that has less', async () => {
    const { _expire } = (await site.record())!;
    later(DAY / 2 + MINUTE);
    assert.equal((await reads()).setCookies.length, 1);
    const { _expire: renewed } = (await site.record())!;
    assert.ok(renewed as number >= (_expire as number) + gained(DAY / 2, subject), `${_expire}, then ${renewed}`);
    assert.deepEqual(await site.stored(), { userId: 1, cart: [ 'a' ] });
  });

  it('lets no session live on that has ended meanwhile', async () => {
    later(DAY / 2 + MINUTE);
    const reader = await site.slow(session => ({ userId: session.userId }));
    await site.client.copy().run(session => session.destroy());
    assert.deepEqual((await reader.finish()).setCookies, []);
    assert.equal(await site.stored(), undefined);
  });

  it('leaves the session of a browser alone, which has no such time', async () => {
    await site.client.run(session => {
      session.maxAge = 'session';
    });
    later(10 * DAY);
    if (!atomic) (site.store as MapStore).entries.get(site.id)!.expires += 20 * DAY;
    assert.deepEqual((await reads()).setCookies, []);
  });
}, { renew: true });

/** What a request does to a store; it keeps `_expire` to itself. */
/** What is told of a record, whenever it was created. */
const withoutDate = (record: SessionRecord) => ({ ...record, _createdAt: undefined });

class Told extends MapStore {
  readonly told: Array<[ method: string, ...args: unknown[] ]> = [];
  override async set(...[ key, record, maxAge ]: Parameters<MapStore['set']>) {
    this.told.push([ 'set', withoutDate(record), maxAge ]);
    await super.set(key, record, maxAge);
  }
}
class ToldAndTouched extends Told {
  override async touch(key: string) {
    this.told.push([ 'touch' ]);
    const { _maxAge } = (await this.get(key))!;
    return _maxAge as number;
  }
}

/** It tells when a record expires. */
class ToldAndCompared extends Told {
  override async get(key: string) {
    const record = await super.get(key);
    return record && { ...record, _expire: Date.now() + DAY };
  }
  override async compareAndSet(...[ , , record, maxAge ]: Parameters<Required<SessionStore>['compareAndSet']>) {
    this.told.push([ 'compareAndSet', withoutDate(record), maxAge ]);
    return true;
  }
}

describe('the lifetime', () => {
  let app: MockApplication;
  let client: Client;
  before(async () => {
    app = await createApp('web', { session: { store: new MapStore(), renew: true } });
  });
  beforeEach(async () => {
    client = await Client.of(app);
  });
  afterEach(() => client.close());
  after(() => app.close());
  async function begin<T extends MapStore>(store: T): Promise<T> {
    app.sessionStore = store;
    await client.run(session => {
      session.n = 1;
    });
    return store;
  }

  it('is given to a store of three methods with 10 s more, and with _expire in the record', async () => {
    const before = Date.now();
    const { told } = await begin(new Told());
    const [[ , record, maxAge ]] = told as Array<[ string, Record<string, number>, number ]>;
    assert.equal(told.length, 1);
    assert.equal(maxAge, DAY + GRACE);
    assert.equal(record._maxAge, DAY);
    assert.ok(record._expire >= before + DAY && record._expire <= Date.now() + DAY);
  });

  it('is given exactly to a store that has more, and without _expire', async () => {
    const { told } = await begin(new ToldAndTouched());
    assert.deepEqual(told, [[ 'set', withoutDate({ n: 1, _maxAge: DAY }), DAY ]]);
  });

  it('is given exactly to a store that compares, and without the _expire that it has told', async () => {
    const store = await begin(new ToldAndCompared());
    store.told.length = 0;
    await client.run(session => session.update((data: any) => {
      data.n++;
    }));
    assert.deepEqual(store.told, [[ 'compareAndSet', withoutDate({ n: 2, _maxAge: DAY }), DAY ]]);
  });

  it('when a store does not say how much is left of it, renew works as rolling', async () => {
    const { told } = await begin(new ToldAndTouched());
    told.length = 0;
    assert.equal((await client.run(session => ({ n: session.n }))).setCookies.length, 1);
    assert.deepEqual(told, [[ 'touch' ]]);
  });
});
