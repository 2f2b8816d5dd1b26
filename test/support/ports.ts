import { once } from 'node:events';
import net from 'node:net';

// below the ports that outgoing connections get, one of which could take it before the server does
let lastPort = 10_000 + Math.floor(Math.random() * 20_000);

/** A port that nobody else is given, also when two ask at the same time. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = ++lastPort;
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
