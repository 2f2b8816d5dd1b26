import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Browser } from './Browser';
import { freePort } from './ports';

/** In ms; a start that fails is noticed by the end of the process, this is for one that hangs. */
const START_TIMEOUT = 300_000;

export interface Answer {
  /** How often this browser has been here, by its session. */
  visits: number;
  /** The process that answered. */
  pid: number;
  /** Whether the session is in a store. */
  stored: boolean;
}

/** A server in processes of its own. Whatever it is made of is one process group, so that `stop` leaves none behind. */
export interface Server {
  port: number;
  stop(): Promise<void>;
}

/**
 * Runs `node` with the arguments that `args` makes of a free port, and resolves when the server answers.
 *
 * @throws with what it printed, when it ends or when it does not answer in time
 */
export async function startServer(args: (port: number) => string[], { cwd, env }: {
  cwd: string;
  env: NodeJS.ProcessEnv;
}): Promise<Server> {
  const port = await freePort();
  // an undefined value keeps node from passing the variable on: the coverage of these processes is not wanted
  const child = spawn(process.execPath, args(port), {
    cwd, env: { ...process.env, NODE_V8_COVERAGE: undefined, EGG_LOG: 'WARN', ...env }, detached: true, stdio: [ 'ignore', 'pipe', 'pipe' ],
  });
  let output = '';
  const collect = (chunk: Buffer) => {
    output += chunk;
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  const running = () => child.exitCode === null && child.signalCode === null;
  const kill = () => {
    try {
      process.kill(-child.pid!, 'SIGKILL');
    } catch { /* all of them have ended */ }
  };
  process.once('exit', kill);
  const stop = async () => {
    if (running()) {
      child.kill('SIGTERM');
      await Promise.race([ once(child, 'exit'), sleep(60_000, undefined, { ref: false }) ]);
    }
    kill();
    process.removeListener('exit', kill);
  };

  const deadline = Date.now() + START_TIMEOUT;
  while (!await answers(port)) {
    if (!running() || Date.now() > deadline) {
      await stop();
      throw new Error(`the server did not start:\n${output}`);
    }
    await sleep(100);
  }
  return { port, stop };
}

/** Visits a page that answers `Answer`. */
export async function visit(browser: Browser): Promise<Answer> {
  const { status, text } = await browser.request('/visits');
  if (status !== 200) throw new Error(`GET /visits: ${status} ${text}`);
  return JSON.parse(text);
}

const answers = (port: number) => new Browser(port).request('/').then(() => true, () => false);
