import type { AddressInfo } from 'node:net';
import { start } from 'egg';

start({ baseDir: __dirname }).then(app => {
  const server = app.listen(0, '127.0.0.1', () =>
    process.send!({ port: (server.address() as AddressInfo).port, bootMs: performance.now() }));
});
