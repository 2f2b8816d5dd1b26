import type { PostgresClient } from './clients';
import type { Database, Tables } from './Database';
import { postgres } from './postgres';
import { SqlSessionStore } from './SqlSessionStore';

/**
 * Keeps sessions in PostgreSQL (12 or later), each as a row in which statements change single fields. Each call is one statement.
 *
 * ```ts
 * @SingletonProto()
 * export class AppSessionStore extends PostgresSessionStore {
 *   protected readonly postgres = new Pool({ connectionString: process.env.DATABASE_URL });
 * }
 * ```
 */
export abstract class PostgresSessionStore extends SqlSessionStore {
  /** The client: a Pool of `pg`, or an object with the same `query()`. */
  protected abstract readonly postgres: PostgresClient;

  /** @internal */
  protected override open(tables: Tables): Database {
    return postgres(tables, () => this.postgres);
  }
}
