import { strict as assert } from 'node:assert';
import { setTimeout } from 'node:timers/promises';
import type { SessionStore } from '../..';
import { Client, createApp, later } from '../support/app';
import { ENDS, forEachStore, gate, redis, setsNoCookie } from '../support/concurrent';
import { MapStore } from '../support/MapStore';
import { until } from '../support/servers';

const DAY = 24 * 3600 * 1000;
/** For how long, in ms, an id that ended is remembered. */
const REMEMBERED = 30_000;
const HAS_ENDED = /the session has ended/;

forEachStore('a session that has ended can\'t come back', (site, { atomic }) => {
  const { slow, stored, record } = site;

  for (const [ title, end ] of Object.entries(ENDS)) {
    describe(`after ${title}`, () => {
      it('by a slower request: it writes nothing, sets no cookie, and logs it once', async () => {
        const writer = await slow(session => {
          session.n = 1;
        });
        await end(site);
        const logged = site.logged();
        setsNoCookie(await writer.finish());
        assert.equal(await stored(), undefined);
        assert.equal(logged().length, 1);
        assert.match(logged()[0], /INFO/);
        assert.match(logged()[0], /\[session\]\[ended\] nothing was saved/);
      });

      it('by a slower request that only reads: it sets no cookie, and has nothing to log', async () => {
        const reader = await slow(session => ({ userId: session.userId }));
        await end(site);
        const logged = site.logged();
        setsNoCookie(await reader.finish());
        assert.deepEqual(logged(), []);
      });

      it('by a slower request that replaces it', async () => {
        const writer = await slow((_, ctx) => {
          ctx.session = { userId: 2 };
        });
        await end(site);
        setsNoCookie(await writer.finish());
        assert.equal(await stored(), undefined);
      });

      it('by a slower request that changes its lifetime', async () => {
        const writer = await slow(session => {
          session.maxAge = 1000;
        });
        await end(site);
        setsNoCookie(await writer.finish());
        assert.equal(await stored(), undefined);
      });

      it('by save(), which says so, each time', async () => {
        const writer = await slow(async session => {
          session.n = 1;
          await assert.rejects(session.save(), HAS_ENDED);
          session.n = 2;
          await assert.rejects(session.save(), HAS_ENDED);
        });
        await end(site);
        const logged = site.logged();
        setsNoCookie(await writer.finish());
        assert.equal(await stored(), undefined);
        assert.equal(logged().length, 1);
      });

      it('by save() without a change, which says so', async () => {
        const writer = await slow(session => assert.rejects(session.save(), HAS_ENDED));
        await end(site);
        setsNoCookie(await writer.finish());
      });

      it('by update(), which says so', async () => {
        const writer = await slow(session => assert.rejects(session.update((data: any) => {
          data.n = 1;
        }), HAS_ENDED));
        await end(site);
        setsNoCookie(await writer.finish());
        assert.equal(await stored(), undefined);
      });

      it('by manuallyCommit(), which logs it once for the whole request', async () => {
        const writer = await slow(async session => {
          session.n = 1;
          await session.manuallyCommit();
          session.n = 2;
          await session.manuallyCommit();
        });
        await end(site);
        const logged = site.logged();
        setsNoCookie(await writer.finish());
        assert.equal(logged().length, 1);
      });

      it('by regenerate(), which begins a session with what that request has added', async () => {
        const writer = await slow(async session => {
          session.n = 3;
          await session.regenerate();
          return { session, id: session.externalKey };
        });
        await end(site);
        const response = await writer.finish();
        const { session, id } = response.json();
        assert.deepEqual(session, { n: 3 });
        assert.equal(response.setCookies.length, 1);
        assert.equal(await stored(), undefined);
        assert.deepEqual(await stored(id), { n: 3 });
        assert.deepEqual((await writer.client.run(session => ({ session }))).json(), { session: { n: 3 } });
      });

      it('by regenerate() that is tried again', async () => {
        const writer = await slow(async session => {
          session.n = 3;
          site.next('set', call => {
            site.fail('set');
            return call();
          });
          await assert.rejects(session.regenerate(), /set failed/);
          session.userId = 1;
          await session.regenerate();
          return { id: session.externalKey };
        });
        await end(site);
        assert.deepEqual(await stored((await writer.finish()).json().id), { n: 3, userId: 1 });
      });

      it('by regenerate() of what was assigned', async () => {
        const writer = await slow(async (session, ctx) => {
          ctx.session = { userId: 2 };
          await session.regenerate();
          return { id: session.externalKey };
        });
        await end(site);
        const { id } = (await writer.finish()).json();
        assert.equal(await stored(), undefined);
        assert.deepEqual(await stored(id), { userId: 2 });
      });

      it('though an update() of that request was stored before', async () => {
        const writer = await slow(async session => {
          await session.update((data: any) => {
            data.n = 1;
          });
          await end(site);
          await assert.rejects(session.save(), HAS_ENDED);
        });
        setsNoCookie(await writer.finish());
        assert.equal(await stored(), undefined);
      });

      it('though a save() of that request was stored before', async () => {
        const writer = await slow(async session => {
          session.n = 1;
          await session.save();
          await end(site);
          session.n = 2;
        });
        setsNoCookie(await writer.finish());
        assert.equal(await stored(), undefined);
      });
    });
  }

  describe('after it has expired', () => {
    const SHORT = 200;
    const expire = async () => {
      await site.client.copy().run(session => {
        session.maxAge = SHORT;
      });
      if (atomic) await until('the record is gone', async () => !await record());
      else later(SHORT + 5000); // koa-session's grace: the store has the record still
    };

    it('by a slower request, which sets no cookie', async () => {
      const writer = await slow(async session => {
        session.n = 1;
        await assert.rejects(session.save(), HAS_ENDED);
      });
      await expire();
      setsNoCookie(await writer.finish());
      assert.equal((await record())?.n, undefined);
    });

    it('by one that renews it', async () => {
      const reader = await slow(session => assert.rejects(session.save(), HAS_ENDED));
      await expire();
      setsNoCookie(await reader.finish());
    });

    it('by update(), also when it expires while fn runs', async () => {
      const writer = await slow(async session => {
        await assert.rejects(session.update(async (data: any) => {
          data.n = 1;
          await expire();
        }), HAS_ENDED);
        await assert.rejects(session.update((data: any) => {
          data.n = 1;
        }), HAS_ENDED);
      });
      setsNoCookie(await writer.finish());
      assert.equal((await record())?.n, undefined);
    });

    if (!atomic) {
      it('by update() whose fn takes longer than it lives', async () => {
        const response = await site.client.run(session => assert.rejects(session.update((data: any) => {
          data.n = 1;
          later(DAY + 5000);
        }), HAS_ENDED));
        setsNoCookie(response);
        assert.equal((await record())?.n, undefined);
      });
    }

    it('by regenerate(), which begins a session of its own', async () => {
      const mover = await slow(async session => {
        session.n = 1;
        await session.regenerate();
        return { id: session.externalKey };
      });
      await expire();
      assert.deepEqual(await stored((await mover.finish()).json().id), { n: 1 });
    });
  });

  it('leaves alone the cookie of the sign-in that came after it', async () => {
    const poll = await slow(session => {
      session.polled = true;
    }, site.client);
    const tab = site.client.copy();
    await tab.run(session => session.destroy());
    await tab.run(session => {
      session.userId = 2;
    });
    site.client.cookies.set('EGG_SESS', tab.cookies.get('EGG_SESS')!);
    await poll.finish();
    assert.deepEqual((await site.client.run(session => ({ session }))).json(), { session: { userId: 2 } });
  });

  it('keeps the other cookies that the response sets', async () => {
    const writer = await slow(async (session, ctx) => {
      ctx.cookies.set('theme', 'dark', { signed: false });
      session.n = 1;
      await session.save();
      await site.removeElsewhere();
      await assert.rejects(session.save(), HAS_ENDED);
    });
    const { setCookies } = await writer.finish();
    assert.equal(setCookies.length, 1);
    assert.match(setCookies[0], /^theme=dark;/);
  });

  if (atomic) {
    it('by destroy() of a session that another request has ended: it sets no cookie', async () => {
      const other = await slow(session => session.destroy());
      await ENDS['session.destroy()'](site);
      setsNoCookie(await other.finish());
    });
  } else {
    it('by destroy(), which can\'t tell that another request has ended it, and removes the cookie', async () => {
      const other = await slow(session => session.destroy());
      await ENDS['session.destroy()'](site);
      assert.match((await other.finish()).setCookies.join(), /^EGG_SESS=;/);
    });
  }

  it('destroy() twice in one request removes the cookie once', async () => {
    const response = await site.client.run(async session => {
      await Promise.all([ session.destroy(), session.destroy() ]);
    });
    assert.equal(response.setCookies.length, 1);
    assert.match(response.setCookies[0], /^EGG_SESS=;/);
    assert.equal(await stored(), undefined);
  });

  for (const calls of [[ 'update', 'destroy' ], [ 'destroy', 'update' ]]) {
    it(`${calls.join('() and ')}() at once in one request end it, and remove the cookie`, async () => {
      const response = await site.client.run(async (session: any) => {
        const [ update, destroy ] = [ 'update', 'destroy' ].map(name => calls.indexOf(name));
        const done = await Promise.allSettled(calls.map(call => session[call]((data: any) => {
          data.n = 1;
        })));
        assert.equal(done[destroy].status, 'fulfilled');
        assert.equal(done[update].status, 'rejected');
      });
      assert.match(response.setCookies.join(), /^EGG_SESS=;/);
      assert.equal(await stored(), undefined);
    });
  }

  it('what is assigned while destroy() runs begins another session', async () => {
    const response = await site.client.run(async (session, ctx) => {
      const destroying = session.destroy();
      ctx.session = { flash: 'bye' };
      await destroying;
      await session.save();
      return { id: session.externalKey };
    });
    const { id } = response.json();
    assert.notEqual(id, site.id);
    assert.equal(await stored(), undefined);
    assert.deepEqual(await stored(id), { flash: 'bye' });
    assert.equal(response.setCookies.length, 1);
  });

  it('one that is assigned while destroy() runs is not saved when there is nothing in it', async () => {
    const response = await site.client.run(async (session, ctx) => {
      const destroying = session.destroy();
      ctx.session = {};
      await destroying;
    });
    assert.match(response.setCookies.join(), /^EGG_SESS=;/);
    assert.equal(site.client.cookies.size, 0);
  });

  it('one that begins after destroy() can be destroyed too', async () => {
    const response = await site.client.run(async (session, ctx) => {
      await session.destroy();
      ctx.session = { flash: 'bye' };
      await session.destroy();
    });
    assert.match(response.setCookies.join(), /^EGG_SESS=;/);
    assert.equal(site.client.cookies.size, 0);
  });

  it('one that begins after destroy() is saved, also when regenerate() had failed before', async () => {
    await site.client.run(async (session, ctx) => {
      site.fail('set');
      await assert.rejects(session.regenerate(), /set failed/);
      await session.destroy();
      ctx.session = { flash: 'bye' };
    });
    assert.deepEqual((await site.client.run(session => ({ session: session.toJSON() }))).json(), { session: { flash: 'bye' } });
  });

  it('the id of one that has ended and begun anew is not set when there is nothing in it', async () => {
    await site.client.run(async (session, ctx) => {
      await session.destroy();
      ctx.session = {};
    });
    assert.equal(site.client.cookies.size, 0);
  });

  if (!atomic) return;

  describe('an id that has ended is remembered for half a minute:', () => {
    for (const title of [ 'session.destroy()', 'ctx.session = null', 'regenerate()' ]) {
      describe(`after ${title}`, () => {
        beforeEach(async () => {
          const late = site.client.copy();
          await ENDS[title](site);
          site.client = late;
        });

        it('there is a tombstone in its place, and nothing else', async () => {
          const successor = (await record())!._successor;
          assert.deepEqual(await record(), { _successor: successor });
          assert.equal(typeof successor, title === 'regenerate()' ? 'string' : 'object');
          const ttl = await site.ttl();
          assert.ok(ttl > REMEMBERED - 20_000 && ttl <= REMEMBERED, `${ttl} ms`);
        });

        it('a request that comes with it has an empty session, which is new', async () => {
          const response = await site.client.run((session, ctx) => {
            assert.equal(session.isNew, true);
            assert.equal(ctx.session.isNew, true);
            assert.equal(ctx.session.length, 0);
            return { session, ctx: ctx.session };
          });
          assert.deepEqual(response.json(), { session: {}, ctx: {} });
          setsNoCookie(response);
        });

        const WRITES: Record<string, (session: any, ctx: any) => unknown> = {
          'a plain write': session => {
            session.n = 1;
          },
          'ctx.session = {…}': (_, ctx) => {
            ctx.session = { n: 1 };
          },
          'ctx.session = null, then {…}': (_, ctx) => {
            ctx.session = null;
            ctx.session = { n: 1 };
          },
          'a lifetime': session => {
            session.maxAge = 1000;
          },
          'save()': session => {
            session.n = 1;
            return assert.rejects(session.save(), HAS_ENDED);
          },
          'save() with a callback': (_, ctx) => {
            ctx.session.n = 1;
            return new Promise<void>((resolve, reject) => ctx.session.save((err?: Error) => {
              if (err && HAS_ENDED.test(err.message)) resolve();
              else reject(new Error(`save() called back with ${err}`));
            }));
          },
          'update()': session => assert.rejects(session.update((data: any) => {
            data.n = 1;
          }), HAS_ENDED),
          'manuallyCommit()': session => {
            session.n = 1;
            return session.manuallyCommit();
          },
        };
        for (const [ name, write ] of Object.entries(WRITES)) {
          it(`${name} saves nothing and sets no cookie`, async () => {
            const before = await record();
            setsNoCookie(await site.client.run(write));
            assert.deepEqual(await record(), before);
            const { _successor } = before!;
            if (_successor) assert.deepEqual(await stored(_successor as string), { userId: 1, cart: [ 'a' ] });
          });
        }

        it('regenerate() begins a new session, with what that request has added', async () => {
          const response = await site.client.run(async session => {
            session.n = 1;
            await session.regenerate();
            session.m = 2;
            return { id: session.externalKey };
          });
          const { id } = response.json();
          assert.notEqual(id, site.id);
          assert.equal(response.setCookies.length, 1);
          assert.deepEqual(await stored(id), { n: 1, m: 2 });
          assert.deepEqual((await site.client.run(session => ({ session }))).json(), { session: { n: 1, m: 2 } });
          assert.equal(await stored(), undefined);
        });

        it('a regenerate() that fails leaves it as it was', async () => {
          setsNoCookie(await site.client.run(async (session, ctx) => {
            session.n = 1;
            const { genid } = ctx.sessionOptions;
            ctx.sessionOptions.genid = () => {
              throw new Error('no id');
            };
            await assert.rejects(session.regenerate(), /no id/);
            ctx.sessionOptions.genid = genid;
          }));
          assert.equal(await stored(), undefined);
        });

        it('destroy() sets no cookie', async () => {
          setsNoCookie(await site.client.run(session => session.destroy()));
        });

        it('what begins after destroy() is a session of its own', async () => {
          const response = await site.client.run(async (session, ctx) => {
            await session.destroy();
            ctx.session = { flash: 'bye' };
            await session.save();
            return { id: session.externalKey };
          });
          assert.notEqual(response.json().id, site.id);
          assert.equal(response.setCookies.length, 1);
        });

        it('after that time, a session begins with it as with any other', async () => {
          await (redis?.status === 'ready' ? redis.pexpire(`session:${site.id}`, 1) : site.removeElsewhere());
          await until('the tombstone is gone', async () => !await record());
          const response = await site.client.run(session => {
            session.n = 1;
          });
          assert.equal(response.setCookies.length, 1);
          assert.deepEqual((await site.client.run(session => ({ session }))).json(), { session: { n: 1 } });
        });
      });
    }

    it('a removal from elsewhere leaves no tombstone: a session begins at once', async () => {
      await site.removeElsewhere();
      await site.client.run(session => {
        session.n = 1;
      });
      assert.deepEqual((await site.client.run(session => ({ session }))).json(), { session: { n: 1 } });
    });
  });
});

forEachStore('a request that has written, and whose session ends then', site => {
  const WRITES: Record<string, (session: any) => Promise<void>> = {
    'save()': session => session.save(),
    'update()': session => session.update((data: any) => {
      data.n = 1;
    }),
    'regenerate()': session => session.regenerate(),
  };
  for (const [ title, write ] of Object.entries(WRITES)) {
    it(`sets no cookie, after ${title}`, async () => {
      const written = gate();
      const goOn = gate();
      let id!: string;
      const writing = site.client.copy().run(async session => {
        session.own = 1;
        await write(session);
        id = session.externalKey!;
        written.open();
        await goOn.opened;
      });
      await Promise.race([ written.opened, writing ]);
      await site.removeElsewhere(id);
      // who else would know of an id that was just made? It is asked for when the response is late
      if (title === 'regenerate()') await setTimeout(520);
      goOn.open();
      setsNoCookie(await writing);
    });
  }
});

for (const load of [ 'always', 'injected' ] as const) {
  forEachStore(`with rolling and load: '${load}', a session that has ended can't come back`, (site, { atomic }) => {
    for (const [ title, end ] of Object.entries(ENDS)) {
      it(`by a slower request that only reads, after ${title}: it sets no cookie, and has nothing to log`, async () => {
        const reader = await site.slow(session => ({ userId: session.userId }));
        await end(site);
        const logged = site.logged();
        setsNoCookie(await reader.finish());
        assert.equal(await site.stored(), undefined);
        assert.deepEqual(logged(), []);
      });
    }

    if (atomic) {
      it('by a request to which the store answers late what was there before', async () => {
        const answered = gate();
        const goOn = gate();
        site.next('getAndTouch', async call => {
          const record = await call();
          answered.open();
          await goOn.opened;
          return record;
        });
        const reading = site.client.copy().run(session => ({ userId: session.userId }));
        await answered.opened;
        await ENDS['regenerate()'](site);
        goOn.open();
        setsNoCookie(await reading);
      });

      it('by a request that comes with its id just afterwards', async () => {
        const late = site.client.copy();
        await ENDS['regenerate()'](site);
        setsNoCookie(await late.run(session => ({ userId: session.userId })));
      });
    }

    it('a session that lives on gets its cookie with each request', async () => {
      const response = await site.client.run(session => ({ userId: session.userId }));
      assert.equal(response.setCookies.length, 1);
      assert.ok(await site.ttl() > DAY - 60_000);
    });
  }, { rolling: true, load });
}

describe('a cookie under an older key', () => {
  const withKeys = async (store: SessionStore, keys: string) => {
    const app = await createApp('web', { config: { keys }, session: { store } });
    return { app, client: await Client.of(app) };
  };

  it('is written anew, but not for a session that has ended meanwhile', async () => {
    const store = new MapStore();
    const before = await withKeys(store, 'old');
    await before.client.run(session => {
      session.userId = 1;
    });
    await before.client.close();
    await before.app.close();

    const { app, client } = await withKeys(store, 'new, old');
    const browser = client.another(before.client.cookies);
    const reads = (session: any) => ({ userId: session.userId ?? null });
    assert.equal((await browser.copy().run(reads)).setCookies.length, 1);
    const running = gate();
    const goOn = gate();
    const reader = browser.run(async session => {
      const seen = reads(session);
      running.open();
      await goOn.opened;
      return seen;
    });
    await running.opened;
    await browser.copy().run(session => session.destroy());
    goOn.open();
    const response = await reader;
    assert.deepEqual(response.json(), { userId: 1 });
    setsNoCookie(response);
    assert.equal(store.records.size, 0);
    await client.close();
    await app.close();
  });
});
