import { strict as assert } from 'node:assert';
import type { EventEmitter } from 'node:events';
import { MysqlDataSource } from '@eggjs/dal-runtime';
import { RDSClient } from '@eggjs/rds';
import { createPool } from 'mysql2/promise';
import type { MysqlClient, SessionStoreOptions } from '../..';
import { type Subject, testAtOnce } from '../support/contract';
import { mysqlCallbackPool, mysqlPool, postgresPool, TestMysqlStore, TestPostgresStore } from '../support/databases';
import { startMysql, startPostgres, type TestServer, until } from '../support/servers';

/** Nobody listens there. */
const NOWHERE = '127.0.0.1:1';

/** What a `mysql://` address says, as the clients of Egg's plugins take it. */
function optionsOf(url: string) {
  const { hostname, port, username, password, pathname } = new URL(url);
  return { host: hostname, port: Number(port), user: username, password, database: pathname.slice(1), connectionLimit: 5 };
}

/** The clients, each with a server whose settings could break statements. */
const MYSQL_CLIENTS: Array<[ name: string, client: (url: string) => TestMysqlStore['mysql'], args?: string[] ]> = [
  [ 'a pool of mysql2', url => mysqlPool(url, 5) ],
  [ 'a pool of mysql2 with callbacks, without the strict mode', mysqlCallbackPool, [ '--sql-mode=' ]],
  [ 'egg-mysql\'s client, with assignments that take effect at once', url => new RDSClient(optionsOf(url)) as unknown as MysqlClient,
    [ '--sql-mode=SIMULTANEOUS_ASSIGNMENT,ANSI_QUOTES,PIPES_AS_CONCAT,STRICT_ALL_TABLES' ]],
  [ 'a data source of tegg\'s DAL, without escapes, in another time zone', url => {
    const source = new MysqlDataSource({ ...optionsOf(url), name: 'sessions', initSql: undefined } as ConstructorParameters<typeof MysqlDataSource>[0]);
    (source as unknown as EventEmitter).on('error', () => undefined); // otherwise, it prints that it can't connect
    return { query: (sql: string, values: unknown[]) => source.query(sql, values as any) } as TestMysqlStore['mysql'];
  }, [ '--sql-mode=NO_BACKSLASH_ESCAPES', '--default-time-zone=+05:30' ]],
  [ 'a pool that has no prepared statements, another character set, and other flags', url => {
    const pool = createPool({ ...optionsOf(url), charset: 'latin1', bigNumberStrings: true, supportBigNumbers: true, flags: [ '-FOUND_ROWS' ] });
    return { query: (sql: string, values?: unknown[]) => pool.query(sql, values as any), end: () => pool.end() };
  }, [ '--character-set-server=latin1', '--transaction-isolation=SERIALIZABLE' ]],
];

const POSTGRES_CLIENTS: Array<[ name: string, client: (url: string) => TestPostgresStore['postgres'] ]> = [
  [ 'a pool of pg', url => postgresPool(url, 5) ],
  // a transaction of this kind fails when another one was faster, and is made again
  [ 'a pool of pg whose transactions are serializable, in another time zone', url =>
    postgresPool(`${url}?options=${encodeURIComponent('-c default_transaction_isolation=serializable -c TimeZone=Asia/Shanghai')}`, 5) ],
];

describe('the contract, with each client of a database', () => {
  const servers: TestServer[] = [];
  /** Has the server end after the tests. */
  async function kept<T extends TestServer>(starting: Promise<T>): Promise<T> {
    const server = await starting;
    servers.push(server);
    return server;
  }
  testAtOnce([
    ...POSTGRES_CLIENTS.map(([ name, client ]): Subject => [ `PostgresSessionStore with ${name}`,
      async () => new TestPostgresStore(client((await kept(startPostgres())).url)), () => new TestPostgresStore(client(`postgres://${NOWHERE}/postgres`)) ]),
    ...MYSQL_CLIENTS.map(([ name, client, args ]): Subject => [ `MysqlSessionStore with ${name}`,
      async () => new TestMysqlStore(client((await kept(startMysql(args))).url)), () => new TestMysqlStore(client(`mysql://shop:secret@${NOWHERE}/shop`)) ]),
  ]);
  after(() => Promise.all(servers.map(server => server.stop())));
});

it('a deadlock in a transaction of egg-mysql ends all of it: nothing of it is done, and its scope fails', async () => {
  const server = await startMysql();
  const rds = new RDSClient(optionsOf(server.url));
  const store = new TestMysqlStore(rds as unknown as MysqlClient);
  const options = {} as SessionStoreOptions;
  for (const key of [ 'a', 'b' ]) await store.set(key, { n: 1, _maxAge: 60_000 }, 60_000);
  await rds.query('CREATE TABLE orders (id INT PRIMARY KEY) ENGINE = InnoDB');
  const pool = mysqlPool(server.url, 2);
  const other = await pool.getConnection();
  await other.query('BEGIN');
  // of two transactions, the server rolls back the smaller one
  await other.query(`INSERT INTO orders VALUES ${Array.from({ length: 60 }, (_, i) => `(${100 + i})`).join()}`);
  await other.query('SELECT * FROM sessions WHERE session_key = \'b\' FOR UPDATE');
  let blocked: Promise<unknown> | undefined;
  await assert.rejects(rds.beginTransactionScope(async () => {
    await rds.query('INSERT INTO orders VALUES (1)');
    await store.merge('a', { set: { n: 2 }, unset: [], replace: false }, options);
    blocked = other.query('UPDATE sessions SET rev = rev + 1 WHERE session_key = \'a\'');
    await until('it waits', async () => (await pool.query('SHOW FULL PROCESSLIST').then(([ rows ]) => JSON.stringify(rows))).includes('rev = rev + 1'));
    await store.merge('b', { set: { n: 2 }, unset: [], replace: false }, options);
    await rds.query('INSERT INTO orders VALUES (2)');
  }), { errno: 1213 });
  await blocked;
  await other.query('COMMIT');
  assert.deepEqual(await rds.query('SELECT id FROM orders WHERE id < 100'), []);
  other.release();
  await pool.end();
  await rds.end();
  await server.stop();
});
