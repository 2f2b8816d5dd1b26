import { once } from 'node:events';
import net from 'node:net';

// below the ports that outgoing connections get, one of which could take it before the server does
const PORTS = 2000;
// processes that start one after another, as mocha's do, each have a range of their own
const first = 10_000 + PORTS * (process.pid % 10);
let lastPort = first + Math.floor(Math.random() * PORTS);

/** A port that nobody else is given, also when two ask at the same time. */
export async function freePort(): Promise<number> {
  for (;;) {
    lastPort = lastPort + 1 < first + PORTS ? lastPort + 1 : first;
    const port = lastPort;
    const server = net.createServer().listen(port);
    try {
      await once(server, 'listening');
    } catch {
      continue;
    }
    server.close();
    await once(server, 'close');
    return port;
  }
}
