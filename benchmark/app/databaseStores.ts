import KeyvMysql from '@keyv/mysql';
import KeyvPostgres from '@keyv/postgres';
import Keyv from 'keyv';
import { createPool } from 'mysql2/promise';
import { Pool } from 'pg';
import { SingletonProto } from '@eggjs/tegg';
import { KeyvSessionStore, MysqlSessionStore, PostgresSessionStore } from 'egg-tegg-session';
import { settings } from './settings';

const url = settings.database!;

/** As many connections as the others have by default. */
const CONNECTIONS = 10;

@SingletonProto()
export class InPostgreSQL extends PostgresSessionStore {
  protected override readonly createTable = true;
  override readonly removeExpiredEvery = 0;
  protected readonly postgres = new Pool({ connectionString: url, max: CONNECTIONS });
}

@SingletonProto()
export class InMariaDB extends MysqlSessionStore {
  protected override readonly createTable = true;
  override readonly removeExpiredEvery = 0;
  protected readonly mysql = createPool({ uri: url, connectionLimit: CONNECTIONS });
}

@SingletonProto()
export class KeyvInPostgreSQL extends KeyvSessionStore {
  protected readonly keyv = new Keyv(new KeyvPostgres({ uri: url, max: CONNECTIONS }));
}

@SingletonProto()
export class KeyvInMariaDB extends KeyvSessionStore {
  protected readonly keyv = new Keyv(new KeyvMysql(url));
}
