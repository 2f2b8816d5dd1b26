import { coded } from '../record/errors';
import { withDeadline } from '../store/deadline';
import { failureOf } from '../store/failureOf';
import { type Check, requireClient, wrongClient } from '../store/requireClient';
import type { Database } from './Database';

/**
 * Tries whether a store can do its work, without a trace in the database. One that does not answer is not waited for: it need not be there yet.
 * `probe` does nothing, in each way that the store does something.
 *
 * @return why there was no answer
 * @throws TypeError when it is no client that can be used, Error when a table or a right is missing
 */
export async function checkDatabase({ name, ms }: Check, database: Database, probe: () => Promise<void>): Promise<string | undefined> {
  const { wanted } = database;
  requireClient(name, wanted, database.client);
  const late = () => new Error(`no answer for ${ms} ms`);
  const asked = database.one() as Promise<unknown> | undefined;
  if (typeof asked?.then !== 'function') throw wrongClient(name, wanted, 'a client whose query() returns no promise');
  try {
    const one = await withDeadline(asked, ms, late);
    if (Number(one) !== 1) throw wrongClient(name, wanted, 'a client whose query() answers otherwise');
    await withDeadline(probe(), ms, late);
    return undefined;
  } catch (err) {
    if ((err as { code?: unknown }).code === 'ERR_SESSION_SETUP') throw err;
    const { message } = err as Error;
    const kind = database.kindOf(err);
    if (kind === 'missing') {
      throw coded('ERR_SESSION_SETUP', new Error(`[egg-tegg-session] the session store ${name} has no table, or one of another form (${message}). Run this, ` +
        `which its schema() returns, or set createTable for development:\n\n${database.schema.join(';\n')};\n`));
    }
    if (kind === 'forbidden') {
      throw coded('ERR_SESSION_SETUP', new Error(`[egg-tegg-session] the user of the database may not do what the session store ${name} has to (${message}): ` +
        database.grants));
    }
    if (failureOf(err) === 'writes') return undefined; // it may be a replica, whose sessions can be read
    if (failureOf(err) === 'call' && err instanceof TypeError) throw wrongClient(name, wanted, 'a client that can\'t be asked', message);
    return message || String((err as { code?: unknown }).code);
  }
}
