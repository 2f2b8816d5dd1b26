import { strict as assert } from 'node:assert';
import type { Application } from 'egg';
import Redis from 'ioredis';
import ts from 'typescript';
import type { Session, SessionOptions } from '../..';
import { SingletonByProperty } from '../fixtures/apps/web/modules/inject/services';
import { type Client, fixture } from '../support/app';
import { textOf } from '../support/docs';
import { MapStore } from '../support/MapStore';
import { classFile, config, controller, type Files, IMPORTS, plugins, redisAt, redisStore, start } from '../support/newcomer';
import { freePort } from '../support/ports';
import { TestRedisStore } from '../support/redis';
import { redisCli, startRedis } from '../support/servers';
import { patternOf, textsInSource } from '../support/texts';
import { start as startWeb, stop } from '../support/web';

const FILE = 'docs/troubleshooting.md';

/** The headings of a document, without the backquotes. */
const headingsOf = (file: string) => [ ...textOf(file).matchAll(/^### (`+) ?(.*?) ?\1$/gm) ].map(([ , , text ]) => text);

const told = new Set<string>();

/** Expects that the newcomer reads, as a line of its own or at its end, the heading that has `part` in it. */
function expectHeading(part: string, output: string): void {
  const headings = headingsOf(FILE).filter(text => text.includes(part));
  assert.equal(headings.length, 1, `${FILE} has ${headings.length} headings with: ${part}`);
  const [ heading ] = headings;
  const line = new RegExp(`${heading.split('…').map(text => text.replace(/[^\w\s]/g, '\\$&')).join('.+')}$`, 'm');
  assert.match(output, line);
  told.add(heading);
}

const COUNTS = /^answer 200: \{"visits":1\}$/m;
const STOPS = /^the application does not start: /m;

describe('mistakes of a newcomer, and what they are told', () => {
  it('no mistake, and nothing is said', async () => {
    const output = await start({});
    assert.match(output, COUNTS);
    assert.doesNotMatch(output, /egg-tegg-session/);
  });

  it('the plugin without tegg', async () => {
    expectHeading('Plugin [tegg]', await start({ 'config/plugin.ts': plugins('', '') }));
  });

  it('a store without a decorator', async () => {
    const output = await start(redisStore(''));
    expectHeading('nothing decorates it', output);
    assert.match(output, /\] AppSessionStore \(.*store\/AppSessionStore\.ts\) is not/);
  });

  it('a store in a folder without eggModule', async () => {
    for (const text of [ null, '{ "name": "store" }' ]) {
      const output = await start({ ...redisStore(), 'app/module/store/package.json': text });
      expectHeading('as tegg does not load its folder', output);
      assert.match(output, /\] AppSessionStore \(.*store\/AppSessionStore\.ts\) is not/);
    }
  });

  it('the plugin redis not enabled', async () => {
    expectHeading('nothing provides redis', await start(redisStore()));
  });

  it('Redis down at boot', async () => {
    const output = await start({ ...redisStore(), ...redisAt(await freePort()) });
    expectHeading('ECONNREFUSED', output);
    assert.match(output, STOPS);
  });

  it('Redis down at a request', async () => {
    const output = await start({ ...redisStore(), ...redisAt(await freePort(), 'weakDependent: true') });
    expectHeading('has not answered (…)', output);
    expectHeading('the session store has failed (…): …. If its server', output);
    assert.equal(output.match(/^answer 503: /gm)!.length, 2);
    assert.equal(output.match(/the session store has failed \(set\)/g)!.length, 1, 'one line for both requests');
  });

  it('a Redis that drops keys when its memory is full', async () => {
    const server = await startRedis([ '--maxmemory-policy', 'allkeys-lru' ]);
    try {
      const output = await start({ ...redisStore(), ...redisAt(server.port) });
      expectHeading('maxmemory-policy', output);
      assert.match(output, COUNTS);
    } finally {
      await server.stop();
    }
  });

  /** What is logged while `requests` are sent to an application. */
  async function logged(session: SessionOptions, requests: (client: Client, app: Application) => Promise<unknown>): Promise<string> {
    const { app, client } = await startWeb(session);
    try {
      app.mockLog('coreLogger');
      await requests(client, app as unknown as Application);
      return (app.getLogger('coreLogger') as unknown as { _mockLogs: string[] })._mockLogs.join('');
    } finally {
      await stop();
    }
  }
  class FailingStore extends MapStore {
    constructor(private readonly error: Error) {
      super();
    }

    override async set() {
      throw this.error;
    }
  }
  const write = (client: Client) => client.tryRun((session: any) => {
    session.n = 1;
  });

  it('a store whose server refuses to write', async () => {
    const store = new FailingStore(Object.assign(new Error('no space left on device'), { code: 'ENOSPC' }));
    expectHeading('refuses writes', await logged({ store }, write));
  });

  it('a store with a mistake', async () => {
    expectHeading('Only this call has failed', await logged({ store: new FailingStore(new RangeError('an invalid date')) }, write));
  });

  it('a store that takes no writes', async () => {
    const output = await logged({ store: new FailingStore(new Error('timed out')), storeTimeout: 1 }, async client => {
      for (let i = 0; i < 20; i++) await write(client);
    });
    expectHeading('down for writes', output);
  });

  it('a listener that fails', async () => {
    const output = await logged({}, async (client, app) => {
      app.on('session:created', ({ nothing }: any) => nothing.here);
      await write(client);
      await new Promise(resolve => { setImmediate(resolve); });
    });
    expectHeading('a listener of', output);
  });

  it('a store that gives the text it has kept', async () => {
    for (const [ value, said ] of [[ '{"n":1}', 'returned a string' ], [[ 1 ], 'returned an array' ], [ 7, 'returned a number' ]] as const) {
      const output = await logged({ store: { get: () => value, set: () => undefined, destroy: () => undefined } as never }, async client => {
        for (let i = 0; i < 3; i++) await write(client);
      });
      expectHeading('returned …, and not', output);
      assert.equal(output.split(said).length, 2);
    }
  });

  /** What stops an application. */
  const bootError = (session: SessionOptions) => startWeb(session).then(() => '', (err: Error) => err.message).finally(stop);

  it('options in place of a client of Redis', async () => {
    expectHeading('as its …: it must be', await bootError({ store: new TestRedisStore({ host: '127.0.0.1' } as never) }));
  });

  it('a user of Redis without the rights', async () => {
    const server = await startRedis();
    await redisCli(server.port, 'ACL', 'SETUSER', 'app', 'on', '>secret', '~*', '+@all', '-@scripting');
    const redis = new Redis({ port: server.port, username: 'app', password: 'secret' });
    expectHeading('may not run', await bootError({ store: new TestRedisStore(redis) }));
    redis.disconnect();
    await server.stop();
  });

  const STORE = '(() => { const { MemorySessionStore } = require(\'egg-tegg-session\'); return new (class extends MemorySessionStore {})(); })()';
  const EXTERNAL = 'externalKey: { get: () => undefined, set: () => undefined }';
  const LOGS = 'logger: { dir: __dirname, disableConsoleAfterReady: false },';
  for (const [ what, session, keys ] of [
    [ 'in cookie mode', '{}', '' ], [ 'with a store', `{ store: ${STORE} }`, '' ], [ 'signed', '{ encrypt: false }', '' ],
    [ 'neither sealed nor signed, as Egg\'s cookies need one', '{ encrypt: false, signed: false }', '' ],
    [ 'empty ones', '{}', 'keys: \' , \',' ],
  ]) {
    it(`no keys: ${what}`, async () => {
      const output = await start({ 'config/config.default.ts': config(session, `${keys} ${LOGS}`) }, { EGG_SERVER_ENV: 'prod' });
      expectHeading('config.keys is …, and session cookies', output);
      assert.match(output, STOPS);
    });
  }

  it('no keys in development, where it starts, and the session can\'t be used', async () => {
    const output = await start({ 'config/config.default.ts': config('{}', ''), 'config/plugin.ts': plugins('security: { enable: false },') });
    assert.match(output, /WARN .*\[egg-tegg-session\] config\.keys is '', .*\. The application starts without keys, as this is not production; using the session throws this error$/m);
    assert.match(output, /^answer 500: \{"code":"ERR_SESSION_SETUP","message":"\[egg-tegg-session\] config\.keys is '', and session cookies/m);
  });

  it('but none are needed where no cookie is used', async () => {
    for (const session of [ `{ store: ${STORE}, ${EXTERNAL} }`, '{ enable: false }' ]) {
      const output = await start({ 'config/config.default.ts': config(session, '') });
      assert.match(output, /^answer /m);
      assert.doesNotMatch(output, STOPS);
    }
  });

  it('externalKey, but no store', async () => {
    for (const keys of [ '', 'keys: \'a key\',' ]) {
      const output = await start({ 'config/config.default.ts': config(`{ ${EXTERNAL} }`, keys) });
      expectHeading('externalKey needs a store', output);
      assert.match(output, STOPS);
    }
  });

  it('but a store may come until the application is ready', async () => {
    const app = (hook: string) => `export default class { constructor(private readonly app: any) {} async ${hook}() {
      await new Promise(resolve => setTimeout(resolve, 200)); this.app.sessionStore = ${STORE}; } }`;
    for (const hook of [ 'didLoad', 'willReady' ]) {
      const output = await start({ 'config/config.default.ts': config(`{ ${EXTERNAL} }`), 'app.ts': app(hook) });
      assert.match(output, COUNTS);
      assert.doesNotMatch(output, STOPS);
    }
  });

  it('an option with a wrong value', async () => {
    expectHeading('maxAge is', await start({ 'config/config.default.ts': config('{ maxAge: \'1d\' }') }));
  });

  it('a misspelled option', async () => {
    expectHeading('did you mean', await start({ 'config/config.default.ts': config('{ maxage: 5000 }') }));
  });

  it('two stores', async () => {
    expectHeading('two session stores', await start({
      ...redisStore(), ...classFile(`
        const { get, set, destroy } = RedisSessionStore.prototype;
        @SingletonProto()
        export class OtherStore extends SessionStore { get = get as any; set = set as any; destroy = destroy as any; }
        Object.assign(OtherStore.prototype, { get, set, destroy });`),
    }));
  });

  it('a constructor that throws', async () => {
    const output = await start(classFile(`
      @SingletonProto()
      export class Store extends RedisSessionStore { redis: any; constructor() { super(); throw new Error('no such host'); } }`));
    expectHeading('could not be created: …', output);
    assert.match(output, /Store \(.*Visitor\.ts\) could not be created: no such host\. Fix its constructor/);
  });

  it('the session in a schedule', async () => {
    const { app } = await startWeb();
    try {
      const { session } = await app.getEggObject<{ session: Session }>(SingletonByProperty);
      let message = '';
      fixture.job = () => {
        try {
          return session.n;
        } catch (err) {
          ({ message } = err as Error);
        }
      };
      await app.runSchedule('job');
      expectHeading('this is a schedule', message);
    } finally {
      fixture.job = undefined;
      await stop();
    }
  });

  it('the session in an agent', async () => {
    for (const use of [ 'createAnonymousContext().session.userId', 'sessionStore.get(\'id\')' ]) {
      expectHeading('in the agent', await start({ 'agent.ts': `export default (agent: any) => agent.${use};` }));
    }
  });

  it('the session without a request', async () => {
    expectHeading('outside a request', await start(classFile(`
      @SingletonProto()
      export class Visitor { constructor(@Inject() session: Session) { console.log((session as any).visits); } }`)));
  });

  it('the session in a class without a decorator', async () => {
    const output = await start({
      ...classFile('export class Visitor { @Inject() readonly session: Session; visits() { return (this.session as any).visits; } }'),
      ...controller('const { Visitor } = require(\'./Visitor\'); new Visitor().visits();'),
    });
    expectHeading('nothing decorates the class', output);
    assert.match(output, /\] Visitor \(.*web\/Visitor\.ts\) has the session injected, .* its session stays undefined/);
    assert.match(output, /Cannot read properties of undefined/);
  });

  it('the session in a class of Egg\'s', async () => {
    for (const decorator of [ '', '@SingletonProto()' ]) {
      const output = await start({
        'app/service/visitor.ts': `import { Service } from 'egg';
          ${IMPORTS} ${decorator}
          export default class Visitor extends Service { @Inject() readonly session: Session; visits() { return (this.session as any).visits; } }`,
        ...controller('ctx.service.visitor.visits();'),
      });
      expectHeading('Egg makes its objects', output);
      assert.equal(output.match(/\] Visitor \(.*service\/visitor\.ts\) has the session injected/g)?.length, 1, output);
    }
  });

  it('but a base class needs none', async () => {
    const output = await start(classFile(`
      export class Visitor { @Inject() readonly session: Session; }
      @SingletonProto()
      export class Guest extends Visitor {}`));
    assert.match(output, COUNTS);
    assert.doesNotMatch(output, /egg-tegg-session/);
  });

  it('a field that has another name, without metadata', async () => {
    const code = `${IMPORTS} @SingletonProto() export class Visitor { @Inject() readonly mySession: Session; }`;
    assert.match(await start({ 'app/module/web/Visitor.ts': code }), COUNTS, 'with metadata, the class tells');
    const output = await start({
      'app/module/web/Visitor.js': ts.transpile(code, { experimentalDecorators: true, target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.CommonJS }),
    });
    expectHeading('nothing has that name', output);
    assert.match(output, /\] Visitor \(.*web\/Visitor\.js\) has mySession injected/);
    assert.match(output, /^the application does not start: Object mySession not found in LOAD_UNIT:web/m);
  });

  it('a field that has a name of its own, and a type that is only imported as such', async () => {
    const code = (type: string) => `import { Inject, SingletonProto } from '@eggjs/tegg'; import type { Session, SessionStore } from 'egg-tegg-session';
      @SingletonProto() export class Visitor { @Inject() private readonly sess: ${type}; get() { return this.sess; } }`;
    const output = await start({ 'app/module/web/Visitor.ts': code('Session') });
    expectHeading('nothing has that name', output);
    assert.match(output, /\] Visitor \(.*web\/Visitor\.ts\) has sess injected/);
    assert.doesNotMatch(await start({ 'app/module/web/Visitor.ts': code('SessionStore') }), /nothing has that name/);
  });

  for (const [ what, value, part ] of [
    [ 'a BigInt', '5n', 'it is a BigInt' ], [ 'a circle', '(() => { const a: any = {}; a.a = a; return a; })()', 'circular' ],
  ]) {
    it(what, async () => {
      const output = await start(controller(`this.session.visits = ${value};`));
      expectHeading(part, output);
      assert.match(output, /\] session\.visits can't be stored/);
      assert.match(output, /^answer 500: /m);
    });
  }

  for (const [ what, code, expected, env ] of [
    [ 'a Date', 'this.session.since = new Date();', 'session.since is a Date, and will be a string', 'local' ],
    [ 'a Map deep inside', 'this.session.a = { b: [ { c: new Map() } ] };', 'session.a.b.0.c is a Map, and will be {}', 'local' ],
    [ 'an object of a class', 'this.session.a = new (class Money { n = 1; })();', 'session.a is a Money, and will be a plain value', 'local' ],
    [ 'a Set that update() leaves', 'await this.session.update((data: any) => { data.seen = new Set(); });', 'session.seen is a Set, and will be {}', 'local' ],
    [ 'a Date, in production', 'this.session.since = new Date();', undefined, 'prod' ],
  ] as const) {
    it(what, async () => {
      const output = await start({
        ...controller(`this.session.visits = 1; ${code}`),
        'config/config.default.ts': config('{}', 'keys: \'a key\', logger: { dir: __dirname, disableConsoleAfterReady: false },'),
      }, { EGG_SERVER_ENV: env });
      assert.match(output, COUNTS);
      assert.equal(output.match(/will be /g)?.length ?? 0, expected ? 1 : 0, output);
      if (!expected) return;
      expectHeading('when it is read again', output);
      assert.ok(output.includes(expected), output);
    });
  }

  it('a store that is not exported', async () => {
    const { 'app/module/store/AppSessionStore.ts': code, ...others } = redisStore();
    const output = await start({ ...others, 'app/module/store/AppSessionStore.ts': code!.replace('export class', 'class') });
    expectHeading('not the session store, as its file does not export it', output);
    assert.match(output, /\] AppSessionStore \(.*store\/AppSessionStore\.ts\) is not/);
  });

  const METHODS = 'async get() { return undefined; } async set() {} async destroy() {}';
  const storeFile = (code: string) => ({
    'app/module/store/package.json': redisStore()['app/module/store/package.json'], 'app/module/store/AppSessionStore.ts': `${IMPORTS} ${code}`,
  });
  for (const [ what, code ] of [
    [ 'is only called one', `@SingletonProto() export class AppSessionStore { ${METHODS} }` ],
    [ 'implements SessionStore', `@SingletonProto() export class Kept implements SessionStore { close = async () => undefined; ${METHODS} }` ],
  ]) {
    it(`a store that ${what}`, async () => {
      const output = await start(storeFile(code));
      expectHeading('as it does not extend SessionStore', output);
      assert.match(output, /\] (AppSessionStore|Kept) \(.*store\/AppSessionStore\.ts\) is not the session store/);
      assert.match(output, COUNTS);
    });
  }

  it('a store whose decorator is not called', async () => {
    const output = await start(storeFile(`@SingletonProto export class AppSessionStore extends SessionStore { ${METHODS} }`));
    expectHeading('its decorator is not called', output);
    assert.match(output, /\] AppSessionStore \(.*store\/AppSessionStore\.ts\) is not the session store/);
  });

  it('but nothing is said of a class that is no store, or of one beside a store', async () => {
    const quiet = [
      storeFile(`@SingletonProto() export class Sessions { ${METHODS} } @SingletonProto() export class UserSessionStore { async find() { return 1; } } export class OldSessionStore { ${METHODS} }`),
      storeFile(`@SingletonProto() export class AppSessionStore extends SessionStore { ${METHODS} } @SingletonProto() export class OtherSessionStore { ${METHODS} }`),
    ];
    for (const files of quiet) assert.doesNotMatch(await start(files), /is not the session store/);
  });

  it('a store class, and app.sessionStore', async () => {
    const memoryStore = {
      'app/module/store/package.json': redisStore()['app/module/store/package.json'],
      'app/module/store/AppSessionStore.ts': `import { SingletonProto } from '@eggjs/tegg'; import { MemorySessionStore } from 'egg-tegg-session';
        @SingletonProto() export class AppSessionStore extends MemorySessionStore {}`,
    };
    const plain = '{ get() {}, set() {}, destroy() {} }';
    for (const [ hook, unused, kept ] of [
      [ 'configDidLoad() { this.app.sessionStore', 'app\\.sessionStore \\(Object\\)', 'AppSessionStore \\(.*store/AppSessionStore\\.ts\\)' ],
      [ 'async didReady() { this.app.sessionStore', 'AppSessionStore \\(.*store/AppSessionStore\\.ts\\)', 'app\\.sessionStore \\(Object\\)' ],
    ]) {
      const output = await start({
        ...memoryStore,
        'app.ts': `export default class Boot { constructor(readonly app: any) {} ${hook} = ${plain}; } }`,
      });
      expectHeading('is not used: sessions are kept', output);
      assert.match(output, new RegExp(`\\] ${unused} is not used: sessions are kept in ${kept}, as that was set later`));
      assert.doesNotMatch(output, /will be overwritten/);
    }
  });

  it('a store that computes with maxAge, and a session that ends with the browser', async () => {
    const output = await start({
      'config/config.default.ts': config('{ maxAge: \'session\' }'),
      'app.ts': `export default (app: any) => {
        app.sessionStore = { get() {}, destroy() {}, set(_: string, __: object, maxAge: any) { if (Number.isNaN(maxAge * 1)) throw new Error('no PX'); } };
      };`,
    });
    expectHeading('is given that in place of a number', output);
    assert.match(output, /config\.session\.maxAge is 'session', and app\.sessionStore \(Object\) is given that/);
    assert.match(output, /^answer 503: /m);
  });

  it('a principal that throws for nobody, and lifetimes in seconds', async () => {
    const output = await start({
      'config/config.default.ts': config('{ principal: (data: any) => data.user.id, maxAge: 3600, absoluteMaxAge: 86400 }'),
    });
    expectHeading('config.session.principal has thrown', output);
    assert.equal(output.match(/WARN .*config\.session\.principal has thrown: Cannot read properties of undefined/g)?.length, 1);
    assert.match(output, /^answer 500: \{"code":"ERR_SESSION_CONFIG","message":"\[egg-tegg-session\] config\.session\.principal has thrown/m);
    expectHeading('is milliseconds', output);
    assert.match(output, /config\.session\.maxAge is 3600, and that is milliseconds: a session ends after 3\.6 s\. If seconds are meant, write 3600 \* 1000$/m);
    assert.match(output, /config\.session\.absoluteMaxAge is 86400, and that is milliseconds/);
  });

  it('but nothing is said of a principal that does not throw, and of minutes', async () => {
    const output = await start({ 'config/config.default.ts': config('{ principal: (data: any) => data.user?.id, maxAge: 60_000, absoluteMaxAge: 60_000 }') });
    assert.match(output, COUNTS);
    assert.doesNotMatch(output, /egg-tegg-session/);
  });

  it('a write in middleware before the session\'s, where a store is not read yet', async () => {
    const EARLY = /ctx\.session was changed before/g;
    const early = (does: string): Files => ({ 'app.ts': `export default (app: any) => { app.use((ctx: any, next: any) => { ${does} return next(); }); };` });
    const inMemory: Files = {
      'app/module/store/package.json': '{ "name": "store", "eggModule": { "name": "store" } }',
      'app/module/store/AppSessionStore.ts': `${IMPORTS} import { MemorySessionStore } from 'egg-tegg-session';
        @SingletonProto()
        export class AppSessionStore extends MemorySessionStore {}`,
    };
    const output = await start({ ...inMemory, ...early('ctx.session.early = 1;') });
    assert.match(output, COUNTS);
    expectHeading('ctx.session was changed before', output);
    assert.equal(output.match(EARLY)?.length, 1, 'several requests are told of once');
    expectHeading('ctx.session was changed before', await start({ ...inMemory, ...early('ctx.session = null;') }));
    for (const [ files, env ] of [
      [{ ...inMemory, ...early('void ctx.session.early;') }, {}], [ early('ctx.session.early = 1;'), {}],
      [{ ...inMemory, ...early('ctx.session.early = 1;'), 'config/config.default.ts': config('{}', `keys: 'a key', ${LOGS}`) }, { EGG_SERVER_ENV: 'prod' }],
    ] as Array<[ Files, NodeJS.ProcessEnv ]>) {
      const others = await start(files, env);
      assert.match(others, COUNTS);
      assert.doesNotMatch(others, EARLY);
    }
  });

  it('this.session = null, and structuredClone(session)', async () => {
    expectHeading('and can\'t be assigned', await start(controller('(this as any).session = null;')));
    const output = await start(controller('this.session.visits = 1; try { structuredClone(this.session); } catch (err) { console.log(String(err)); } structuredClone(this.session.toJSON());'));
    expectHeading('could not be cloned', output);
    assert.match(output, COUNTS);
  });

  it('the request in the session', async () => {
    expectHeading('it is …, which would bring', await start(controller('this.session.visits = ctx;')));
    expectHeading('levels deep', await start(controller('let tree: any = {}; for (let i = 0; i < 3000; i++) tree = { tree }; this.session.visits = tree;')));
  });

  it('a controller in a folder that is no module', async () => {
    for (const text of [ null, '{ "name": "web" }' ]) {
      const output = await start({ 'app/module/web/package.json': text });
      expectHeading('has the session injected, but tegg does not load its folder', output);
      assert.match(output, /\] HomeController \(.*web\/HomeController\.ts\) has the session injected, but tegg does not load/);
      assert.match(output, /^answer 404: /m);
    }
  });

  it('a controller in JavaScript, in a folder that is no module, or not exported', async () => {
    const code = `const { HTTPController, HTTPMethod, HTTPMethodEnum, Inject } = require('@eggjs/tegg');
      const { __decorate } = require('tslib');
      class HomeController { async home() { return { visits: this.session.visits }; } }
      __decorate([ Inject({ name: 'session' }) ], HomeController.prototype, 'session', undefined);
      __decorate([ HTTPMethod({ method: HTTPMethodEnum.GET, path: '/' }) ], HomeController.prototype, 'home', null);
      __decorate([ HTTPController() ], HomeController);`;
    const files = { 'app/module/web/HomeController.ts': null };
    for (const [ exported, more, told ] of [
      [ 'module.exports = { HomeController };', { 'app/module/web/package.json': null }, 'has the session injected, but tegg does not load its folder' ],
      [ '', {}, 'has the session injected, but its file does not export it' ],
    ] as const) {
      const output = await start({ ...files, ...more, 'app/module/web/HomeController.js': `${code}\n${exported}` });
      expectHeading(told, output);
      assert.match(output, /\] HomeController \(.*web\/HomeController\.js\) has the session injected/);
      assert.match(output, /^answer 404: /m);
    }
    const output = await start({ ...files, 'app/module/web/HomeController.js': `${code}\nexports.HomeController = HomeController;` });
    assert.doesNotMatch(output, /egg-tegg-session/);
    assert.match(output, /^answer 200: /m);
  });

  it('a class that is not exported', async () => {
    const code = controller('')['app/module/web/HomeController.ts']!;
    const output = await start({ 'app/module/web/HomeController.ts': code.replace('export class', 'class') });
    expectHeading('has the session injected, but its file does not export it', output);
    assert.match(output, /\] HomeController \(.*web\/HomeController\.ts\) has the session injected, but its file/);
    assert.match(output, /^answer 404: /m);
  });

  it('the session in a class of a middleware', async () => {
    const using = `class Auth { @Inject() readonly session: Session; visits() { return (this.session as any).visits; } }
      export default () => async (ctx: any, next: any) => { new Auth().visits(); await next(); };`;
    for (const [ decorator, told ] of [
      [ '', 'nothing decorates the class' ], [ '@SingletonProto()', 'has the session injected, but tegg does not load its folder' ],
    ]) {
      for (const exported of [ '', 'export ' ]) {
        const output = await start({
          'app/middleware/auth.ts': `${IMPORTS} ${decorator}\n${exported}${using}`,
          'config/config.default.ts': config('{}', 'keys: \'a key\', middleware: [ \'auth\' ],'),
        });
        expectHeading(told, output);
        assert.equal(output.match(/\] Auth \(.*middleware\/auth\.ts\) has the session injected/g)?.length, 1, output);
        expectHeading('Cannot read properties', JSON.parse(/^answer 500: (.*)$/m.exec(output)![1]).message);
      }
    }
  });

  it('but nothing is said of classes that are as they should be', async () => {
    const output = await start({
      ...classFile(`
        // class Commented { @Inject() session: Session; }
        export abstract class Base { @Inject() readonly session: Session; }
        class Inner { constructor(readonly session: Session) {} }
        @SingletonProto()
        class Later extends Base { inner() { return new Inner(this.session); } }
        export { Later };
        @SingletonProto({ name: 'other' }) export class Other { constructor(@Inject() private readonly session: Session) { void this.session; } }`),
      'app/module/left-out/package.json': '{ "name": "left-out", "eggModule": { "name": "leftOut" } }',
      'app/module/left-out/Old.ts': `${IMPORTS} @SingletonProto() class Old { @Inject() session: Session; } void Old;`,
      'config/module.json': JSON.stringify([{ path: '../app/module/web' }]),
    });
    assert.match(output, COUNTS);
    assert.doesNotMatch(output, /egg-tegg-session/);
  });

  it('a store in compiled JavaScript is named by its own file', async () => {
    const compile = (code: string) => ts.transpile(code, {
      experimentalDecorators: true, importHelpers: true, target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.CommonJS,
    });
    const store = compile(`import { SingletonProto } from '@eggjs/tegg'; import { MemorySessionStore } from 'egg-tegg-session';
      @SingletonProto() export class AppSessionStore extends MemorySessionStore {}`);
    assert.match(store, /require\("tslib"\)/);
    for (const index of [ 'AIndex.js', 'ZIndex.js' ]) { // before and after the store, by their names
      const output = await start({
        'app/module/store/package.json': redisStore()['app/module/store/package.json'],
        'app/module/store/AppSessionStore.js': store,
        [`app/module/store/${index}`]: 'exports.AppSessionStore = require(\'./AppSessionStore\').AppSessionStore;',
        'config/config.local.ts': 'export default { logger: { coreLogger: { consoleLevel: \'INFO\' } } };',
      });
      expectHeading('] sessions are kept in', output);
      assert.match(output, /sessions are kept in AppSessionStore \(.*store\/AppSessionStore\.js\)$/m);
      assert.match(output, COUNTS);
    }
    const both = await start({
      'app/module/store/package.json': redisStore()['app/module/store/package.json'],
      'app/module/store/AppSessionStore.js': store,
      'app/module/store/OtherStore.js': store.replaceAll('AppSessionStore', 'OtherStore'),
    });
    assert.match(both, /two session stores: AppSessionStore \(.*\/AppSessionStore\.js\) and OtherStore \(.*\/OtherStore\.js\)/);
  });

  it('too much for a cookie', async () => {
    expectHeading('too large for a cookie', await start(controller('this.session.text = \'x\'.repeat(5000);')));
  });

  it('too much for a store', async () => {
    const store = Object.assign(new MapStore(), { maxBytes: 1000 });
    const { client } = await startWeb({ store });
    const { text } = await client.tryRun((session: any) => {
      session.text = 'x'.repeat(1000);
    });
    expectHeading('too large for its store', JSON.parse(text).message);
    await stop();
  });

  it('regenerate() of a session that is mocked', async () => {
    const { app, run } = await startWeb();
    try {
      app.mockSession({ userId: 7 });
      await run((_, { session }) => session.regenerate());
      app.mockSession({ userId: 7 });
      const ctx = app.mockContext();
      assert.throws(() => ctx.session.regenerate(), (err: Error) => {
        expectHeading('regenerate is not', err.message);
        return true;
      });
    } finally {
      await stop();
    }
  });

  it('each heading is told here, or is a message of the source', () => {
    const patterns = textsInSource().map(({ text }) => patternOf(text));
    const others = headingsOf(FILE).filter(heading => !told.has(heading) && !patterns.some(pattern => pattern.test(heading)));
    assert.deepEqual(others, []);
    assert.ok(told.size > 30);
  });
});
