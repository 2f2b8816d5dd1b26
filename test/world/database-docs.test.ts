import { strict as assert } from 'node:assert';
import { createHmac, randomUUID } from 'node:crypto';
import { MysqlDataSource } from '@eggjs/dal-runtime';
import { RDSClient } from '@eggjs/rds';
import mm from 'egg-mock';
import { createConnection, createPool } from 'mysql2/promise';
import pg from 'pg';
import { MysqlSessionStore, PostgresSessionStore, type SessionStore, type SessionStoreOptions, SqlSessionStore } from '../..';
import { Client, createApp } from '../support/app';
import { blocksUnder, configOf, exportsOf } from '../support/docs';
import { newTable, TestMysqlStore, TestPostgresStore } from '../support/databases';
import { controller, type Files, plugins, start } from '../support/newcomer';
import { Proxy } from '../support/Proxy';
import { quietly } from '../support/quietly';
import { startMysql, startPostgres, until } from '../support/servers';

const STORES = 'docs/stores.md';
const OPTIONS = {} as SessionStoreOptions;
const count = controller('this.session.visits = (this.session.visits ?? 0) + 1;');

/** A section of docs/stores.md: its code, by language. */
function section(heading: string) {
  const blocks = blocksUnder(STORES, heading);
  return {
    sql: blocks.filter(({ language }) => language === 'sql').map(({ code }) => code),
    ts: blocks.filter(({ language }) => language === 'ts').map(({ code }) => code),
  };
}

const POSTGRES = section('## PostgreSQL');
const MYSQL = section('## MySQL and MariaDB');
const [ POOL ] = section('### Other clients of MySQL').ts;
const [ SCHEDULE ] = section('### Expired rows').ts;
const [ , MYSQL_CONFIG, EGG_MYSQL ] = MYSQL.ts;

const moduleOf = (store: string): Files => ({
  'app/module/store/package.json': '{ "name": "store", "eggModule": { "name": "store" } }',
  'app/module/store/AppSessionStore.ts': store,
});

/** The application of the document with egg-mysql, whose server has another port. */
const withEggMysql = (port: number, user: string, password: string): Files => ({
  ...moduleOf(EGG_MYSQL),
  'config/plugin.ts': plugins(MYSQL.ts[0]),
  'config/config.default.ts': `import net from 'node:net'; export default { keys: 'a key', ${
    MYSQL_CONFIG.replace('port: \'3306\', user: \'shop\', password: \'secret\'', `port: '${port}', user: '${user}', password: '${password}'`)} };`,
});

/** The store of a block, on this server. */
function storeOf(code: string, url: string, table = newTable()): SqlSessionStore {
  const { DATABASE_URL } = process.env;
  process.env.DATABASE_URL = url;
  try {
    const { AppSessionStore } = exportsOf({ language: 'ts', code });
    return new class extends AppSessionStore {
      table = table;
    }() as unknown as SqlSessionStore;
  } finally {
    if (DATABASE_URL === undefined) delete process.env.DATABASE_URL;
    else process.env.DATABASE_URL = DATABASE_URL;
  }
}

/** The application that is started counts two visits of two visitors, and leaves two rows. */
async function counts(files: Files, env: NodeJS.ProcessEnv, sessions: () => Promise<number>) {
  const before = await sessions();
  const output = await start({ ...files, ...count }, env);
  assert.equal(output.match(/^answer 200: \{"visits":1\}$/mg)?.length, 2, output);
  assert.doesNotMatch(output, /has not answered|could not be deleted/);
  assert.equal(await sessions(), before + 2);
}

const PRODUCTION = { NODE_ENV: 'production' };

/** A store goes on after a network that has swallowed everything, though its old connections stay silent for ever. */
async function outlivesSilence(store: SessionStore, proxy: Proxy) {
  const key = randomUUID();
  await store.set(key, { n: 1 }, 600_000, OPTIONS);
  proxy.stall();
  const calls = Array.from({ length: 12 }, async () => await store.get(key, undefined, OPTIONS)); // more than the pool has connections
  for (const { status } of await Promise.allSettled(calls)) assert.equal(status, 'rejected');
  proxy.pass();
  await until('it answers', async () => (await store.get(key, undefined, OPTIONS))?.n === 1);
}

/** Sessions are read where nothing can be written, and a request that writes gets a 503. */
async function servesReadOnly(store: SessionStore, rolling: boolean, begin: () => Promise<unknown>, mend: () => Promise<unknown>) {
  const app = await createApp('web', { session: { store, rolling, maxAge: 600_000 } });
  const browser = await Client.of(app);
  const read = async () => (await browser.run((session: any) => ({ n: session.n ?? null }))).json();
  try {
    await browser.run((session: any) => void (session.n = 1));
    await begin();
    for (let i = 0; i < 8; i++) assert.deepEqual(await read(), { n: 1 });
    assert.equal((await browser.tryRun((session: any) => void (session.n = 2))).status, 503);
    assert.deepEqual(await read(), { n: 1 });
    await mend();
    await browser.run((session: any) => void (session.n = 3));
    assert.deepEqual(await read(), { n: 3 });
  } finally {
    await browser.close();
    await app.close();
    mm.restore();
  }
}

/** What the schedule of the document does in an application whose only session has expired. */
async function sweeps(store: string, url: string, sessions: () => Promise<number>) {
  const files = {
    ...moduleOf(store.replace(/^export class .*\{$/m, '$&\n  override readonly removeExpiredEvery = 0;')),
    'app/schedule/removeExpiredSessions.ts': SCHEDULE,
    ...controller(`
      const store = ctx.app.sessionStore;
      await store.set('over', { n: 1 }, 1);
      await new Promise(resolve => setTimeout(resolve, 20));
      const { task, schedule } = Object.values(ctx.app.schedules).find(({ key }: any) => key.includes('removeExpiredSessions')) as any;
      this.session.visits = [ schedule.cron, await task(ctx) ];`),
  };
  const before = await sessions();
  const output = await start(files, { DATABASE_URL: url });
  assert.equal(output.match(/^answer 200: \{"visits":\["0 0 4 \* \* \*",1\]\}$/mg)?.length, 2, output);
  assert.equal(await sessions(), before + 2);
}

const schemaOf = (store: SqlSessionStore) => store.schema();

it('docs/stores.md has the tables word for word as schema() returns them', () => {
  const nobody = undefined as never;
  assert.equal(POSTGRES.sql[0], schemaOf(new class extends PostgresSessionStore {
    protected readonly postgres = nobody;
  }()));
  assert.equal(MYSQL.sql[0], schemaOf(new class extends MysqlSessionStore {
    protected readonly mysql = nobody;
  }()));
});

describe('PostgreSQL as docs/stores.md has it', () => {
  let server: Awaited<ReturnType<typeof startPostgres>>;
  let pool: pg.Pool;
  const sessions = async () => Number((await pool.query('SELECT count(*) AS n FROM sessions WHERE session_key <> \'\'')
    .catch(() => ({ rows: [{ n: 0 }] }))).rows[0].n);
  before(async () => {
    server = await startPostgres();
    pool = new pg.Pool({ connectionString: server.url });
  });
  after(async () => {
    await pool.end();
    await server.stop();
  });

  it('makes its tables in development, and keeps sessions there', () =>
    counts(moduleOf(POSTGRES.ts[0]), { DATABASE_URL: server.url }, sessions));

  it('works in production, with the tables of a migration and the rights of the page, unlogged too', async () => {
    await pool.query('CREATE DATABASE shop');
    const shop = new pg.Pool({ connectionString: server.url.replace(/\w+$/, 'shop') });
    const ofShop = async () => (await shop.query('SELECT FROM sessions WHERE session_key <> \'\'')).rowCount!;
    try {
      for (const sql of POSTGRES.sql.slice(0, 2)) await shop.query(sql);
      const env = { ...PRODUCTION, DATABASE_URL: `postgres://app:password@127.0.0.1:${server.port}/shop` };
      await counts(moduleOf(POSTGRES.ts[0]), env, ofShop);
      await shop.query(POSTGRES.sql[2]);
      assert.equal((await shop.query('SELECT FROM pg_class WHERE relname LIKE \'sessions%\' AND relkind = \'r\' AND relpersistence = \'u\'')).rowCount, 2);
      await counts(moduleOf(POSTGRES.ts[0]), env, ofShop);
    } finally {
      await shop.end();
    }
  });

  it('outlives a network that falls silent', async () => {
    const proxy = await Proxy.to(server.port);
    const store = storeOf(POSTGRES.ts[0], server.url.replace(String(server.port), String(proxy.port)));
    await outlivesSilence(store, proxy);
    await store.close();
    await proxy.close();
  });

  it('deletes expired rows by the schedule', () => sweeps(POSTGRES.ts[0], server.url, sessions));

  for (const rolling of [ false, true ]) {
    it(`reads where it can't write ${rolling ? 'with' : 'without'} rolling`, async () => {
      const replica = new pg.Pool({ connectionString: server.url, options: '-c default_transaction_read_only=on' });
      let now = pool;
      const store = new class extends TestPostgresStore {
        protected override readonly table = newTable();
      }({ query: (text, values) => now.query(text, values) });
      await servesReadOnly(store, rolling, async () => {
        now = replica;
      }, async () => {
        now = pool;
      });
      await replica.end();
    });
  }
});

describe('MySQL and MariaDB as docs/stores.md has them', () => {
  let server: Awaited<ReturnType<typeof startMysql>>;
  const sessions = async () => Number(await server.sql('SELECT COUNT(*) FROM sessions WHERE session_key <> ""').catch(() => 0));
  const asRoot = async (sql: string) => {
    const root = await createConnection({ host: '127.0.0.1', port: server.port, user: 'root', multipleStatements: true });
    await root.query(sql);
    await root.end();
  };
  before(async () => {
    server = await startMysql();
  });
  after(() => server.stop());

  it('makes its tables in development, and keeps sessions there, through egg-mysql', () =>
    counts(withEggMysql(server.port, 'shop', 'secret'), {}, sessions));

  it('does so through a pool of mysql2', () => counts(moduleOf(POOL), { DATABASE_URL: server.url }, sessions));

  it('starts with a pool of mysql2 while the database is away', async () => {
    const output = await start({ ...moduleOf(POOL), ...count }, { DATABASE_URL: 'mysql://shop:secret@127.0.0.1:1/shop' });
    assert.match(output, /the session store AppSessionStore .* has not answered \(.+\)[^]*^answer 503/m, output);
  });

  it('works in production, with the tables of a migration and the rights of the page', async () => {
    await asRoot(`DROP TABLE IF EXISTS shop.sessions, shop.sessions_principals; USE shop; ${MYSQL.sql[0]} ${MYSQL.sql[1]}`);
    await counts(withEggMysql(server.port, 'app', 'password'), PRODUCTION, sessions);
  });

  it('outlives a network that falls silent', async () => {
    const proxy = await Proxy.to(server.port);
    const soon = (code: string) => code.replace(/connectTimeout: \d+/, 'connectTimeout: 1000'); // the test would wait for as long
    const { client } = configOf({ language: 'ts', code: soon(MYSQL_CONFIG).replace('net.connect', 'require("node:net").connect') }).mysql;
    const rds = new RDSClient({ ...client, port: proxy.port });
    for (const store of [
      storeOf(soon(POOL), server.url.replace(String(server.port), String(proxy.port))),
      new class extends TestMysqlStore {
        protected override readonly table = newTable();
      }(rds),
    ]) {
      await quietly(() => outlivesSilence(store, proxy)); // @eggjs/rds prints connections that come too late
      await store.close();
    }
    await proxy.close();
  });

  it('deletes expired rows by the schedule', () => sweeps(POOL, server.url, sessions));

  for (const rolling of [ false, true ]) {
    it(`reads where it can't write ${rolling ? 'with' : 'without'} rolling`, async () => {
      const store = storeOf(POOL, server.url);
      await servesReadOnly(store, rolling, () => asRoot('SET GLOBAL read_only = 1'), () => asRoot('SET GLOBAL read_only = 0'));
      await store.close();
    });
  }

  it('keeps all texts under NO_BACKSLASH_ESCAPES and other character sets, and what was stored when a session is too large', async () => {
    const other = await startMysql([ '--sql-mode=NO_BACKSLASH_ESCAPES', '--character-set-server=latin1', '--max-allowed-packet=1M' ]);
    const at = { host: '127.0.0.1', port: other.port, user: 'shop', password: 'secret', database: 'shop', charset: 'latin1' };
    const rds = new RDSClient(at);
    for (const client of [ createPool(at), rds, { query: (sql: string, values?: unknown[]) => rds.query(sql, values) }]) {
      const store = new TestMysqlStore(client);
      const text = 'a\\\' OR 1=1; -- "茶" 🍵 \u0000 \\';
      await store.set('key', { text, [text]: 1 }, 600_000);
      await store.merge('key', { set: { other: text }, unset: [ text ], replace: false });
      const isThere = async () => {
        const record = await store.get('key', undefined, OPTIONS);
        return record?.text === text && record.other === text && !(text in record);
      };
      assert.ok(await isThere());
      await assert.rejects(store.set('key', { text: 'x'.repeat(1_500_000) }, 600_000));
      await until('the server has hung up, and is asked again', isThere);
    }
    await rds.end();
    await other.stop();
  });

  it('begins beside the table of another package, under another name, and takes none of its cookies', async () => {
    await asRoot('DROP TABLE IF EXISTS shop.sessions; USE shop; CREATE TABLE sessions (session_id VARCHAR(128) PRIMARY KEY, expires INT UNSIGNED NOT NULL, data MEDIUMTEXT)');
    const files = { ...moduleOf(POOL), ...count };
    const refused = await start(files, { DATABASE_URL: server.url });
    assert.match(refused, /does not start: .* are missing, or lack a column \(.*\bcolumn\b[^]*CREATE TABLE IF NOT EXISTS sessions/i, refused);

    const id = 'an-id-of-express';
    const cookie = `EGG_SESS=s%3A${id}.${encodeURIComponent(createHmac('sha256', 'a key').update(id).digest('base64')
      .replace(/=+$/, ''))}`;
    const output = await start({
      ...files,
      ...moduleOf(POOL.replace(/^export class .*\{$/m, '$&\n  protected override readonly table = \'app_sessions\';')),
      'config/config.default.ts': 'export default { keys: \'a key\', session: { acceptLegacyCookie: true } };',
    }, { DATABASE_URL: server.url }, [ `curl -s -H 'Cookie: ${cookie}' http://127.0.0.1:7001/` ]);
    assert.equal(output.match(/\{"visits":1\}/g)?.length, 3, output);
    await asRoot('DROP TABLE shop.sessions');
  });

  it('is part of a transaction in its scope, with @eggjs/rds and a data source of the DAL', async () => {
    const at = { host: '127.0.0.1', port: server.port, user: 'shop', password: 'secret', database: 'shop' };
    for (const client of [ new RDSClient(at), new MysqlDataSource({ ...at, name: 'shop' }) ]) {
      const store = new class extends TestMysqlStore {
        protected override readonly table = newTable();
      }(client);
      await store.set('key', { n: 1 }, 600_000);
      const undone = client.beginTransactionScope(async () => {
        await store.merge('key', { set: { n: 2 }, unset: [], replace: false });
        assert.equal((await store.get('key', undefined, OPTIONS))?.n, 2);
        throw new Error('undone');
      });
      await assert.rejects(undone, /undone/);
      assert.equal((await store.get('key', undefined, OPTIONS))?.n, 1);
      await client.beginTransactionScope(() => store.merge('key', { set: { n: 3 }, unset: [], replace: false }));
      assert.equal((await store.get('key', undefined, OPTIONS))?.n, 3);
      await ('end' in client ? client.end() : (client as unknown as { client: RDSClient }).client.end());
    }
  });
});
