import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
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
    const child = this.launch(env, cwd, script);
    const port = /http:\/\/127\.0\.0\.1:(\d+)\n/;
    return Number(port.exec(await this.until(child, port))![1]);
  }

  /** The same, without waiting for anything. */
  launch(env: NodeJS.ProcessEnv = {}, cwd = ROOT, script?: string): ChildProcess {
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
    for (const stream of [ child.stdout, child.stderr ]) stream.setEncoding('utf8').on('data', collect);
    return child;
  }

  /** Resolves to what the last one has printed, when that matches. @throws Error when it ends before that */
  async until(child: ChildProcess, pattern: RegExp): Promise<string> {
    const closed = once(child, 'close');
    while (!pattern.test(this.output)) {
      if (child.exitCode !== null && child.stdout!.closed) throw new Error(`the example ended early: ${this.output}`);
      await Promise.race([ once(child.stdout!, 'data'), closed ]);
    }
    return this.output;
  }

  /** Leaves nowhere to write to for the application with egg-session, which it starts for the page of promises. */
  loseTmp() {
    renameSync(this.tmp, `${this.tmp}-lost`);
    writeFileSync(this.tmp, '');
  }

  /** Undoes that. */
  restoreTmp() {
    rmSync(this.tmp);
    renameSync(`${this.tmp}-lost`, this.tmp);
  }

  /** Ends all of them. */
  async stop() {
    await Promise.all(this.running.splice(0).map(child => child.exitCode ?? (child.kill(), once(child, 'exit'))));
  }

  async remove() {
    await this.stop();
    // the application with egg-session ends after the example that has started it, and writes there until then
    rmSync(this.tmp, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }

  /** What the last one printed, without what is added on a machine that is slow. */
  get printed(): string {
    return this.output.replace(/^(.*\[egg:core\]\[(ready_timeout|slow-boot-action)\].*| {2}\d+ s: .*)\n/gm, '');
  }
}
