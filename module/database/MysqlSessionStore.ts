import type { MysqlCallbackPool, MysqlClient } from './clients';
import type { Database, Tables } from './Database';
import { mysql } from './mysql';
import { SqlSessionStore } from './SqlSessionStore';

/**
 * Keeps sessions in MySQL 8 or MariaDB (10.6 or later). Each call is one statement, which changes single fields where they are, but for
 * two: `getAndTouch` and `retire` take two.
 *
 * ```ts
 * @SingletonProto()
 * export class AppSessionStore extends MysqlSessionStore {
 *   @Inject() protected readonly mysql: MysqlClient;
 * }
 * ```
 */
export abstract class MysqlSessionStore extends SqlSessionStore {
  /** The client, as egg-mysql provides it, or a pool of mysql2. */
  protected abstract readonly mysql: MysqlClient | MysqlCallbackPool;

  private known?: { readonly given: MysqlClient | MysqlCallbackPool; readonly client: MysqlClient };

  /** @internal */
  protected override open(tables: Tables): Database {
    return mysql(tables, () => this.client);
  }

  private get client(): MysqlClient {
    const given = this.mysql;
    if (!this.known || this.known.given !== given) this.known = { given, client: withPromises(given) };
    return this.known.client;
  }
}

/** What is no client at all stays what it is. */
const withPromises = (given: MysqlClient | MysqlCallbackPool): MysqlClient =>
  (typeof (given as MysqlCallbackPool | undefined)?.promise === 'function' ? (given as MysqlCallbackPool).promise() : given as MysqlClient);
