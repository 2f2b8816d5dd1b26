import { fork } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Settings } from './app/settings';
import { APP, PEERS } from './build';
import { dataOf, sizesIn, type Subject } from './cases';

/** A server with one kind of sessions, in a process of its own. */
export interface Server {
  port: number;
  /** From the start of the process until the server listens. */
  bootMs: number;
  /** The CPU time that its process has used, in µs. */
  cpu(): Promise<number>;
  /** Deletes the sessions that have expired, and resolves to how many. */
  sweep(): Promise<number>;
  /** The heap that is in use after a garbage collection, in bytes. */
  heap(): Promise<number>;
  stop(): Promise<void>;
}

const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'benchmark-'));
process.once('exit', () => fs.rmSync(dir, { recursive: true, force: true }));

/** @throws with what the server printed, when it ends before it listens */
export async function startServer({ framework, sessions }: Pick<Subject, 'framework' | 'sessions'>, kept: Settings['kept'],
  server: Pick<Settings, 'redis' | 'database' | 'update'>, rolling = false): Promise<Server> {
  const settings: Settings = {
    framework, sessions, kept, ...server, rolling, dir, data: Object.fromEntries(sizesIn(kept).map(bytes => [ bytes, dataOf(bytes) ])),
  };
  const child = fork(framework === 'Egg' ? path.join(APP, 'start.js') : path.join(PEERS, 'server.mjs'), {
    cwd: framework === 'Egg' ? APP : PEERS,
    execArgv: [ '--expose-gc', '-r', path.join(APP, 'usage.js') ],
    env: {
      ...process.env, BENCHMARK: JSON.stringify(settings), NODE_ENV: 'production', EGG_SERVER_ENV: 'prod', EGG_TYPESCRIPT: undefined, EGG_LOG: 'WARN',
    },
    stdio: [ 'ignore', 'pipe', 'pipe', 'ipc' ],
  });
  let output = '';
  for (const stream of [ child.stdout!, child.stderr! ]) stream.on('data', chunk => { output += chunk; });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  const ended = once(child, 'exit');
  const message = async (): Promise<any> => await Promise.race([
    once(child, 'message').then(([ answer ]) => answer),
    ended.then(() => { throw new Error(`the server with ${sessions} in ${framework} has ended:\n${output}`); }),
  ]);
  const ask = async (question: string) => {
    child.send(question);
    return await message();
  };
  const { port, bootMs } = await message();
  return {
    port,
    bootMs,
    cpu: () => ask('cpu'),
    heap: () => ask('heap'),
    sweep: () => ask('sweep'),
    async stop() {
      kill();
      await ended;
      process.removeListener('exit', kill);
    },
  };
}
