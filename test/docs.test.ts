import { strict as assert } from 'node:assert';
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import type { Application } from 'egg';
import mm, { type MockApplication } from 'egg-mock';
import ts from 'typescript';
import { type SessionStore, testSessionStore } from '..';
import { review } from '../module/review';
import { RISKS } from '../module/Risk';
import { type AppOptions, Client, createApp } from './support/app';
import { blocksOf, blocksUnder, exportsOf, ROOT, textOf } from './support/docs';

const DOCUMENTS = [ 'README', 'docs/security', 'docs/writing-a-store', 'docs/operations', 'docs/troubleshooting' ];
const LOGOUT_TOKENS = 'export declare class LogoutTokens { verify(token?: string): Promise<number | undefined> }';
const DATABASE = 'export declare class Database { find(id: string): any; write(id: string, record: object, ms: number): any; remove(id: string): any }';

/** What the compiler finds wrong in files that are only here, each by its path from the repository. */
function compile(files: Map<string, string>): string[] {
  const { config } = ts.readConfigFile(path.join(ROOT, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.convertCompilerOptionsFromJson({ ...config.compilerOptions, strictPropertyInitialization: false }, ROOT);
  const names = [ ...files.keys() ].map(file => path.join(ROOT, file));
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile, directoryExists } = host;
  host.fileExists = file => names.includes(file) || fileExists(file);
  host.readFile = file => files.get(path.relative(ROOT, file)) ?? readFile(file);
  host.directoryExists = dir => names.some(name => name.startsWith(`${dir}/`)) || directoryExists!(dir);
  const program = ts.createProgram(names, options, host);
  return names.flatMap(name => ts.getPreEmitDiagnostics(program, program.getSourceFile(name))).map(({ file, messageText }) =>
    `${file && path.relative(ROOT, file.fileName)}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`);
}

describe('the code in the documents', () => {
  for (const file of DOCUMENTS) {
    it(`${file}.md: is the same in Chinese, but for its comments`, () => {
      const [ english, chinese ] = [ `${file}.md`, `${file}.zh-CN.md` ].map(name =>
        blocksOf(name).map(({ language, code }) => [ language, code.replace(/(?<=^|\s)(#|\/\/) .*$/gm, '') ]));
      assert.deepEqual(chinese, english);
    });
  }

  it('compiles', () => {
    const files = new Map<string, string>();
    for (const file of DOCUMENTS) {
      for (const [ i, { language, code }] of blocksOf(`${file}.md`).entries()) {
        if (language !== 'ts' || !/^import /m.test(code)) continue;
        const dir = file === 'README' ? `example-${i}` : 'example'; // the README has several classes of one name
        files.set(`${dir}/${/^\/\/ (\S+\.ts)$/m.exec(code)?.[1] ?? 'app/example.ts'}`, code);
        files.set(`${dir}/app/module/database/Database.ts`, DATABASE);
        files.set(`${dir}/app/module/account/LogoutTokens.ts`, LOGOUT_TOKENS);
      }
    }
    assert.ok(files.size > 10);
    assert.deepEqual(compile(files), []);
  });
});

it('the adapter for PostgreSQL in the README is the one that is tested', () => {
  const classOf = (text: string) => /^class Postgres [^]*?^}$/m.exec(text)![0].replace(/ +\/\/ .*$/gm, '');
  assert.equal(classOf(textOf('README.md')), classOf(textOf('test/recovery.test.ts')));
});

describe('docs/security.md', () => {
  for (const name of [ 'docs/security.md', 'docs/security.zh-CN.md' ]) {
    it(`${name}: names a test for each row of ASVS, and each test of them`, () => {
      const told = [ ...textOf(name).matchAll(/^\| (\d\.\d\.\d) .*\| ([^|]+) \|$/gm) ]
        .flatMap(([ , row, titles ]) => titles.split('; ').map(title => `${row} ${title}`));
      const titles = [ ...textOf('test/asvs.test.ts').matchAll(/\b(?:it|inBoth)\('(\d.*?[^\\])',/g) ]
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
    const { proxy, session } = exportsOf(block).default;
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

describe('the controllers of the README, on the store with an index of docs/writing-a-store.md', () => {
  let app: MockApplication;
  let server: Client;
  before(async () => {
    const [ options ] = blocksUnder('README.md', '## Whose sessions there are');
    const { session } = exportsOf({ ...options, code: `export default {${options.code}};` }).default;
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
