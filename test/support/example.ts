import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Browser } from './Browser';

const ROOT = path.join(__dirname, '../..');
const { scripts } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8'));
const [ COMMAND, ...ARGS ]: string[] = scripts.start.split(' ');

/** What is in a page, for those who see it. */
export function parse(html: string) {
  const inner = (pattern: RegExp) => pattern.exec(html)?.[1];
  return {
    title: inner(/<h1>(.*?)<\/h1>/),
    flash: inner(/role="status">(.*?)<\/p>/),
    error: inner(/id="error">(.*?)<\/p>/),
    cups: Number(inner(/id="cups">(\d+)</)),
    oolong: Number(inner(/data-product="Oolong">(\d+)</)),
    /** The devices, or the users, and the value that their button sends. */
    rows: [ ...html.matchAll(/<td class="name"[^>]*>(.*?)<\/td>[^]*?name="(?:id|name)" value="(.*?)"/g) ]
      .map(([ , name, value ]) => ({ name: name.replace(/<.*/, '').trim(), current: name.includes('badge'), value })),
    verdicts: [ ...html.matchAll(/class="verdict (kept|broken)"/g) ].map(([ , verdict ]) => verdict),
  };
}

/** Somebody with a browser, in the example. */
export class Visitor extends Browser {
  constructor(port: number, private readonly headers: Record<string, string> = {}, cookies?: Browser['cookies']) {
    super(port, cookies);
  }

  async visit(route: string) {
    const { status, text, headers } = await this.request(route, { headers: this.headers });
    return { status, text, location: headers.location, ...parse(text) };
  }

  /** Sends a form with the token of the page that has it, and follows to the next page. */
  async submit(route: string, fields: Record<string, string> = {}, from = '/sign-in') {
    const [ , token ] = /name="_csrf" value="(.*?)"/.exec((await this.visit(from)).text)!;
    const { status, text, headers } = await this.post(route, { ...fields, _csrf: token });
    if (status !== 303) return { status, text, location: undefined, ...parse(text) };
    return { ...await this.visit(headers.location!), location: headers.location };
  }

  post(route: string, fields: Record<string, string>) {
    return this.request(route, { method: 'POST', headers: this.headers, body: new URLSearchParams(fields) });
  }

  signIn(name: string) {
    return this.submit('/sign-in', { name, password: name === 'alice' ? 'wonderland' : 'builder' });
  }

  another(headers = this.headers): Visitor {
    return new Visitor(this.port, headers);
  }

  /** Somebody who has a copy of the cookies as they are now. */
  copy(): Visitor {
    return new Visitor(this.port, this.headers, this.cookies.copy());
  }
}

/** The processes of the example that a test has started. */
export class Example {
  /** For what they write. */
  readonly tmp = mkdtempSync(path.join(os.tmpdir(), 'egg-tegg-session-test-'));
  /** What the last one printed. */
  output = '';
  private readonly running: ChildProcess[] = [];

  /** Runs what `npm start` runs, or does so with another script, on a free port; resolves to the port of the address that it prints. */
  async start(env: NodeJS.ProcessEnv = {}, cwd = ROOT, script?: string): Promise<number> {
    const args = ARGS.map(arg => (arg.startsWith('scripts/') ? script ?? path.join(ROOT, arg) : arg));
    const child = spawn(COMMAND, args, {
      cwd,
      env: {
        ...process.env,
        EGG_TYPESCRIPT: undefined,
        EGG_LOG: undefined,
        NODE_V8_COVERAGE: undefined,
        NODE_ENV: undefined,
        EGG_SERVER_ENV: undefined,
        SESSION_KEYS: undefined,
        STORE: undefined,
        PATH: path.join(ROOT, 'node_modules/.bin') + path.delimiter + process.env.PATH,
        PORT: '0',
        TMPDIR: this.tmp,
        ...env,
      },
      stdio: [ 'ignore', 'pipe', 'pipe' ],
    });
    this.running.push(child);
    this.output = '';
    const collect = (chunk: string) => {
      this.output += chunk;
    };
    child.stderr.setEncoding('utf8').on('data', collect);
    for await (const chunk of child.stdout.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
      collect(chunk);
      const port = /http:\/\/127\.0\.0\.1:(\d+)\n/.exec(this.output)?.[1];
      if (port) {
        child.stdout.on('data', collect);
        return Number(port);
      }
    }
    throw new Error(`the example ended before it listened: ${this.output}`);
  }

  /** Ends all of them. */
  async stop() {
    await Promise.all(this.running.splice(0).map(child => child.exitCode ?? (child.kill(), once(child, 'exit'))));
  }

  async remove() {
    await this.stop();
    rmSync(this.tmp, { recursive: true, force: true });
  }

  /** What the last one printed, without Egg's warnings on a machine that is slow. */
  get printed(): string {
    return this.output.replace(/^.*\[egg:core\]\[(ready_timeout|slow-boot-action)\].*\n/gm, '');
  }
}
