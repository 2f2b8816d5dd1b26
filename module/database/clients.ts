/** The part of a PostgreSQL client that the store uses; a Pool of `pg` has it. */
export interface PostgresClient {
  /** Runs a statement in which `$1`, `$2` … stand for the values: strings, numbers and null. */
  query(text: string, values?: Array<string | number | null>): Promise<{ rows: Array<Record<string, unknown>> }>;
}

/**
 * The part of a MySQL or MariaDB client that the store uses; a pool of mysql2, a client of egg-mysql or @eggjs/rds, and a data source of
 * tegg's DAL have it.
 */
export interface MysqlClient {
  /** Runs a statement in which each `?` stands for a value: a number, null, or the bytes of a text. */
  query(sql: string, values?: Array<number | Buffer | null>): Promise<unknown>;
  /** Does the same with a prepared statement. If the client has it, the store uses it, as it does not put the values into the SQL text. */
  execute?(sql: string, values?: Array<number | Buffer | null>): Promise<unknown>;
}

/** A pool of mysql2 with callbacks; the store uses its `promise()`. */
export interface MysqlCallbackPool {
  promise(): MysqlClient;
}
