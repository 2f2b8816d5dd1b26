import { strict as assert } from 'node:assert';
import KeyvMemcache from '@keyv/memcache';
import KeyvMysql from '@keyv/mysql';
import KeyvRedis from '@keyv/redis';
import Keyv from 'keyv';
import { Keyv as Keyv6 } from 'keyv6';
import { type KeyvClient, KeyvSessionStore, type SessionStoreOptions } from '../..';
import { type Subject, testAtOnce, withEach } from '../support/contract';
import { blocksUnder } from '../support/docs';
import { Postgres } from '../support/Postgres';
import { startMemcached, startMysql, startPostgres, startRedis, type TestServer, until } from '../support/servers';

class TestKeyvStore extends KeyvSessionStore {
  constructor(protected readonly keyv: KeyvClient) {
    super();
  }
}

/** Where an adapter keeps sessions. */
interface Place {
  /** Starts a server whose data outlive a crash, where it has such. */
  start(): Promise<TestServer & { url?: string }>;
  keeps: boolean;
  adapter(address: string): object;
}

/** An adapter connects when it is created: if it can't, nobody else handles that rejection. */
function withHandler<T extends { query(sql: string): Promise<unknown> }>(adapter: T): T {
  adapter.query('SELECT 1').catch(() => undefined);
  return adapter;
}

const [ TABLE ] = blocksUnder('docs/stores.md', '### MySQL with Keyv').filter(({ language }) => language === 'sql').map(({ code }) => code);

const PLACES: Record<string, Place> = {
  Redis: {
    start: () => startRedis([ '--appendonly', 'yes', '--appendfsync', 'always' ]),
    keeps: true,
    adapter: address => new KeyvRedis({ url: `redis://${address}`, commandOptions: { timeout: 1500 } }, { connectionTimeout: 1500 }),
  },
  memcached: {
    start: () => startMemcached([ '-I', '4m' ]),
    keeps: false,
    adapter: address => new KeyvMemcache(address, { logger: { log: () => undefined } }),
  },
  PostgreSQL: {
    start: startPostgres,
    keeps: true,
    adapter: address => withHandler(new Postgres(`postgres://postgres@${address}/postgres`)),
  },
  MySQL: {
    // without its strict mode, the server cuts off what is too long for a column, and says nothing
    async start() {
      const server = await startMysql([ '--sql-mode=', '--innodb-flush-log-at-trx-commit=1' ]);
      await server.sql(TABLE);
      return server;
    },
    keeps: true,
    adapter: address => withHandler(new KeyvMysql(`mysql://shop:secret@${address}/shop`)),
  },
};

const VERSIONS: Array<[ version: string, newKeyv: (adapter: any) => KeyvClient ]> = [
  [ '5', adapter => new Keyv(adapter) ],
  [ '6', adapter => new Keyv6(adapter) ],
  [ '6, whose errors somebody listens to', adapter => new Keyv6(adapter).on('error', () => undefined) as unknown as KeyvClient ],
];
const options = { ctx: { coreLogger: { error: assert.fail } } } as unknown as SessionStoreOptions;

/** Each version with each place; that errors are listened to is about Keyv, and not its adapters. */
const cellsOf = (place: string) => VERSIONS.filter(([ version ]) => version.length === 1 || place === 'memcached')
  .map(([ version, newKeyv ]) => ({ version, newStore: (port: number) => new TestKeyvStore(newKeyv(PLACES[place].adapter(`127.0.0.1:${port}`))) }));

describe('Keyv', () => {
  const servers: Record<string, TestServer> = {};
  before(() => withEach(Object.entries(PLACES), async ({ start }, place) => {
    servers[place] = await start();
    const [{ newStore }] = cellsOf(place);
    const store = newStore(servers[place].port);
    await store.get('first', undefined, options); // of adapters that make a table at the same time, one would fail
    await store.close();
  }));
  after(() => Promise.all(Object.values(servers).map(server => server.stop())));

  describe('is a session store', () => {
    // nobody listens at port 1
    testAtOnce(Object.keys(PLACES).flatMap(place => cellsOf(place).map(({ version, newStore }): Subject => [
      `Keyv ${version} with ${place}`, async () => newStore(servers[place].port), () => newStore(1),
    ])));
  });

  it('tells that its server has crashed, and goes on when that is back', () => withEach(Object.entries(PLACES), async ({ keeps }, place) => {
    const server = servers[place];
    for (const { newStore } of cellsOf(place)) {
      const store = newStore(server.port);
      await store.set('before', { n: 1 }, 60_000);
      const launch = await server.restart();
      const results = await Promise.allSettled([
        store.get('before', undefined, options), store.get('another', undefined, options), store.set('before', { n: 2 }, 60_000), store.destroy('before'),
      ]);
      assert.deepEqual(results.map(({ status }) => status), Array(4).fill('rejected'));
      await launch();
      await until('a session is written again', () => store.set('after', { n: 3 }, 60_000).then(() => true));
      assert.deepEqual(await store.get('after', undefined, options), { n: 3 });
      assert.deepEqual(await store.get('before', undefined, options), keeps ? { n: 1 } : undefined);
      await store.close();
    }
  }));
});
