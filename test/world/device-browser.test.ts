import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import type { BrowserContext, Page } from 'playwright-core';
import { certificateFor } from '../support/ca';
import { follow, startBoundChromium } from '../support/chromium';
import { Example, Visitor } from '../support/example';
import { Problems } from '../support/problems';
import { startRedis, type TestServer } from '../support/servers';

const HOST = 'shop.test';
const BOUND = 'teahouse.device';

/** What Chromium tells of a session that it binds. */
interface Told {
  creationEventDetails?: { fetchResult: string };
  refreshEventDetails?: { refreshResult: string };
  challengeEventDetails?: object;
  terminationEventDetails?: { deletionReason: string };
}

describe('the example in a Chromium that binds sessions', () => {
  const example = new Example();
  const problems = new Problems();
  let home: string;
  let redis: TestServer;
  let port: number;
  let proxy: https.Server;
  let origin: string;
  let context: BrowserContext;
  let page: Page;
  /** What the proxy has passed on, as `POST /path 200`. */
  let passed: string[];
  const told: string[] = [];
  let whenTold = () => { /* nobody waits */ };

  /** Resolves once the browser has told this, since the last call. */
  const until = (what: string) => new Promise<void>(resolve => {
    whenTold = () => {
      if (!told.includes(what)) return;
      told.length = 0;
      resolve();
    };
    whenTold();
  });
  const title = () => page.locator('h1').innerText();
  const bound = async () => (await context.cookies(origin)).some(({ name }) => name === BOUND);

  /** Speaks HTTPS, in front of the example. */
  async function listen(): Promise<void> {
    proxy = https.createServer(await certificateFor(HOST, home), (req, res) => {
      const { method, url, headers } = req;
      const request = http.request({ port, host: '127.0.0.1', method, path: url, headers: { ...headers, 'x-forwarded-proto': 'https' } }, answer => {
        passed.push(`${method} ${url} ${answer.statusCode}`);
        res.writeHead(answer.statusCode!, answer.rawHeaders);
        answer.pipe(res);
      });
      request.on('error', () => res.destroy());
      req.pipe(request);
    });
    await once(proxy.listen(0, '127.0.0.1'), 'listening');
    origin = `https://${HOST}:${(proxy.address() as AddressInfo).port}`;
  }

  async function signIn(): Promise<void> {
    await page.goto(`${origin}/sign-in`);
    await page.fill('#name', 'alice');
    await page.fill('#password', 'wonderland');
    await follow(page, 'main button');
    await until('registered Success');
  }

  before(async () => {
    home = mkdtempSync(path.join(os.tmpdir(), 'egg-tegg-session-test-'));
    redis = await startRedis();
    port = await example.start({ STORE: 'redis', REDIS_URL: `redis://127.0.0.1:${redis.port}`, DEVICE_BOUND: '1' });
    passed = [];
    await listen();
    context = await startBoundChromium(home);
    problems.watch(context);
    page = await context.newPage();
    const cdp = await context.newCDPSession(page);
    cdp.on('Network.deviceBoundSessionEventOccurred' as never, (event: Told) => {
      if (event.creationEventDetails) told.push(`registered ${event.creationEventDetails.fetchResult}`);
      if (event.refreshEventDetails) told.push(`refreshed ${event.refreshEventDetails.refreshResult}`);
      if (event.terminationEventDetails) told.push('ended');
      whenTold();
    });
    await cdp.send('Network.enable');
    await cdp.send('Network.enableDeviceBoundSessions' as never, { enable: true } as never);
  });
  beforeEach(() => {
    passed = [];
  });
  afterEach(() => assert.deepEqual(problems.take(), []));
  after(async () => {
    await context?.close();
    proxy?.close();
    await example.remove();
    await redis?.stop();
    rmSync(home, { recursive: true, force: true, maxRetries: 20, retryDelay: 500 }); // the browser's last process may still write there
  });

  it('binds at the sign-in; no page breaks, and the page of devices says so', async () => {
    await signIn();
    while (!await bound()); // the browser registers in its own time
    await page.goto(`${origin}/`); // the page before may have been on its way while the session was bound: it has none then
    assert.equal(await title(), 'Hello, alice!');
    assert.ok(passed.includes('POST /session/device/register 200'));
    for (const route of [ '/', '/devices', '/promises', '/status' ]) {
      const response = await page.goto(origin + route);
      assert.equal(response!.status(), 200, route);
    }
    await page.goto(`${origin}/devices`);
    assert.match(await page.locator('td.name').innerText(), /this device device-bound/);
  });

  it('without the bound cookie, holds the next click back, refreshes, and is served signed in', async () => {
    await context.clearCookies({ name: BOUND });
    await page.goto(`${origin}/`);
    await until('refreshed Refreshed');
    assert.equal(await title(), 'Hello, alice!');
    assert.ok(await bound());
    // at once, with the challenge that the registration has sent ahead
    assert.deepEqual(passed.slice(0, 2), [ 'POST /session/device/refresh 200', 'GET / 200' ]);
    await follow(page, 'form[action="/cup"] button, main button');
    assert.equal(await title(), 'Hello, alice!');
  });

  it('also when a link from another site leads there', async () => {
    await page.setContent(`<a href="${origin}/">the shop</a>`);
    await context.clearCookies({ name: BOUND });
    await follow(page, 'a');
    assert.equal(await title(), 'Hello, alice!');
  });

  it('somebody with a copy of all but the bound cookie is not signed in', async () => {
    const thief = new Visitor(port, { 'x-forwarded-proto': 'https', host: HOST });
    const { value } = (await context.cookies(origin)).find(({ name }) => name === 'teahouse')!;
    const { text } = await thief.request('/', { headers: { 'x-forwarded-proto': 'https', host: HOST, cookie: `teahouse=${value}` } });
    assert.ok(!text.includes('alice'));
  });

  it('is signed out when another device ends all others, and can sign in again', async () => {
    const phone = new Visitor(port, { 'x-forwarded-proto': 'https', host: HOST });
    await phone.signIn('alice');
    await phone.submit('/devices/end-others', {}, '/devices');
    await context.clearCookies({ name: BOUND });
    await page.goto(`${origin}/`);
    assert.equal(await title(), 'Welcome!');
    assert.ok(!await bound());
    told.length = 0;
    await signIn();
    while (!await bound());
    await page.goto(`${origin}/`);
    assert.equal(await title(), 'Hello, alice!');
  });

  it('signing out ends the binding', async () => {
    await follow(page, 'form[action="/sign-out"] button');
    assert.equal(await title(), 'Welcome!');
    assert.ok(!await bound());
    passed = [];
    await page.goto(`${origin}/`);
    await page.goto(`${origin}/`);
    // the first request after the sign-out, be it the redirect's, has asked for the last time
    assert.ok(passed.filter(line => line.includes('/session/device/')).length <= 1, passed.join());
    assert.equal(await title(), 'Welcome!');
  });
});
