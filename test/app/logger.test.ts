import { strict as assert } from 'node:assert';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Application } from 'egg';
import mm, { type MockApplication } from 'egg-mock';
import type { SessionLogger, SessionOptions } from '../..';
import { shortHash } from '../../module/record/shortHash';
import { SingletonByConstructor, SingletonByProperty } from '../fixtures/apps/web/modules/inject/services';
import { Client, createApp } from '../support/app';
import { MapStore } from '../support/MapStore';

const SECRET = 'secret-4711';

describe('the log of sessions', () => {
  let app: MockApplication;
  let client: Client;
  let logger: SessionLogger;
  async function start(session: SessionOptions) {
    app = await createApp('web', { session });
    app.loggers.disableConsole();
    client = await Client.of(app);
    ({ sessionLogger: logger } = await app.getEggObject(SingletonByProperty));
    app.mockLog('coreLogger');
  }
  afterEach(async () => {
    mm.restore();
    await client.close();
    await app.close();
  });
  const lines = () => (app.getLogger('coreLogger') as unknown as { _mockLogs: string[] })._mockLogs.map(line => line.trim());
  const logged = () => lines().join('\n');

  it('carries the request, when there is one', async () => {
    await start({});
    await client.run(() => {
      logger.warn('inside');
    });
    logger.warn('outside');
    assert.match(logged(), /WARN \d+ \[.*GET \/run\?id=\d+\] inside/);
    assert.match(logged(), /WARN \d+ outside/);
  });

  for (const logValue of [ true, false ]) {
    it(`${logValue ? 'shows' : 'hides'} sessions wherever they are, with logValue: ${logValue}`, async () => {
      await start({ logValue });
      const shown: Record<string, boolean> = {};
      const response = await client.run(async (_, ctx) => {
        ctx.session.secret = SECRET;
        const { session: byProperty } = await ctx.getEggObject(SingletonByProperty);
        const { session: byConstructor } = await ctx.getEggObject(SingletonByConstructor);
        const cyclic: Record<string, unknown> = { session: ctx.session };
        cyclic.self = [ cyclic ];
        for (const [ name, session ] of Object.entries({ 'ctx.session': ctx.session, byProperty, byConstructor })) {
          const ways: Record<string, () => void> = {
            message: () => logger.warn(session),
            argument: () => logger.warn('%j', session),
            'in an object': () => logger.warn('%j', { session }),
            'in an object as the message': () => logger.warn({ session }),
            'in a list': () => logger.warn('%j', [ session ]),
            'deep inside': () => logger.warn('%j', { a: [{ b: { session } }] }),
            'in an error': () => logger.error(Object.assign(new Error('kept'), { session })),
            'as an error\'s cause': () => logger.error('%o', new Error('kept', { cause: { session } })),
            'behind a getter': () => logger.warn('%j', { get session() { return session; } }),
            'without a prototype': () => logger.warn('%j', Object.assign(Object.create(null), { session })),
          };
          for (const [ way, log ] of Object.entries(ways)) {
            const before = lines().length;
            log();
            shown[`${name} ${way}`] = lines().slice(before).join('\n')
              .includes(SECRET);
          }
        }
        logger.warn(cyclic);
        logger.warn('%j and %s', { n: 1, list: [ 'text' ] }, new Error('an error'));
      });
      assert.equal(response.status, 200, response.text);
      // what tegg injects by constructor, it wraps: util.inspect() shows no data of it
      const seen = Object.entries(shown).filter(([ , is ]) => is).map(([ way ]) => way);
      if (logValue) {
        assert.ok(seen.length > 20, seen.join());
      } else {
        assert.deepEqual(seen, []);
        assert.doesNotMatch(logged(), new RegExp(SECRET));
      }
      assert.match(logged(), /\{"n":1,"list":\["text"\]\} and Error: an error/);
      assert.match(logged(), /Error: kept\n +at .*logger\.test\.ts/);
    });
  }

  it('hides a session that was destroyed, and one outside of a request, and throws at neither', async () => {
    await start({ logValue: false });
    const { session: injected } = await app.getEggObject(SingletonByProperty);
    logger.warn('outside %s', injected);
    const response = await client.run(async session => {
      await session.destroy();
      logger.warn({ session });
    });
    assert.equal(response.status, 200, response.text);
    assert.match(logged(), /outside$/m);
  });

  it('survives a getter that throws', async () => {
    await start({ logValue: false });
    logger.warn('%j', { get broken() { throw new Error('not now'); }, kept: 1 });
    assert.match(logged(), /\{"broken":"\[Error: not now\]","kept":1\}/);
  });

  describe('names a session by a hash of its id', () => {
    it('which is SHA-256, its first 8 characters', () => {
      assert.equal(shortHash('an id'), createHash('sha256').update('an id').digest('base64url')
        .slice(0, 8));
      assert.match(shortHash('id\n2026 ERROR forged'), /^[\w-]{8}$/);
    });

    it('beside the first 2,000 characters of a value', async () => {
      const store = new MapStore();
      let allowed = true;
      await start({ store, valid: () => allowed });
      await client.run(session => {
        session.text = 'x'.repeat(3000);
      });
      allowed = false;
      await client.run(() => undefined);
      assert.match(logged(), /\[session\]\[invalid\] key\([\w-]{8}\) value\(\{"text":"x{1991}… \(3\d{3} characters\)\)$/m);
    });

    for (const logValue of [ true, false ]) {
      it(`in each line about it, with logValue: ${logValue}`, async () => {
        const store = new MapStore();
        let allowed = true;
        await start({
          store, logValue, valid: () => allowed,
          externalKey: { get: ctx => ctx.get('x-id') || undefined, set: (ctx, id) => ctx.set('x-id', id) },
        });
        const id = (await client.run(session => {
          session.n = 1;
        })).headers['x-id'] as string;
        const told = (name: string) => once(app as unknown as Application, `session:${name}`);

        allowed = false;
        let event = told('invalid');
        await client.run(() => undefined, { 'x-id': id });
        await event;
        const printed = logValue ? /WARN .*\[session\]\[invalid\] key\([\w-]{8}\) value\(\{"n":1,.*\}\)$/m
          : /WARN .*\[session\]\[invalid\] key\([\w-]{8}\) value\(""\)$/m;
        assert.match(logged(), printed);
        assert.ok(logged().includes(`[session][invalid] key(${shortHash(id)})`));

        event = told('missed');
        await client.run(() => undefined, { 'x-id': 'unknown-id' });
        await event;
        assert.ok(logged().includes(`[session][missed] key(${shortHash('unknown-id')})`));
        assert.ok(!logged().includes(id));
        assert.ok(!logged().includes('unknown-id'));
      });
    }
  });

  it('says nothing of a cookie that does not open', async () => {
    await start({ store: new MapStore() });
    client.cookies.set('EGG_SESS', 'not sealed');
    await client.run(session => ({ n: session.n }));
    await new Promise(setImmediate);
    assert.deepEqual(lines().filter(each => each.includes('[session]')), []);
  });
});

describe('the injected session', () => {
  for (const [ name, change ] of Object.entries<(object: object) => unknown>({
    'Object.freeze': Object.freeze, 'Object.seal': Object.seal, 'Object.preventExtensions': Object.preventExtensions,
  })) {
    it(`refuses ${name}(), for the sake of everybody`, async () => {
      const app = await createApp('web');
      const client = await Client.of(app);
      try {
        for (const Holder of [ SingletonByProperty, SingletonByConstructor ]) {
          const response = await client.run(async (_, ctx) => {
            const { session } = await ctx.getEggObject<SingletonByProperty>(Holder);
            session.n = 1;
            assert.throws(() => change(session), { name: 'TypeError', message: /the session can't be frozen, sealed or made non-extensible/ });
            assert.throws(() => Reflect.preventExtensions(session), TypeError);
            session.n = 2;
            return { ...session };
          });
          assert.deepEqual([ response.status, response.text ], [ 200, '{"n":2}' ]);
          assert.deepEqual((await client.another().run(session => ({ keys: Object.keys(session), is: 'n' in session }))).json(),
            { keys: [], is: false });
        }
        const { sessionConfig, sessionStore } = await app.getEggObject(SingletonByProperty);
        for (const view of [ sessionConfig, sessionStore ]) assert.throws(() => change(view), TypeError);
        assert.equal(sessionConfig.key, 'EGG_SESS');
      } finally {
        await client.close();
        await app.close();
      }
    });
  }
});
