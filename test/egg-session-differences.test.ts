import { strict as assert } from 'node:assert';
import { cookies, count, DAY, destroy, PlainStore, start, stop, type Subject, SUBJECTS, useStore } from './support/subjects';

describe('not as egg-session does', () => {
  afterEach(stop);

  /** What `test` finds with egg-session, and with this plugin. */
  const onBoth = async <T>(test: (subject: Subject) => Promise<T>) => {
    const before = await test(SUBJECTS[0]);
    await stop();
    return { before, now: await test(SUBJECTS[1]) };
  };

  it('the cookie is SameSite=Lax when nothing is configured', async () => {
    const found = await onBoth(async subject => {
      const { run } = await start(subject, { config: { cookies: {} } });
      return cookies(await run(count));
    });
    assert.deepEqual(found, {
      before: [ 'EGG_SESS; path=/; max-age=86400; expires; httponly' ],
      now: [ 'EGG_SESS; path=/; max-age=86400; expires; samesite=lax; httponly' ],
    });
  });

  it('a session that no browser would keep is an error', async () => {
    const found = await onBoth(async subject => {
      const { tryRun } = await start(subject);
      const { status, setCookies } = await tryRun(session => {
        session.text = 'x'.repeat(4000);
      });
      return { status, cookies: setCookies.length };
    });
    assert.deepEqual(found, { before: { status: 200, cookies: 1 }, now: { status: 500, cookies: 0 } });
  });

  it('externalKey is the id that the session has after regenerate()', async () => {
    const found = await onBoth(async subject => {
      const store = new PlainStore();
      const { run } = await start(subject, { boot: useStore(store) });
      const { id } = (await run(async session => {
        session.n = 1;
        await session.regenerate();
        return { id: session.externalKey };
      })).json();
      return store.records.has(id);
    });
    assert.deepEqual(found, { before: false, now: true });
  });

  it('a session that ends with the browser does so when it is saved twice in a request', async () => {
    const found = await onBoth(async subject => {
      const { run } = await start(subject, { session: { maxAge: 'session' } });
      await run(async session => {
        session.n = 1;
        await session.save();
        session.n = 2;
      });
      return (await run(session => ({ maxAge: session.maxAge }))).json();
    });
    assert.deepEqual(found, { before: { maxAge: DAY }, now: { maxAge: 'session' } });
  });

  it('app.sessionStore takes the place of config.session.ContextStore', async () => {
    const found = await onBoth(async subject => {
      let made = 0;
      class ContextStore extends PlainStore {
        constructor() {
          super();
          made++;
        }
      }
      const store = new PlainStore();
      const { run } = await start(subject, { session: { ContextStore }, boot: useStore(store) });
      await run(count);
      return { made, stored: store.records.size };
    });
    assert.deepEqual(found, { before: { made: 1, stored: 0 }, now: { made: 0, stored: 1 } });
  });

  it('a session that was never saved is not destroyed in the store', async () => {
    const found = await onBoth(async subject => {
      let destroyed = 0;
      class Counting extends PlainStore {
        override async destroy(key: string) {
          destroyed++;
          await super.destroy(key);
        }
      }
      const { run } = await start(subject, { boot: useStore(Counting) });
      await run(destroy);
      return destroyed;
    });
    assert.deepEqual(found, { before: 1, now: 0 });
  });
});
