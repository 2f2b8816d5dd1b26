// What SessionRegistry costs with 10,000 sessions of one principal among 100,000 in one Redis: time, commands, and how long
// another client had to wait at most while it ran.
import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type Redis from 'ioredis';
import { IndexedSite, REDIS } from '../test/support/indexed';
import { AppSessionStore } from '../test/fixtures/apps/redis-store/modules/store/AppSessionStore';
import { keyOf } from '../test/support/keyOf';
import { table } from './report';

const ALL = 100_000;
const OF_ONE = ALL / 10;
const DAY = 24 * 3600 * 1000;

/** Pings Redis from a thread of its own, so that only Redis keeps it waiting. */
const PING = `
  const { parentPort, workerData } = require('node:worker_threads');
  const Redis = require('ioredis');
  const redis = new Redis(workerData);
  let longest = 0;
  parentPort.on('message', () => { parentPort.postMessage(longest); longest = 0; });
  (async () => {
    for (;;) {
      const start = performance.now();
      await redis.ping();
      longest = Math.max(longest, performance.now() - start);
    }
  })();
`;

export async function registry(): Promise<void> {
  const site = new IndexedSite(REDIS);
  await site.boot();
  const { registry: sessions, app } = site;
  const store = await app.getEggObject(AppSessionStore);
  const redis = AppSessionStore.client as Redis;
  const { port } = redis.options;
  let sent = 0;
  const send = redis.sendCommand;
  redis.sendCommand = (...args) => {
    sent++;
    return send.apply(redis, args);
  };

  for (let i = 0; i < ALL; i += 1000) {
    await Promise.all(Array.from({ length: 1000 }, async (_, j) => {
      const principal = i + j < OF_ONE ? 'one' : `user-${i + j}`;
      const key = keyOf(`${i + j}`);
      const now = Date.now();
      await store.set(key, {
        userId: principal, theme: 'dark', _createdAt: now, _principal: principal, _seenAt: now, _ip: '127.0.0.1', _userAgent: 'Mozilla/5.0',
      }, DAY);
      await store.index(principal, key, DAY);
    }));
  }

  const ping = new Worker(PING, { eval: true, workerData: port });
  const longestWait = async () => {
    ping.postMessage('');
    return (await once(ping, 'message'))[0] as number;
  };

  const rows: string[][] = [];
  async function measure(what: string, run: () => Promise<unknown>) {
    await longestWait();
    sent = 0;
    const start = performance.now();
    const result = await run();
    const ms = performance.now() - start;
    rows.push([ what, String(result ?? ''), `${ms.toFixed(0)} ms`, String(sent), `${(await longestWait()).toFixed(1)} ms` ]);
  }
  await measure('nothing, for 2 s', async () => await sleep(2000));
  await measure('list() of a principal with 1 session', async () => (await sessions.list(`user-${ALL - 1}`)).length);
  await measure('revoke() of that session', async () => await sessions.revoke(`user-${ALL - 1}`, keyOf(`${ALL - 1}`)));
  await measure(`list() of a principal with ${OF_ONE}`, async () => (await sessions.list('one')).length);
  await measure('revoke() of one of them', async () => await sessions.revoke('one', keyOf('0')));
  await measure('revokeAll() of them', async () => await sessions.revokeAll('one'));
  await measure('clear()', async () => await sessions.clear());
  assert.deepEqual(await sessions.list('one'), []);
  assert.equal(await sessions.clear(), 0);
  await ping.terminate();
  await site.close();
  table(`The index: ${ALL} sessions in Redis, ${OF_ONE} of one principal`, [ '', 'result', 'time', 'commands', 'longest wait of another client' ], rows);
}
