import { ONE_DAY } from '../record/SessionRecord';
import { requireFit } from '../record/tooLarge';
import type { MysqlClient } from './clients';
import { type Database, PAGE, type Tables } from './Database';
import { fieldsIn, type Row, textOf } from './rows';
import { compile, inQuestionMarks, type Statement, type Values } from './statement';

/** The clock of the server, in ms, at the start of the statement; that of the time zone repeats an hour each year. */
const NOW = "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000)";
/** Texts go both ways as bytes: a connection may have any character set. */
const text = (value: string) => `CONVERT(CAST(${value} AS BINARY) USING utf8mb4)`;
const bytes = (column: string) => `CAST(CONVERT(${column} USING utf8mb4) AS BINARY) AS ${column}`;
const COLUMNS = `${bytes('data')}, ${bytes('meta')}, successor, lifetime, created_at, expires_at, rev`;
const FOREVER = Number.MAX_SAFE_INTEGER;
/** The latest time of expiry of a record. */
const last = (createdAt: string) => `COALESCE(${createdAt} + CAST(:absolute AS SIGNED), ${FOREVER})`;
/** The time of expiry of a record that is renewed now. */
const end = (lifetime: string, createdAt: string) => `LEAST(${NOW} + IF(${lifetime} = 0, ${ONE_DAY}, ${lifetime}), ${last(createdAt)})`;
/**
 * Makes an UPDATE return the lifetime, as the number that is meant for new ids: 0 if there is no row, or one that ends now. Each part of the
 * statement has the same value before and after the others take effect, as `SIMULTANEOUS_ASSIGNMENT` may be set.
 */
const returning = (rev: string, lifetime: string, end: string) => `rev = ${rev} + 0 * LAST_INSERT_ID(IF(${end} > ${NOW}, ${lifetime} + 1, 0))`;
/** The number of expired rows in a batch. */
const BATCH = 100;
/** The maximum size of a packet besides the data, in bytes. */
const AROUND = 10_000;
/** The number of attempts to change a session, with more than one statement, that other requests write to. */
const ATTEMPTS = 100;
/** The number of these after which a session that moves nowhere ends anyway: nobody must be able to keep it from that. */
const PATIENT = 10;
/**
 * The maximum number of fields that a statement removes: JSON_REMOVE reads the whole document once for each, and each number of them is
 * another prepared statement, of which a server holds a limited number for all its clients.
 */
const MOST_REMOVED = 8;
/** The size of the data, at most, as the server prints them: with a space after each colon and comma. */
const PRINTED = 'OCTET_LENGTH(data) + 2 * JSON_LENGTH(data)';
/** The most that those spaces make of a patch: the shortest field is `"":"0",`. */
const WITH_SPACES = 9 / 7;

const KINDS: Record<number, ReturnType<Database['kindOf']>> = {
  1146: 'missing', 1054: 'missing', 1050: 'exists', 1142: 'forbidden', 1143: 'forbidden', 1064: 'syntax', 1213: 'again', 1020: 'again',
};

/** A server that prepares no more statements, not this one, or no longer knows it: nothing was done. */
const UNPREPARED = new Set([ 1461, 1295, 1243, 1615 ]);

/** The statements of MySQL and MariaDB. */
export function mysql({ sessions, principals }: Tables, client: () => MysqlClient): Database {
  const alive = `session_key = CAST(:key AS BINARY) AND expires_at > ${NOW}`;
  const record = `${alive} AND data IS NOT NULL`;
  const rev = 'CAST(:rev AS SIGNED)';
  const restarted = `COALESCE(${NOW} - CAST(:age AS SIGNED), created_at)`;
  const merged = (data: string, meta: string, also = '') => {
    const lifetime = 'COALESCE(CAST(:lifetime AS SIGNED), lifetime)';
    const expiresAt = `IF(:renew = 1, ${end(lifetime, restarted)}, LEAST(expires_at, ${last(restarted)}))`;
    return `UPDATE ${sessions} SET ${returning(rev, lifetime, expiresAt)}, data = ${data}, meta = ${meta},
      expires_at = ${expiresAt}, lifetime = ${lifetime}, created_at = ${restarted} WHERE ${record}${also}`;
  };

  const isHeld = `expires_at > ${NOW} AND expires_at <= ${NOW} + 2 * :ms`;
  const retired = `UPDATE ${sessions} SET data = NULL, meta = '{}', successor = CAST(:successor AS BINARY), expires_at = ${NOW} + :ms,
      rev = CAST(:rev AS SIGNED) WHERE ${record}`;

  const s = compile(inQuestionMarks, {
    get: `SELECT ${COLUMNS} FROM ${sessions} WHERE ${alive}`,
    set: `INSERT INTO ${sessions} (session_key, data, meta, successor, lifetime, created_at, expires_at, rev)
      VALUES (CAST(:key AS BINARY), ${text(':data')}, ${text(':meta')}, NULL, :lifetime, ${NOW} - CAST(:age AS SIGNED), ${NOW} + :ms, :rev)
      ON DUPLICATE KEY UPDATE data = VALUES(data), meta = VALUES(meta), successor = NULL, lifetime = VALUES(lifetime),
        created_at = VALUES(created_at), expires_at = VALUES(expires_at), rev = VALUES(rev)`,
    destroy: `DELETE FROM ${sessions} WHERE session_key = CAST(:key AS BINARY)`,
    touch: `UPDATE ${sessions} SET ${returning('rev', 'lifetime', end('lifetime', 'created_at'))},
      expires_at = ${end('lifetime', 'created_at')} WHERE ${record}`,
    size: `SELECT ${PRINTED} AS size, @@max_allowed_packet AS most FROM ${sessions} WHERE ${record}`,
    rewrite: merged(text(':data'), text(':meta'), ' AND rev = CAST(:expected AS SIGNED)'),
    compareAndSet: `UPDATE ${sessions} SET ${returning(rev, ':lifetime', end(':lifetime', restarted))}, data = ${text(':data')},
      meta = ${text(':meta')}, expires_at = ${end(':lifetime', restarted)}, lifetime = :lifetime, created_at = ${restarted}
      WHERE ${record} AND rev = CAST(:expected AS SIGNED)`,
    retire: `${retired} AND rev = CAST(:expected AS SIGNED)`,
    end: retired,
    index: `INSERT INTO ${principals} (principal, session_key, expires_at)
      VALUES (CAST(:principal AS BINARY), CAST(:key AS BINARY), ${NOW} + :ms)
      ON DUPLICATE KEY UPDATE expires_at = GREATEST(expires_at, VALUES(expires_at))`,
    unindex: `DELETE FROM ${principals} WHERE principal = CAST(:principal AS BINARY) AND session_key = CAST(:key AS BINARY)`,
    keysOfPrincipal: `SELECT session_key FROM ${principals} WHERE principal = CAST(:principal AS BINARY)
      AND session_key > CAST(:after AS BINARY) AND expires_at > ${NOW} ORDER BY session_key LIMIT ${PAGE}`,
    keysOfAll: `SELECT session_key FROM ${sessions} WHERE session_key > CAST(:after AS BINARY) AND expires_at > ${NOW}
      AND data IS NOT NULL ORDER BY session_key LIMIT ${PAGE}`,
    // no session has an empty key; one of much later was taken when the clock was wrong
    lease: `INSERT INTO ${sessions} (session_key, meta, lifetime, expires_at, rev) VALUES ('', '{}', 0, ${NOW} + :ms, 0)
      ON DUPLICATE KEY UPDATE rev = 0 * LAST_INSERT_ID(IF(${isHeld}, 1, 2)), expires_at = IF(${isHeld}, expires_at, VALUES(expires_at))`,
    // read without a lock, and deleted by their keys: a range would lock what is beside it, too
    expiredSessions: `SELECT session_key, expires_at FROM ${sessions} WHERE expires_at >= CAST(:from AS SIGNED) AND expires_at <= ${NOW} ORDER BY expires_at LIMIT ${BATCH}`,
    expiredPrincipals: `SELECT principal, session_key, expires_at FROM ${principals} WHERE expires_at >= CAST(:from AS SIGNED) AND expires_at <= ${NOW} ORDER BY expires_at LIMIT ${BATCH}`,
  });

  /** Statements for so many fields that are removed, made when they are first needed. */
  const made = new Map<string, Statement>();
  const make = (sql: string) => {
    let statement = made.get(sql);
    if (!statement) made.set(sql, statement = inQuestionMarks(sql));
    return statement;
  };
  // MariaDB reads what is longer as NULL; the members are counted only where they could matter
  const fits = `IF(OCTET_LENGTH(data) + :bytes < @@max_allowed_packet DIV 2, TRUE, ${PRINTED} + :bytes < @@max_allowed_packet)`;
  const mergeOf = (data: number, meta: number) => make(merged(patched('data', data), patched('meta', meta), ` AND ${fits}`));
  const replaceOf = (meta: number) => make(merged(text(':data'), patched('meta', meta)));

  const ask = async ({ text, names }: Statement, values: Values = {}) => {
    const given = names.map(name => {
      const value = values[name];
      return typeof value === 'string' ? Buffer.from(value) : value;
    });
    const pool = client();
    if (!pool.execute) return await pool.query(text, given);
    try {
      return await pool.execute(text, given);
    } catch (err) {
      if (!UNPREPARED.has((err as { errno?: number }).errno ?? 0)) throw err;
      return await pool.query(text, given);
    }
  };
  const all = async (statement: Statement, values?: Values) => rowsIn(await ask(statement, values));
  const row = async (statement: Statement, values: Values) => (await all(statement, values))[0] as unknown as Row | undefined;
  const lifetime = async (statement: Statement, values: Values) => {
    const { insertId } = headerIn(await ask(statement, values));
    return Number(insertId) === 0 ? undefined : Number(insertId) - 1;
  };
  /** The server's `max_allowed_packet`, once it was asked. */
  let most = Infinity;
  /** @throws TooLargeError, as the server would hang up, which counts as an outage */
  const fitting = (values: Values, bytes = Buffer.byteLength(values.data as string)) => {
    // as a part of the text, it would have two letters for each byte
    const sent = (client().execute ? 1 : 2) * bytes + AROUND;
    if (sent > most) requireFit(fieldsIn(values.data), sent, most);
    return values;
  };
  /** Two statements, and two more each time that another request has written to the session between them. */
  const rewrite = async (values: Values) => {
    for (let left = ATTEMPTS; left > 0; left--) {
      const stored = await row(s.get, values);
      if (!stored || stored.data === null) return undefined;
      const written = { ...values, data: withPatch(stored.data, values.data), meta: withPatch(stored.meta, values.meta), expected: Number(stored.rev) };
      const found = await lifetime(s.rewrite, fitting(written));
      if (found !== undefined) return found;
    }
    throw overtaken();
  };
  const merge = async (values: Values) => {
    const [ data, meta ] = [ patchIn(values.data, 'data'), patchIn(values.meta, 'meta') ];
    if (data.paths.length > MOST_REMOVED || meta.paths.length > MOST_REMOVED) return await rewrite(values);
    const length = Buffer.byteLength(values.data as string);
    const bytes = Math.ceil(length * WITH_SPACES);
    const statement = mergeOf(data.paths.length, meta.paths.length);
    const found = await lifetime(statement, { ...fitting(values, length), ...data.values, ...meta.values, bytes });
    if (found !== undefined) return found;
    const [ row ] = await all(s.size, values);
    if (row) requireFit(fieldsIn(values.data), Number(row.size) + bytes, Number(row.most) - 1);
    return undefined;
  };
  const expired = async (statement: Statement, from: number) => await all(statement, { from }) as Array<Record<string, Buffer>>;
  const deleteRows = async (table: string, found: Array<Record<string, Buffer>>, columns: string[]) => {
    if (found.length === 0) return 0;
    const where = found.map(() => `(${columns.map(column => `${column} = ?`).join(' AND ')} AND expires_at <= ${NOW})`).join(' OR ');
    const { affectedRows } = headerIn(await client().query(`DELETE FROM ${table} WHERE ${where}`,
      found.flatMap(each => columns.map(column => each[column]))));
    return Number(affectedRows);
  };

  return {
    get: values => row(s.get, values),
    set: async values => await ask(s.set, fitting(values)),
    destroy: values => ask(s.destroy, values),
    touch: values => lifetime(s.touch, values),
    /** Two statements, as no UPDATE returns a row. If the session moves or ends between the two, the second one returns the new state. */
    getAndTouch: async values => {
      await ask(s.touch, values);
      return await row(s.get, values);
    },
    merge: async (values, replace) => {
      if (!replace) return await merge(values);
      const meta = patchIn(values.meta, 'meta');
      return await lifetime(replaceOf(meta.paths.length), { ...fitting(values), ...meta.values });
    },
    compareAndSet: async values => await lifetime(s.compareAndSet, fitting(values)),
    /** Two statements, and two more each time that another request has written to the session between them. */
    retire: async values => {
      for (let left = ATTEMPTS; left > 0; left--) {
        const found = await row(s.get, values);
        if (!found || found.data === null) return found;
        const isForced = values.successor === null && left <= ATTEMPTS - PATIENT;
        const { affectedRows } = headerIn(await ask(isForced ? s.end : s.retire, { ...values, expected: Number(found.rev) }));
        if (Number(affectedRows) > 0) return found;
      }
      throw overtaken();
    },
    index: values => ask(s.index, values),
    unindex: values => ask(s.unindex, values),
    keys: async values => (await all(values.principal === null ? s.keysOfAll : s.keysOfPrincipal, values)).map(each => each.session_key),
    lease: async values => Number(headerIn(await ask(s.lease, values)).insertId) !== 1,
    deleteExpired: async (table, from) => {
      const found = await expired(table === 'sessions' ? s.expiredSessions : s.expiredPrincipals, from);
      const rows = table === 'sessions' ? await deleteRows(sessions, found, [ 'session_key' ]) : await deleteRows(principals, found, [ 'principal', 'session_key' ]);
      return { found: found.length, rows, last: Number(found.at(-1)?.expires_at) };
    },
    client,
    wanted: {
      field: 'mysql', methods: [ 'query' ],
      what: 'a pool of mysql2, a client of egg-mysql or @eggjs/rds, or one whose query(sql, values) resolves to the rows',
    },
    one: () => client().query('SELECT 1 AS one')?.then(result => rowsIn(result)[0].one),
    async probe(indexes) {
      most = Number(rowsIn(await client().query('SELECT @@max_allowed_packet AS most'))[0].most);
      for (const table of indexes ? [ sessions, principals ] : [ sessions ]) {
        const columns = table === sessions ? 'session_key, data, meta, successor, lifetime, created_at, expires_at, rev' : 'principal, session_key, expires_at';
        await client().query(`SELECT ${columns} FROM ${table} WHERE FALSE`);
        await client().query(`INSERT INTO ${table} (${columns}) SELECT ${columns} FROM ${table} WHERE FALSE`);
        const none = `${columns.split(',')[0]} = '' AND FALSE`; // with a key, for sql_safe_updates
        await client().query(`UPDATE ${table} SET expires_at = 0 WHERE ${none}`);
        await client().query(`DELETE FROM ${table} WHERE ${none}`);
      }
    },
    schema: [
      `CREATE TABLE IF NOT EXISTS ${sessions} (
  session_key VARBINARY(1024) PRIMARY KEY,
  data JSON,
  meta JSON NOT NULL,
  successor VARBINARY(1024),
  lifetime BIGINT NOT NULL,
  created_at BIGINT,
  expires_at BIGINT NOT NULL,
  rev BIGINT NOT NULL,
  INDEX (expires_at)
) ENGINE = InnoDB`,
      `CREATE TABLE IF NOT EXISTS ${principals} (
  principal VARBINARY(1024),
  session_key VARBINARY(1024),
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (principal, session_key),
  INDEX (expires_at)
) ENGINE = InnoDB`,
    ],
    execute: statement => client().query(statement),
    grants: `GRANT SELECT, INSERT, UPDATE, DELETE ON ${sessions} TO …; and the same ON ${principals}`,
    kindOf: err => KINDS[(err as { errno?: number }).errno ?? 0],
    async isInTransaction() {
      if (!('beginTransactionScope' in client())) return false;
      // at the same time, two statements have a connection each, but for those of a transaction
      const [ one, other ] = await Promise.all([ 1, 2 ].map(async () => rowsIn(await client().query('SELECT CONNECTION_ID() AS id'))[0].id));
      return one === other;
    },
  };
}

const overtaken = () => new Error(`[egg-tegg-session] a session could not be changed: other requests wrote to it ${ATTEMPTS} times meanwhile`);

/** A column with a patch applied, and so many fields removed; MariaDB's JSON_MERGE_PATCH loses changes beside a null. */
function patched(column: string, removed: number): string {
  const merged = `JSON_MERGE_PATCH(${column}, ${text(`:${column}`)})`;
  return removed === 0 ? merged : `JSON_REMOVE(${merged}, ${Array.from({ length: removed }, (_, i) => text(`:${column}${i}`)).join()})`;
}

/** What a patch sets, and the paths of what it removes, by the names that `patched` has for them. */
function patchIn(patch: unknown, column: string): { paths: string[]; values: Record<string, string> } {
  const json = patch as string;
  if (!json.includes(':null')) return { paths: [], values: {} };
  const entries = Object.entries(JSON.parse(json));
  const paths = entries.filter(([ , value ]) => value === null).map(([ name ]) => `$.${JSON.stringify(name)}`);
  // to a power of two: removing a field again does nothing, and there are few different statements
  while (paths.length & paths.length - 1) paths.push(paths[0]); // eslint-disable-line no-bitwise
  const set = JSON.stringify(Object.fromEntries(entries.filter(([ , value ]) => value !== null)));
  return { paths, values: { [column]: set, ...Object.fromEntries(paths.map((path, i) => [ `${column}${i}`, path ])) } };
}

/** The text of a column with a patch applied. */
function withPatch(column: unknown, patch: unknown): string {
  const fields: Record<string, string | null> = { ...JSON.parse(textOf(column)), ...JSON.parse(patch as string) };
  return JSON.stringify(Object.fromEntries(Object.entries(fields).filter(([ , json ]) => json !== null)));
}

/** The result of a SELECT: the rows, as egg-mysql and @eggjs/rds return them, or a list that begins with them, as mysql2 does. */
function rowsIn(result: unknown): Array<Record<string, unknown>> {
  return Array.isArray(result) && Array.isArray(result[0]) ? result[0] : result as Array<Record<string, unknown>>;
}

/** The result of another statement. */
function headerIn(result: unknown): { affectedRows?: unknown; insertId?: unknown } {
  return (Array.isArray(result) ? result[0] : result) as ReturnType<typeof headerIn>;
}
