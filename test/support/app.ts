import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import type { Application, Context } from 'egg';
import mm, { type MockApplication } from 'egg-mock';
import type { Session, SessionOptions } from '../..';

/** What the fixture applications take from the test that starts them. */
export const fixture: {
  config: Record<string, unknown>;
  boot?: (app: Application) => void;
  handle: (session: any, ctx: Context) => unknown;
} = { config: {}, handle: () => undefined };

export interface AppOptions {
  /** `config.session`. */
  session?: SessionOptions;
  /** The rest of the configuration. */
  config?: Record<string, unknown>;
  /** Runs where an application's `app.ts` does. */
  boot?: (app: Application) => void;
}

export const fixtureDir = (name: string) => path.join(__dirname, '../fixtures/apps', name);

/** Boots a fixture application; close it with `app.close()`. */
export async function createApp(name: string, { session, config, boot }: AppOptions = {}): Promise<MockApplication> {
  fixture.config = { ...config, session };
  fixture.boot = boot;
  const app = mm.app({ baseDir: fixtureDir(name), cache: false });
  try {
    await app.ready();
  } catch (err) {
    await app.close().catch(() => undefined);
    throw err;
  }
  return app;
}

/** Moves the clock on, until `mm.restore()`. */
export function later(ms: number): void {
  const then = Date.now() + ms;
  mm(Date, 'now', () => then);
}

/** A browser's side: keeps cookies, follows nothing. */
export class Client {
  readonly cookies = new Map<string, string>();

  private constructor(private readonly server: http.Server) {}

  static async of(app: MockApplication, maxHeaderSize = 65536): Promise<Client> {
    const server = http.createServer({ maxHeaderSize }, app.callback() as http.RequestListener);
    await new Promise<void>(resolve => {
      server.listen(0, '127.0.0.1', resolve);
    });
    return new Client(server);
  }

  /** Another browser against the same server. */
  another(): Client {
    return new Client(this.server);
  }

  async request(url: string, init: { method?: string; headers?: Record<string, string>; body?: string } = {}) {
    const { port } = this.server.address() as AddressInfo;
    const cookie = [ ...this.cookies ].map(([ name, value ]) => `${name}=${value}`).join('; ');
    const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
      const request = http.request({
        host: '127.0.0.1', port, path: url, method: init.method ?? 'GET', agent: false,
        headers: { ...(cookie ? { cookie } : {}), ...init.headers },
      }, resolve);
      request.on('error', reject).end(init.body);
    });
    let text = '';
    for await (const chunk of response.setEncoding('utf8')) text += chunk;
    const setCookies = response.headers['set-cookie'] ?? [];
    for (const line of setCookies) {
      const [ , name, value ] = /^([^=]+)=([^;]*)/.exec(line)!;
      if (/expires=Thu, 01 Jan 1970/i.test(line)) this.cookies.delete(name);
      else this.cookies.set(name, value);
    }
    return { status: response.statusCode!, headers: response.headers, setCookies, text, json: () => JSON.parse(text) };
  }

  /** Runs `handle` in a controller of the fixture application `web`, with the injected session. */
  async run<T>(handle: (session: Session & Record<string, any>, ctx: Context) => T, headers?: Record<string, string>) {
    return await this.request(`/run?id=${handlers.push(handle) - 1}`, { headers });
  }

  async close() {
    this.server.closeAllConnections();
    await new Promise(resolve => {
      this.server.close(resolve);
    });
  }
}

const handlers: Array<(session: any, ctx: Context) => unknown> = [];
fixture.handle = async (session, ctx) => {
  const result = await handlers[Number(ctx.query.id)](session, ctx);
  return result === undefined ? { ok: true } : result;
};
