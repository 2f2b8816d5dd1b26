import { coded } from '../record/errors';
import { withDeadline } from '../store/deadline';
import { failureOf } from '../store/failureOf';
import { type Check, requireClient, wrongClient } from '../store/requireClient';
import type { Database } from './Database';

/**
 * Checks whether a store can do its work, without changing the database. It does not wait for a database that is not up yet.
 * `probe` runs each kind of statement of the store, on no row.
 *
 * @return why the database has not answered
 * @throws TypeError when the client can't be used, Error when a table or a right is missing
 */
export async function checkDatabase({ name, ms }: Check, database: Database, probe: () => Promise<void>): Promise<string | undefined> {
  const { wanted } = database;
  requireClient(name, wanted, database.client);
  const late = () => new Error(`no answer for ${ms} ms`);
  const asked = database.one() as Promise<unknown> | undefined;
  if (typeof asked?.then !== 'function') throw wrongClient(name, wanted, 'a client whose query() returns no promise');
  try {
    const one = await withDeadline(asked, ms, late);
    if (Number(one) !== 1) throw wrongClient(name, wanted, 'a client whose query() returns something else');
    await withDeadline(probe(), ms, late);
    return undefined;
  } catch (err) {
    if ((err as { code?: unknown }).code === 'ERR_SESSION_SETUP') throw err;
    const { message, cause } = err as Error;
    const kind = database.kindOf(err);
    if (kind === 'missing' && cause && database.kindOf(cause) === 'forbidden') {
      throw coded('ERR_SESSION_SETUP', new Error(`[egg-tegg-session] the tables of the session store ${name} are missing, and its createTable can't create them ` +
        `(${(cause as Error).message}). Run these statements as a user who may create tables, then ${database.grants}:\n\n${database.schema.join(';\n')};\n`));
    }
    if (kind === 'missing') {
      throw coded('ERR_SESSION_SETUP', new Error(`[egg-tegg-session] the tables of the session store ${name} are missing, or lack a column (${message}). Run these ` +
        `statements, which its schema() returns, or set createTable for development:\n\n${database.schema.join(';\n')};\n`));
    }
    if (kind === 'forbidden') {
      throw coded('ERR_SESSION_SETUP', new Error(`[egg-tegg-session] the user of the database lacks a right that the session store ${name} needs (${message}): ` +
        database.grants));
    }
    if (kind === 'syntax') { // of a statement that the check has built from nothing but the names of the tables
      throw coded('ERR_SESSION_SETUP', new Error(`[egg-tegg-session] the database does not accept the name of the table of the session store ${name} (${message}): ` +
        'it may be a reserved word. Override table with another name'));
    }
    if (failureOf(err) === 'writes') return undefined; // it may be a replica, whose sessions can be read
    if (failureOf(err) === 'call' && err instanceof TypeError) throw wrongClient(name, wanted, 'a client whose query() fails', message);
    return message || String((err as { code?: unknown }).code);
  }
}
