import { SingletonProto } from '@eggjs/tegg';
import { PostgresSessionStore } from 'egg-tegg-session';
import pg from 'pg';

@SingletonProto()
export class AppSessionStore extends PostgresSessionStore {
  protected override readonly createTable = process.env.NODE_ENV !== 'production';

  // docs/stores.md of egg-tegg-session says why these settings
  protected readonly postgres = new pg.Pool({
    connectionString: process.env.DATABASE_URL || 'postgres://postgres@127.0.0.1:5432/postgres',
    max: 10,
    connectionTimeoutMillis: 1500,
    query_timeout: 1500,
    keepAlive: true,
  }).on('error', () => undefined);

  override async close() {
    await this.postgres.end();
  }
}
