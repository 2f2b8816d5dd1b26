import type { PostgresClient } from './clients';
import type { Database, Tables } from './Database';
import { postgres } from './postgres';
import { SqlSessionStore } from './SqlSessionStore';

/**
 * Keeps sessions in PostgreSQL (12 or later). Each call is one statement, which changes single fields where they are.
 *
 * ```ts
 * @SingletonProto()
 * export class AppSessionStore extends PostgresSessionStore {
 *   protected readonly postgres = new Pool({ connectionString: process.env.DATABASE_URL });
 * }
 * ```
 */
export abstract class PostgresSessionStore extends SqlSessionStore {
  /** The client: a Pool of `pg`, or what has its `query()`. */
  protected abstract readonly postgres: PostgresClient;

  /** @internal */
  protected override open(tables: Tables): Database {
    return postgres(tables, () => this.postgres);
  }
}
