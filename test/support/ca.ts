import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The files of a CA that nobody knows and of a certificate of it for `name`, as in `DNS:shop.test` or `IP:127.0.0.1`, made in `dir`. */
export async function signedFor(name: string, dir: string): Promise<{ ca: string; key: string; cert: string }> {
  const [ caKey, ca, key, request, cert, extensions ] = [ 'ca.key', 'ca.pem', 'app.key', 'app.req', 'app.pem', 'extensions' ].map(base => path.join(dir, base));
  writeFileSync(extensions, `subjectAltName=${name}\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE`);
  await run('openssl', [
    'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=A CA of a test', '-keyout', caKey, '-out', ca,
    '-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign',
  ]);
  await run('openssl', [ 'req', '-newkey', 'rsa:2048', '-nodes', '-subj', `/CN=${name}`, '-keyout', key, '-out', request ]);
  await run('openssl', [
    'x509', '-req', '-in', request, '-CA', ca, '-CAkey', caKey, '-CAcreateserial', '-days', '2', '-out', cert, '-extfile', extensions,
  ]);
  return { ca, key, cert };
}

/** Makes a CA that browsers trust whose HOME is `home`, as certutil puts it into the NSS database there, and a certificate of it for `name`. */
export async function certificateFor(name: string, home: string): Promise<{ key: Buffer; cert: Buffer }> {
  const nss = `sql:${path.join(home, '.pki/nssdb')}`;
  mkdirSync(path.join(home, '.pki/nssdb'), { recursive: true });
  const { ca, key, cert } = await signedFor(`DNS:${name}`, home);
  await run('certutil', [ '-d', nss, '-N', '--empty-password' ]);
  await run('certutil', [ '-d', nss, '-A', '-t', 'C,,', '-n', 'test', '-i', ca ]);
  return { key: readFileSync(key), cert: readFileSync(cert) };
}
