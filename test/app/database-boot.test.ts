import { strict as assert } from 'node:assert';
import mm, { type MockApplication } from 'egg-mock';
import type { SessionOptions } from '../..';
import { Client, createApp } from '../support/app';
import { DATABASES, mysqlPool, newTable, postgresPool, type TestDatabase } from '../support/databases';

const addressOf = ({ client }: TestDatabase) => (client as unknown as { pool: { config: { connectionConfig: { host: string; port: number } } } }).pool.config.connectionConfig;
const urlOf = ({ client }: TestDatabase) => new URL((client as ReturnType<typeof postgresPool>).options.connectionString!);

/** A client whose user may read and write rows, but neither delete them nor create tables. */
const withoutDelete = {
  async PostgreSQL(database: TestDatabase, table: string) {
    const role = `reader_${table}`;
    await database.query(`CREATE ROLE ${role} LOGIN`);
    await database.query(`GRANT SELECT, INSERT, UPDATE ON ${table}, ${table}_principals TO ${role}`).catch(() => undefined); // where there are tables
    const url = urlOf(database);
    url.username = role;
    return postgresPool(url.href);
  },
  async MariaDB(database: TestDatabase) {
    const { host, port } = addressOf(database);
    return mysqlPool(`mysql://undeleting:secret@${host}:${port}/shop`);
  },
};

/** A client that may only read, as of a replica. */
const readOnly = {
  PostgreSQL(database: TestDatabase) {
    const url = urlOf(database);
    url.searchParams.set('options', '-c default_transaction_read_only=on');
    return postgresPool(url.href);
  },
  MariaDB(database: TestDatabase) {
    const { host, port } = addressOf(database);
    const pool = mysqlPool(`mysql://shop:secret@${host}:${port}/shop`, 1);
    pool.on('connection', connection => void (connection as unknown as { query(sql: string): void }).query('SET SESSION TRANSACTION READ ONLY'));
    return pool;
  },
};

for (const name of [ 'PostgreSQL', 'MariaDB' ] as const) {
  describe(`at boot, the store for ${name}`, () => {
    let database: TestDatabase;
    let app: MockApplication | undefined;
    before(async () => {
      database = await DATABASES[name].open();
    });
    afterEach(async () => {
      mm.restore();
      await app?.close();
      app = undefined;
    });
    after(() => database.close());

    const storeOf = DATABASES[name].store;
    const statementsFor = (table: string) => storeOf({ client: database.client, table }).schema().split(';\n')
      .filter(Boolean);
    const migrate = async (table: string) => {
      for (const statement of statementsFor(table)) await database.query(statement);
    };
    const boot = async ({ createTable = false, ...given }: { client?: unknown; table?: string; createTable?: boolean } = {}, session: SessionOptions = {}) => {
      const store = storeOf({ client: database.client, table: newTable(), ...given }, createTable);
      app = await createApp('web', { session: { store, principal: 'userId', storeTimeout: 1500, ...session }, boot: booting => (booting as MockApplication).mockLog('coreLogger') });
    };
    const works = async () => {
      const client = await Client.of(app!);
      await client.run((session: any) => void (session.userId = 1));
      assert.deepEqual((await client.run((session: any) => ({ userId: session.userId }))).json(), { userId: 1 });
      await client.close();
    };

    it('stops an application that has no tables, with the SQL that makes them', async () => {
      const table = newTable();
      let message = '';
      await assert.rejects(boot({ table }), (err: Error & { code?: string }) => {
        assert.equal(err.code, 'ERR_SESSION_SETUP');
        message = err.message;
        return true;
      });
      assert.match(message, /^\[egg-tegg-session\] the tables of the session store Sessions of config\.session\.store are missing, or lack a column/);
      const sql = message.split('\n\n').slice(1).join('\n\n');
      assert.equal(sql, storeOf({ client: database.client, table }).schema());
      for (const statement of sql.split(';\n').filter(Boolean)) await database.query(statement);
      await boot({ table });
      await works();
    });

    it('names what a table of another form lacks', async () => {
      const table = newTable();
      await migrate(table);
      await database.query(`ALTER TABLE ${table} DROP COLUMN successor`);
      await assert.rejects(boot({ table }), /are missing, or lack a column \(.*successor/);
    });

    it('makes the tables under createTable, and finds them the next time', async () => {
      const table = newTable();
      for (let i = 0; i < 2; i++) {
        await boot({ table, createTable: true });
        await works();
        await app!.close();
      }
      app = undefined;
    });

    it('asks for no index without principal', async () => {
      const table = newTable();
      const [ sessions ] = statementsFor(table);
      await database.query(sessions);
      await boot({ table }, { principal: undefined });
      await works();
      await app!.close();
      app = undefined;
      await assert.rejects(boot({ table }), /the tables of .* are missing/);
    });

    it('stops an application whose user lacks a right, and says what grants it', async () => {
      const table = newTable();
      await migrate(table);
      const client = await withoutDelete[name](database, table);
      await assert.rejects(boot({ table, client }), new RegExp(`lacks a right that the session store Sessions of config.session.store needs \\(.*GRANT SELECT, INSERT, UPDATE, DELETE ON ${table}`, 's'));
      await client.end();
    });

    it('stops an application whose user may not create the tables, with the SQL for a user who may', async () => {
      const table = newTable();
      const client = await withoutDelete[name](database, table);
      await assert.rejects(boot({ table, client, createTable: true }), (err: Error) => {
        assert.match(err.message, /are missing, and its createTable can't create them \(.*denied/);
        assert.ok(err.message.includes(`then GRANT SELECT, INSERT, UPDATE, DELETE ON ${table}`), err.message);
        assert.ok(err.message.endsWith(`:\n\n${storeOf({ client, table }).schema()}`), err.message);
        return true;
      });
      await client.end();
    });

    it('lets an application start whose database is away', async () => {
      const client = name === 'PostgreSQL' ? postgresPool('postgres://127.0.0.1:1/x') : mysqlPool('mysql://127.0.0.1:1/x');
      await boot({ client });
      app!.expectLog(/has not answered \(.*ECONNREFUSED.*\)\. The application starts all the same/s, 'coreLogger');
      await client.end();
    });

    it('lets an application start whose database does not answer', async () => {
      await boot({ client: { query: () => new Promise(() => undefined) } }, { storeTimeout: 20 });
      app!.expectLog('has not answered (no answer for 20 ms). The application starts all the same', 'coreLogger');
    });

    it('lets an application start whose database may only be read: sessions can be read there', async () => {
      const table = newTable();
      await migrate(table);
      const client = readOnly[name](database);
      await boot({ table, client });
      app!.notExpectLog('has not answered', 'coreLogger');
      await client.end();
    });

    it('stops an application whose table has a name that the database takes for something else', async () => {
      for (const createTable of [ false, true ]) {
        await assert.rejects(boot({ table: 'order', createTable }), { code: 'ERR_SESSION_SETUP',
          message: /the database does not accept the name of the table of the session store Sessions of config\.session\.store \(.*\): it may be a reserved word/s });
      }
    });

    const query = (reply: unknown) => ({ query: () => reply });
    const what = name === 'PostgreSQL' ? 'a Pool of the package pg' : 'a pool of mysql2';
    const field = name === 'PostgreSQL' ? 'postgres' : 'mysql';
    for (const [ title, client, found ] of [
      [ 'nothing', undefined, 'undefined' ],
      [ 'options', { host: 'localhost' }, 'an object without query()' ],
      [ 'a promise of one', Promise.resolve(), 'a promise' ],
      [ 'one that wants a callback', query(undefined), 'a client whose query() returns no promise' ],
      [ 'one that answers otherwise', query(Promise.resolve({ rows: [{ one: 2 }], 0: 1 })), 'a client' ],
      [ 'one that answers nothing', query(Promise.resolve(undefined)), 'a client whose query() fails' ],
    ] as Array<[ string, unknown, string ]>) {
      it(`stops an application that has ${title} as its client`, async () => {
        await assert.rejects(boot({ client }), (err: Error) => {
          assert.ok(err.message.startsWith(`[egg-tegg-session] the session store Sessions of config.session.store has ${found}`), err.message);
          assert.ok(err.message.includes(` as its ${field}: it must be ${what}`), err.message);
          return true;
        });
      });
    }
  });
}
