import { strict as assert } from 'node:assert';
import type { Application } from 'egg';
import Redis from 'ioredis';
import ts from 'typescript';
import type { Session, SessionOptions } from '..';
import { SingletonByProperty } from './fixtures/apps/web/modules/inject/services';
import { type Client, fixture } from './support/app';
import { textOf } from './support/docs';
import { MapStore } from './support/MapStore';
import { classFile, config, controller, IMPORTS, plugins, redisAt, redisStore, start } from './support/newcomer';
import { freePort } from './support/ports';
import { TestRedisStore } from './support/redis';
import { redisCli, startRedis } from './support/servers';
import { start as startWeb, stop } from './support/web';

const FILE = 'docs/troubleshooting.md';

/** The headings of a document, without the backquotes. */
const headingsOf = (file: string) => [ ...textOf(file).matchAll(/^## (`+)(.*)\1$/gm) ].map(([ , , text ]) => text);

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

describe('twenty mistakes of a newcomer, and what they are told', () => {
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
      expectHeading('tegg does not load its folder', output);
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
    expectHeading('has not answered', output);
    expectHeading('the session store has failed (…): …. If its server', output);
    assert.equal(output.match(/^answer 503: /gm)!.length, 2);
    assert.equal(output.match(/the session store has failed \(set\)/g)!.length, 1, 'one line for both requests');
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
    expectHeading('refuses to write', await logged({ store }, write));
  });

  it('a store with a mistake', async () => {
    expectHeading('by itself', await logged({ store: new FailingStore(new RangeError('an invalid date')) }, write));
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
  for (const [ what, session, keys ] of [
    [ 'in cookie mode', '{}', '' ], [ 'with a store', `{ store: ${STORE} }`, '' ], [ 'signed', '{ encrypt: false }', '' ],
    [ 'neither sealed nor signed, as Egg\'s cookies need one', '{ encrypt: false, signed: false }', '' ],
    [ 'id elsewhere, but no store', `{ ${EXTERNAL} }`, '' ], [ 'empty ones', '{}', 'keys: \' , \',' ],
  ]) {
    it(`no keys: ${what}`, async () => {
      const output = await start({ 'config/config.default.ts': config(session, keys) });
      expectHeading('config.keys is', output);
      assert.match(output, STOPS);
    });
  }

  it('but none are needed where no cookie is used', async () => {
    for (const session of [ `{ store: ${STORE}, ${EXTERNAL} }`, '{ enable: false }' ]) {
      const output = await start({ 'config/config.default.ts': config(session, '') });
      assert.match(output, /^answer /m);
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

  for (const [ what, value, part ] of [
    [ 'a BigInt', '5n', 'BigInt' ], [ 'a circle', '(() => { const a: any = {}; a.a = a; return a; })()', 'circular' ],
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

  it('are all headings, in this order, and in Chinese', () => {
    assert.deepEqual([ ...told ], headingsOf(FILE));
    assert.deepEqual(headingsOf('docs/troubleshooting.zh-CN.md'), headingsOf(FILE));
  });
});
