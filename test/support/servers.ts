import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { signedFor } from './ca';
import { freePort } from './ports';

/** In ms; a start that fails is noticed by the end of the process, these are for one that hangs. */
const START_TIMEOUT = 240_000;
const STOP_TIMEOUT = 60_000;

/** Another version, or Valkey: `REDIS_SERVER=/usr/bin/valkey-server npm test`. Its client is beside it. */
const REDIS_SERVER = process.env.REDIS_SERVER || 'redis-server';
const REDIS_CLI = REDIS_SERVER.replace(/-server$/, '-cli');

/** A server that a test has for itself, on a free port of 127.0.0.1, with its files in a temporary directory. */
export interface TestServer {
  port: number;
  pid: number;
  /** Ends it, and removes its files. `SIGKILL` ends it as a crash would. */
  stop(signal?: NodeJS.Signals): Promise<void>;
  /** Ends it, as a crash does unless another signal is given; what is returned starts it again, with its files and its port. */
  restart(signal?: NodeJS.Signals): Promise<() => Promise<void>>;
}

/** Several servers that work together. */
export interface TestServers {
  stop(): Promise<void>;
}

/** A Redis server that keeps nothing on disk; `args` are options of redis-server's. */
export async function startRedis(args: string[] = []): Promise<TestServer> {
  const port = await freePort();
  return await start(port, tempDir(), REDIS_SERVER, [
    '--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no',
    '--repl-diskless-sync-delay', '0', ...args,
  ], async () => /PONG|NOAUTH/.test(await redisCli(port, 'PING')));
}

/** A Redis server that speaks TLS as well, at another port, with a certificate of the CA in the file `ca`. */
export async function startRedisWithTls(args: string[] = []): Promise<TestServer & { tlsPort: number; ca: string }> {
  const files = await signedFor('IP:127.0.0.1', tempDir());
  for (const file of Object.values(files)) own(file);
  const tlsPort = await freePort();
  const server = await startRedis([
    '--tls-port', String(tlsPort), '--tls-ca-cert-file', files.ca, '--tls-cert-file', files.cert, '--tls-key-file', files.key, '--tls-auth-clients', 'no', ...args,
  ]);
  return Object.assign(server, { tlsPort, ca: files.ca });
}

/** What a Redis server answers to a command. */
export async function redisCli(port: number, ...command: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(REDIS_CLI, [ '-p', String(port), ...command ]);
  return stdout.trim();
}

/** A Redis Cluster of three masters, each with a replica. */
export async function startRedisCluster(): Promise<TestServers & { ports: number[]; masters: number[] }> {
  return await together(async servers => {
    const { stdout: version } = await promisify(execFile)(REDIS_SERVER, [ '--version' ]);
    const addresses: string[] = [];
    for (let i = 0; i < 6; i++) {
      const busPort = /v=6\./.test(version) ? undefined : await freePort(); // Redis 6 takes the port plus 10,000
      const { port } = await servers.add(startRedis([
        '--cluster-enabled', 'yes', ...(busPort ? [ '--cluster-port', String(busPort) ] : []), '--cluster-node-timeout', '5000',
      ]));
      addresses.push(`127.0.0.1:${port}${busPort ? `@${busPort}` : ''}`);
    }
    const ports = servers.all.map(({ port }) => port);
    const [ anyPort ] = ports;
    await redisCli(anyPort, '--cluster', 'create', ...addresses, '--cluster-replicas', '1', '--cluster-yes');
    const masters: number[] = [];
    for (const port of ports) {
      await until(`${port} is part of the cluster`, async () =>
        /cluster_state:ok[^]*cluster_known_nodes:6/.test(await redisCli(port, 'CLUSTER', 'INFO')));
      if (/role:master/.test(await redisCli(port, 'INFO', 'replication'))) masters.push(port);
      else await untilReplicating(port);
    }
    return { ports, masters };
  });
}

/** A Redis master with a replica, and a sentinel that makes the replica the master about a second after the master's end. */
export async function startRedisSentinel(): Promise<TestServers & {
  port: number; name: string; master: TestServer; replica: TestServer;
}> {
  return await together(async servers => {
    const name = 'sessions';
    const master = await servers.add(startRedis());
    const replica = await servers.add(startRedis([ '--replicaof', '127.0.0.1', String(master.port) ]));
    await untilReplicating(replica.port);

    const port = await freePort();
    const dir = tempDir();
    // it writes into its configuration what it finds out
    const file = path.join(dir, 'sentinel.conf');
    fs.writeFileSync(file, `
      port ${port}
      bind 127.0.0.1
      sentinel monitor ${name} 127.0.0.1 ${master.port} 1
      sentinel down-after-milliseconds ${name} 1000
      sentinel failover-timeout ${name} 5000
    `);
    own(file);
    await servers.add(start(port, dir, REDIS_SERVER, [ file, '--sentinel' ], async () =>
      /^flags\nslave$/m.test(await redisCli(port, 'SENTINEL', 'REPLICAS', name))));
    return { port, name, master, replica };
  });
}

export async function startMemcached(args: string[] = []): Promise<TestServer> {
  const port = await freePort();
  return await start(port, tempDir(), 'memcached', [ '-p', String(port), '-U', '0', '-l', '127.0.0.1', ...args ], async () => {
    const socket = net.connect(port, '127.0.0.1');
    socket.end('version\r\n');
    const [ answer ] = await once(socket, 'data');
    return /^VERSION/.test(answer);
  });
}

/** A PostgreSQL server with an empty database; `args` are options of postgres. Before it ends by itself, it waits until its clients have gone. */
export async function startPostgres(args: string[] = []): Promise<TestServer & { url: string }> {
  const port = await freePort();
  const dir = tempDir();
  const debian = '/usr/lib/postgresql';
  const versions = fs.existsSync(debian) ? fs.readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : [];
  const bin = path.dirname(installed([ 'initdb' ], versions.map(version => path.join(debian, version, 'bin'))));
  await promisify(execFile)(path.join(bin, 'initdb'),
    [ '-D', dir, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '-N' ], { cwd: dir, ...nobody });
  const server = await start(port, dir, path.join(bin, 'postgres'), [
    '-D', dir, '-p', String(port), '-h', '127.0.0.1', '-k', '', '-c', 'fsync=off', ...args,
  ], async output => output.includes('ready to accept connections'), 'SIGTERM');
  return Object.assign(server, { url: `postgres://postgres@127.0.0.1:${port}/postgres` }); // its pid is another after a restart
}

/** PgBouncer before a PostgreSQL server: each transaction may be on another connection, of which there are `connections`. */
export async function startPgBouncer(server: TestServer, connections: number): Promise<TestServer & { url: string }> {
  const port = await freePort();
  const dir = tempDir();
  const file = path.join(dir, 'pgbouncer.ini');
  fs.writeFileSync(file, `
    [databases]
    postgres = host=127.0.0.1 port=${server.port} user=postgres
    [pgbouncer]
    listen_addr = 127.0.0.1
    listen_port = ${port}
    unix_socket_dir =
    auth_type = any
    pool_mode = transaction
    default_pool_size = ${connections}
  `);
  own(file);
  const bouncer = await start(port, dir, installed([ 'pgbouncer' ], [ '/usr/sbin' ]), [ file ], async output => output.includes('process up'));
  return Object.assign(bouncer, { url: `postgres://postgres@127.0.0.1:${port}/postgres` });
}

/** A MariaDB server with an empty database `shop`, on MariaDB's own defaults; its user `undeleting` may delete nothing. `args` are options of mariadbd. */
export async function startMysql(args: string[] = []): Promise<TestServer & {
  url: string;
  /** What the server's own client prints for these statements. */
  sql(statements: string): Promise<string>;
}> {
  const port = await freePort();
  const dir = tempDir();
  const sbin = [ '/usr/sbin', '/usr/libexec', '/usr/local/sbin' ];
  await promisify(execFile)(installed([ 'mariadb-install-db', 'mysql_install_db' ], sbin), [
    '--no-defaults', `--datadir=${dir}`, '--auth-root-authentication-method=normal', '--skip-test-db',
    `--tmpdir=${dir}`, // one that starts deletes the temporary tables that others have there
  ], { cwd: dir, ...nobody });
  const setup = path.join(dir, 'setup.sql');
  fs.writeFileSync(setup, 'CREATE DATABASE shop;\nGRANT ALL ON shop.* TO shop@localhost IDENTIFIED BY \'secret\';\n' +
    'GRANT SELECT, INSERT, UPDATE ON shop.* TO undeleting@localhost IDENTIFIED BY \'secret\';\n');
  own(setup);
  const server = await start(port, dir, installed([ 'mariadbd', 'mysqld' ], sbin), [
    '--no-defaults', `--datadir=${dir}`, `--port=${port}`, '--bind-address=127.0.0.1', '--socket=mysql.sock',
    `--tmpdir=${dir}`,
    `--pid-file=${path.join(dir, 'mysql.pid')}`, `--init-file=${setup}`, '--innodb-flush-log-at-trx-commit=0', ...args,
  ], async output => output.includes('ready for connections'), 'SIGTERM');
  const client = installed([ 'mariadb', 'mysql' ], []);
  return Object.assign(server, {
    url: `mysql://shop:secret@127.0.0.1:${port}/shop`,
    async sql(statements: string) {
      const { stdout } = await promisify(execFile)(client, [
        '--no-defaults', '-h', '127.0.0.1', '-P', String(port), '-u', 'shop', '-psecret', '-N', '-r', '-e', statements, 'shop',
      ]);
      return stdout.trim();
    },
  });
}

/** Where a program is, under the first of its names that there is: Debian has some in `dirs`, outside of PATH. */
function installed(names: string[], dirs: string[]): string {
  const files = [ ...process.env.PATH!.split(path.delimiter), ...dirs ]
    .flatMap(dir => names.map(name => path.join(dir, name)));
  const found = files.find(file => fs.existsSync(file));
  if (!found) throw new Error(`not installed: ${names.join(' or ')}`);
  return found;
}

/** Polls until `condition` holds; that it throws counts as not yet. */
export async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT;
  while (!await condition().catch(() => false)) {
    if (Date.now() > deadline) throw new Error(`timed out waiting until ${what}`);
    await sleep(50);
  }
}

const untilReplicating = (port: number) => until(`${port} replicates its master`, async () =>
  /master_link_status:up/.test(await redisCli(port, 'INFO', 'replication')));

// PostgreSQL, MariaDB and memcached refuse to run as root
const nobody = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
const own = (file: string) => nobody.uid && fs.chownSync(file, nobody.uid, nobody.gid);

const children = new Set<ChildProcess>();
const dirs = new Set<string>();
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  for (const dir of dirs) fs.rmSync(dir, { recursive: true, force: true });
});
for (const signal of [ 'SIGTERM', 'SIGHUP' ]) process.once(signal, () => process.exit(1));

function tempDir(): string {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'egg-tegg-session-'));
  dirs.add(dir);
  own(dir);
  return dir;
}

async function start(port: number, dir: string, command: string, args: string[],
  answers: (output: string) => Promise<boolean>, stopSignal: NodeJS.Signals = 'SIGINT'): Promise<TestServer> {
  let child!: ChildProcess;
  let ended!: Promise<unknown>;
  const end = async (signal: NodeJS.Signals) => {
    child.kill(signal);
    const kill = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT);
    await ended;
    clearTimeout(kill);
    children.delete(child);
  };
  const stop = async (signal = stopSignal) => {
    await end(signal);
    fs.rmSync(dir, { recursive: true, force: true });
    dirs.delete(dir);
  };
  const launch = async () => {
    child = spawn(command, args, { cwd: dir, stdio: [ 'ignore', 'pipe', 'pipe' ], ...nobody });
    children.add(child);
    let output = '';
    const collect = (chunk: Buffer) => {
      output += chunk;
    };
    child.stdout!.on('data', collect);
    child.stderr!.on('data', collect);
    ended = once(child, 'close').catch(err => {
      output += err;
    });
    const running = () => child.pid !== undefined && child.exitCode === null && child.signalCode === null;
    try {
      await until(`${command} answers`, async () => !running() || await answers(output));
      if (!running()) throw new Error(`${command} has ended`);
    } catch (err) {
      await stop();
      throw new Error(`${(err as Error).message}:\n${output}`);
    }
  };
  await launch();
  return {
    port,
    get pid() {
      return child.pid!;
    },
    stop,
    async restart(signal = 'SIGKILL') {
      await end(signal);
      return launch;
    },
  };
}

/** Starts servers that belong together; when that fails, none of them stays. */
async function together<T>(create: (servers: {
  all: TestServer[];
  add(server: Promise<TestServer>): Promise<TestServer>;
}) => Promise<T>): Promise<T & TestServers> {
  const all: TestServer[] = [];
  const stop = async () => {
    await Promise.all(all.map(server => server.stop()));
  };
  try {
    const created = await create({
      all,
      async add(server) {
        all.push(await server);
        return all.at(-1)!;
      },
    });
    return { ...created, stop };
  } catch (err) {
    await stop();
    throw err;
  }
}
