import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { progress } from './report';
import type { Server } from './servers';

export interface Browser {
  cookie: string;
}

const TIMEOUT = 30_000;

/** As behind a proxy that speaks HTTPS. */
const HEADERS = 'Host: localhost\r\nX-Forwarded-Proto: https\r\n';

/** Where requests go: to a server, or to several, each of which has as many of the connections. */
type Target = Pick<Server, 'port'> | Array<Pick<Server, 'port'>>;

/**
 * Sends requests over `connections` at a time, each with the next browser's cookie; what a response sets, that browser has
 * from then on. Resolves to how long each answer took, in ms.
 */
export async function send(to: Target, url: string, browsers: Browser[], requests = browsers.length, connections = 8): Promise<number[]> {
  const servers = [ to ].flat();
  const latencies: number[] = [];
  let sent = 0;
  await Promise.all(Array.from({ length: Math.min(connections, requests) }, async (_, i) => {
    const socket = net.connect(servers[i % servers.length].port, '127.0.0.1').setNoDelay().setEncoding('latin1');
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
export async function signIn(to: Target, count: number, bytes: number): Promise<Browser[]> {
  const browsers = strangers(count);
  await send(to, `/sign-in?bytes=${bytes}`, browsers);
  return browsers;
}

/** What a request costs the servers' processes, in µs of CPU, with the latencies in ms and the requests per second. */
export async function measure(to: Server | Server[], url: string, browsers: Browser[], requests: number, connections?: number):
Promise<{ cpu: number; perSecond: number; latencies: number[] }> {
  const used = async () => (await Promise.all([ to ].flat().map(server => server.cpu()))).reduce((all, cpu) => all + cpu);
  const before = await used();
  const start = performance.now();
  const latencies = await send(to, url, browsers, requests, connections);
  const perSecond = requests / (performance.now() - start) * 1000;
  return { cpu: (await used() - before) / requests, perSecond, latencies };
}

/**
 * Sends requests at a steady rate until that is over, whether or not earlier ones have been answered, each to the next server, with the
 * next browser and the next URL. Resolves to how long each answer took, in ms.
 */
export async function steadily(to: Target, urls: string[], browsers: Browser[], perSecond: number, over: Promise<unknown>, title?: string):
Promise<number[]> {
  const servers = [ to ].flat();
  const latencies: number[] = [];
  const pending: Array<Promise<unknown>> = [];
  let failure: unknown;
  let ended = false;
  const mark = () => { ended = true; };
  over.then(mark, mark);
  const start = performance.now();
  let told = start;
  for (let i = 0; !ended; i++) {
    const request = send(servers[i % servers.length], urls[i % urls.length], [ browsers[i % browsers.length] ]);
    pending.push(request.then(([ ms ]) => latencies.push(ms), err => { failure ??= err; }));
    if (title && performance.now() - told > 10_000) {
      told = performance.now();
      progress(`${title}, ${((told - start) / 1000).toFixed(0)} s`);
    }
    const early = start + (i + 1) * 1000 / perSecond - performance.now();
    if (early > 0) await sleep(early);
  }
  await Promise.all(pending);
  if (failure) throw failure;
  return latencies;
}

/** Runs each of them in so many rounds, each of which begins with another one: what the machine does besides hits all of them. */
export async function inTurn<T>(all: T[], rounds: number, run: (each: T, i: number, round: number) => Promise<void>): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    for (let j = 0; j < all.length; j++) {
      const i = (j + round) % all.length;
      await run(all[i], i, round);
    }
  }
}
