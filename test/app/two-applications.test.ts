import { strict as assert } from 'node:assert';
import type { Application, Context } from 'egg';
import type { MockApplication } from 'egg-mock';
import type { SessionOptions } from '../..';
import { failing } from '../fixtures/apps/failing-store/modules/one/FailingStore';
import { Holder } from '../fixtures/apps/two/modules/holder/Holder';
import { Client, createApp } from '../support/app';
import { MapStore } from '../support/MapStore';
import { quietly } from '../support/quietly';

describe('applications of one process', () => {
  let apps: MockApplication[] = [];
  let clients: Client[] = [];
  afterEach(async () => {
    for (const client of clients.splice(0)) await client.close();
    for (const app of apps.splice(0)) await app.close();
  });

  async function start(session: SessionOptions, name = 'two') {
    const app = await createApp(name, { session });
    app.loggers.disableConsole();
    const client = await Client.of(app);
    apps.push(app);
    clients.push(client);
    return { app, client, holder: await app.getEggObject(Holder) };
  }

  async function stop({ app, client }: { app: MockApplication; client: Client }) {
    clients = clients.filter(other => other !== client);
    apps = apps.filter(other => other !== app);
    await client.close();
    await app.close();
  }

  const count = (client: Client) => client.run((session, ctx) => {
    session.n = (session.n ?? 0) + 1;
    return { n: ctx.session.n };
  });

  describe('that are alive at the same time', () => {
    it('have their own options and store, in whatever is injected, until one is closed and after', async () => {
      const [ storeA, storeB ] = [ new MapStore(), new MapStore() ];
      const a = await start({ key: 'A', maxAge: 10_000, logValue: false, store: storeA });
      const b = await start({ key: 'B', maxAge: 20_000, logValue: true, store: storeB });
      assert.equal(a.holder, b.holder); // tegg gives both the same one
      const { session, sessionConfig, sessionLogger, sessionStore } = a.holder;
      for (const { app } of [ a, b ]) app.mockLog('coreLogger');
      const lines = ({ app }: { app: MockApplication }) =>
        (app.getLogger('coreLogger') as unknown as { _mockLogs: string[] })._mockLogs.join('\n');

      let bothInside = () => { /* set below */ };
      const met = new Promise<void>(resolve => {
        let inside = 0;
        bothInside = () => {
          if (++inside === 2) resolve();
        };
      });
      const visit = (who: string) => async (_: unknown, ctx: Context) => {
        session.n = (session.n ?? 0) + 1;
        bothInside();
        await met;
        const { key, maxAge, logValue } = sessionConfig;
        await session.save();
        const stored = await sessionStore.get(session.externalKey!, undefined, {} as never);
        sessionLogger.warn('%s was here: %j', who, ctx.session);
        return { n: session.n, key, maxAge, logValue, spread: { ...sessionConfig }.key, stored: stored?.n };
      };
      const answers = await Promise.all([ a.client.run(visit('alice')), b.client.run(visit('bob')) ]);
      assert.deepEqual(answers.map(answer => answer.json()), [
        { n: 1, key: 'A', maxAge: 10_000, logValue: false, spread: 'A', stored: 1 },
        { n: 1, key: 'B', maxAge: 20_000, logValue: true, spread: 'B', stored: 1 },
      ]);
      assert.deepEqual(answers.map(answer => answer.setCookies[0][0]), [ 'A', 'B' ]);
      assert.deepEqual([ storeA, storeB ].map(store => store.records.size), [ 1, 1 ]);
      assert.match(lines(a), /alice was here: ""/);
      assert.doesNotMatch(lines(a), /bob/);
      assert.match(lines(b), /bob was here: \{"n":1/);

      // outside of a request: the one that was booted last
      assert.equal(sessionConfig.key, 'B');
      assert.equal((sessionStore as MapStore).records.size, 1);
      sessionLogger.info('from nowhere');
      assert.match(lines(b), /from nowhere/);

      await stop(b);
      assert.equal(sessionConfig.key, 'A');
      assert.deepEqual((await count(a.client)).json(), { n: 2 });
      assert.deepEqual((await a.client.run(() => ({ key: sessionConfig.key, n: session.n }))).json(), { key: 'A', n: 2 });
      assert.equal((await sessionStore.get([ ...storeA.records.keys() ][0], undefined, {} as never))!.n, 2);
    });

    it('go on when the one that was first is closed', async () => {
      const a = await start({ key: 'A' });
      const b = await start({ key: 'B' });
      await count(b.client);
      await stop(a);
      const { session, sessionConfig } = b.holder;
      assert.deepEqual((await b.client.run(() => ({ n: session.n, key: sessionConfig.key }))).json(), { n: 1, key: 'B' });
      assert.equal(sessionConfig.key, 'B');
    });
  });

  describe('one after the other', () => {
    /** The sizes of tegg's registries, and what hangs on the process. */
    function registered(app: Application) {
      const { creatorMap } = app.eggPrototypeCreatorFactory as unknown as { creatorMap: Map<unknown, unknown> };
      const { eggObjectCreateMap, eggObjectMap } = app.eggObjectFactory as unknown as Record<string, Map<unknown, unknown>>;
      const { publicProtoMap } = app.eggPrototypeFactory as unknown as { publicProtoMap: Map<string, unknown[]> };
      return {
        creators: creatorMap.size,
        createMethods: eggObjectCreateMap.size,
        objects: eggObjectMap.size,
        hooks: [ 'eggPrototypeLifecycleUtil', 'loadUnitLifecycleUtil', 'eggContextLifecycleUtil', 'eggObjectLifecycleUtil' ]
          .map(name => (app as unknown as Record<string, { getLifecycleList(): unknown[] }>)[name].getLifecycleList().length),
        protos: [ 'session', 'sessionConfig', 'sessionLogger', 'sessionStore', 'appSessionStore' ]
          .map(name => publicProtoMap.get(name)?.length ?? 0),
      };
    }

    it('leave nothing behind', async () => {
      const sizes = [];
      for (const key of [ 'A', 'B', 'C' ]) {
        const one = await start({ key });
        assert.match((await count(one.client)).setCookies[0], new RegExp(`^${key}=`));
        assert.deepEqual((await count(one.client)).json(), { n: 2 });
        assert.equal(one.holder.sessionConfig.key, key);
        const { _app } = one.app as unknown as { _app: Application };
        await stop(one);
        sizes.push(registered(_app));
      }
      assert.deepEqual(sizes[0].protos, [ 0, 0, 0, 0, 0 ]);
      assert.equal(sizes[0].hooks[0], 0);
      assert.deepEqual(sizes[1], sizes[0]);
      assert.deepEqual(sizes[2], sizes[0]);
    });

    it('are not taken for the current one when they could not start, before they are closed', async () => {
      const one = await start({ key: 'A' });
      let key: string | undefined;
      await assert.rejects(quietly(() => createApp('two', {
        session: { key: 'BROKEN' },
        boot(app) {
          app.beforeStart(() => Promise.reject(new Error('no database')));
          app.beforeClose(async () => {
            ({ key } = one.holder.sessionConfig);
          });
        },
      })), /no database/);
      assert.equal(key, 'A');
    });

    for (const [ what, name, session, at, error ] of [
      [ 'two stores', 'two-stores', {}, undefined, /two session stores: FirstStore .* and SecondStore/ ],
      [ 'a store whose constructor throws', 'failing-store', {}, 'constructor', /FailingStore .* could not be created: a broken c/ ],
      [ 'a store whose init throws', 'failing-store', {}, 'init', /FailingStore .* could not be created: a broken init/ ],
      [ 'a wrong option', 'failing-store', { maxAge: 0 }, undefined, /config\.session\.maxAge is 0/ ],
    ] as const) {
      it(`start after one that could not: ${what}`, async () => {
        let before: unknown;
        for (const key of [ 'A', 'B' ]) {
          failing.at = at;
          await assert.rejects(quietly(() => createApp(name, { session: { key: 'BROKEN', ...session } })), error);
          failing.at = undefined;

          for (const good of [ 'two', 'failing-store' ]) {
            const one = await start({ key: `${key}-${good}` }, good);
            assert.equal(one.holder.sessionConfig.key, `${key}-${good}`);
            assert.match((await count(one.client)).setCookies[0], new RegExp(`^${key}-${good}=`));
            assert.deepEqual((await count(one.client)).json(), { n: 2 });
            assert.equal(Boolean(one.app.sessionStore), good === 'failing-store');
            const { _app } = one.app as unknown as { _app: Application };
            await stop(one);
            if (good === 'two') continue;
            if (before) assert.deepEqual(registered(_app), before);
            before = registered(_app);
          }
        }
      });
    }
  });
});
