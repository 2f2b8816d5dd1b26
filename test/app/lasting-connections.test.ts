import { strict as assert } from 'node:assert';
import { EventEmitter, once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import type { Application, Context } from 'egg';
import mm, { type MockApplication } from 'egg-mock';
import { createApp } from '../support/app';
import { gate } from '../support/concurrent';
import { MapStore } from '../support/MapStore';

type Middleware = (ctx: Context, next: () => Promise<unknown>) => Promise<unknown>;

/** As egg-socket.io finds it. */
const sessionOf = (app: MockApplication) => (app as unknown as { middleware: Array<Middleware & { _name?: string }> }).middleware
  .find(({ _name }) => _name?.startsWith('session'))!;

/** Notes what was stored when the application closed the rest of what it has. */
class NotingStore extends MapStore {
  closed?: unknown[];
}

describe('when the application closes, a connection', () => {
  let store: NotingStore;
  let app: MockApplication;
  let server: http.Server;
  let sockets: net.Socket[];
  beforeEach(async () => {
    sockets = [];
    store = new NotingStore();
    app = await createApp('web', {
      session: { store },
      boot: booting => booting.beforeClose(async () => {
        store.closed = [ ...store.records.values() ].map(({ n }) => n);
      }),
    });
    server = http.createServer(app.callback() as http.RequestListener);
    await once(server.listen(0, '127.0.0.1'), 'listening');
  });
  afterEach(async () => {
    mm.restore();
    for (const socket of sockets) socket.destroy();
    server.closeAllConnections();
    server.close();
  });

  const port = () => (server.address() as net.AddressInfo).port;
  const connect = (head: string) => {
    const socket = net.connect(port(), '127.0.0.1', () => socket.write(`${head}\r\nHost: localhost\r\n\r\n`));
    socket.on('error', () => undefined);
    sockets.push(socket);
    return socket;
  };
  /** As `egg-socket.io/lib/connectionMiddlewareInit.js` does; the socket is socket.io's. */
  const chain = (request: http.IncomingMessage, handle: (ctx: Context) => Promise<unknown>, more = {}) => {
    const ctx = (app as unknown as Application).createContext(request, new http.ServerResponse(request) as never) as unknown as Context;
    return sessionOf(app)(Object.assign(ctx, more), () => handle(ctx));
  };
  const never = new Promise<never>(() => undefined);

  const CONNECTIONS: Record<string, (began: () => void, handle: (ctx: Context) => Promise<unknown>) => void> = {
    'that was upgraded, as a websocket': (began, handle) => {
      server.on('upgrade', request => {
        chain(request, async ctx => {
          began();
          await handle(ctx);
        }).catch(() => undefined);
      });
      connect('GET /socket.io/?transport=websocket HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket');
    },
    'of socket.io, by polling': (began, handle) => {
      server.removeAllListeners('request');
      server.on('request', (request, response) => {
        response.end('ok'); // the handshake; the next poll comes later
        request.socket = Object.assign(new EventEmitter(), { id: 'a socket of socket.io' }) as never;
        chain(request, async ctx => {
          began();
          await handle(ctx);
        }).catch(() => undefined);
      });
      connect('GET /socket.io/?transport=polling HTTP/1.1');
    },
  };
  for (const [ name, headers ] of Object.entries({
    'of server-sent events': { 'content-type': 'text/event-stream' },
    'of server-sent events, whose headers are written at once': undefined,
    'of a camera': { 'content-type': 'multipart/x-mixed-replace; boundary=frame' },
  })) {
    CONNECTIONS[name] = (began, handle) => {
      (app as unknown as Application).router.get('/events', async ctx => {
        ctx.respond = false;
        await ctx.session.save();
        if (headers) for (const [ field, value ] of Object.entries(headers)) ctx.res.setHeader(field, value);
        ctx.res.writeHead(200, headers ? {} : { 'Content-Type': 'text/event-stream; charset=utf-8' });
        ctx.res.write(': hello\n\n');
        began();
        await handle(ctx);
      });
      connect('GET /events HTTP/1.1');
    };
  }

  for (const [ what, open ] of Object.entries(CONNECTIONS)) {
    it(`${what}, is not waited for, and what it has changed is saved`, async () => {
      mm.consoleLevel('NONE');
      const waits: number[] = [];
      const began = gate();
      const { setTimeout: original } = globalThis;
      open(began.open, async ctx => {
        ctx.session.n = 1;
        await never;
      });
      await began.opened;
      await new Promise(resolve => { setImmediate(resolve); });
      // it is not the time that counts: whether it waits until its patience has ended
      mm(globalThis, 'setTimeout', Object.assign((run: () => void, ms: number) => original(() => {
        if (ms === 4000) waits.push(ms);
        run();
      }, ms), original));
      await app.close();
      assert.deepEqual(waits, []);
      assert.deepEqual(store.closed, [ 1 ]);
    });
  }

  it('does not keep the requests beside it from saving their sessions', async () => {
    mm.consoleLevel('NONE');
    const began = gate();
    CONNECTIONS['that was upgraded, as a websocket'](began.open, () => never);
    await began.opened;
    const [ running, goOn ] = [ gate(), gate() ];
    (app as unknown as Application).router.get('/slow', async ctx => {
      ctx.session.n = 7;
      running.open();
      await goOn.opened;
      ctx.session.n = 8;
      ctx.body = 'done';
    });
    connect('GET /slow HTTP/1.1');
    await running.opened;
    const closing = app.close();
    setImmediate(goOn.open);
    await closing;
    assert.deepEqual(store.closed, [ 8 ]);
  });

  it('of socket.io has its messages waited for', async () => {
    const goOn = gate();
    const began = gate();
    server.on('upgrade', request => {
      chain(request, async ctx => {
        began.open();
        await goOn.opened;
        ctx.session.n = 9;
      }, { packet: [ 'chat', 'hello' ] }).catch(() => undefined);
    });
    connect('GET /socket.io/ HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket');
    await began.opened;
    const closing = app.close();
    setImmediate(goOn.open);
    await closing;
    assert.deepEqual(store.closed, [ 9 ]);
  });

  it('whose response has begun is waited for, when it is no such stream', async () => {
    mm.consoleLevel('NONE');
    const [ began, goOn ] = [ gate(), gate() ];
    (app as unknown as Application).router.get('/report', async ctx => {
      ctx.session.n = 1;
      await ctx.session.save();
      ctx.respond = false;
      ctx.res.writeHead(200, { 'content-type': 'text/plain' });
      ctx.res.write('page 1');
      began.open();
      await goOn.opened;
      ctx.session.n = 2;
      ctx.res.end('page 2');
    });
    connect('GET /report HTTP/1.1');
    await began.opened;
    const closing = app.close();
    setImmediate(goOn.open);
    await closing;
    assert.deepEqual(store.closed, [ 2 ]);
  });
});
