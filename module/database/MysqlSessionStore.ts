import type { MysqlCallbackPool, MysqlClient } from './clients';
import type { Database, Tables } from './Database';
import { mysql } from './mysql';
import { SqlSessionStore } from './SqlSessionStore';

/**
 * Keeps sessions in MySQL (8 or later) or MariaDB (10.6 or later), each as a row in which statements change single fields. Each call is one
 * statement, except for `getAndTouch`, `retire`, and a `merge` that removes more than eight fields or finds no session, which need
 * two.
 *
 * ```ts
 * @SingletonProto()
 * export class AppSessionStore extends MysqlSessionStore {
 *   @Inject() protected readonly mysql: MysqlClient;
 * }
 * ```
 */
export abstract class MysqlSessionStore extends SqlSessionStore {
  /** The client: of egg-mysql or @eggjs/rds, a pool of mysql2, or a data source of tegg's DAL. */
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

/** Returns anything that is not a pool with callbacks unchanged. */
const withPromises = (given: MysqlClient | MysqlCallbackPool): MysqlClient =>
  (typeof (given as MysqlCallbackPool | undefined)?.promise === 'function' ? (given as MysqlCallbackPool).promise() : given as MysqlClient);
