import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from 'egg';
import { coded } from '../record/errors';
import { hasLifetime, type Tombstone } from '../record/SessionRecord';
import type { Check } from '../store/requireClient';
import { newRevision, requireLifetime } from '../store/written';
import {
  SessionStore, type SessionChanges, type SessionMaxAge, type SessionRecord, type SessionStoreOptions,
} from '../store/SessionStore';
import { checkDatabase } from './checkDatabase';
import { type Database, PAGE, type Tables } from './Database';
import { ageOf, columnsOf, escaped, keyColumn, lifetimeColumn, lifetimeIn, patchOf, principalColumn, recordIn, type Row, unescaped } from './rows';
import type { Values } from './statement';
import { removeAllExpired } from './sweep';

/** The number of attempts of a statement that the database has rolled back because of a conflict. */
const ATTEMPTS = 5;

const FIVE_MINUTES = 300_000;

/**
 * The base class of {@link PostgresSessionStore} and {@link MysqlSessionStore}: one table has a row for each session, and another one is the
 * index of each principal's sessions. Each call is atomic. The differences between databases are a part that it holds, a `Database`; the two
 * classes name the client, as applications extend them.
 */
export abstract class SqlSessionStore extends SessionStore {
  /**
   * The table of sessions, with or without its schema or database (`shop.sessions`): up to 40 letters, digits and `_`. The index is
   * `<table>_principals`. Override it to change it; applications that share a database need separate tables.
   * @default 'sessions'
   */
  protected readonly table: string = 'sessions';

  /**
   * Whether to create missing tables, for development. In production, run `schema()` as a migration, and give the application's database
   * user no right to change tables.
   * @default false
   */
  protected readonly createTable: boolean = false;

  /**
   * The interval, in ms, at which one of the workers deletes expired rows. With 0, none does: call `removeExpired()` in your own schedule.
   * @default 300_000, five minutes
   */
  readonly removeExpiredEvery: number = FIVE_MINUTES;

  private opened?: Database;

  /** The statements for the tables. @internal */
  protected abstract open(tables: Tables): Database;

  /** The SQL that creates the missing tables and indexes, for a migration. */
  schema(): string {
    return `${this.database.schema.join(';\n')};\n`;
  }

  /**
   * Deletes all expired rows, in batches, with pauses between them so that the database can answer requests.
   *
   * @return the number of deleted rows
   */
  async removeExpired(): Promise<number> {
    let removed = 0;
    for (const table of [ 'sessions', 'principals' ] as const) removed += await removeAllExpired(from => this.run(db => db.deleteExpired(table, from)));
    return removed;
  }

  /** Does the same, unless another worker is doing it or has just done it. @internal */
  async removeExpiredInTurn(): Promise<number> {
    return await this.run(db => db.lease({ ms: Math.ceil(this.removeExpiredEvery) })) ? await this.removeExpired() : 0;
  }

  get(key: string, _maxAge: SessionMaxAge | undefined, { ctx }: SessionStoreOptions): Promise<SessionRecord | undefined> {
    return this.run(db => db.get(keyed(key))).then(row => readable(row, ctx));
  }

  async set(key: string, record: SessionRecord, maxAge: SessionMaxAge, options?: SessionStoreOptions): Promise<void> {
    const lifetime = options?.absoluteMaxAge !== undefined && hasLifetime(record) ? this.lifetime(record) : maxAge;
    const ms = requireLifetime(this.ttl(maxAge));
    await this.run(db => db.set({ ...keyed(key), ...this.recordValues(record, lifetime), ms }));
  }

  async destroy(key: string): Promise<void> {
    await this.run(db => db.destroy(keyed(key)));
  }

  override touch(key: string, options?: SessionStoreOptions): Promise<SessionMaxAge | false> {
    return this.run(db => db.touch({ ...keyed(key), ...limit(options) })).then(lifetimeOrFalse);
  }

  override getAndTouch(key: string, options: SessionStoreOptions): Promise<SessionRecord | undefined> {
    return this.run(db => db.getAndTouch({ ...keyed(key), ...limit(options) })).then(row => readable(row, options.ctx));
  }

  override merge(key: string, changes: SessionChanges, options?: SessionStoreOptions): Promise<SessionMaxAge | false> {
    const { set, replace, renew } = changes;
    const lifetime = hasLifetime(set) ? lifetimeColumn(this.lifetime(set)) : null;
    const patch = patchOf(changes);
    const data = replace ? columnsOf(set).data : patch.data;
    const values = { ...keyed(key), data, meta: patch.meta, lifetime, age: ageOf(set), rev: newRevision(), renew: renew === false ? 0 : 1, ...limit(options) };
    return this.run(db => db.merge(values, replace)).then(lifetimeOrFalse);
  }

  override compareAndSet(key: string, { _rev, _createdAt }: SessionRecord, record: SessionRecord, maxAge: SessionMaxAge,
    options?: SessionStoreOptions): Promise<boolean> {
    const lifetime = options?.absoluteMaxAge !== undefined && hasLifetime(record) ? this.lifetime(record) : maxAge;
    const values = { ...keyed(key), ...this.recordValues(record, lifetime), expected: Number(_rev), ...limit(options) };
    if (record._createdAt === _createdAt) values.age = null; // the row has it by the clock of the database
    return this.run(db => db.compareAndSet(values)).then(lifetime => lifetime !== undefined);
  }

  override async retire(key: string, successor: string | null, graceMs: number): Promise<SessionRecord | Tombstone | undefined> {
    const values = { ...keyed(key), successor: successor === null ? null : keyColumn(successor), ms: requireLifetime(this.ttl(graceMs)), rev: newRevision() };
    try {
      return recordIn(await this.run(db => db.retire(values)));
    } catch (err) {
      if (err instanceof SyntaxError) return undefined; // it was not readable, and is gone
      throw err;
    }
  }

  override async index(principal: string, key: string, ms: number): Promise<void> {
    const values = { ...keyed(key), principal: principalColumn(principal), ms: Math.ceil(ms) };
    await this.run(db => (ms === 0 ? db.unindex(values) : db.index(values)));
  }

  override async* list(principal?: string): AsyncGenerator<string[]> {
    const of = principal === undefined ? null : principalColumn(principal);
    let keys: string[];
    let after = '';
    do {
      const values = { principal: of, after };
      keys = (await this.run(db => db.keys(values))).map(unescaped);
      if (keys.length > 0) yield keys;
      after = escaped(keys.at(-1) ?? '');
    } while (keys.length === PAGE);
  }

  /** @internal */
  override async checkAtBoot(check: Check): Promise<string | undefined> {
    const { database } = this;
    return await checkDatabase(check, database, () => this.run(() => database.probe(check.indexes)));
  }

  private get database(): Database {
    this.opened ??= this.open(tablesOf(this.table)); // not before the subclass has set its fields
    return this.opened;
  }

  /** The columns of a record, except for its time of expiry. */
  private recordValues(record: SessionRecord, maxAge: SessionMaxAge) {
    const lifetime = lifetimeColumn(maxAge === 'session' ? maxAge : requireLifetime(this.ttl(maxAge)));
    return { ...columnsOf(record), lifetime, age: ageOf(record), rev: newRevision() };
  }

  /** No async function: each request pays for every promise. */
  private run<T>(call: (database: Database) => Promise<T>): Promise<T> {
    return call(this.database).catch(err => this.again(err, call));
  }

  /** Repeats a failed call if the database says that it has not taken effect. */
  private async again<T>(err: unknown, call: (database: Database) => Promise<T>): Promise<T> {
    const { database } = this;
    let failure = err;
    for (let attempt = 1; attempt < ATTEMPTS; attempt++) {
      const kind = database.kindOf(failure);
      if (kind === 'missing' && this.createTable && attempt === 1) await this.makeTables(failure as Error);
      else if (kind === 'again' && !await database.isInTransaction?.().catch(() => true)) await sleep(Math.random() * 10 * attempt);
      else throw failure;
      try {
        return await call(database);
      } catch (err) {
        failure = err;
      }
    }
    throw failure;
  }

  /** @throws missing, with why as its cause, when the user of the database may not create them */
  private async makeTables(missing: Error): Promise<void> {
    const { database } = this;
    for (const statement of database.schema) {
      await database.execute(statement).catch(err => {
        const kind = database.kindOf(err);
        if (kind === 'exists') return; // another worker makes it at this moment
        throw kind === 'forbidden' ? Object.assign(missing, { cause: err }) : err;
      });
    }
  }
}

const limit = (options?: SessionStoreOptions) =>
  ({ absolute: options?.absoluteMaxAge === undefined ? null : Math.ceil(options.absoluteMaxAge) });

const lifetimeOrFalse = (column: number | undefined): SessionMaxAge | false => column !== undefined && lifetimeIn(column);

const keyed = (key: string) => ({ key: keyColumn(key) }) satisfies Values;

function readable(row: Row | undefined, ctx: Context): SessionRecord | undefined {
  try {
    return recordIn(row) as SessionRecord | undefined;
  } catch (err) {
    ctx.coreLogger.error('[session][malformed] what is stored for a session is not readable: %s', (err as Error).name);
    return undefined;
  }
}

/** @throws TypeError when it is not the name of a table: it goes into statements as it is */
function tablesOf(table: string): Tables {
  if (!/^(?:\w{1,60}\.)?\w{1,40}$/.test(table)) {
    throw coded('ERR_SESSION_SETUP', new TypeError(`[egg-tegg-session] the session store's table is ${JSON.stringify(table)}: it must be a name of up to 40 ` +
      'letters, digits and _, with or without a schema before it'));
  }
  return { sessions: table, principals: `${table}_principals` };
}
