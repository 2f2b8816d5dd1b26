/**
 * What a failure of one call says of the store. `server`: that other calls fail too; the breaker counts it. `writes`: that its server
 * refuses to write, and still reads. `call`: nothing, it was about this call.
 */
export type Failure = 'server' | 'writes' | 'call';

/** A call that was given up, as it took too long. */
export class LateError extends Error {}

/** Answers of servers and errors of drivers, by what they say; `*` stands for more letters. docs/operations.md has the same lists. */
export interface Rules {
  server: readonly string[];
  writes: readonly string[];
}

/** What the errors of Redis begin with. */
export const REDIS: Rules = {
  server: [ 'LOADING', 'BUSY', 'CLUSTERDOWN', 'MASTERDOWN', 'TRYAGAIN', 'NOAUTH', 'WRONGPASS', 'DENIED', 'ERR max number of clients reached' ],
  writes: [ 'OOM', 'MISCONF', 'READONLY', 'NOREPLICAS' ],
};

/** The `code` of errors: of Node.js and of drivers, of PostgreSQL, of MySQL and MariaDB, and of SQLite. */
export const CODES: Rules = {
  server: [
    'ECONN*', 'EPIPE', 'ETIMEDOUT', 'ESOCKETTIMEDOUT', 'EHOST*', 'ENET*', 'ENOTFOUND', 'EAI_*', 'EADDRNOTAVAIL', 'EMFILE', 'ENFILE',
    'ERR_SOCKET_*', 'ERR_TLS_*', 'ERR_SSL_*', 'CERT_*', '*SELF_SIGNED_CERT*', 'UNABLE_TO_*',
    'UND_ERR_SOCKET', 'UND_ERR_*TIMEOUT', 'UND_ERR_CLOSED', 'UND_ERR_DESTROYED',
    '08*', '28*', '3D000', '53300', '57014', '57P*',
    'PROTOCOL_*', 'HANDSHAKE_*', 'ER_CON_COUNT_ERROR', 'ER_TOO_MANY_USER_CONNECTIONS', 'ER_USER_LIMIT_REACHED', 'ER_SERVER_SHUTDOWN',
    'ER_ACCESS_DENIED_ERROR', 'ER_DBACCESS_DENIED_ERROR', 'ER_BAD_DB_ERROR', 'ER_HOST_*', 'ER_QUERY_TIMEOUT', 'ER_STATEMENT_TIMEOUT',
    'SQLITE_CANTOPEN*', 'SQLITE_IOERR*',
  ],
  writes: [
    'ENOSPC', 'EROFS', 'EDQUOT', '25006', '53100', 'ER_OPTION_PREVENTS_STATEMENT', 'ER_READ_ONLY_MODE', 'ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION',
    'ER_DISK_FULL', 'ER_RECORD_FILE_FULL', 'SQLITE_READONLY*', 'SQLITE_FULL',
  ],
};

/** The words in the names and messages of other errors. */
export const WORDS: Rules = {
  server: [
    '*connect*', '*socket*', '*timeout*', 'time out', 'timed out', 'deadline exceeded', 'took longer', 'aborted', 'closed', 'down', 'gone away',
    'unreachable', 'unavailable', 'not available', 'no servers', 'offline', 'sentinels', 'startup nodes', 'slots cache', 'cluster redirections',
    'max retries', 'writeable', 'authentication failed', 'temporary failure', 'MemJS GET: Busy', 'MemJS SET: Busy', 'MemJS DELETE: Busy',
  ],
  writes: [ 'read-only', 'readonly', 'out of memory', 'disk full', 'no space left' ],
};

const compile = ({ server, writes }: Rules, around: (rules: string) => string) => {
  const any = (rules: readonly string[]) => new RegExp(around(rules.map(rule => rule.replaceAll('*', '\\w*')).join('|')), 'i');
  return { server: any(server), writes: any(writes) };
};
const redis = compile(REDIS, rules => `^(?:${rules})(?: |$)`);
const codes = compile(CODES, rules => `^(?:${rules})$`);
const words = compile(WORDS, rules => `\\b(?:${rules})\\b`);

/** What a message quotes, which may be what a visitor has sent: it says nothing of the server. */
const QUOTED = /(?<!\w)(["'`])(?:\\.|(?!\1)[^\\])*\1(?!\w)|\{.*\}|\[.*\]/gs;

function match(text: string, { server, writes }: typeof codes): Failure {
  return server.test(text) ? 'server' : writes.test(text) ? 'writes' : 'call';
}

/** Codes that SQL servers give to a statement: when they are in no list, something was wrong with that. */
const OF_A_STATEMENT = /^([0-9A-Z]{5}|ER_\w+)$/;

/** Redis 6 says first where in the script it was. */
const REDIS_ERROR = /^(?:ERR Error running script .*?: )?(?:@user_script: ?\d+: )?-?(.*)/s;

/** What failed in the code of the store, or at what it was given. */
const PROGRAMMING = /^(Type|Range|Syntax|Reference|URI|Eval)Error$/;

/** Whether a server has answered that it refuses the call, so that it has not taken effect. What a driver or a proxy says does not tell. */
export function isRefusal(err: unknown): boolean {
  try {
    const { code } = Object(err) as { code?: unknown };
    return isReply(err) || (typeof code === 'string' && OF_A_STATEMENT.test(code) && match(code, codes) !== 'server');
  } catch {
    return false; // it can't be read
  }
}

/** The longest chain of causes that is followed. */
const DEEPEST = 5;

/** The characters of a message that are looked at: visitors may have written most of it, and long ones take their time. */
const MOST = 1000;

/**
 * Tells what a failed call says of the store, whatever its driver. An error that it does not know says nothing.
 *
 * @param err what was thrown
 * @param keys what the call was about: their words, which may be a visitor's, say nothing of the server
 */
export function failureOf(err: unknown, keys: readonly string[] = []): Failure {
  try {
    return classify(err, text => keys.reduce((rest, key) => rest.replaceAll(key, ''), text).slice(0, MOST).replace(QUOTED, ''), 0);
  } catch {
    return 'call'; // it can't be read
  }
}

/** An answer of Redis, by its client. */
const isReply = (err: unknown) => /^(ReplyError|ErrorReply|SimpleError|BlobError)$/.test(kindOfError(err));

/** The name of an error; that of its class where it has none of its own, as with node-redis. */
export function kindOfError(err: unknown): string {
  const { name, constructor } = Object(err) as Partial<Error>;
  return String((name === 'Error' && constructor?.name) || (name ?? ''));
}

function classify(err: unknown, said: (text: string) => string, depth: number): Failure {
  if (typeof err === 'string') return match(said(err), words);
  if (typeof err !== 'object' || err === null || depth > DEEPEST) return 'call';
  if (err instanceof LateError) return 'server';
  const { message, code, syscall, cause, errors } = err as Record<string, unknown>;
  if (isReply(err)) return match(REDIS_ERROR.exec(String(message))![1], redis);
  if (syscall === 'connect' || syscall === 'getaddrinfo') return 'server';
  if (typeof code === 'string') {
    const found = match(code, codes);
    if (found !== 'call' || OF_A_STATEMENT.test(code)) return found;
  }
  for (const each of [ cause, ...(Array.isArray(errors) ? errors : []) ]) {
    const found = classify(each, said, depth + 1);
    if (found !== 'call' || isReply(each)) return found;
  }
  const name = kindOfError(err);
  return PROGRAMMING.test(name) ? 'call' : match(said(`${name}: ${message}`), words);
}
