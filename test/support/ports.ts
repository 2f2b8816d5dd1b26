import { once } from 'node:events';
import net from 'node:net';

// below the ports that outgoing connections get, one of which could take it before the server does
let lastPort = 10_000 + Math.floor(Math.random() * 20_000);

export async function freePort(): Promise<number> {
  for (;;) {
    const server = net.createServer().listen(++lastPort);
    try {
      await once(server, 'listening');
    } catch {
      continue;
    }
    server.close();
    await once(server, 'close');
    return lastPort;
  }
}
