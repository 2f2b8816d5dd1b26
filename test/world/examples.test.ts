import { strict as assert } from 'node:assert';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Application } from 'egg';
import mm, { type MockApplication } from 'egg-mock';
import { type SessionStore, testSessionStore } from '../..';
import { review } from '../../module/hints/review';
import { RISKS } from '../../module/options/Risk';
import { type AppOptions, Client, createApp } from '../support/app';
import { blocksOf, configOf, exportsOf, filesOf, ROOT, textOf } from '../support/docs';
import { plugins, start } from '../support/newcomer';

const APPLICATION = { 'package.json': '{ "name": "shop", "egg": { "typescript": true } }' };

it('the application of docs/javascript.md counts visits', async () => {
  const theirs = { 'config/plugin.ts': null, 'config/config.default.ts': null, 'app/module/web/package.json': null,
    'app/module/web/HomeController.ts': null };
  const files = Object.fromEntries(filesOf('docs/javascript.md'));
  assert.deepEqual(Object.keys(files).filter(file => file.endsWith('.js')), [ 'config/plugin.js', 'config/config.default.js',
    'config/config.local.js',
    'app/router.js', 'app/module/visits/VisitsController.js', 'app/module/store/AppSessionStore.js' ]);
  const output = await start({ ...theirs, ...files, 'package.json': '{ "name": "shop" }' });
  assert.equal(output.match(/^answer 200: \{"visits":1\}$/mg)?.length, 2, output);
});

it('the application of the README passes the tests of docs/testing.md', async () => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'testing-'));
  try {
    const files = { ...APPLICATION, ...Object.fromEntries([ ...filesOf('README.md'), ...filesOf('docs/testing.md') ]) };
    for (const [ name, code ] of Object.entries(files)) {
      if (/AppSessionStore/.test(name)) continue; // needs a Redis, and its suite is long
      fs.mkdirSync(path.dirname(path.join(dir, name)), { recursive: true });
      fs.writeFileSync(path.join(dir, name), code);
    }
    fs.symlinkSync(path.join(ROOT, 'node_modules'), path.join(dir, 'node_modules'));
    const { stdout } = await promisify(execFile)(process.execPath, [ path.join(ROOT, 'node_modules/mocha/bin/mocha.js'),
      '-r', path.join(__dirname, '../support/transpile.js'), '-r', 'egg-mock/register', '--timeout', '20000', '--exit', 'test/*.test.ts' ],
    { cwd: dir, env: { ...process.env, NODE_ENV: 'test', EGG_SERVER_ENV: undefined, EGG_TYPESCRIPT: 'true', NODE_V8_COVERAGE: undefined } });
    assert.match(stdout, /\b4 passing\b/);
  } finally {
    fs.rmSync(dir, { recursive: true, force: true });
  }
});

describe('the application of the README', () => {
  const theirs = { 'app/module/web/package.json': null, 'app/module/web/HomeController.ts': null };
  const files = Object.fromEntries([ ...filesOf('README.md') ].filter(([ name ]) => !name.startsWith('app/module/store/')));
  const curl = /^curl .*$/m.exec(blocksOf('README.md').find(({ code }) => code.includes('sign-in\n'))!.code)![0];

  it('is signed in to by its curl line, which has the CSRF token', async () => {
    const output = await start({ ...theirs, ...files, ...APPLICATION, 'config/plugin.ts': plugins() }, {}, [
      'curl -s -b jar -c jar http://127.0.0.1:7001/', curl.replace('-X POST', '-s -X POST'),
    ]);
    assert.match(output, /^answer 200: \{"visits":1\}$/m);
    assert.match(output, /^\$ curl .*\n\{"visits":1\}\n\$ curl .*\n\{"signedIn":true\}$/m);
  });

  it('does not start in production without a key of its own', async () => {
    const output = await start({ ...theirs, ...files, ...APPLICATION, 'config/plugin.ts': plugins() }, {
      EGG_SERVER_ENV: 'prod', SESSION_KEYS: undefined, EGG_HOME: fs.mkdtempSync(path.join(os.tmpdir(), 'logs-')),
    });
    assert.match(output, /^the application does not start: \[egg-tegg-session\] config\.keys is ''/m);
  });
});

it('the adapter for PostgreSQL in docs/stores.md is the one that is tested', () => {
  const classOf = (text: string) => /(?<=^(?:export )?)class Postgres [^]*?^}$/m.exec(text)![0].replace(/ +\/\/ .*$/gm, '');
  assert.equal(classOf(textOf('docs/stores.md')), classOf(textOf('test/support/Postgres.ts')));
});

describe('docs/security.md', () => {
  for (const name of [ 'docs/security.md', 'docs/security.zh-CN.md' ]) {
    it(`${name}: names a test for each row of ASVS, and each test of them`, () => {
      const told = [ ...textOf(name).matchAll(/^\| (\d\.\d\.\d) .*\| ([^|]+) \|$/gm) ]
        .flatMap(([ , row, titles ]) => titles.split('; ').map(title => `${row} ${title}`));
      const titles = [ ...textOf('test/app/asvs.test.ts').matchAll(/\b(?:it|inBoth)\('(\d.*?[^\\])',/g) ]
        .map(([ , title ]) => title.replaceAll('\\\'', '\''));
      assert.deepEqual(told.sort(), titles.sort());
    });

    it(`${name}: has every risk that the review tells of`, () => {
      const [ , review ] = textOf(name).split(/^## (?:The review at boot|启动时的检查)$/m);
      assert.deepEqual([ ...review.matchAll(/^\| `(\w+)` \|/gm) ].map(([ , risk ]) => risk), [ ...RISKS ]);
    });
  }

  it('its strict configuration leaves the review nothing to say', async () => {
    const [ block ] = blocksOf('docs/security.md');
    const { proxy, session } = configOf(block);
    const warned = async (options: AppOptions) => {
      let booted!: Application; // egg-mock gives something around it
      const app = await createApp('memory-store', { ...options, boot: real => {
        booted = real;
      } });
      app.mockLog('logger');
      mm(app.config, 'env', 'prod');
      review(booted);
      const lines = (app.getLogger('logger') as unknown as { _mockLogs: string[] })._mockLogs;
      mm.restore();
      await app.close();
      return lines.map(line => /add '(\w+)' to config\.session\.acceptedRisks/.exec(line)?.[1]).filter(Boolean);
    };
    const config = { proxy, keys: randomBytes(32).toString('hex') };
    assert.deepEqual(await warned({ session, config }), [ 'memoryStore' ]); // as this is no Redis
    assert.deepEqual(await warned({ session: { ...session, acceptedRisks: [ 'memoryStore' ] }, config }), []);
    assert.deepEqual(await warned({}), [ 'secure', 'keys', 'memoryStore', 'idleTimeout', 'absoluteTimeout', 'sharedKey' ]);
  });
});

describe('the controllers of docs/devices.md, on the store with an index of docs/writing-a-store.md', () => {
  let app: MockApplication;
  let server: Client;
  before(async () => {
    const { session } = configOf(blocksOf('docs/devices.md')[0]);
    app = await createApp('account', { session });
    server = await Client.of(app);
  });
  after(async () => {
    await server.close();
    await app.close();
  });

  async function signIn(userId: number) {
    const browser = server.another();
    await browser.run(async (session: any) => {
      await session.regenerate();
      session.userId = userId;
    });
    return browser;
  }

  const user = async (browser: Client) => (await browser.run((session: any) => ({ userId: session.userId ?? null }))).json().userId;

  it('DevicesController lists the sessions of a user, and ends one of them, or the others', async () => {
    const [ here, there, elsewhere, stranger ] = [ await signIn(1), await signIn(1), await signIn(1), await signIn(2) ];
    const sessions = (await there.request('/devices')).json() as any[];
    assert.equal(sessions.length, 3);
    const { id } = sessions.find(({ current }) => current);
    assert.deepEqual((await stranger.request(`/devices/${id}`, { method: 'DELETE' })).json(), { ended: false });
    assert.equal(await user(there), 1);
    assert.deepEqual((await here.request(`/devices/${id}`, { method: 'DELETE' })).json(), { ended: true });
    assert.equal(await user(there), null);
    assert.deepEqual((await here.request('/password', { method: 'POST' })).json(), { ended: 1 });
    assert.deepEqual(await Promise.all([ here, elsewhere, stranger ].map(user)), [ 1, null, 2 ]);
    assert.equal((await server.another().request('/devices')).status, 500);
  });

  it('BackChannelLogoutController ends the sessions of the user in a good token, and of nobody else', async () => {
    const [ phone, laptop, stranger ] = [ await signIn(3), await signIn(3), await signIn(4) ];
    const logout = (token: string) => server.another().request('/back-channel-logout', {
      method: 'POST', body: new URLSearchParams({ logout_token: token }),
    });
    const refused = await logout('a bad token of 3');
    assert.equal(refused.status, 400);
    assert.deepEqual(refused.json(), { error: 'invalid_request' });
    assert.equal(await user(phone), 3);

    const response = await logout('a good token of 3');
    assert.equal(response.status, 200);
    assert.equal(response.headers['cache-control'], 'no-store');
    assert.deepEqual(response.json(), { ended: 2 });
    assert.deepEqual(await Promise.all([ phone, laptop, stranger ].map(user)), [ null, null, 4 ]);
  });
});

for (const block of blocksOf('docs/writing-a-store.md')) {
  const [ , name ] = /^export class (\w+) extends SessionStore/m.exec(block.code) ?? [];
  if (!name) continue;
  testSessionStore(`${name} of docs/writing-a-store.md`, () => new (exportsOf(block)[name] as new () => SessionStore)());
}
