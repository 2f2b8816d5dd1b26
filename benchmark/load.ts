import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import net from 'node:net';
import type { Server } from './servers';

export interface Browser {
  cookie: string;
}

const TIMEOUT = 30_000;

/** As behind a proxy that speaks HTTPS. */
const HEADERS = 'Host: localhost\r\nX-Forwarded-Proto: https\r\n';

/**
 * Sends requests over `connections` at a time, each with the next browser's cookie; what a response sets, that browser has
 * from then on. Resolves to how long each answer took, in ms.
 */
export async function send({ port }: Server, url: string, browsers: Browser[], requests = browsers.length, connections = 8):
Promise<number[]> {
  const latencies: number[] = [];
  let sent = 0;
  await Promise.all(Array.from({ length: Math.min(connections, requests) }, async () => {
    const socket = net.connect(port, '127.0.0.1').setNoDelay().setEncoding('latin1');
    let answer = '';
    let browser: Browser;
    let start: number;
    const next = () => {
      if (sent >= requests) return socket.end();
      browser = browsers[sent++ % browsers.length];
      start = performance.now();
      socket.write(`GET ${url} HTTP/1.1\r\n${HEADERS}Cookie: ${browser.cookie}\r\n\r\n`);
    };
    socket.setTimeout(TIMEOUT, () => socket.destroy(new Error(`no answer to ${url}: ${answer}`)));
    socket.on('connect', next).on('data', (chunk: string) => {
      answer += chunk;
      if (!answer.endsWith('}')) return;
      latencies.push(performance.now() - start);
      assert.match(answer, /^HTTP\/1\.1 200 [^]*\{"userId":1234567\}$/);
      const set = /^set-cookie: ([^;]*)/im.exec(answer);
      if (set) browser.cookie = set[1];
      answer = '';
      next();
    });
    await once(socket, 'close');
    if (answer) throw new Error(`not the answer to ${url} that was expected: ${answer}`);
  }));
  return latencies;
}

/** So many browsers without a session. */
export const strangers = (count: number): Browser[] => Array.from({ length: count }, () => ({ cookie: 'none=1' }));

/** So many browsers, each signed in with a session of so many bytes. */
export async function signIn(server: Server, count: number, bytes: number): Promise<Browser[]> {
  const browsers = strangers(count);
  await send(server, `/sign-in?bytes=${bytes}`, browsers);
  return browsers;
}

/** What a request costs the server's process, in µs of CPU, with the latencies in ms and the requests per second. */
export async function measure(server: Server, url: string, browsers: Browser[], requests: number, connections?: number):
Promise<{ cpu: number; perSecond: number; latencies: number[] }> {
  const before = await server.cpu();
  const start = performance.now();
  const latencies = await send(server, url, browsers, requests, connections);
  const perSecond = requests / (performance.now() - start) * 1000;
  return { cpu: (await server.cpu() - before) / requests, perSecond, latencies };
}
