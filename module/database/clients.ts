/** The part of a client of PostgreSQL that is used: a Pool of `pg` is one. */
export interface PostgresClient {
  /** Runs a statement with `$1`, `$2` … for the values, which are strings, numbers and null. */
  query(text: string, values?: Array<string | number | null>): Promise<{ rows: Array<Record<string, unknown>> }>;
}

/** The part of a client of MySQL or MariaDB that is used: a pool of mysql2, egg-mysql's client, that of @eggjs/rds, and a data source of tegg's DAL have it. */
export interface MysqlClient {
  /** Runs a statement with `?` for the values, which are numbers, null and, for texts, bytes. */
  query(sql: string, values?: Array<number | Buffer | null>): Promise<unknown>;
  /** Does the same with a prepared statement. Used where there is one: the values then do not become part of the statement. */
  execute?(sql: string, values?: Array<number | Buffer | null>): Promise<unknown>;
}

/** A pool of mysql2 that has not been asked for promises yet. */
export interface MysqlCallbackPool {
  promise(): MysqlClient;
}
