import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Makes a CA that browsers trust whose HOME is `home`, as certutil puts it into the NSS database there, and a certificate of it for `name`. */
export async function certificateFor(name: string, home: string): Promise<{ key: Buffer; cert: Buffer }> {
  const file = (base: string) => path.join(home, base);
  const nss = `sql:${file('.pki/nssdb')}`;
  mkdirSync(file('.pki/nssdb'), { recursive: true });
  writeFileSync(file('names'), `subjectAltName=DNS:${name}\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE`);
  const [ caKey, caCert, key, request, cert ] = [ 'ca.key', 'ca.pem', 'app.key', 'app.req', 'app.pem' ].map(file);
  await run('openssl', [
    'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=A CA of a test', '-keyout', caKey, '-out', caCert,
    '-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign',
  ]);
  await run('openssl', [ 'req', '-newkey', 'rsa:2048', '-nodes', '-subj', `/CN=${name}`, '-keyout', key, '-out', request ]);
  await run('openssl', [
    'x509', '-req', '-in', request, '-CA', caCert, '-CAkey', caKey, '-CAcreateserial', '-days', '2', '-out', cert, '-extfile', file('names'),
  ]);
  await run('certutil', [ '-d', nss, '-N', '--empty-password' ]);
  await run('certutil', [ '-d', nss, '-A', '-t', 'C,,', '-n', 'test', '-i', caCert ]);
  return { key: readFileSync(key), cert: readFileSync(cert) };
}
