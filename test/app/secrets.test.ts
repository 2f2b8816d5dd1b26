import { strict as assert } from 'node:assert';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { inspect } from 'node:util';
import type { Application, Context } from 'egg';
import mm, { type MockApplication } from 'egg-mock';
import Redis from 'ioredis';
import Keyv from 'keyv';
import KeyvPostgres from '@keyv/postgres';
import { KeyvSessionStore, RedisSessionStore } from '../..';
import { Client, createApp } from '../support/app';
import { startPostgres, startRedis, type TestServer, until } from '../support/servers';
import { NAME, start, stop } from '../support/web';

const DATA = 'what-nobody-may-see';

class TestRedisStore extends RedisSessionStore {
  redis!: Redis;
  crippled!: Redis;
}

type Call = (session: any, ctx: Context) => unknown;

const CALLS: Record<string, Call> = {
  'a write': () => undefined,
  'save()': session => session.save(),
  'update()': session => session.update((data: any) => {
    data.more = DATA;
  }),
  'regenerate()': session => session.regenerate(),
  'destroy()': session => session.destroy(),
  'a write beside an error of the handler\'s': (_, ctx) => ctx.throw(403, 'not for you'),
};

/** A server that does not know a command quotes what it was sent. */
const CRIPPLED = [ '--rename-command', 'EVALSHA', '', '--rename-command', 'EVAL', '' ];

interface Failure {
  message: RegExp;
  /** What does not fail by it. */
  unconcerned?: string[];
  fail(redis: Redis, id: string, store: TestRedisStore): Promise<unknown>;
  heal(redis: Redis, store: TestRedisStore): Promise<unknown>;
}

const FAILURES: Record<string, Failure> = {
  'is out of memory': {
    message: /OOM command not allowed when used memory > 'maxmemory'/,
    unconcerned: [ 'destroy()' ],
    fail: redis => redis.config('SET', 'maxmemory', '1'),
    heal: redis => redis.config('SET', 'maxmemory', '0'),
  },
  'may not run scripts': {
    message: /NOPERM/,
    fail: redis => redis.call('ACL', 'SETUSER', 'default', '-evalsha', '-eval'),
    heal: redis => redis.call('ACL', 'SETUSER', 'default', '+@all'),
  },
  'does not know a command': {
    message: /unknown command ['`]evalsha['`]/,
    unconcerned: [ 'update()' ], // it reads first, and finds no such session there
    fail: async (_, __, store) => {
      store.redis = store.crippled;
    },
    heal: async (redis, store) => {
      store.redis = redis;
    },
  },
  'was cut off': {
    message: /Connection is closed/,
    fail: async redis => redis.disconnect(),
    heal: redis => redis.connect(),
  },
};

for (const env of [ 'local', 'prod' ]) {
  for (const logValue of [ true, false ]) {
    describe(`an error of the store, in ${env} with logValue: ${logValue}`, () => {
      let app: MockApplication;
      let server: TestServer;
      let crippled: TestServer;
      let redis: Redis;
      const store = new TestRedisStore();
      const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'egg-tegg-session-'));
      const told: string[] = [];

      before(async () => {
        server = await startRedis();
        redis = connect(server);
        store.redis = redis;
        crippled = await startRedis(CRIPPLED);
        store.crippled = connect(crippled);
        mm.env(env);
        mm.consoleLevel('NONE');
        app = await createApp('web', { session: { store, logValue }, config: { logger: { dir, level: 'ALL', allowDebugAtProd: true } } });
        const tell = (event: unknown) => told.push(inspect(event, { depth: 4, showHidden: true }));
        (app as unknown as Application).on('error', tell);
        for (const name of [ 'missed', 'expired', 'invalid' ]) {
          (app as unknown as Application).on(`session:${name}`, ({ key, value }) => tell({ key, value }));
        }
      });
      after(async () => {
        await app.close();
        mm.restore();
        redis.disconnect();
        store.crippled.disconnect();
        await Promise.all([ server.stop(), crippled.stop() ]);
        fs.rmSync(dir, { recursive: true });
      });

      const secrets = new Set<string>();
      const assertClean = (text: string, except = '') => {
        for (const secret of secrets) if (secret !== except) assert.ok(!text.includes(secret), text);
      };

      for (const [ what, { message, unconcerned = [], fail, heal }] of Object.entries(FAILURES)) {
        for (const [ name, call ] of Object.entries(CALLS)) {
          it(`that ${what} shows neither id nor cookie nor data, at ${name}`, async () => {
            for (const accept of [ 'application/json', 'text/html' ]) {
              const client = await Client.of(app);
              let id = '';
              await client.run((session, ctx) => {
                session.data = DATA;
                id = ctx.session.externalKey!;
              });
              const cookie = client.cookies.get(NAME)!;
              for (const secret of [ id, cookie, DATA ]) secrets.add(secret);
              const response = await client.tryRun(async (session, ctx) => {
                session.data = `${DATA} again`;
                await fail(redis, id, store);
                await call(session, ctx);
              }, { accept });
              await heal(redis, store);
              await client.close();
              if (unconcerned.includes(name)) continue;
              assert.equal(response.status, name.includes('handler') ? 403 : 503, response.text);
              // the page that Egg shows to developers has the request in it, with its cookies
              assertClean(response.text + JSON.stringify(response.headers), env === 'local' ? cookie : '');
              if (env === 'local' && accept === 'application/json' && !name.includes('handler')) assert.match(response.text, message);
            }
            assertClean(told.join());
          });
        }
      }

      it('is in the log, with its message, and without them', async () => {
        await app.close();
        let log = '';
        await until('the log has each error', async () => {
          log = fs.readdirSync(dir).map(name => fs.readFileSync(path.join(dir, name), 'utf8')).join('\n');
          return Object.values(FAILURES).every(({ message }) => message.test(log));
        });
        assertClean(log);
        assert.ok(secrets.size > 40);
      });
    });
  }
}

describe('an error of PostgreSQL, which quotes the row', () => {
  let app: MockApplication;
  let server: Awaited<ReturnType<typeof startPostgres>>;
  let keyv: Keyv;
  let client: Client;
  let log = '';
  const MESSAGE = 'new row for relation "keyv" violates check constraint "short"';

  before(async () => {
    server = await startPostgres();
    const adapter = new KeyvPostgres(server.url);
    keyv = new Keyv(adapter);
    await keyv.set('first', '1');
    await adapter.query('ALTER TABLE keyv ADD CONSTRAINT short CHECK (length(value) < 500)');
    mm.consoleLevel('NONE');
    app = await createApp('web', { session: { store: new class extends KeyvSessionStore {
      protected readonly keyv = keyv;
    }() } });
    client = await Client.of(app);
    (app as unknown as Application).on('error', err => {
      log += inspect(err, { depth: 4, showHidden: true });
    });
  });
  after(async () => {
    await client.close();
    await app.close();
    await keyv.disconnect();
    await server.stop();
    mm.restore();
  });

  for (const [ name, call ] of Object.entries(CALLS)) {
    it(`shows neither id nor cookie nor data, at ${name}`, async () => {
      app.mockLog('coreLogger');
      log = '';
      let id = '';
      await client.run((session, ctx) => {
        session.data = DATA;
        id = ctx.session.externalKey!;
      });
      const cookie = client.cookies.get(NAME)!;
      const { status, text } = await client.tryRun((session, ctx) => {
        session.data = DATA.repeat(30);
        return call(session, ctx);
      });
      if (name === 'destroy()') {
        assert.equal(status, 200);
        return;
      }
      assert.equal(status, name.includes('handler') ? 403 : 503);
      const lines = (app.getLogger('coreLogger') as unknown as { _mockLogs: string[] })._mockLogs.join('');
      assert.ok((text + log + lines).includes(MESSAGE), lines);
      for (const secret of [ id, cookie, DATA ]) assert.ok(!(text + log + lines).includes(secret), text + log + lines);
    });
  }
});

describe('an error of an application\'s own store, whose server quotes the command', () => {
  it('shows neither id nor data', async () => {
    const server = await startRedis([ '--rename-command', 'SET', '' ]);
    const redis = connect(server);
    const { client, app } = await start({ store: {
      get: async (key: string) => JSON.parse(await redis.get(key) ?? 'null'),
      set: async (key: string, record: object) => void await redis.set(key, JSON.stringify(record)),
      destroy: async (key: string) => void await redis.del(key),
    } });
    app.mockLog('coreLogger');
    try {
      let id = '';
      const { status, text } = await client.tryRun((session, ctx) => {
        session.data = DATA;
        id = ctx.session.externalKey!;
      });
      assert.equal(status, 503);
      assert.match(text, /unknown command ['`]set['`]/);
      for (const secret of [ id, DATA ]) {
        assert.ok(!text.includes(secret), text);
        app.notExpectLog(secret, 'coreLogger');
      }
    } finally {
      await stop();
      redis.disconnect();
      await server.stop();
    }
  });
});

const connect = ({ port }: TestServer) => {
  const redis = new Redis(port, '127.0.0.1', { maxRetriesPerRequest: 0, retryStrategy: () => null });
  redis.on('error', () => undefined);
  return redis;
};
