import { AssertionError } from 'node:assert';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import type { Application, Context } from 'egg';
import globby from 'globby';
import mm, { type MockApplication } from 'egg-mock';
import type { Session, SessionOptions } from '../..';
import { Browser } from './Browser';
import type { CookieJar } from './CookieJar';
import { closeLeft } from './shared';

/** What the fixture applications take from the test that starts them. */
export const fixture: {
  config: Record<string, unknown>;
  boot?: (app: Application) => void;
  handle: (session: any, ctx: Context) => unknown;
  /** What the schedule of the fixture application `web` runs. */
  job?: (ctx: Context) => unknown;
} = { config: {}, handle: () => undefined };

export interface AppOptions {
  /** `config.session`. */
  session?: SessionOptions;
  /** The rest of the configuration. */
  config?: Record<string, unknown>;
  /** Runs where an application's `app.ts` does. */
  boot?: (app: Application) => void;
}

const ROOT = path.join(__dirname, '../..');
export const fixtureDir = (name: string) => path.join(__dirname, '../fixtures/apps', name);

// Egg lists the files of its plugins for each application: they stay the same, and to look takes a quarter of a boot
const list = globby.sync;
const lists = new Map<string, string[]>();
Object.assign(globby, { sync(...args: Parameters<typeof list>) {
  if (!args[1]?.cwd?.startsWith(ROOT)) return list(...args); // a test may write there
  const key = JSON.stringify(args);
  if (!lists.has(key)) lists.set(key, list(...args));
  return [ ...lists.get(key)! ];
} });

// each application listens to the process as long as that lives; egg-mock allows a hundred
process.setMaxListeners(0);

const files = fs.mkdtempSync(path.join(os.tmpdir(), 'egg-tegg-session-'));
process.once('exit', () => fs.rmSync(files, { recursive: true, force: true }));

/** Prepares what the next application takes. It writes its files elsewhere: other processes start the same fixtures. */
export function configure({ session, config, boot }: AppOptions): void {
  const dir = fs.mkdtempSync(path.join(files, 'app-'));
  fixture.config = { rundir: dir, logger: { dir }, ...config, session };
  fixture.boot = boot;
}

/** Boots a fixture application; close it with `app.close()`. */
export async function createApp(name: string, options: AppOptions = {}): Promise<MockApplication> {
  await closeLeft();
  configure(options);
  const app = mm.app({ baseDir: fixtureDir(name), cache: false, clean: false });
  try {
    await app.ready();
  } catch (err) {
    await app.close().catch(() => undefined);
    throw err;
  }
  Object.assign(app, { silent: true }); // or Egg 4 prints each error that is answered
  return app;
}

/** Moves the clock on, until `mm.restore()`. */
export function later(ms: number): void {
  const then = Date.now() + ms;
  mm(Date, 'now', () => then);
}

type Handle<T = unknown> = (session: Session & Record<string, any>, ctx: Context) => T;

/** What the fixture applications run for `/run`, and what that threw. */
const runs: Array<{ handle: Handle; failed?: { error: unknown } }> = [];
fixture.handle = async (session, ctx) => {
  const run = runs[Number(ctx.query.id)];
  try {
    return await run.handle(session, ctx) ?? { ok: true };
  } catch (error) {
    run.failed = { error };
    throw error;
  }
};

/** A browser that speaks to an application in this process. */
export class Client extends Browser {
  private constructor(private readonly server: http.Server, cookies?: CookieJar) {
    super((server.address() as AddressInfo).port, cookies);
  }

  static async of(app: MockApplication, maxHeaderSize = 65536): Promise<Client> {
    const server = http.createServer({ maxHeaderSize }, app.callback() as http.RequestListener);
    await once(server.listen(0, '127.0.0.1'), 'listening');
    return new Client(server);
  }

  /** Another browser against the same server. */
  another(cookies?: CookieJar): Client {
    return new Client(this.server, cookies);
  }

  /** Another browser that has the cookies which this one has now. */
  copy(): Client {
    return this.another(this.cookies.copy());
  }

  /**
   * Runs `handle` in a controller of the fixture application `web`, with the injected session; or where another `path` leads.
   *
   * @throws what `handle` throws, so that an assertion in it fails the test; or the error of a 5xx that comes from elsewhere
   */
  async run(handle: Handle, headers?: Record<string, string>, path?: string) {
    const { response, failed } = await this.send(handle, headers, path);
    if (failed) throw failed.error;
    if (response.status >= 500) throw requestFailed(response);
    return response;
  }

  /** Like `run`, for a request that may fail: gives the response then too. A failed assertion still is the test's. */
  async tryRun(handle: Handle, headers?: Record<string, string>, path?: string) {
    const { response, failed } = await this.send(handle, headers, path);
    if (failed?.error instanceof AssertionError) throw failed.error;
    return response;
  }

  private async send(handle: Handle, headers?: Record<string, string>, path = '/run') {
    const run: typeof runs[number] = { handle };
    const response = await this.request(`${path}?id=${runs.push(run) - 1}`, { headers });
    return { response, failed: run.failed };
  }

  async close() {
    this.server.closeAllConnections();
    await new Promise(resolve => {
      this.server.close(resolve);
    });
  }
}

/** While it is tested, Egg answers errors in JSON. */
function requestFailed({ status, text }: { status: number; text: string }): Error {
  const { message = text, stack = '' } = text.startsWith('{') ? JSON.parse(text) : {};
  const error = new Error(`the request failed: ${status} ${message}`);
  error.stack += `\n    in the application:\n${stack}`;
  return error;
}
