import { strict as assert } from 'node:assert';
import { EventEmitter } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import type { Context } from 'egg';
import type { MockApplication } from 'egg-mock';
import { MemorySessionStore, type SessionOptions } from '../..';
import type { Client } from '../support/app';
import { redisOfSuite, TestRedisStore } from '../support/redis';
import { count, type Handle, start, stop } from '../support/web';

const JSON_PLEASE = { accept: 'application/json' };
const SECRET = 'the-cookie-of-another-host';

class TestMemoryStore extends MemorySessionStore {}

/** An object that is nested so many levels deep. */
function nested(levels: number): object {
  let value = {};
  for (let i = 1; i < levels; i++) value = i % 2 ? { inside: value } : [ value ];
  return value;
}

class Service {
  constructor(readonly ctx: Context) {}
}

class Feed extends EventEmitter {
  readonly items = [ 1 ];
}

/** Speaks for itself. */
class Document extends EventEmitter {
  toJSON() {
    return { id: 7 };
  }
}

const REFUSED: Array<[ what: string, make: (ctx: Context) => unknown, path: string, kind: string ]> = [
  [ 'the context', ctx => ctx, '', 'a context of Koa' ],
  [ 'the context in an object', ctx => ({ by: { ctx } }), '.by.ctx', 'a context of Koa' ],
  [ 'the context in a list', ctx => [ 1, [ ctx ]], '.1.0', 'a context of Koa' ],
  [ 'a context that was made', ctx => ctx.app.createAnonymousContext(), '', 'a context of Koa' ],
  [ 'what has the context', ctx => new Service(ctx), '.ctx', 'a context of Koa' ],
  [ 'Egg\'s cookies', ctx => ctx.cookies, '.ctx', 'a context of Koa' ],
  [ 'Koa\'s request', ctx => ctx.request, '', 'a request or a response of Koa' ],
  [ 'Koa\'s response', ctx => ctx.response, '', 'a request or a response of Koa' ],
  [ 'the application', ctx => ctx.app, '', 'an object of the class' ],
  [ 'Node\'s request', ctx => ctx.req, '', 'an object of the class IncomingMessage' ],
  [ 'Node\'s response', ctx => ctx.res, '', 'an object of the class ServerResponse' ],
  [ 'the socket', ctx => ctx.socket, '', 'an object of the class Socket' ],
  [ 'a socket that is not connected', () => [ new net.Socket() ], '.0', 'an object of the class Socket' ],
  [ 'a server', () => http.createServer(), '', 'an object of the class Server' ],
  [ 'a stream', () => ({ file: fs.createReadStream(__filename) }), '.file', 'an object of the class ReadStream' ],
  [ 'a stream of the Web', () => new Blob([ 'a' ]).stream(), '', 'an object of the class ReadableStream' ],
  [ 'a signal', () => ({ signal: new AbortController().signal }), '.signal', 'an object of the class AbortSignal' ],
  [ 'what emits events', () => new Feed(), '', 'an object of the class Feed' ],
  [ 'the process', () => process, '', 'an object of the class process' ],
];

const SAVES: Array<[ call: string, save: (session: any) => unknown ]> = [
  [ 'with the response', () => undefined ],
  [ 'by save()', session => session.save() ],
  [ 'by regenerate()', session => session.regenerate() ],
  [ 'by update() of something else', session => session.update((data: any) => {
    data.other = 1;
  }) ],
];

describe('what a session refuses', () => {
  const redis = redisOfSuite();
  const WHERE: Array<[ where: string, options: () => SessionOptions ]> = [
    [ 'the cookie', () => ({}) ],
    [ 'memory', () => ({ store: new TestMemoryStore() }) ],
    [ 'Redis', () => ({ store: new TestRedisStore(redis.client) }) ],
  ];

  for (const [ where, options ] of WHERE) {
    describe(`in ${where}:`, () => {
      let app: MockApplication;
      let client: Client;
      let run: (handle: Handle) => Promise<any>;
      before(async () => {
        ({ app, client, run } = await start(options()));
        await run(count);
      });
      after(stop);

      const refuses = async (handle: Handle, message: string | RegExp) => {
        const { status, text, setCookies } = await client.tryRun(handle, { ...JSON_PLEASE, 'x-secret': SECRET });
        assert.equal(status, 500, text);
        const said = JSON.parse(text).message;
        if (typeof message === 'string') assert.ok(said.startsWith(message), said);
        else assert.match(said, message);
        assert.deepEqual(setCookies, []);
        assert.ok(!text.includes(SECRET));
        // not what is in them: mocha would compare what is nested deep for ever
        assert.deepEqual((await run(session => ({ names: Object.keys(session), n: session.n }))).json(), { names: [ 'n' ], n: 1 });
      };

      for (const [ what, make, path, kind ] of REFUSED) {
        it(what, async () => {
          await refuses((session, ctx) => {
            session.x = make(ctx);
            session.n = 2;
          }, `[egg-tegg-session] session.x${path} can't be stored: it is ${kind}`);
          await refuses((session, ctx) => session.update((data: any) => {
            data.x = make(ctx);
          }), `[egg-tegg-session] session.x${path} can't be stored: it is ${kind}`);
        });
      }

      for (const [ call, save ] of SAVES) {
        it(`the context, saved ${call}`, async () => {
          await refuses(async (session, ctx) => {
            session.x = { ctx };
            await save(session);
          }, '[egg-tegg-session] session.x.ctx can\'t be stored: it is a context of Koa');
        });

        for (const levels of [ 501, 3000, 50_000 ]) {
          it(`a field that is nested ${levels} levels deep, saved ${call}`, async () => {
            await refuses(async session => {
              session.tree = nested(levels);
              await save(session);
            }, /^\[egg-tegg-session\] session\.tree can't be stored: it is nested more than 500 levels deep/);
          });
        }
      }

      it('a field that update() nests too deep, or has assigned as a whole', async () => {
        for (const levels of [ 501, 3000, 50_000 ]) {
          await refuses(session => session.update((data: any) => {
            data.n = nested(levels);
          }), /session\.n can't be stored: it is nested more than 500 levels deep/);
          await refuses((_, ctx) => {
            ctx.session = { n: 1, tree: nested(levels) };
          }, /session\.tree can't be stored: it is nested more than 500 levels deep/);
        }
      });

      it('but not what speaks for itself, binary data, or 500 levels', async () => {
        const browser = client.another();
        await browser.run(async session => {
          session.document = new Document();
          session.bytes = Buffer.from('a');
          if (where !== 'the cookie') session.tree = nested(500);
          session.nothing = Object.create(null);
          await session.update((data: any) => {
            data.more = new Document();
          });
        });
        const response = await browser.run(session => ({ document: session.document, more: session.more, bytes: session.bytes, tree: session.tree }));
        const { tree, ...others } = response.json() as Record<string, unknown>;
        assert.deepEqual(others, { document: { id: 7 }, more: { id: 7 }, bytes: { type: 'Buffer', data: [ 97 ] } });
        if (where !== 'the cookie') assert.ok(JSON.stringify(tree) === JSON.stringify(nested(500)));
        await browser.run(session => session.update((data: any) => {
          data.n = 5;
        }));
        assert.equal((await browser.run(session => ({ n: session.n }))).json().n, 5);
      });

      it('by egg-mock\'s mockSession, too, in update()', async () => {
        app.mockSession({ n: 1 });
        const { text } = await client.tryRun((session, ctx) => session.update((data: any) => {
          data.x = ctx;
        }), JSON_PLEASE);
        assert.match(JSON.parse(text).message, /session\.x can't be stored: it is a context of Koa/);
      });
    });
  }

  it('leaves data alone that an older version has nested deeper, and other fields can change', async () => {
    const store = new TestRedisStore(redis.client);
    const { run } = await start({ store });
    await run(count);
    const [ key ] = await redis.client.keys('session:*');
    const deep = JSON.stringify(nested(3000));
    const text = (await redis.client.get(key))!;
    await redis.client.set(key, text.replace(/\n\}$/, `\n,"deep":${deep}\n}`), 'KEEPTTL');
    await run(session => session.update((data: any) => {
      data.n = 7;
    }));
    await run(session => {
      session.more = 1;
    });
    const { deep: read, n, more } = (await run(session => ({ n: session.n, more: session.more, deep: JSON.stringify(session.deep) === deep }))).json();
    assert.deepEqual({ read, n, more }, { read: true, n: 7, more: 1 });
    await stop();
  });
});

describe('what JSON changes is told in development', () => {
  let app: MockApplication;
  let run: (handle: Handle) => Promise<any>;
  const lines = () => (app.getLogger('coreLogger') as unknown as { _mockLogs: string[] })._mockLogs.filter(line => line.includes('] session.'));
  const told = () => lines().map(line => /session\.\S+ is (?:not stored|an? \w+)/.exec(line)![0]);

  beforeEach(async () => {
    ({ app, run } = await start({ store: new TestMemoryStore() }));
    app.mockLog('coreLogger');
  });
  afterEach(stop);

  it('once for each field, also those of an earlier request', async () => {
    for (let i = 0; i < 3; i++) {
      await run(session => {
        session.since = new Date();
        session.user = { born: new Date(), seen: new Set() };
      });
    }
    await run(session => {
      session.later = new Map();
    });
    assert.deepEqual(told(), [ 'session.since is a Date', 'session.user.born is a Date', 'session.user.seen is a Set', 'session.later is a Map' ]);
  });

  it('once for the objects in a list, however long it grows', async () => {
    for (let i = 0; i < 3; i++) {
      await run(session => {
        session.list = [ ...(session.list ?? []), new Date() ].map(() => new Date());
        session.table = [[{ at: new Date() }], [{ at: new Date() }]];
      });
    }
    assert.deepEqual(told(), [ 'session.list.0 is a Date', 'session.table.0.0.at is a Date' ]);
  });

  it('for a hundred fields at most', async () => {
    for (let i = 0; i < 3; i++) {
      await run(session => {
        for (let j = 0; j < 50; j++) session[`field${i}-${j}`] = new Date();
      });
    }
    assert.equal(told().length, 100);
  });

  it('by each way to save', async () => {
    await run(async session => {
      session.a = new Date();
      await session.save();
      session.b = new Date();
      await session.regenerate();
      await session.update((data: any) => {
        data.c = new Date();
      });
    });
    assert.deepEqual(told(), [ 'session.a is a Date', 'session.b is a Date', 'session.c is a Date' ]);
  });

  it('where a function is inside', async () => {
    await run(session => {
      session.cart = { total: () => 1, items: [ () => 1 ] };
    });
    assert.deepEqual(lines().map(line => /session\.(.*) when it/.exec(line)![1]),
      [ 'cart.total is a function, and will be gone', 'cart.items.0 is a function, and will be null' ]);
  });

  it('where ctx.session drops a field: names that start with _, and methods', async () => {
    for (let i = 0; i < 2; i++) {
      await run((_, ctx) => {
        ctx.session._csrf = 'token';
        ctx.session.greet = () => 'hello';
        ctx.session.n = 1;
      });
    }
    await run((_, ctx) => {
      ctx.session = { ...ctx.session, _other: 1, leave() {
        return 'bye';
      } };
    });
    assert.deepEqual(told(), [ 'session._csrf is not stored', 'session.greet is not stored', 'session._other is not stored', 'session.leave is not stored' ]);
    assert.deepEqual((await run(session => ({ ...session }))).json(), { n: 1 });
  });

  it('numbers that JSON has not, and what an article goes before', async () => {
    await run(session => {
      session.price = { net: NaN, gross: [ Infinity ] };
      session.failure = new Error('no');
      session.later = Promise.resolve(1);
    });
    const keep = 'Keep a plain value, as date.getTime() or Object.fromEntries(map)';
    assert.deepEqual(lines().map(line => /session\.(.*) when it is read again, as sessions are kept as JSON\. (.*)/.exec(line)!.slice(1, 3)), [
      [ 'price.net is NaN, and will be null', keep ], [ 'price.gross.0 is Infinity, and will be null', keep ],
      [ 'failure is an Error, and will be {}', keep ], [ 'later is a Promise, and will be {}', 'Await it, and keep what it resolves to' ],
    ]);
  });

  it('a list, a Map and the like that ctx.session is set to, but no object with fields', async () => {
    const set = (value: unknown) => run((_, ctx) => {
      ctx.session = value as never;
    });
    for (const value of [[ 1 ], [ 2 ], new Map([[ 'n', 1 ]]), new Date() ]) await set(value);
    await set(new (class Cart { n = 1; })());
    await run((session, ctx) => {
      ctx.session = session;
      Object.assign(ctx, { session: ctx.session });
      ctx.session = { n: 1 };
    });
    const { _mockLogs } = app.getLogger('coreLogger') as unknown as { _mockLogs: string[] };
    assert.deepEqual(_mockLogs.map(line => /ctx\.session was set to (.*), of which/.exec(line)?.[1]).filter(Boolean), [ 'an Array', 'a Map', 'a Date' ]);
  });

  it('but nothing where nothing is lost', async () => {
    await run(async (session, ctx) => {
      Object.assign(session, { text: 'a', n: 1, list: [ 1, { a: null }], nothing: undefined });
      await session.save();
      ctx.session = { ...ctx.session };
      ctx.session.maxAge = 60_000;
    });
    assert.deepEqual(lines(), []);
  });
});

