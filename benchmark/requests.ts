// Requests per second of the application in app/, with egg-session and with this plugin: each server in a process of its
// own, the same connections to both, in rounds that alternate.
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
const REQUESTS = 1000;
const PLUGINS = [ 'egg-session', 'egg-tegg-session' ] as const;

const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'benchmark-'));

async function serve(settings: Omit<Settings, 'dir'>) {
  return await startServer(port => [ '-r', 'ts-node/register/transpile-only', path.join(__dirname, 'app/start.ts'), String(port) ], {
    cwd: path.join(__dirname, '..'),
    env: {
      EGG_TYPESCRIPT: 'true', NODE_ENV: 'production', EGG_SERVER_ENV: 'prod', BENCHMARK: JSON.stringify({ ...settings, dir }),
    },
  });
}

/** Makes a session, and gives its cookie. */
async function signIn(port: number): Promise<string> {
  const [ response ] = await once(http.get({ host: '127.0.0.1', port, path: '/sign-in', agent: false }), 'response') as [ http.IncomingMessage ];
  response.resume();
  return response.headers['set-cookie']![0].split(';')[0];
}

/** Sends requests one after the other on each of the connections, and tells how many were answered in a second. */
async function load(port: number, url: string, cookies: string[]): Promise<number> {
  let left = REQUESTS;
  const start = performance.now();
  await Promise.all(cookies.map(async cookie => {
    const socket = net.connect(port, '127.0.0.1').setNoDelay().setEncoding('latin1');
    let answer = '';
    const next = () => (left-- > 0 ? socket.write(`GET ${url} HTTP/1.1\r\nHost: localhost\r\nCookie: ${cookie}\r\n\r\n`) : socket.end());
    socket.on('connect', next).on('data', (chunk: string) => {
      answer += chunk;
      if (!answer.endsWith('}')) return;
      assert.match(answer, /^HTTP\/1\.1 200 [^]*\{"userId":1234567\}$/);
      assert.equal(/^set-cookie:/im.test(answer), url === '/write');
      answer = '';
      next();
    });
    await once(socket, 'close');
  }));
  return REQUESTS / (performance.now() - start) * 1000;
}

async function main() {
  const redis = await startRedis();
  const rows: string[][] = [];
  for (const [ where, port ] of [[ 'cookie', undefined ], [ 'Redis', redis.port ]] as const) {
    const servers = await Promise.all(PLUGINS.map(plugin => serve({ plugin, redis: port })));
    const cookies = await Promise.all(servers.map(async server =>
      await Promise.all(Array.from({ length: CONNECTIONS }, () => signIn(server.port)))));
    for (const url of [ '/read', '/write' ]) {
      const rounds: number[][] = [];
      for (let round = -2; round < ROUNDS; round++) {
        const speeds: number[] = [];
        for (const i of round % 2 ? [ 1, 0 ] : [ 0, 1 ]) speeds[i] = await load(servers[i].port, url, cookies[i]);
        if (round >= 0) rounds.push(speeds); // the first ones warm up
      }
      const ratios = rounds.map(([ before, now ]) => now / before);
      rows.push([ `${where}: ${url}`, ...PLUGINS.map((_, i) => `${Math.round(median(rounds.map(round => round[i])))}/s`),
        median(ratios).toFixed(2), `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}` ]);
    }
    await Promise.all(servers.map(server => server.stop()));
  }
  await redis.stop();
  fs.rmSync(dir, { recursive: true, force: true });
  table([ 'sessions in', ...PLUGINS, 'ratio', 'in all rounds' ], rows);
}

main();
