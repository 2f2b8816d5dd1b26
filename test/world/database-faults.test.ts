import { strict as assert } from 'node:assert';
import mm, { type MockApplication } from 'egg-mock';
import type { Pool as MysqlPool } from 'mysql2/promise';
import pg from 'pg';
import { SessionHealth, type SessionOptions, type SessionStoreOptions, type SqlSessionStore } from '../..';
import { Client, createApp } from '../support/app';
import { mysqlPool, postgresPool, TestMysqlStore, TestPostgresStore } from '../support/databases';
import { Proxy } from '../support/Proxy';
import { startMysql, startPgBouncer, startPostgres, type TestServer, until } from '../support/servers';

/** In ms. */
const TIMEOUT = 1000;

interface Kind {
  start(): Promise<TestServer>;
  store(port: number, connections?: number): SqlSessionStore;
  /** Runs a statement on a client of the store's. */
  sql(store: SqlSessionStore, statement: string): Promise<unknown>;
  /** Takes a connection of the store's client, and gives it back. */
  hold(store: SqlSessionStore): Promise<() => void>;
  /** A client past the proxy that may do anything. */
  admin(port: number): { query(sql: string): Promise<unknown>; end(): Promise<void> };
  readOnly: [ on: string, off: string ];
}

const poolOf = (store: SqlSessionStore) => store as unknown as { postgres: pg.Pool; mysql: MysqlPool };

const KINDS: Record<string, Kind> = {
  PostgreSQL: {
    start: startPostgres,
    store: (port, connections) => new TestPostgresStore(postgresPool(`postgres://postgres@127.0.0.1:${port}/postgres`, connections)),
    sql: (store, statement) => poolOf(store).postgres.query(statement),
    async hold(store) {
      const client = await poolOf(store).postgres.connect();
      return () => client.release();
    },
    admin: port => new pg.Pool({ host: '127.0.0.1', port, user: 'postgres', database: 'postgres', options: '-c default_transaction_read_only=off' }),
    readOnly: [ 'ALTER DATABASE postgres SET default_transaction_read_only = on', 'ALTER DATABASE postgres RESET default_transaction_read_only' ],
  },
  MariaDB: {
    start: () => startMysql([ '--max-allowed-packet=1M' ]),
    store: (port, connections) => new TestMysqlStore(mysqlPool(`mysql://shop:secret@127.0.0.1:${port}/shop`, connections)),
    sql: (store, statement) => poolOf(store).mysql.query(statement),
    async hold(store) {
      const connection = await poolOf(store).mysql.getConnection();
      return () => connection.release();
    },
    admin: port => mysqlPool(`mysql://root@127.0.0.1:${port}/shop`, 1),
    readOnly: [ 'SET GLOBAL read_only = 1', 'SET GLOBAL read_only = 0' ],
  },
};

for (const [ name, kind ] of Object.entries(KINDS)) {
  describe(`faults of ${name}`, () => {
    let server: TestServer;
    let proxy: Proxy;
    let store: SqlSessionStore;
    let app: MockApplication;
    let client: Client;
    before(async () => {
      server = await kind.start();
    });
    after(() => server.stop());

    async function boot(session: SessionOptions = {}, connections?: number) {
      proxy = await Proxy.to(server.port);
      store = kind.store(proxy.port, connections);
      mm.consoleLevel('NONE');
      app = await createApp('web', { session: { store, storeTimeout: TIMEOUT, principal: 'userId', ...session } });
      client = await Client.of(app);
      await signIn(client);
    }
    afterEach(async () => {
      mm.restore();
      await client.close();
      await app.close();
      proxy.pass();
      proxy.reset();
      await store.close();
      await proxy.close();
    });

    const signIn = (browser: Client) => browser.tryRun(async (session: any) => {
      await session.regenerate();
      session.userId = 7;
      session.n = 0;
    });
    const user = async (browser: Client) => (await browser.run((session: any) => ({ userId: session.userId ?? null }))).json().userId;
    const back = () => until('the store is back', async () => (await client.tryRun((session: any) => ({ userId: session.userId }))).status === 200);

    it('no connection is free: a request is answered with 503, and the session goes on when one is', async () => {
      await boot({}, 1);
      const free = await kind.hold(store);
      const response = await client.tryRun((session: any) => ({ userId: session.userId }));
      assert.equal(response.status, 503);
      assert.deepEqual(response.setCookies, []);
      free();
      await back();
      assert.equal(await user(client), 7);
    });

    for (const [ what, cut ] of [
      [ 'stalls', () => proxy.stall() ], [ 'is reset', () => proxy.refuse() ], [ 'ends in the middle of an answer', () => proxy.truncate() ],
    ] as Array<[ string, () => void ]>) {
      it(`the connection ${what}: 503, and the session goes on afterwards`, async () => {
        await boot();
        cut();
        const { status, setCookies } = await client.tryRun((session: any) => ({ userId: session.userId }));
        assert.equal(status, 503);
        assert.deepEqual(setCookies, []);
        proxy.pass();
        proxy.reset();
        await back();
        assert.equal(await user(client), 7);
      });
    }

    /** What a request does, and what a browser with the cookies of before may find afterwards, when it was answered with 200 and when not. */
    const STEPS: Array<[ what: string, run: (browser: Client) => Promise<{ status: number }>, done: unknown[], undone: unknown[] ]> = [
      [ 'a write', browser => browser.tryRun((session: any) => void (session.userId = 8)), [ 8 ], [ 7, 8 ]],
      [ 'update()', browser => browser.tryRun((session: any) => session.update((data: any) => void (data.userId = 8))), [ 8 ], [ 7, 8 ]],
      [ 'regenerate()', browser => browser.tryRun((session: any) => session.regenerate()), [ null ], [ 7, null ]],
      [ 'a sign-out', browser => browser.tryRun((session: any) => session.destroy()), [ null ], [ 7, null ]],
    ];
    for (const [ what, run, done, undone ] of STEPS) {
      it(`nothing is lost, and nobody is signed in again, by a cut after any answer to ${what}`, async () => {
        await boot();
        await user(client);
        let isCut = true;
        let answers = 1;
        for (; isCut; answers++) {
          assert.ok(answers < 40);
          isCut = false;
          await signIn(client);
          const before = client.copy();
          proxy.after(answers, () => {
            isCut = true;
            proxy.reset();
          });
          const { status } = await run(client.copy());
          proxy.after(Infinity, () => undefined);
          proxy.pass();
          proxy.reset();
          await back();
          const found = await user(before);
          assert.ok((status === 200 ? done : undone).includes(found), `${what}, cut after ${answers}: ${status}, and then ${found}`);
          assert.ok(status === 200 || status === 503, String(status));
        }
        assert.ok(answers > 2, 'nothing was cut');
      });
    }

    it('may only be read, as a replica: sessions are read, writes are answered with 503, and it is no outage', async () => {
      await boot({ rolling: true });
      const health = await app.getEggObject(SessionHealth);
      const admin = kind.admin(server.port);
      const [ on, off ] = kind.readOnly;
      await admin.query(on);
      try {
        proxy.reset(); // the setting is for new connections
        await until('it is read only', async () => (await client.tryRun((session: any) => void (session.n = 1))).status === 503);
        assert.equal(await user(client), 7);
        assert.equal(health.breaker, 'closed');
      } finally {
        await admin.query(off);
        await admin.end();
        proxy.reset();
      }
      await until('it can be written', async () => (await client.tryRun((session: any) => void (session.n = 2))).status === 200);
      assert.equal(await user(client), 7);
    });

    if (name === 'MariaDB') {
      for (const [ what, write ] of [
        [ 'in a field', (session: any) => void (session.cart = 'x'.repeat(3_000_000)) ],
        [ 'by the sum of its fields', (session: any) => void (session.cart = 'x'.repeat(600_000)) ],
        [ 'in update()', (session: any) => session.update((data: any) => void (data.cart = 'x'.repeat(600_000))) ],
        [ 'after an assignment', (_: any, ctx: any) => void (ctx.session = { userId: 7, cart: 'x'.repeat(3_000_000) }) ],
      ] as Array<[ string, Parameters<Client['tryRun']>[0] ]>) {
        it(`a session that is too large for it ${what} is refused, what was there stays, and others are served`, async () => {
          await boot();
          const health = await app.getEggObject(SessionHealth);
          const other = client.another();
          await signIn(other);
          await client.run((session: any) => void (session.note = 'y'.repeat(600_000)));
          const { status, text } = await client.tryRun(write);
          assert.equal(status, 500);
          assert.match(text, /too large for its store: it would take \d+ bytes there, and 10485\d\d are the most .* The largest field is session\.(cart|note)/);
          for (const browser of [ other, client ]) assert.equal(await user(browser), 7);
          assert.equal((await client.run((session: any) => ({ length: session.note.length }))).json().length, 600_000);
          assert.equal((await client.tryRun((session: any) => void (session.note = 'small'))).status, 200);
          assert.equal(health.counters.errors, 0);
        });
      }
    }

    it('a session of very many small fields, which MariaDB prints with spaces, is never read as ended', async () => {
      await boot();
      const options = {} as SessionStoreOptions;
      const fields = Array.from({ length: 80_000 }, (_, i) => [ `f${i}`, 1 ]);
      for (const many of [ 70_000, 74_000, 78_000, 80_000 ]) {
        await store.set('many', { ...Object.fromEntries(fields.slice(0, many)), _maxAge: 60_000 }, 60_000);
        let kept: number | undefined;
        for (const n of [ 1, 2 ]) {
          await store.merge('many', { set: { n }, unset: [], replace: false }, options).then(() => {
            kept = n;
          }, err => assert.match(err.message, /too large for its store/));
          const { f1, n: stored } = (await store.get('many', 60_000, { ctx: app.createAnonymousContext() }))!;
          assert.deepEqual([ f1, stored ], [ 1, kept ], `${many} fields`);
        }
      }
    });

    it('a table that somebody has dropped is made again under createTable, and users sign in anew', async () => {
      await boot();
      await kind.sql(store, 'DROP TABLE sessions');
      assert.equal(await user(client), null);
      await signIn(client);
      assert.equal(await user(client), 7);
    });

    it('many who sign in, change and sign out at once end in no error: what stands in the way of another is done again', async () => {
      await boot();
      const browsers = Array.from({ length: 20 }, () => client.another());
      await Promise.all(browsers.map(async browser => {
        for (let round = 0; round < 5; round++) {
          assert.equal((await signIn(browser)).status, 200);
          const writes = Array.from({ length: 4 }, (_, i) => browser.copy().tryRun((session: any) => void (session[`f${i}`] = round)));
          for (const { status } of await Promise.all(writes)) assert.equal(status, 200);
          const found = (await browser.run((session: any) => session.toJSON())).json();
          assert.deepEqual(found, { userId: 7, n: 0, f0: round, f1: round, f2: round, f3: round });
          assert.equal((await browser.tryRun((session: any) => session.destroy())).status, 200);
        }
      }));
    });
  });
}

describe('the prepared statements of PostgreSQL', () => {
  let server: Awaited<ReturnType<typeof startPostgres>>;
  before(async () => {
    server = await startPostgres();
  });
  after(() => server.stop());

  /** An application, and the names of the statements that it sends. */
  async function boot(url: string) {
    const pool = postgresPool(url, 8);
    const names: Array<string | undefined> = [];
    const query = pool.query.bind(pool) as (...args: unknown[]) => unknown;
    mm(pool, 'query', (...args: unknown[]) => {
      names.push((args[0] as { name?: string }).name);
      return query(...args);
    });
    const store = new TestPostgresStore(pool);
    const app = await createApp('web', { session: { store, principal: 'userId' } });
    const client = await Client.of(app);
    return {
      pool, names, client,
      async close() {
        mm.restore();
        await client.close();
        await app.close();
        await store.close();
      },
    };
  }
  const visits = async (client: Client) => (await client.run((session: any) => ({ n: (session.n = (session.n ?? 0) + 1) }))).json().n;

  it('are kept, and given up for good where another connection answers each time, behind PgBouncer: no request fails', async () => {
    const direct = await boot(server.url);
    assert.equal(await visits(direct.client), 1);
    assert.equal(await visits(direct.client), 2);
    assert.match(direct.names.at(-1)!, /^session_\w{24}$/);
    await direct.close();

    const bouncer = await startPgBouncer(server, 3);
    const { client, names, close } = await boot(bouncer.url);
    const browsers = Array.from({ length: 30 }, () => client.another());
    for (let n = 1; n <= 5; n++) assert.deepEqual(await Promise.all(browsers.map(visits)), browsers.map(() => n));
    assert.equal(names.at(-1), undefined);
    await close();
    await bouncer.stop();
  });

  it('go on when a later version adds a column to the table', async () => {
    const { client, pool, close } = await boot(server.url);
    assert.equal(await visits(client), 1);
    await pool.query('ALTER TABLE sessions ADD COLUMN more text, ALTER COLUMN successor TYPE varchar(2000)');
    for (let n = 2; n < 5; n++) assert.equal(await visits(client), n);
    await close();
  });
});
