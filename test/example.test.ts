import { strict as assert } from 'node:assert';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { Browser } from './support/Browser';
import { redisCli, startRedis } from './support/servers';

const ROOT = path.join(__dirname, '..');
const CHROMIUM = '/usr/bin/chromium';
const [ COMMAND, ...ARGS ]: string[] = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')).scripts.start.split(' ');
const run = promisify(execFile);

/** What a visitor sees of the page. */
function parse(html: string) {
  const [ , greeting ] = /<h1>(.*?)<\/h1>/.exec(html)!;
  const [ , visits ] = /<strong id="visits">(\d+)<\/strong>/.exec(html)!;
  const flash = /role="status">(.*?)<\/p>/.exec(html)?.[1];
  return { greeting, visits: Number(visits), flash };
}

class Visitor extends Browser {
  async visit() {
    const { status, text } = await this.request('/');
    assert.equal(status, 200);
    return { ...parse(text), text };
  }

  /** Sends a form with the token of the page it is on, and follows to the next page. */
  async submit(route: string, fields: Record<string, string> = {}) {
    const [ , token ] = /name="_csrf" value="(.*?)"/.exec((await this.visit()).text)!;
    const { status, headers: { location } } = await this.post(route, { ...fields, _csrf: token });
    assert.deepEqual({ status, location }, { status: 303, location: '/' });
    return await this.visit();
  }

  post(route: string, fields: Record<string, string>) {
    return this.request(route, { method: 'POST', body: new URLSearchParams(fields) });
  }

  another(): Visitor {
    return new Visitor(this.port);
  }

  /** Somebody who has a copy of the cookies as they are now. */
  copy(): Visitor {
    return new Visitor(this.port, this.cookies.copy());
  }
}

describe('example', () => {
  const tmp = mkdtempSync(path.join(os.tmpdir(), 'egg-tegg-session-test-'));
  const running: ChildProcess[] = [];
  let output: string;
  let visitor: Visitor;

  /** Runs what `npm start` runs, on a free port, and resolves to the port of the address that it prints. */
  async function start(cwd = ROOT, env: NodeJS.ProcessEnv = {}): Promise<number> {
    const args = ARGS.map(arg => (arg.startsWith('example/') ? path.join(ROOT, arg) : arg));
    const child = spawn(COMMAND, args, {
      cwd,
      env: {
        ...process.env,
        EGG_TYPESCRIPT: undefined,
        EGG_LOG: undefined,
        NODE_V8_COVERAGE: undefined,
        SESSION_KEYS: undefined,
        PATH: path.join(ROOT, 'node_modules/.bin') + path.delimiter + process.env.PATH,
        PORT: '0',
        TMPDIR: tmp,
        ...env,
      },
      stdio: [ 'ignore', 'pipe', 'inherit' ],
    });
    running.push(child);
    output = '';
    for await (const chunk of child.stdout.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
      output += chunk;
      const port = /http:\/\/127\.0\.0\.1:(\d+)\n/.exec(output)?.[1];
      if (port) {
        child.stdout.resume();
        return Number(port);
      }
    }
    throw new Error(`the example ended before it listened: ${output}`);
  }

  const files = () => readdirSync(path.join(ROOT, 'example'), { recursive: true });
  const source = files();

  before(async () => {
    visitor = new Visitor(await start());
  });

  beforeEach(() => {
    visitor = visitor.another();
  });

  after(async () => {
    await Promise.all(running.map(child => child.exitCode ?? (child.kill(), once(child, 'exit'))));
    rmSync(tmp, { recursive: true, force: true });
  });

  /** What the example printed, without Egg's warning on a machine that is slow. */
  const printed = () => output.replace(/^.*\[egg:core:ready_timeout\].*\n/gm, '');

  it('says two things when it starts, and writes nothing next to its source', () => {
    assert.match(printed(), /^SESSION_KEYS is not set: .*\nThe example runs on http:\S+\n$/);
    assert.deepEqual(files(), source);
  });

  it('counts the visits of each visitor', async () => {
    for (const n of [ 1, 2, 3 ]) assert.equal((await visitor.visit()).visits, n);
    assert.equal((await visitor.another().visit()).visits, 1);
    assert.equal((await visitor.visit()).visits, 4);
  });

  it('refuses a wrong password, and says so once', async () => {
    for (const name of [ 'alice', 'nobody', '__proto__' ]) {
      const { greeting, flash } = await visitor.submit('/sign-in', { name, password: 'builder' });
      assert.equal(greeting, 'Hello, stranger!');
      assert.equal(flash, `Wrong password, or no user “${name}”.`);
      assert.equal((await visitor.visit()).flash, undefined);
    }
  });

  it('escapes a user name', async () => {
    const { text, flash } = await visitor.submit('/sign-in', { name: '<img src=x onerror="a()">', password: 'x' });
    assert.equal(flash, 'Wrong password, or no user “&lt;img src=x onerror=&quot;a()&quot;&gt;”.');
    assert.ok(!text.includes('<img'));
  });

  it('keeps a long user name out of the cookie', async () => {
    await visitor.submit('/sign-in', { name: 'x'.repeat(10000), password: 'x' });
    assert.ok(visitor.cookies.get('EGG_SESS')!.length < 1000);
  });

  it('signs in, and keeps what the session held', async () => {
    await visitor.visit();
    const page = await visitor.submit('/sign-in', { name: 'alice', password: 'wonderland' });
    assert.equal(page.greeting, 'Hello, alice!');
    assert.equal(page.flash, 'You are signed in.');
    assert.equal(page.visits, 3);

    const bob = await visitor.another().submit('/sign-in', { name: 'bob', password: 'builder' });
    assert.equal(bob.greeting, 'Hello, bob!');
    assert.equal((await visitor.visit()).greeting, 'Hello, alice!');
  });

  it('gives a new cookie at sign-in, and the one from before is not signed in', async () => {
    await visitor.visit();
    const attacker = visitor.copy();
    await visitor.submit('/sign-in', { name: 'alice', password: 'wonderland' });
    for (const name of [ 'EGG_SESS', 'csrfToken' ]) {
      assert.notEqual(visitor.cookies.get(name), attacker.cookies.get(name));
    }
    assert.equal((await attacker.visit()).greeting, 'Hello, stranger!');
  });

  it('signs out, and starts with a new session', async () => {
    await visitor.submit('/sign-in', { name: 'alice', password: 'wonderland' });
    const { greeting, visits, flash } = await visitor.submit('/sign-out');
    assert.deepEqual({ greeting, visits, flash }, { greeting: 'Hello, stranger!', visits: 1, flash: undefined });
  });

  it('answers 403 to a form without its CSRF token', async () => {
    await visitor.submit('/sign-in', { name: 'alice', password: 'wonderland' });
    for (const route of [ '/sign-in', '/sign-out' ]) {
      for (const _csrf of [ '', 'wrong' ]) {
        assert.equal((await visitor.post(route, { name: 'bob', password: 'builder', _csrf })).status, 403);
      }
    }
    assert.equal((await visitor.visit()).greeting, 'Hello, alice!');
  });

  it('starts from any directory, and processes with the same SESSION_KEYS share the sessions', async () => {
    const first = new Visitor(await start(tmp, { SESSION_KEYS: 'a key for two' }));
    assert.match(printed(), /^The example runs on http:\S+\n$/);
    await first.submit('/sign-in', { name: 'bob', password: 'builder' });

    const second = new Visitor(await start(ROOT, { SESSION_KEYS: 'a key for two' }), first.cookies);
    assert.equal((await second.visit()).greeting, 'Hello, bob!');
    assert.equal((await new Visitor(visitor.port, first.cookies).visit()).greeting, 'Hello, stranger!');
  });

  for (const STORE of [ 'memory', 'redis' ]) {
    it(`keeps sessions in ${STORE} with STORE=${STORE}: a copied cookie is worth nothing after sign-in or sign-out`, async () => {
      const redis = await startRedis();
      const owner = new Visitor(await start(ROOT, { STORE, REDIS_PORT: String(redis.port) }));
      await owner.visit();
      const before = owner.copy();
      await owner.submit('/sign-in', { name: 'alice', password: 'wonderland' });
      assert.equal((await before.visit()).visits, 1);
      const copy = owner.copy();
      assert.equal((await copy.visit()).greeting, 'Hello, alice!');
      assert.equal((await redisCli(redis.port, 'DBSIZE')), STORE === 'redis' ? '2' : '0');
      await owner.submit('/sign-out');
      assert.equal((await copy.visit()).greeting, 'Hello, stranger!');
      const child = running.pop()!;
      child.kill();
      await once(child, 'exit');
      await redis.stop();
    });
  }

  if (existsSync(CHROMIUM)) {
    it('shows the page in a browser', async () => {
      const { stdout } = await run(CHROMIUM, [
        '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync',
        '--disable-background-networking', '--disable-component-update',
        `--user-data-dir=${path.join(tmp, 'browser')}`, '--dump-dom', `http://127.0.0.1:${visitor.port}`,
      ]);
      assert.deepEqual(parse(stdout), { greeting: 'Hello, stranger!', visits: 1, flash: undefined });
    });
  }
});
