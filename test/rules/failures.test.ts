import { strict as assert } from 'node:assert';
import Redis from 'ioredis';
import {
  ClientClosedError, ClientOfflineError, ConnectionTimeoutError, RootNodesUnavailableError, SimpleError, SocketClosedUnexpectedlyError, SocketTimeoutError, TimeoutError,
} from 'redis';
import { CODES, type Failure, failureOf, REDIS, type Rules, WORDS } from '../../module/store/failureOf';
import { textOf } from '../support/docs';

const reply = (message: string) => Object.assign(new Error(message), { name: 'ReplyError' });
const coded = (code: string, message = code, more = {}) => Object.assign(new Error(message), { code, ...more });
const named = (name: string, message: string) => Object.assign(new Error(message), { name });

/** What a call of the store fails with, and what that says of it. */
const TABLE: Array<[ failure: Failure, what: string, err: unknown ]> = [
  [ 'server', 'nobody listens', coded('ECONNREFUSED', 'connect ECONNREFUSED 127.0.0.1:6379', { syscall: 'connect' }) ],
  [ 'server', 'a unix socket that is not there', coded('ENOENT', 'connect ENOENT /run/redis.sock', { syscall: 'connect' }) ],
  [ 'call', 'a file that is not there', coded('ENOENT', 'open ENOENT /data/1.json', { syscall: 'open' }) ],
  [ 'server', 'a name that leads nowhere', coded('EAI_AGAIN', 'getaddrinfo EAI_AGAIN redis', { syscall: 'getaddrinfo' }) ],
  [ 'server', 'several addresses that nobody listens at', Object.assign(new AggregateError([ coded('ECONNREFUSED') ], ''), { code: 'ECONNREFUSED' }) ],
  [ 'server', 'the same, without a code', new AggregateError([ new Error('?'), coded('ECONNREFUSED') ]) ],
  [ 'server', 'fetch, of a store behind HTTP', Object.assign(new TypeError('fetch failed'), { cause: coded('ECONNRESET') }) ],
  [ 'server', 'fetch, whose socket ended', Object.assign(new TypeError('terminated'), { cause: coded('UND_ERR_SOCKET', 'other side closed') }) ],
  [ 'server', 'a certificate that is over', coded('CERT_HAS_EXPIRED') ],
  [ 'server', 'AbortSignal.timeout()', named('TimeoutError', 'The operation was aborted due to timeout') ],
  [ 'server', 'gRPC', coded('14' as never, '14 UNAVAILABLE: No connection established') ],
  [ 'server', 'gRPC, too late', new Error('4 DEADLINE EXCEEDED: Deadline exceeded after 1.5s') ],

  [ 'server', 'Redis loads its data', reply('LOADING Redis is loading the dataset in memory') ],
  [ 'server', 'Redis runs a script', reply('BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.') ],
  [ 'server', 'a Cluster without a slot', reply('CLUSTERDOWN Hash slot not served') ],
  [ 'server', 'a replica without its master', reply('MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to \'no\'.') ],
  [ 'server', 'too many clients', reply('ERR max number of clients reached') ],
  [ 'server', 'a password that is wrong', reply('WRONGPASS invalid username-password pair or user is disabled.') ],
  [ 'server', 'no password', reply('NOAUTH Authentication required.') ],
  [ 'writes', 'Redis is full', reply('OOM command not allowed when used memory > \'maxmemory\'.') ],
  [ 'writes', 'Redis is full, in a script', reply('OOM command not allowed when used memory > \'maxmemory\'. script: 5f, on @user_script:9.') ],
  [ 'writes', 'Redis 6 is full, in a script', reply('ERR Error running script (call to f_5f): @user_script:9: OOM command not allowed when used memory > \'maxmemory\'.') ],
  [ 'writes', 'Redis 6 is a replica, in a script', reply('ERR Error running script (call to f_5f): @user_script:9: -READONLY You can\'t write against a read only replica.') ],
  [ 'writes', 'a replica', reply('READONLY You can\'t write against a read only replica.') ],
  [ 'writes', 'no snapshot', reply('MISCONF Redis is configured to save RDB snapshots, but it\'s currently unable to persist to disk.') ],
  [ 'writes', 'too few replicas', reply('NOREPLICAS Not enough good replicas to write.') ],
  [ 'writes', 'a client of another name for its errors', named('ErrorReply', 'READONLY You can\'t write against a read only replica.') ],
  [ 'call', 'no right to a command', reply('NOPERM this user has no permissions to run the \'evalsha\' command') ],
  [ 'call', 'another type', reply('WRONGTYPE Operation against a key holding the wrong kind of value') ],
  [ 'call', 'a command too long', reply('ERR Protocol error: invalid bulk length') ],
  [ 'call', 'a script with a mistake', reply('ERR Error running script (call to f_5f): @user_script:9: attempt to index a nil value') ],
  [ 'call', 'a text that only looks so', reply('ERR no such thing: OOM LOADING connection timeout') ],
  [ 'call', 'a text that goes on otherwise', reply('LOADINGS of others') ],
  [ 'server', 'ioredis has tried again', named('MaxRetriesPerRequestError', 'Reached the max retries per request limit (which is 1). Refer to "maxRetriesPerRequest" option for details.') ],
  [ 'server', 'ioredis has waited', new Error('Command timed out') ],
  [ 'server', 'ioredis on a silent connection', new Error('Socket timeout. Expecting data, but didn\'t receive any in 3000ms.') ],
  [ 'server', 'node-redis while it reconnects', new ClientOfflineError() ],
  [ 'server', 'node-redis before connect(), and after the end', new ClientClosedError() ],
  [ 'server', 'node-redis, whose connection has ended', new SocketClosedUnexpectedlyError() ],
  [ 'server', 'node-redis on a silent connection', new SocketTimeoutError(3000) ],
  [ 'server', 'node-redis that can\'t connect', new ConnectionTimeoutError() ],
  [ 'server', 'node-redis has waited', new TimeoutError() ], // its message is empty
  [ 'server', 'node-redis on a Cluster of which no node answers', new RootNodesUnavailableError() ],
  [ 'server', 'an answer through node-redis', new SimpleError('LOADING Redis is loading the dataset in memory') ],
  [ 'writes', 'a refusal through node-redis', new SimpleError('READONLY You can\'t write against a read only replica.') ],
  [ 'call', 'another answer through node-redis, whatever it quotes', new SimpleError('ERR unknown command \'connect\'') ],
  [ 'server', 'ioredis after the end', new Error('Connection is closed.') ],
  [ 'server', 'ioredis before the beginning', new Error('Stream isn\'t writeable and enableOfflineQueue options is false') ],
  [ 'server', 'a Cluster of which no node answers', named('ClusterAllFailedError', 'Failed to refresh slots cache.') ],
  [ 'server', 'Sentinel', new Error('All sentinels are unreachable. Retrying from scratch after 10ms.') ],

  [ 'server', 'memcached is away', new Error('socket timed out connecting to server.') ],
  [ 'server', 'memcached is silent', new Error('socket timed out waiting on response.') ],
  [ 'server', 'memcached refuses the password, as memjs throws it', 'Memcached server authentication failed!' ],
  [ 'server', 'memcached is busy', new Error('MemJS GET: Busy') ],
  [ 'call', 'a value too large for memcached', new Error('MemJS SET: Value too large') ],
  [ 'call', 'a key that memcached refuses', new Error('MemJS SET: Invalid arguments') ],
  [ 'writes', 'memcached is full', new Error('MemJS SET: Out of memory') ],

  [ 'server', 'PostgreSQL is told to stop', coded('57P01', 'terminating connection due to administrator command') ],
  [ 'server', 'PostgreSQL starts', coded('57P03', 'the database system is starting up') ],
  [ 'server', 'a statement that took too long', coded('57014', 'canceling statement due to statement timeout') ],
  [ 'server', 'too many connections', coded('53300', 'sorry, too many clients already') ],
  [ 'server', 'no such user', coded('28P01', 'password authentication failed for user "app"') ],
  [ 'server', 'no such database', coded('3D000', 'database "shop" does not exist') ],
  [ 'server', 'pg has waited for a connection', new Error('timeout exceeded when trying to connect') ],
  [ 'server', 'pg has waited for an answer', new Error('Query read timeout') ],
  [ 'server', 'pg has lost the connection', new Error('Connection terminated unexpectedly') ],
  [ 'writes', 'a standby', coded('25006', 'cannot execute INSERT in a read-only transaction') ],
  [ 'writes', 'a full disk', coded('53100', 'could not extend file "base/5/16385": No space left on device') ],
  [ 'call', 'a value too long', coded('22001', 'value too long for type character varying(255)') ],
  [ 'call', 'no right to a table', coded('42501', 'permission denied for table keyv') ],
  [ 'call', 'a deadlock', coded('40P01', 'deadlock detected') ],
  [ 'call', 'a text that has been quoted', coded('22P02', 'invalid input syntax for type json: "connection timeout"') ],

  [ 'server', 'MySQL has hung up', coded('PROTOCOL_CONNECTION_LOST', 'Connection lost: The server closed the connection.') ],
  [ 'server', 'too many connections to MySQL', coded('ER_CON_COUNT_ERROR', 'Too many connections') ],
  [ 'server', 'MySQL stops', coded('ER_SERVER_SHUTDOWN', 'Server shutdown in progress') ],
  [ 'server', 'MySQL knows no such user', coded('ER_ACCESS_DENIED_ERROR', 'Access denied for user \'shop\'@\'localhost\'') ],
  [ 'writes', 'MySQL is a replica', coded('ER_OPTION_PREVENTS_STATEMENT', 'The MariaDB server is running with the --read-only option') ],
  [ 'writes', 'a full table', coded('ER_RECORD_FILE_FULL', 'The table \'keyv\' is full') ],
  [ 'call', 'more than max_allowed_packet', coded('ER_NET_PACKET_TOO_LARGE', 'Got a packet bigger than \'max_allowed_packet\' bytes') ],
  [ 'call', 'a value too long for MySQL', coded('ER_DATA_TOO_LONG', 'Data too long for column \'value\' at row 1') ],
  [ 'call', 'no right to a table of MySQL', coded('ER_TABLEACCESS_DENIED_ERROR', 'SELECT command denied to user \'shop\'@\'localhost\'') ],

  [ 'writes', 'a disk without space', coded('ENOSPC', 'ENOSPC: no space left on device, write') ],
  [ 'writes', 'a disk that is only read', coded('EROFS', 'EROFS: read-only file system, open') ],
  [ 'server', 'a store that says it is down', new Error('the database is down') ],
  [ 'server', 'a store that says so in a text', 'service unavailable' ],
  [ 'server', 'a store that says so in an object', { code: 'ECONNREFUSED' }],
  [ 'call', 'a record that JSON can\'t hold', new TypeError('Do not know how to serialize a BigInt') ],
  [ 'call', 'a text that is no JSON', new SyntaxError('Unexpected token') ],
  [ 'call', 'a number out of range', new RangeError('no lifetime for a session: -1 ms') ],
  [ 'call', 'a mistake in the store', new TypeError('Cannot read properties of undefined (reading \'connect\')') ],
  [ 'call', 'a refusal that is the store\'s own', new Error('a session of this user may have 10 kB') ],
  [ 'call', 'a word that begins so', new Error('the download is not ready: markdown') ],
  [ 'call', 'words of a visitor, as JSON', new Error('value refused: {"name":"bad, shut down"}') ],
  [ 'call', 'words of a visitor, quoted', new Error('value refused: \'connection timeout\'') ],
  [ 'call', 'words of a visitor, in a list', new Error('names refused: [connection, socket]') ],
  [ 'server', 'words of a server beside apostrophes', new Error('can\'t reach it, it isn\'t there: offline') ],
  [ 'call', 'an index of another type, whose name a visitor has chosen', Object.assign(new Error('principal:server down is not a sorted set'),
    { cause: reply('WRONGTYPE Operation against a key') }) ],
  [ 'call', 'nothing', undefined ],
  [ 'call', 'null', null ],
  [ 'call', 'a number', 7 ],
  [ 'call', 'an empty object', {}],
  [ 'call', 'what has caused itself', (() => {
    const err: Error & { cause?: unknown } = new Error('?');
    err.cause = err;
    return err;
  })() ],
  [ 'call', 'what can\'t be read', new Proxy({}, { get() { throw new Error('no'); } }) ],
];

describe('what a failure says of the store', () => {
  for (const [ failure, what, err ] of TABLE) {
    it(`${failure}: ${what}`, () => assert.equal(failureOf(err), failure));
  }

  it('call: words of the key that the call was about, however they are quoted', () => {
    for (const [ key, message ] of [
      [ 'xxx connection closed', 'key too long: xxx connection closed' ],
      [ '" connection closed "xxx', 'key "" connection closed "xxx" is too long' ],
      [ 'server down', 'server down and server down again' ],
    ]) {
      const errors = [ new Error(message), message, new Error('?', { cause: new Error(message) }) ];
      assert.deepEqual(errors.map(err => failureOf(err, [ 'other', key ])), [ 'call', 'call', 'call' ]);
      assert.equal(failureOf(new Error(`${message}: timed out`), [ key ]), 'server');
    }
  });

  it('call: words behind the first thousand characters', () => {
    assert.equal(failureOf(new Error(`${'x '.repeat(450)}connection closed`)), 'server');
    assert.equal(failureOf(new Error(`${'x '.repeat(500)}connection closed`)), 'call');
  });

  it('server: what ioredis itself throws', async () => {
    const redis = new Redis(1, { maxRetriesPerRequest: 0, retryStrategy: () => null });
    redis.on('error', () => undefined);
    const errors = [ await redis.get('a').catch(err => err), await redis.get('a').catch(err => err) ];
    assert.deepEqual(errors.map(err => failureOf(err)), [ 'server', 'server' ]);
  });
});

/** The rows of the table in docs/operations.md: whose error, what it is, what it counts as. */
function rowsOf(file: string, heading: string): Array<[ of: string, errors: string[], counts: string ]> {
  const [ section ] = textOf(file).split(`\n## ${heading}\n`)[1].split('\n## ');
  return [ ...section.matchAll(/^\| ([^|`-][^|]*) \| ([^|]*`[^|]*) \| `(server|writes|call)`[^|]*\|$/gm) ]
    .map(([ , of, errors, counts ]) => [ of, [ ...errors.matchAll(/`([^`]+)`/g) ].map(([ , error ]) => error), counts ]);
}

describe('the table of failures in docs/operations.md', () => {
  const FILES = [[ 'docs/operations.md', 'The breaker' ], [ 'docs/operations.zh-CN.md', '熔断器' ]] as const;

  for (const [ file, heading ] of FILES) {
    it(`${file}: says of each error what the code makes of it`, () => {
      const rows = rowsOf(file, heading);
      assert.ok(rows.length > 10);
      for (const [ of, errors, counts ] of rows) {
        for (const error of errors) {
          const text = error.replaceAll('*', 'X');
          const form = of === 'Redis' ? reply : /^[\dA-Z_*]+$/.test(error) ? coded : (message: string) => new Error(message);
          const err = /^\w+Error$/.test(error) ? named(error, '') : form(text);
          assert.equal(failureOf(err), counts, `${of}: ${error}`);
        }
      }
    });

    it(`${file}: has all that the code knows`, () => {
      const told = { server: new Set<string>(), writes: new Set<string>(), call: new Set<string>() };
      for (const [ , errors, counts ] of rowsOf(file, heading)) for (const error of errors) told[counts as Failure].add(error);
      for (const rules of [ REDIS, CODES ] as Rules[]) {
        for (const counts of [ 'server', 'writes' ] as const) for (const rule of rules[counts]) assert.ok(told[counts].has(rule), `${counts}: ${rule}`);
      }
      for (const counts of [ 'server', 'writes' ] as const) {
        for (const word of WORDS[counts]) {
          const bare = word.replaceAll('*', '').toLowerCase();
          assert.ok([ ...told[counts] ].some(text => text.toLowerCase().includes(bare)), `${counts}: ${word}`);
        }
      }
    });
  }
});
