import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { Browser } from '../test/support/Browser';
import { blocksIn, ROOT, textOf } from '../test/support/docs';
import { startServer } from '../test/support/egg-server';

const PAGE = 'docs/migration.md';

/**
 * Follows docs/migration.md word by word, in an application on egg-session: with passport-local, csrf, a store of its own, a schedule and
 * tests. A visitor who was signed in before has to be signed in afterwards.
 *
 * @param tarball the packed plugin
 * @param dir where the application is made
 */
export async function migrate(tarball: string, dir: string): Promise<void> {
  fs.cpSync(path.join(ROOT, 'test/fixtures/migrating-app'), dir, { recursive: true });
  const file = (name: string) => path.join(dir, name);
  const edit = (name: string, change: (text: string) => string) => {
    const before = fs.readFileSync(file(name), 'utf8');
    const text = change(before);
    assert.notEqual(text, before, `${name} is as it was`);
    fs.writeFileSync(file(name), text);
  };
  const run = (command: string) => {
    const { status, stdout, stderr } = spawnSync('sh', [ '-c', command ], {
      cwd: dir, encoding: 'utf8', env: { ...process.env, npm_config_audit: 'false', npm_config_fund: 'false', npm_config_prefer_offline: 'true', NODE_V8_COVERAGE: undefined },
    });
    if (status !== 0) throw new Error(`${command} failed:\n${stdout}${stderr}`);
    return stdout;
  };
  const test = () => assert.match(run('npm test'), /\b3 passing\b/);
  const storedIn = () => fs.readdirSync(file('sessions')).map(name => JSON.parse(fs.readFileSync(file(`sessions/${name}`), 'utf8')));

  /** Runs the application, with a browser that goes on from the last time. */
  const cookies = new Browser(0).cookies;
  const serve = async (visit: (browser: Browser) => Promise<void>) => {
    const server = await startServer(port => [ 'node_modules/egg-scripts/bin/egg-scripts.js', 'start', '--workers=1', `--port=${port}` ], {
      cwd: dir, env: { NODE_ENV: 'production', EGG_SERVER_ENV: 'prod', NODE_OPTIONS: undefined, EGG_TYPESCRIPT: undefined, NODE_LOG_DIR: file('logs') },
    });
    try {
      await visit(new Browser(server.port, cookies));
    } finally {
      await server.stop();
    }
  };
  const home = async (browser: Browser): Promise<any> => (await browser.request('/')).json();
  const post = async (browser: Browser, url: string, fields: Record<string, string>) => await browser.request(url, { method: 'POST', body: new URLSearchParams(fields) });
  /** The order of a visitor who is signed in: with the csrf token, and without. */
  const order = async (browser: Browser, items: string[]) => {
    const { csrf } = await home(browser);
    assert.equal((await post(browser, '/orders', { item: 'forged' })).status, 403);
    const answer = await post(browser, '/orders', { _csrf: csrf, item: items.at(-1)! });
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(answer.json(), { user: 'alice', orders: items });
  };
  const ticks = async (browser: Browser) => {
    const { ticks } = await home(browser);
    while ((await home(browser)).ticks <= ticks) await new Promise(resolve => { setTimeout(resolve, 100); });
  };

  // before: the versions of our lock file, and of npm's own choice what that does not have
  const { packages } = JSON.parse(textOf('package-lock.json'));
  edit('package.json', text => JSON.stringify(JSON.parse(text, (name, value) => packages[`node_modules/${name}`]?.version ?? value), null, 2));
  run('npm install');
  assert.ok(!fs.existsSync(file('node_modules/@eggjs/tegg')), 'the application has tegg before it needs it');
  test();
  await serve(async browser => {
    const { csrf } = await home(browser);
    const { status, headers } = await post(browser, '/sign-in', { _csrf: csrf, username: 'alice', password: 'wonderland' });
    assert.deepEqual([ status, headers.location ], [ 302, '/' ]);
    await order(browser, [ 'tea' ]);
    await ticks(browser);
  });
  assert.ok(storedIn().some(({ orders }) => orders?.[0] === 'tea'), 'the session is not in the store of the application');

  // the page, step by step: what it tells to add is added to what is there
  const [ , section ] = textOf(PAGE).split('\n## From egg-session\n');
  const blocks = blocksIn(section.split('\n## ')[0].replace(/^ {3}/gm, ''));
  const told = (language: string, has: string) => {
    const found = blocks.filter(block => block.language === language && block.code.includes(has));
    assert.equal(found.length, 1, `${PAGE} has ${found.length} blocks with ${has}`);
    return found[0].code;
  };
  const members = (code: string) => /^module\.exports = \{\n([^]*)^\};/m.exec(code)![1];
  edit('package.json', text => {
    const { overrides, ...rest } = JSON.parse(text);
    return JSON.stringify({ ...rest, overrides: { ...overrides, ...JSON.parse(told('json', 'overrides')).overrides } }, null, 2);
  });
  run(told('sh', 'npm install').replace(/egg-tegg-session$/m, `'${tarball}'`));
  edit('config/plugin.js', text => text.replace('module.exports = {\n', start => start + members(told('js', 'teggConfig'))));
  edit('config/config.default.js', text => text.replace('  session: {\n', start => start + told('js', 'acceptLegacyCookie').split('\n').filter(line => !line.startsWith('//'))
    .join('\n')));

  test();
  await serve(async browser => {
    const { user, visits } = await home(browser);
    assert.equal(user, 'alice', 'who was signed in before is not any more');
    assert.ok(visits > 3, `${visits} visits`);
    await order(browser, [ 'tea', 'cup' ]);
    await ticks(browser);
  });

  // after one maxAge, as step 2 says
  edit('config/config.default.js', text => text.replace(/.*acceptLegacyCookie.*\n/, ''));
  await serve(async browser => {
    await order(browser, [ 'tea', 'cup', 'pot' ]);
    const { csrf } = await home(browser);
    assert.equal((await post(browser, '/sign-out', { _csrf: csrf })).text, 'bye');
    assert.deepEqual((({ user, visits }) => ({ user, visits }))(await home(browser)), { user: undefined, visits: 1 });
  });
}

if (require.main === module) {
  const [ tarball, dir ] = process.argv.slice(2);
  migrate(path.resolve(tarball), dir).catch(err => {
    console.error(err);
    process.exit(1);
  });
}
