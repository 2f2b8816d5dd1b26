// The databases of the benchmark: each is started as it comes, so that a write is on disk before it is answered.
import fs from 'node:fs';
import { createPool } from 'mysql2/promise';
import pg from 'pg';
import { startMysql, startPostgres } from '../test/support/servers';

export const DATABASES = [ 'PostgreSQL', 'MariaDB' ] as const;
export type DatabaseName = typeof DATABASES[number];

export interface Engine {
  pid: number;
  url: string;
  /** Runs a statement, and resolves to its rows. */
  query(sql: string): Promise<Array<Record<string, unknown>>>;
  /** How often each kind of statement has run since the last call, by its verb, without what this client has asked. */
  statements(): Promise<Record<string, number>>;
  stop(): Promise<void>;
}

const VERBS = [ 'SELECT', 'INSERT', 'UPDATE', 'DELETE' ];

export const ENGINES: Record<DatabaseName, () => Promise<Engine>> = {
  async PostgreSQL() {
    const server = await startPostgres([ '-c', 'fsync=on', '-c', 'shared_preload_libraries=pg_stat_statements' ]);
    const pool = new pg.Pool({ connectionString: server.url, max: 1 });
    pool.on('error', () => undefined); // when the server ends
    const query = async (sql: string) => (await pool.query(sql)).rows;
    const track = async (which: string) => {
      await query(`ALTER SYSTEM SET pg_stat_statements.track = ${which}`);
      await query('SELECT pg_reload_conf()');
      while ((await query('SHOW pg_stat_statements.track'))[0]['pg_stat_statements.track'] !== which);
    };
    await query('CREATE EXTENSION pg_stat_statements');
    await track('none');
    return {
      pid: server.pid,
      url: server.url,
      query,
      async statements() {
        await track('none');
        const rows = await query(`SELECT CASE WHEN query LIKE 'WITH%' THEN 'UPDATE' ELSE substring(query FROM '^\\w+') END AS verb, sum(calls)::int AS calls FROM pg_stat_statements
          WHERE query NOT LIKE '%pg_%' GROUP BY 1`);
        await query('SELECT pg_stat_statements_reset()');
        await track('top');
        return counted(rows.map(({ verb, calls }) => [ String(verb), Number(calls) ]));
      },
      async stop() {
        await pool.end();
        await server.stop('SIGINT');
      },
    };
  },

  async MariaDB() {
    const server = await startMysql([ '--innodb-flush-log-at-trx-commit=1' ]);
    const pool = createPool(server.url);
    const query = async (sql: string) => (await pool.query(sql))[0] as Array<Record<string, unknown>>;
    let before: Record<string, number> = {};
    return {
      pid: server.pid,
      url: server.url,
      query,
      async statements() {
        const rows = await query('SHOW GLOBAL STATUS LIKE \'Com\\_%\'');
        const now = counted(rows.map(row => [ String(row.Variable_name).slice(4).toUpperCase(), Number(row.Value) ]));
        const since = counted(Object.entries(now).map(([ verb, calls ]) => [ verb, calls - (before[verb] ?? 0) ]));
        before = now;
        return since;
      },
      async stop() {
        await pool.end();
        await server.stop();
      },
    };
  },
};

const counted = (calls: Array<[ verb: string, calls: number ]>) =>
  Object.fromEntries(VERBS.flatMap(verb => calls.filter(each => each[0] === verb && each[1] > 0)));

/**
 * What returns how much CPU the threads of a server and of its child processes have used since the last call, in µs. Only Linux tells;
 * elsewhere it is NaN.
 */
export function cpuOf(pid: number): () => number {
  let before = threadsOf(pid);
  return () => {
    const now = threadsOf(pid);
    const used = [ ...now ].reduce((all, [ thread, ns ]) => all + ns - (before.get(thread) ?? 0), 0);
    before = now;
    return now.size > 0 ? used / 1000 : NaN;
  };
}

function threadsOf(pid: number): Map<string, number> {
  const used = new Map<string, number>();
  const add = (process: string) => {
    try {
      for (const thread of fs.readdirSync(`/proc/${process}/task`)) {
        const dir = `/proc/${process}/task/${thread}`;
        used.set(thread, Number(fs.readFileSync(`${dir}/schedstat`, 'utf8').split(' ')[0]));
        for (const child of fs.readFileSync(`${dir}/children`, 'utf8').split(' ').filter(Boolean)) add(child);
      }
    } catch { /* it has ended meanwhile, or there is no /proc */ }
  };
  add(String(pid));
  return used;
}
