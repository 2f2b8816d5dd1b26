import { ONE_DAY } from '../record/SessionRecord';
import type { PostgresClient } from './clients';
import { type Database, PAGE, type Tables } from './Database';
import type { Row } from './rows';
import { compile, inDollars, type Statement, type Values } from './statement';

/**
 * The clock of the server, in ms, at the start of the statement. As all operators here, `*` has exactly the types of the system's own: another
 * user's, in a schema where everybody may create one, would be a better match, and run with the rights of the application.
 */
const NOW = '(extract(epoch FROM statement_timestamp())::numeric * 1000::numeric)::bigint';
const COLUMNS = 'data::text, meta::text, successor, lifetime, created_at, expires_at, rev';
/** The time of expiry of a record that is renewed now. */
const end = (lifetime: string, createdAt: string) =>
  `LEAST(${NOW} + CASE ${lifetime} WHEN 0 THEN ${ONE_DAY} ELSE ${lifetime} END, ${createdAt} + :absolute::bigint)`;
/** The number of expired rows in a batch. */
const BATCH = 200;

const KINDS: Record<string, ReturnType<Database['kindOf']>> = {
  '42P01': 'missing', 42703: 'missing', '3F000': 'missing',
  '42P07': 'exists', 42710: 'exists', 23505: 'exists',
  42501: 'forbidden', 42601: 'syntax',
  40001: 'again', '40P01': 'again',
};

/** The statements of PostgreSQL. */
export function postgres({ sessions, principals }: Tables, client: () => PostgresClient): Database {
  const name = (index: string) => `"${sessions.replace(/^.*\./, '')}_${index}"`;
  const alive = `session_key = :key AND expires_at > ${NOW}`;
  const record = `${alive} AND data IS NOT NULL`;
  const restarted = `COALESCE(${NOW} - :age::bigint, created_at)`;
  const merged = (data: string) => {
    const lifetime = 'COALESCE(:lifetime::bigint, lifetime)';
    return `UPDATE ${sessions} SET data = ${data}, meta = jsonb_strip_nulls(meta || :meta::jsonb), lifetime = ${lifetime}, created_at = ${restarted},
      expires_at = CASE :renew::int WHEN 1 THEN ${end(lifetime, restarted)} ELSE LEAST(expires_at, ${restarted} + :absolute::bigint) END,
      rev = :rev::bigint WHERE ${record} RETURNING lifetime, expires_at > ${NOW} AS lives`;
  };
  // each partition of a table has rows with the same ctid, which may be alive
  const expired = (table: string) => `WITH gone AS (DELETE FROM ${table} WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM ${table} WHERE expires_at >= :from::bigint AND expires_at <= ${NOW} ORDER BY expires_at LIMIT ${BATCH} FOR UPDATE SKIP LOCKED)) AND expires_at <= ${NOW} RETURNING expires_at)
    SELECT count(*) AS gone, max(expires_at) AS last FROM gone`;

  const s = compile(inDollars, {
    get: `SELECT ${COLUMNS} FROM ${sessions} WHERE ${alive}`,
    set: `INSERT INTO ${sessions} AS t (session_key, data, meta, successor, lifetime, created_at, expires_at, rev)
      VALUES (:key, :data::jsonb, :meta::jsonb, NULL, :lifetime::bigint, ${NOW} - :age::bigint, ${NOW} + :ms::bigint, :rev::bigint)
      ON CONFLICT (session_key) DO UPDATE SET data = EXCLUDED.data, meta = EXCLUDED.meta, successor = NULL, lifetime = EXCLUDED.lifetime,
        created_at = EXCLUDED.created_at, expires_at = EXCLUDED.expires_at, rev = EXCLUDED.rev`,
    destroy: `DELETE FROM ${sessions} WHERE session_key = :key`,
    touch: `UPDATE ${sessions} SET expires_at = ${end('lifetime', 'created_at')} WHERE ${record} RETURNING lifetime, expires_at > ${NOW} AS lives`,
    // a tombstone too, as it is: a second look could come before the session moves, and the first one after
    getAndTouch: `UPDATE ${sessions} SET expires_at = CASE WHEN data IS NULL THEN expires_at ELSE ${end('lifetime', 'created_at')} END
      WHERE ${alive} RETURNING ${COLUMNS}, expires_at > ${NOW} AS lives`,
    merge: merged('jsonb_strip_nulls(data || :data::jsonb)'),
    replace: merged(':data::jsonb'),
    compareAndSet: `UPDATE ${sessions} SET data = :data::jsonb, meta = :meta::jsonb, lifetime = :lifetime::bigint,
      created_at = ${restarted}, expires_at = ${end(':lifetime::bigint', restarted)}, rev = :rev::bigint
      WHERE ${record} AND rev = :expected::bigint RETURNING lifetime, expires_at > ${NOW} AS lives`,
    retire: `WITH found AS (SELECT * FROM ${sessions} WHERE ${alive} FOR UPDATE), retired AS (
      UPDATE ${sessions} t SET data = NULL, meta = '{}', successor = :successor, expires_at = ${NOW} + :ms::bigint
      FROM found WHERE t.session_key = found.session_key AND found.data IS NOT NULL)
      SELECT ${COLUMNS} FROM found`,
    index: `INSERT INTO ${principals} AS t (principal, session_key, expires_at) VALUES (:principal, :key, ${NOW} + :ms::bigint)
      ON CONFLICT (principal, session_key) DO UPDATE SET expires_at = GREATEST(t.expires_at, EXCLUDED.expires_at)`,
    unindex: `DELETE FROM ${principals} WHERE principal = :principal AND session_key = :key`,
    keysOfPrincipal: `SELECT session_key FROM ${principals} WHERE principal = :principal AND session_key > :after AND expires_at > ${NOW}
      ORDER BY session_key LIMIT ${PAGE}`,
    keysOfAll: `SELECT session_key FROM ${sessions} WHERE session_key > :after AND expires_at > ${NOW} AND data IS NOT NULL
      ORDER BY session_key LIMIT ${PAGE}`,
    // no session has an empty key; one of much later was taken when the clock was wrong
    lease: `INSERT INTO ${sessions} AS t (session_key, meta, lifetime, expires_at, rev) VALUES ('', '{}', 0, ${NOW} + :ms::bigint, 0)
      ON CONFLICT (session_key) DO UPDATE SET expires_at = EXCLUDED.expires_at
      WHERE t.expires_at <= ${NOW} OR t.expires_at > EXCLUDED.expires_at + :ms::bigint RETURNING 1 AS held`,
    expiredSessions: expired(sessions),
    expiredPrincipals: expired(principals),
  });

  /** Whether the server is to keep the statements that it has parsed, which is most of what it has to do for one. */
  let isPrepared = true;
  const ask = (statement: Statement, given: Array<string | number | null>) => {
    const pool = client();
    if (!isPrepared || !takesNames(pool)) return pool.query(statement.text, given);
    return pool.query({ name: statement.name, text: statement.text, values: given }).catch(err => {
      if (!UNPREPARED.has(err.code)) throw err;
      isPrepared = false; // what is between has other connections to the server each time, as PgBouncer before 1.21
      return pool.query(statement.text, given);
    });
  };
  const all = async (statement: Statement, values: Values = {}) => (await ask(statement, statement.names.map(each => values[each]))).rows;
  const row = async (statement: Statement, values: Values) => (await all(statement, values))[0] as unknown as Row & { lives?: boolean } | undefined;
  const lifetime = async (statement: Statement, values: Values) => {
    const found = await row(statement, values);
    return found?.lives ? Number(found.lifetime) : undefined;
  };

  return {
    get: values => row(s.get, values),
    set: values => all(s.set, values),
    destroy: values => all(s.destroy, values),
    touch: values => lifetime(s.touch, values),
    getAndTouch: async values => {
      const found = await row(s.getAndTouch, values);
      return found?.lives ? found : undefined;
    },
    merge: (values, replace) => lifetime(replace ? s.replace : s.merge, values),
    compareAndSet: values => lifetime(s.compareAndSet, values),
    retire: values => row(s.retire, values),
    index: values => all(s.index, values),
    unindex: values => all(s.unindex, values),
    keys: async values => (await all(values.principal === null ? s.keysOfAll : s.keysOfPrincipal, values)).map(each => each.session_key),
    lease: async values => (await all(s.lease, values)).length > 0,
    deleteExpired: async (table, from) => {
      const [{ gone, last }] = await all(table === 'sessions' ? s.expiredSessions : s.expiredPrincipals, { from });
      return { found: Number(gone), rows: Number(gone), last: Number(last) };
    },
    client,
    wanted: { field: 'postgres', methods: [ 'query' ], what: 'a Pool of the package pg, or a client whose query(text, values) resolves to { rows }' },
    one: () => client().query('SELECT 1 AS one', [])?.then(({ rows }) => rows[0].one),
    async probe(indexes) {
      for (const table of indexes ? [ sessions, principals ] : [ sessions ]) {
        const columns = table === sessions ? 'session_key, data, meta, successor, lifetime, created_at, expires_at, rev' : 'principal, session_key, expires_at';
        await client().query(`SELECT ${columns} FROM ${table} WHERE false FOR UPDATE`);
        await client().query(`INSERT INTO ${table} (${columns}) SELECT ${columns} FROM ${table} WHERE false`);
        await client().query(`DELETE FROM ${table} WHERE false`);
      }
    },
    schema: [
      `CREATE TABLE IF NOT EXISTS ${sessions} (
  session_key text COLLATE "C" PRIMARY KEY,
  data jsonb,
  meta jsonb NOT NULL,
  successor text,
  lifetime bigint NOT NULL,
  created_at bigint,
  expires_at bigint NOT NULL,
  rev bigint NOT NULL
)`,
      `CREATE INDEX IF NOT EXISTS ${name('expires_at')} ON ${sessions} (expires_at)`,
      `CREATE TABLE IF NOT EXISTS ${principals} (
  principal text COLLATE "C",
  session_key text COLLATE "C",
  expires_at bigint NOT NULL,
  PRIMARY KEY (principal, session_key)
)`,
      `CREATE INDEX IF NOT EXISTS ${name('principals_expires_at')} ON ${principals} (expires_at)`,
    ],
    execute: statement => client().query(statement),
    grants: `GRANT SELECT, INSERT, UPDATE, DELETE ON ${sessions}, ${principals} TO …`,
    kindOf: err => KINDS[(err as { code?: string }).code ?? ''],
  };
}

/** A server that does not know a statement by the name it was given, knows another by it, or knows one whose table has changed: nothing was done. */
const UNPREPARED = new Set([ '26000', '42P05', '0A000' ]);

/** The part of `pg` that a Pool of it has besides. */
interface NamingPool {
  query(config: { name: string; text: string; values: Array<string | number | null> }): ReturnType<PostgresClient['query']>;
}
const takesNames = (client: object): client is NamingPool => 'totalCount' in client && 'idleCount' in client;
