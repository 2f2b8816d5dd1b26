import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { MockApplication } from 'egg-mock';
import connect from 'socket.io-client';
import { MemorySessionStore, type SessionOptions } from '../..';
import { Browser } from '../support/Browser';
import { createApp, fixture } from '../support/app';

type Socket = ReturnType<typeof connect>;

class TestMemoryStore extends MemorySessionStore {}

/** What a socket is sent next under a name. */
const next = (socket: Socket, name: string) => new Promise<any>((resolve, reject) => {
  socket.once(name, resolve);
  socket.once('error', (err: unknown) => reject(new Error(`the socket: ${JSON.stringify(err)}`)));
});

describe('the injected session in egg-socket.io', () => {
  let app: MockApplication;
  let server: http.Server;
  const sockets: Socket[] = [];
  const handle = fixture.handle;

  async function start(session: SessionOptions) {
    app = await createApp('socket-io', { session });
    server = http.createServer(app.callback() as http.RequestListener);
    (app as unknown as { emit(name: string, server: http.Server): void }).emit('server', server);
    await once(server.listen(0, '127.0.0.1'), 'listening');
    fixture.handle = (data, ctx) => {
      if (ctx.query.user) data.userId = ctx.query.user;
      return { ...data };
    };
  }

  afterEach(async () => {
    fixture.handle = handle;
    for (const socket of sockets.splice(0)) socket.close();
    server.closeAllConnections();
    server.close();
    await app.close();
  });

  const browser = () => new Browser((server.address() as AddressInfo).port);

  async function signIn(user: string) {
    const client = browser();
    await client.request(`/run?user=${user}`);
    return client;
  }

  /** Connects as the browser does, which sends its cookies. */
  function socketOf(client: Browser): Socket {
    const { port } = server.address() as AddressInfo;
    const cookie = client.cookies.header(new URL('http://127.0.0.1/'));
    const socket = connect(`http://127.0.0.1:${port}/`, {
      transports: [ 'websocket' ], forceNew: true, reconnection: false, extraHeaders: { cookie },
    });
    sockets.push(socket);
    return socket;
  }

  async function ask(socket: Socket, event = 'who') {
    const answer = next(socket, 'who');
    socket.emit(event);
    return await answer;
  }

  for (const [ mode, options ] of [[ 'a store', () => ({ store: new TestMemoryStore() }) ], [ 'the cookie', () => ({}) ]] as Array<[ string, () => SessionOptions ]>) {
    it(`is that of the socket's user, in each packet, and while it connects; with ${mode}`, async () => {
      await start(options());
      const users = [ 'ada', 'bob', 'cyd' ];
      const all = await Promise.all(users.map(async user => socketOf(await signIn(user))));
      const stranger = socketOf(browser());
      const welcomes = await Promise.all([ ...all, stranger ].map(socket => next(socket, 'welcome')));
      assert.deepEqual(welcomes, [ ...users.map(user => [ user, user ]), [ null, null ]]);
      for (let i = 0; i < 5; i++) {
        const answers = await Promise.all([ ...all, stranger ].map(socket => ask(socket)));
        assert.deepEqual(answers, [ ...users.map(user => ({ ids: [ user, user, user ], ctx: user })), { ids: [ null, null, null ] }]);
      }
    });
  }

  it('is saved after each packet, and is over for the next one when the user signs out', async () => {
    const store = new TestMemoryStore();
    await start({ store });
    const client = await signIn('ada');
    const socket = socketOf(client);
    await next(socket, 'welcome');
    socket.emit('note', 'hello');
    socket.emit('note', 'hello');
    assert.deepEqual((await ask(socket)).ids, [ 'ada', 'ada', 'ada' ]);
    let data: any;
    do ({ data } = { data: (await client.request('/run')).json() }); while (data.count !== 2); // packets are handled at the same time
    assert.deepEqual(data, { userId: 'ada', said: 'hello', count: 2 });
    fixture.handle = session => session.destroy();
    await client.request('/run');
    assert.deepEqual((await ask(socket)).ids, [ null, null, null ]);
  });

  it('under load: \'injected\', has to be loaded', async () => {
    await start({ store: new TestMemoryStore(), load: 'injected' });
    const socket = socketOf(await signIn('ada'));
    await next(socket, 'connect');
    assert.deepEqual((await ask(socket, 'load')).ids, [ 'ada', 'ada', 'ada' ]);
    const failed = new Promise(resolve => {
      socket.once('error', resolve);
    });
    socket.emit('who');
    assert.match(String(await failed), /the session was not loaded for this request/);
  });
});
