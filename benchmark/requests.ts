// What a session costs in the application in app/: the CPU time of its process for a request, beyond the same request
// without a session plugin, with egg-session and with this plugin. Each server is a process of its own; all get the same
// requests, in rounds that alternate.
import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { startServer } from '../test/support/egg-server';
import { startRedis } from '../test/support/servers';
import type { Settings } from './app/settings';
import { median, table } from './table';

const ROUNDS = Number(process.env.ROUNDS ?? 21);
const CONNECTIONS = 8;
const REQUESTS = Number(process.env.REQUESTS ?? 1000);
const PLUGINS = [ 'none', 'egg-session', 'egg-tegg-session' ] as const;
const KEPT = [ 'cookie', 'memory', 'Redis' ] as const;

const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'benchmark-'));

async function serve(settings: Omit<Settings, 'dir'>) {
  return await startServer(port => [ '-r', 'ts-node/register/transpile-only', path.join(__dirname, 'app/start.ts'), String(port) ], {
    cwd: path.join(__dirname, '..'),
    env: {
      EGG_TYPESCRIPT: 'true', NODE_ENV: 'production', EGG_SERVER_ENV: 'prod', BENCHMARK: JSON.stringify({ ...settings, dir }),
    },
  });
}

async function get(port: number, url: string) {
  const [ response ] = await once(http.get({ host: '127.0.0.1', port, path: url, agent: false }), 'response') as [ http.IncomingMessage ];
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk;
  return { cookie: response.headers['set-cookie']?.[0].split(';')[0] ?? 'none=1', json: JSON.parse(text) };
}

/** The CPU time that a server's process has used, in µs. */
async function cpuTime(port: number): Promise<number> {
  const { user, system } = (await get(port, '/cpu')).json;
  return user + system;
}

/** Sends requests one after the other on each of the connections, and tells what one cost the server, in µs. */
async function load(port: number, url: string, cookies: string[]): Promise<{ cpu: number; perSecond: number }> {
  let left = REQUESTS;
  const before = await cpuTime(port);
  const start = performance.now();
  await Promise.all(cookies.map(async cookie => {
    const socket = net.connect(port, '127.0.0.1').setNoDelay().setEncoding('latin1');
    let answer = '';
    const next = () => (left-- > 0 ? socket.write(`GET ${url} HTTP/1.1\r\nHost: localhost\r\nCookie: ${cookie}\r\n\r\n`) : socket.end());
    socket.on('connect', next).on('data', (chunk: string) => {
      answer += chunk;
      if (!answer.endsWith('}')) return;
      assert.match(answer, /^HTTP\/1\.1 200 [^]*\{"userId":1234567\}$/);
      answer = '';
      next();
    });
    await once(socket, 'close');
  }));
  const perSecond = REQUESTS / (performance.now() - start) * 1000;
  return { cpu: (await cpuTime(port) - before) / REQUESTS, perSecond };
}

async function main() {
  const redis = await startRedis();
  const rows: string[][] = [];
  for (const kept of KEPT) {
    const servers = await Promise.all(PLUGINS.map(plugin => serve({ plugin, kept, redis: kept === 'Redis' ? redis.port : undefined })));
    const cookies = await Promise.all(servers.map(async ({ port }) =>
      await Promise.all(Array.from({ length: CONNECTIONS }, async () => (await get(port, '/sign-in')).cookie))));
    for (const url of [ '/unused', '/read', '/write' ]) {
      const rounds: Array<Array<{ cpu: number; perSecond: number }>> = [];
      for (let round = -3; round < ROUNDS; round++) {
        const results: Array<{ cpu: number; perSecond: number }> = [];
        for (const i of round % 2 ? [ 2, 1, 0 ] : [ 0, 1, 2 ]) results[i] = await load(servers[i].port, url, cookies[i]);
        if (round >= 0) rounds.push(results); // the first ones warm up
      }
      const [ none, theirs, ours ] = PLUGINS.map((_, i) => median(rounds.map(round => round[i].cpu)));
      const beyond = (cpu: number) => `${(cpu - none).toFixed(1)} µs`;
      rows.push([ `${kept}, ${url.slice(1)}`, `${none.toFixed(1)} µs`, beyond(theirs), beyond(ours),
        ((ours - none) / (theirs - none)).toFixed(2), ...[ 1, 2 ].map(i => `${Math.round(median(rounds.map(round => round[i].perSecond)))}/s`) ]);
    }
    await Promise.all(servers.map(server => server.stop()));
  }
  await redis.stop();
  fs.rmSync(dir, { recursive: true, force: true });
  table([ 'sessions in', 'no session', 'egg-session +', 'egg-tegg-session +', 'ratio', 'egg-session', 'egg-tegg-session' ], rows);
}

main().then(() => process.exit(), err => { console.error(err); process.exit(1); });
