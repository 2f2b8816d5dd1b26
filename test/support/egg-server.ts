import { spawn } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './ports';

const START_TIMEOUT = 100_000;
const REQUEST_TIMEOUT = 10_000;

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
    cwd, env: { ...process.env, NODE_V8_COVERAGE: undefined, ...env }, detached: true, stdio: [ 'ignore', 'pipe', 'pipe' ],
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
      await Promise.race([ once(child, 'exit'), sleep(10_000, undefined, { ref: false }) ]);
    }
    kill();
    process.removeListener('exit', kill);
  };

  const deadline = Date.now() + START_TIMEOUT;
  while (!await answers(port)) {
    if (!running() || Date.now() > deadline) {
      await stop();
      throw new Error(`the server did not start:\n${output.replace(/^.* INFO .*\n/gm, '')}`);
    }
    await sleep(100);
  }
  return { port, stop };
}

/** A browser: it keeps its cookies, and makes a connection for each request. */
export class Browser {
  private readonly cookies = new Map<string, string>();

  constructor(private readonly port: number) {}

  async visit(): Promise<Answer> {
    const cookie = [ ...this.cookies ].map(([ name, value ]) => `${name}=${value}`).join('; ');
    const { status, headers, text } = await get(this.port, '/visits', cookie ? { cookie } : {});
    if (status !== 200) throw new Error(`GET /visits: ${status} ${text}`);
    for (const line of headers['set-cookie'] ?? []) {
      const [ , name, value ] = /^([^=]+)=([^;]*)/.exec(line)!;
      this.cookies.set(name, value);
    }
    return JSON.parse(text);
  }
}

async function get(port: number, path: string, headers: http.OutgoingHttpHeaders) {
  const request = http.get({
    host: '127.0.0.1', port, path, headers, agent: false, signal: AbortSignal.timeout(REQUEST_TIMEOUT),
  });
  const [ response ] = await once(request, 'response') as [ http.IncomingMessage ];
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk;
  return { status: response.statusCode, headers: response.headers, text };
}

async function answers(port: number) {
  try {
    await get(port, '/', {});
    return true;
  } catch {
    return false;
  }
}
