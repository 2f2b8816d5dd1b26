// Many sessions and many cookies through one application: does memory grow, does a request fail? `npm run soak` runs it with
// --expose-gc; SESSIONS and HEADERS choose how many.
import { strict as assert } from 'node:assert';
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import mm from 'egg-mock';
import { Client, createApp } from '../test/support/app';
import { IndexedSite, type IndexedStore, INDEXED_STORES } from '../test/support/indexed';

const SESSIONS = Number(process.env.SESSIONS ?? 100_000);
const HEADERS = Number(process.env.HEADERS ?? 20_000);
const CONNECTIONS = 20;
/** By how much the heap may grow, in MB. */
const BOUND = 8;

const agent = new http.Agent({ keepAlive: true, maxSockets: CONNECTIONS });

async function get(port: number, path: string, headers: http.OutgoingHttpHeaders = {}): Promise<http.IncomingMessage> {
  const [ response ] = await once(http.get({ host: '127.0.0.1', port, path, agent, headers }), 'response') as [ http.IncomingMessage ];
  response.resume();
  await once(response, 'end');
  return response;
}

async function times(count: number, run: () => Promise<unknown>): Promise<void> {
  let left = count;
  await Promise.all(Array.from({ length: CONNECTIONS }, async () => {
    while (left-- > 0) await run();
  }));
}

function heap(): number {
  for (let i = 0; i < 3; i++) globalThis.gc!();
  return process.memoryUsage().heapUsed / 2 ** 20;
}

/** Signs so many users in, each in a session of its own. */
async function soak(subject: IndexedStore): Promise<void> {
  const site = new IndexedSite(subject);
  await site.boot();
  let user = 0;
  const client = site.browser();
  let path = '';
  await client.run(async (session: any, ctx) => {
    path = ctx.originalUrl;
    await session.regenerate();
    session.userId = ++user;
    session.text = randomBytes(100).toString('hex');
  });
  const signIn = async () => {
    const { statusCode } = await get(client.port, path);
    assert.equal(statusCode, 200);
  };
  await times(20_000, signIn); // the memory store is full, and the code is warm
  const before = heap();
  await times(SESSIONS, signIn);
  const after = heap();
  console.log(`${subject.name}: ${SESSIONS} sign-ins; heap ${before.toFixed(1)} MB before, ${after.toFixed(1)} MB after`);
  assert.ok(after - before < BOUND, `the heap has grown by more than ${BOUND} MB`);
  await site.close();
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
  await times(HEADERS, async () => {
    const cookie = randomInt(2) ? mutated(good) : `EGG_SESS=${randomText(randomInt(200))}; ${randomText(randomInt(200))}`;
    const { statusCode } = await get(client.port, path, { cookie });
    answers[statusCode!] = (answers[statusCode!] ?? 0) + 1;
  });
  console.log(`${HEADERS} random and mutated Cookie headers, ${JSON.stringify(Object.keys(session))}: ${JSON.stringify(answers)}`);
  assert.deepEqual(Object.keys(answers), [ '200' ]);
  await client.close();
  await app.close();
}

async function main() {
  for (const subject of INDEXED_STORES.slice(0, 2)) await soak(subject);
  await fuzz({});
  await fuzz({ encrypt: false });
}

main().then(() => process.exit(), err => { console.error(err); process.exit(1); });
