// Many requests and many cookies through one application: does memory grow, does a request fail, and what does a session take? `npm run soak`
// runs it with --expose-gc; REQUESTS and HEADERS choose how many.
import { strict as assert } from 'node:assert';
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import mm from 'egg-mock';
import { MemorySessionStore, type SessionOptions, type SessionRecord } from '..';
import { dataOf, USER_AGENT } from '../benchmark/cases';
import { send, strangers } from '../benchmark/load';
import { grouped, markdown, median, progress } from '../benchmark/report';
import { SealedCookie } from '../module/cookie/SealedCookie';
import { Sealer } from '../module/cookie/Sealer';
import { Client, createApp } from '../test/support/app';
import { IndexedSite, type IndexedStore, MEMORY, REDIS } from '../test/support/indexed';
import { keyOf } from '../test/support/keyOf';

const REQUESTS = Number(process.env.REQUESTS ?? 200_000);
const HEADERS = Number(process.env.HEADERS ?? 20_000);
const CONNECTIONS = 20;
const BROWSERS = 1000;
const PORTION = 2000;
const DAY = 24 * 3600 * 1000;
/** Of which the memory is measured. */
const SESSIONS = 20_000;
/** More than the memory store and what the plugin remembers of ids have room for. */
const SIGN_INS_TO_FILL = 12_000;
const WARM_UP_REQUESTS = 30_000;
/** In ms, in which the memory store drops what its index has of sessions that are gone. */
const PURGE = 6000;
/** By how much the heap may grow, in percent. */
const BOUND = 2;

const failures: string[] = [];
const agent = new http.Agent({ keepAlive: true, maxSockets: CONNECTIONS });

async function get(port: number, path: string, headers: http.OutgoingHttpHeaders = {}): Promise<http.IncomingMessage> {
  const [ response ] = await once(http.get({ host: '127.0.0.1', port, path, agent, headers }), 'response') as [ http.IncomingMessage ];
  response.resume();
  await once(response, 'end');
  return response;
}

/** Runs so often in all, in portions. */
async function times(what: string, count: number, run: (portion: number) => Promise<unknown>): Promise<void> {
  for (let done = 0; done < count; done += PORTION) {
    if (done % 20_000 === 0) progress(`${what}: ${done} of ${count}`);
    await run(Math.min(PORTION, count - done));
  }
}

/** Runs so often, on each connection one at a time. */
async function together(count: number, run: () => Promise<unknown>): Promise<void> {
  let left = count;
  await Promise.all(Array.from({ length: CONNECTIONS }, async () => {
    while (left-- > 0) await run();
  }));
}

/** What is in use, in bytes. */
async function heap(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    globalThis.gc!();
    await new Promise(setImmediate); // what is called when objects are collected
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

let user = 0;

async function signIn(session: any) {
  await session.regenerate();
  session.userId = ++user;
  session.text = 'x'.repeat(100);
}

/** What requests do in turn. */
const MIX: Array<(session: any) => unknown> = [
  session => session.n,
  session => session.n,
  session => session.n,
  session => { session.n = (session.n ?? 0) + 1; },
  session => { session.n = (session.n ?? 0) + 1; },
  signIn,
  session => session.destroy(),
  signIn,
];

/** Reads, writes, sign-ins and sign-outs, of browsers that keep their cookie or lose it: does the heap grow? */
async function soak(name: string, open: () => Promise<{ client: Client; close(): Promise<void> }>): Promise<string[]> {
  const { client, close } = await open();
  const pathOf = async (act: (session: any) => unknown) => {
    let path = '';
    await client.run(async (session, ctx) => {
      path ||= ctx.originalUrl;
      await act(session);
      return { userId: 1234567 };
    });
    return path;
  };
  const [ toSignIn, toAny ] = [ await pathOf(signIn), await pathOf(session => MIX[randomInt(MIX.length)](session)) ];
  const browsers = strangers(BROWSERS);
  const any = async (portion: number) => {
    for (let i = 0; i < BROWSERS / 10; i++) browsers[randomInt(BROWSERS)].cookie = 'none=1';
    await send(client, toAny, browsers, portion, CONNECTIONS);
  };
  await times(`${name}, sign-ins that fill what remembers`, SIGN_INS_TO_FILL, portion => send(client, toSignIn, strangers(portion), portion, CONNECTIONS));
  await times(`${name}, warm-up`, WARM_UP_REQUESTS, any);
  await sleep(PURGE);
  const before = await heap();
  await times(name, REQUESTS, any);
  await sleep(PURGE);
  const after = await heap();
  await close();
  const growth = (after / before - 1) * 100;
  if (growth > BOUND) failures.push(`${name}: the heap has grown by ${growth.toFixed(1)} %, which is more than ${BOUND} %`);
  const row = [ name, grouped(REQUESTS), ...[ before, after ].map(bytes => `${(bytes / 2 ** 20).toFixed(1)} MB`), `${growth > 0 ? '+' : ''}${growth.toFixed(1)} %` ];
  progress(row.join(', '));
  return row;
}

async function openCookie() {
  const app = await createApp('web', { session: {} });
  const client = await Client.of(app);
  return {
    client,
    async close() {
      await client.close();
      await app.close();
    },
  };
}

const openStore = (subject: IndexedStore) => async () => {
  const site = new IndexedSite(subject);
  await site.boot();
  return { client: site.browser(), close: () => site.close() };
};

/** What the memory store keeps of a session, in bytes. */
async function perSession(size: number, options: SessionOptions): Promise<number> {
  const site = new IndexedSite(MEMORY);
  await site.boot(options);
  await site.browser().run(session => void Object.assign(session, dataOf(size)), { 'user-agent': USER_AGENT });
  const stored = site.store as MemorySessionStore;
  let record: SessionRecord | undefined;
  for await (const [ key ] of stored.list()) record = await stored.get(key);
  await site.close();
  const measured: number[] = [];
  for (let i = 0; i < 5; i++) measured.push(await fill(record!, Boolean(options.principal)));
  return median(measured);
}

class Store extends MemorySessionStore {
  protected override readonly maxEntries = SESSIONS;
}

async function fill(record: SessionRecord, isIndexed: boolean): Promise<number> {
  const before = await heap();
  const store = new Store();
  for (let i = 0; i < SESSIONS; i++) {
    await store.set(keyOf(`${i}`), record, DAY);
    if (isIndexed) await store.index(`${i}`, keyOf(`${i}`), DAY);
  }
  const bytes = (await heap() - before) / SESSIONS;
  await store.close();
  return bytes;
}

/** What a process keeps of a cookie that it has opened, in bytes, and of how many of these at most. */
async function perCookie(text: (i: number) => string): Promise<[ bytes: number, count: number ]> {
  const caches = 20;
  const sealer = new Sealer([ 'a key' ]);
  const before = await heap();
  const opened = Array.from({ length: caches }, () => new SealedCookie(sealer, 'EGG_SESS'));
  const sizeOf = (cookie: SealedCookie) => (cookie as unknown as { opened: { size: number } }).opened.size;
  for (const [ n, cookie ] of opened.entries()) {
    let size = -1;
    for (let i = n * 100_000; sizeOf(cookie) > size; i++) {
      size = sizeOf(cookie);
      cookie.open(sealer.seal('EGG_SESS', text(i)));
    }
  }
  const bytes = await heap() - before;
  const count = opened.reduce((all, cookie) => all + sizeOf(cookie), 0); // after that: until then, they are in use
  return [ bytes / count, count / caches ];
}

const CHARACTERS = Array.from({ length: 0x5f }, (_, i) => String.fromCharCode(0x20 + i)).join('') + '\t\u00e9\u00ff';
const randomText = (length: number) => Array.from({ length }, () => CHARACTERS[randomInt(CHARACTERS.length)]).join('');

/** A cookie with one to four random changes. */
function mutated(cookie: string): string {
  let text = cookie;
  for (let i = randomInt(1, 5); i > 0; i--) {
    const at = randomInt(text.length + 1);
    const parts = [ '', randomText(1), text.slice(at, at + randomInt(20)).repeat(2), randomText(randomInt(50)) ];
    text = text.slice(0, at) + parts[randomInt(parts.length)] + text.slice(at + randomInt(3));
  }
  return text;
}

/** Sends so many `Cookie` headers that nobody has made. */
async function fuzz(session: object): Promise<void> {
  mm.consoleLevel('NONE');
  const app = await createApp('web', { session });
  const client = await Client.of(app);
  let path = '';
  await client.run((each: any, ctx) => {
    path = ctx.originalUrl;
    each.n = (each.n ?? 0) + 1;
  });
  const good = client.cookies.header(new URL('http://127.0.0.1/'));
  const answers: Record<string, number> = {};
  await times(`Cookie headers, ${JSON.stringify(session)}`, HEADERS, portion => together(portion, async () => {
    const cookie = randomInt(2) ? mutated(good) : `EGG_SESS=${randomText(randomInt(200))}; ${randomText(randomInt(200))}`;
    const { statusCode } = await get(client.port, path, { cookie });
    answers[statusCode!] = (answers[statusCode!] ?? 0) + 1;
  }));
  console.log(`${HEADERS} random and mutated Cookie headers, ${JSON.stringify(Object.keys(session))}: ${JSON.stringify(answers)}`);
  assert.deepEqual(Object.keys(answers), [ '200' ]);
  await client.close();
  await app.close();
}

/** What is in the cookies, each in another one. */
const COOKIES: Record<string, (i: number) => string> = {
  'the id of a session': () => randomBytes(18).toString('base64url'),
  'a session of 200 B': i => JSON.stringify({ ...dataOf(200), n: i }),
  'a session of 2,000 B': i => JSON.stringify({ ...dataOf(2000), n: i }),
};

async function main() {
  mm.consoleLevel('NONE');
  const memory: string[][] = [];
  for (const size of [ 200, 3000 ]) {
    progress(`what a session of ${size} bytes takes in memory`);
    memory.push([ `session of ${grouped(size)} B in \`MemorySessionStore\``, grouped(await perSession(size, { principal: undefined })), '' ]);
    memory.push([ 'the same, with `principal`', grouped(await perSession(size, { principal: 'userId' })), '' ]);
  }
  for (const [ what, text ] of Object.entries(COOKIES)) {
    progress(`what an opened cookie takes: ${what}`);
    memory.push([ `opened cookie: ${what}`, ...(await perCookie(text)).map(grouped) ]);
  }
  const rows = [ await soak('cookie', openCookie), await soak('`MemorySessionStore`, which is full', openStore(MEMORY)), await soak('`RedisSessionStore`', openStore(REDIS)) ];
  markdown('Heap before and after requests', [ 'store', 'requests', 'heap before', 'heap after', 'growth' ], rows);
  markdown('Memory of the process for each', [ '', 'bytes', 'at most' ], memory);
  await fuzz({});
  await fuzz({ encrypt: false });
  for (const failure of failures) console.error(failure);
  return failures.length;
}

main().then(failed => process.exit(failed && 1), err => { console.error(err); process.exit(1); });
