import KeyvPostgres from '@keyv/postgres';
import pg from 'pg';

/** As docs/stores.md has it. */
export class Postgres extends KeyvPostgres {
  override async connect() {
    const pool = new pg.Pool({ connectionString: this.opts.uri, connectionTimeoutMillis: 1500, query_timeout: 1500 });
    pool.on('error', () => undefined); // unheard, it would end the process when the server restarts
    this.disconnect = () => pool.end();
    return async (sql: string, values?: unknown[]) => (await pool.query(sql, values)).rows;
  }
}
