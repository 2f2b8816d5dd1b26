import { createPool as createCallbackPool, type Pool as CallbackPool } from 'mysql2';
import { createPool, type Pool as MysqlPool } from 'mysql2/promise';
import pg from 'pg';
import { startMysql, startPostgres } from './servers';
import { type MysqlCallbackPool, type MysqlClient, MysqlSessionStore, type PostgresClient, PostgresSessionStore } from '../..';

export class TestPostgresStore extends PostgresSessionStore {
  protected override readonly createTable = true;

  constructor(readonly postgres: PostgresClient & { end?(): Promise<void> }) {
    super();
  }

  override async close() {
    await this.postgres.end?.();
  }
}

export class TestMysqlStore extends MysqlSessionStore {
  protected override readonly createTable = true;

  constructor(readonly mysql: (MysqlClient | MysqlCallbackPool) & { end?(): unknown }) {
    super();
  }

  override async close() {
    await this.mysql.end?.();
  }
}

/** As docs/stores.md has it; with more `patience`, in ms, where statements are large and no server goes away. */
export function postgresPool(url: string, max = 10, patience = 1500): pg.Pool {
  const pool = new pg.Pool({ connectionString: url, max, connectionTimeoutMillis: patience, query_timeout: patience, keepAlive: true });
  pool.on('error', () => undefined); // unheard, it would end the process when the server restarts
  return pool;
}

export const mysqlPool = (url: string, connectionLimit = 10): MysqlPool => createPool({ uri: url, connectionLimit });
export const mysqlCallbackPool = (url: string): CallbackPool => createCallbackPool(url);

let tables = 0;
/** Another table for each test: databases take longer to start than tests do. */
export const newTable = () => `sessions_${process.pid}_${++tables}`;

/** A server that the tests of this process share; it ends with the process. */
function shared<T>(start: () => Promise<T>): () => Promise<T> {
  let started: Promise<T> | undefined;
  return () => (started ??= start());
}
const postgresServer = shared(startPostgres);
const mysqlServer = shared(() => startMysql());

/** What tests do with a database behind the store's back. */
export interface TestDatabase {
  table: string;
  /** The rows that came of a statement; `?` in it are the values. */
  query(sql: string, ...values: string[]): Promise<Array<Record<string, unknown>>>;
  /** A client for the store. */
  client: pg.Pool | MysqlPool;
  close(): Promise<void>;
}

async function openPostgres(): Promise<TestDatabase> {
  const pool = postgresPool((await postgresServer()).url, 10, 60_000);
  return {
    table: newTable(),
    client: pool,
    async query(sql, ...values) {
      let last = 0;
      return (await pool.query(sql.replace(/\?/g, () => `$${++last}`), values)).rows;
    },
    close: () => pool.end(),
  };
}

async function openMysql(): Promise<TestDatabase> {
  const pool = mysqlPool((await mysqlServer()).url);
  return {
    table: newTable(),
    client: pool,
    async query(sql, ...values) {
      const [ rows ] = await pool.query(sql, values.map(value => Buffer.from(value)));
      return rows as Array<Record<string, unknown>>;
    },
    close: () => pool.end(),
  };
}

interface Given {
  table: string;
  client: unknown;
}

/** Each kind of database: how it is opened, with a table of its own, and its store. */
export const DATABASES = {
  PostgreSQL: {
    open: openPostgres,
    store: ({ client, table }: Given, createTable = true) => new class Sessions extends PostgresSessionStore {
      protected override readonly table = table;
      protected override readonly createTable = createTable;
      protected readonly postgres = client as pg.Pool;
    }(),
  },
  MariaDB: {
    open: openMysql,
    store: ({ client, table }: Given, createTable = true) => new class Sessions extends MysqlSessionStore {
      protected override readonly table = table;
      protected override readonly createTable = createTable;
      protected readonly mysql = client as MysqlPool;
    }(),
  },
} as const;
