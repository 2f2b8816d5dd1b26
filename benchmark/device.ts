// What device-bound sessions cost a request that reads its session: while they are off, and while they are on, with and without the
// key of a device.
import { DeviceKey } from '../test/support/device';
import type { Subject } from './cases';
import { type Browser, inTurn, measure, send, signIn } from './load';
import { median, progress, spread, table } from './report';
import { type Server, startServer } from './servers';
import type { Options } from './options';

const WARM_UP_REQUESTS = 5000;

const subject = (sessions: Subject['sessions']): Subject =>
  ({ name: sessions, framework: 'Egg', sessions, kept: [ 'memory' ], actions: [ 'read' ] });

export async function device(options: Options, redis: number): Promise<void> {
  const [ off, on ] = await Promise.all([ startServer(subject('always'), 'memory', { redis }), startServer(subject('device-bound'), 'memory', { redis }) ]);
  const measured = [
    { name: 'off', server: off, browsers: await signIn(off, options.sessions, 200) },
    { name: 'on, and the browser has no key', server: on, browsers: await signIn(on, options.sessions, 200) },
    { name: 'on, and the session is bound', server: on, browsers: await Promise.all(Array.from({ length: options.sessions }, () => bind(on))) },
  ];
  for (const { server, browsers } of measured) await send(server, '/read', browsers, WARM_UP_REQUESTS);
  progress(measured.map(({ name }) => name).join(' | '));
  const cpu: number[][] = measured.map(() => []);
  await inTurn(measured, options.rounds, async ({ server, browsers }, i) => {
    cpu[i].push((await measure(server, '/read', browsers, options.requests)).cpu);
  });
  await Promise.all([ off.stop(), on.stop() ]);
  table('Device-bound sessions: CPU of the server for a request that reads a session of 200 bytes in memory, median [quartiles] of the rounds',
    [ '', 'CPU µs', 'beyond off' ],
    measured.map(({ name }, i) => [ name, spread(cpu[i], 1), (median(cpu[i]) - median(cpu[0])).toFixed(1) ]));
}

/** Signs in, as a browser that registers a key. */
async function bind({ port }: Server): Promise<Browser> {
  const url = `http://127.0.0.1:${port}`;
  const cookieOf = ({ headers }: Response) => headers.getSetCookie().map(line => line.split(';')[0]).join('; ');
  const https = { 'x-forwarded-proto': 'https' };
  const signedIn = await fetch(`${url}/sign-in?bytes=200`, { headers: https });
  const [ , path, challenge ] = /path="([^"]+)";challenge="([^"]+)"/.exec(signedIn.headers.get('secure-session-registration') ?? '')!;
  const proof = new DeviceKey().registration(challenge);
  const registered = await fetch(url + path, { method: 'POST', headers: { ...https, 'secure-session-response': proof } });
  if (registered.status !== 200) throw new Error(`no registration: ${registered.status} ${await registered.text()}`);
  return { cookie: `${cookieOf(signedIn)}; ${cookieOf(registered)}` };
}
