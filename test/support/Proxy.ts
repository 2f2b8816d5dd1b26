import { once } from 'node:events';
import net from 'node:net';

/** Stands between a client and a server, and cuts them off from one another in the ways that networks do. */
export class Proxy {
  /** What becomes of the connections from now on. */
  private mode: 'pass' | 'stall' | 'refuse' | 'truncate' = 'pass';
  private readonly sockets = new Set<net.Socket>();
  private readonly lost = new WeakSet<net.Socket>();
  private countdown = Infinity;
  private whenCounted?: () => void;

  private constructor(private readonly server: net.Server) {}

  static async to(port: number): Promise<Proxy> {
    const server = net.createServer();
    const proxy = new Proxy(server);
    server.on('connection', client => proxy.connect(client, net.connect(port, '127.0.0.1')));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    return proxy;
  }

  get port(): number {
    return (this.server.address() as net.AddressInfo).port;
  }

  private connect(client: net.Socket, server: net.Socket) {
    for (const [ from, to ] of [[ client, server ], [ server, client ]]) {
      this.sockets.add(from);
      from.on('data', chunk => {
        if (this.lost.has(from)) return;
        if (from === server && --this.countdown === 0) {
          this.stall();
          this.whenCounted!();
        }
        if (this.mode === 'pass') to.write(chunk);
        if (this.mode === 'truncate') to.end(chunk.subarray(0, Math.ceil(chunk.length / 2)));
      });
      from.on('error', () => to.destroy());
      from.on('close', () => {
        this.sockets.delete(from);
        to.destroy();
      });
    }
    if (this.mode === 'refuse') client.resetAndDestroy();
  }

  /** Calls `then` once the server has answered so often from now on. The client does not get that answer, and nothing after it. */
  after(answers: number, then: () => void) {
    this.countdown = answers;
    this.whenCounted = then;
  }

  /** Lets everything through again. What was held back is lost. */
  pass() {
    this.mode = 'pass';
  }

  /** Keeps connections open, and lets nothing through. */
  stall() {
    this.mode = 'stall';
  }

  /** Keeps the connections that there are open, and lets nothing through them any more, as when the other machine has lost its power; new ones work. */
  lose() {
    for (const socket of this.sockets) this.lost.add(socket);
  }

  /** Resets all connections, and those that come. */
  refuse() {
    this.mode = 'refuse';
    this.reset();
  }

  /** Lets half of the next bytes through, each way, and then ends the connection. */
  truncate() {
    this.mode = 'truncate';
  }

  /** Resets the connections that there are. */
  reset() {
    for (const socket of this.sockets) socket.resetAndDestroy();
  }

  async close() {
    this.reset();
    this.server.close();
    await once(this.server, 'close');
  }
}
