import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

/** Answers over HTTPS on a free port of 127.0.0.1, with a certificate that nobody has signed. */
export async function listenSecurely(listener: RequestListener) {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'egg-tegg-session-test-'));
  const [ key, cert ] = [ 'key.pem', 'cert.pem' ].map(name => path.join(dir, name));
  try {
    await promisify(execFile)('openssl', [
      'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1', '-subj', '/CN=shop.test', '-keyout', key, '-out', cert,
    ]);
    const server = https.createServer({ key: readFileSync(key), cert: readFileSync(cert) }, listener);
    await once(server.listen(0, '127.0.0.1'), 'listening');
    return {
      port: (server.address() as AddressInfo).port,
      close: async () => {
        server.closeAllConnections();
        await promisify(server.close.bind(server))();
      },
    };
  } finally {
    rmSync(dir, { recursive: true });
  }
}
