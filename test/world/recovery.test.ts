import { strict as assert } from 'node:assert';
import KeyvMemcache from '@keyv/memcache';
import KeyvMysql from '@keyv/mysql';
import mm, { type MockApplication } from 'egg-mock';
import Redis from 'ioredis';
import Keyv from 'keyv';
import { KeyvSessionStore, type SessionStore } from '../..';
import { Client, createApp } from '../support/app';
import { mysqlPool, postgresPool, TestMysqlStore, TestPostgresStore } from '../support/databases';
import { Postgres } from '../support/Postgres';
import { TestRedisStore } from '../support/redis';
import { startMemcached, startMysql, startPostgres, startRedis, type TestServer, until } from '../support/servers';

const keyvStore = (keyv: Keyv) => new class extends KeyvSessionStore {
  protected readonly keyv = keyv;
}();

interface Subject {
  server: TestServer;
  store: SessionStore;
  close(): Promise<unknown> | void;
}

const SUBJECTS: Record<string, { keeps: boolean; open(): Promise<Subject> }> = {
  Redis: {
    keeps: true,
    async open() {
      const server = await startRedis([ '--appendonly', 'yes', '--appendfsync', 'always' ]);
      const redis = new Redis(server.port, { maxRetriesPerRequest: 1 });
      redis.on('error', () => undefined);
      return { server, store: new TestRedisStore(redis), close: () => redis.disconnect() };
    },
  },
  memcached: {
    keeps: false,
    async open() {
      const server = await startMemcached();
      const keyv = new Keyv(new KeyvMemcache(`127.0.0.1:${server.port}`, { logger: { log: () => undefined } }));
      return { server, store: keyvStore(keyv), close: () => keyv.disconnect() };
    },
  },
  'PostgreSQL, by Keyv': {
    keeps: true,
    async open() {
      const server = await startPostgres();
      const keyv = new Keyv(new Postgres(server.url));
      return { server, store: keyvStore(keyv), close: () => keyv.disconnect() };
    },
  },
  'MariaDB, by Keyv': {
    keeps: true,
    async open() {
      const server = await startMysql([ '--innodb-flush-log-at-trx-commit=1' ]); // or a crash loses a second
      const keyv = new Keyv(new KeyvMysql(server.url));
      return { server, store: keyvStore(keyv), close: () => keyv.disconnect() };
    },
  },
  PostgreSQL: {
    keeps: true,
    async open() {
      const server = await startPostgres();
      const store = new TestPostgresStore(postgresPool(server.url));
      return { server, store, close: () => store.close() };
    },
  },
  MariaDB: {
    keeps: true,
    async open() {
      const server = await startMysql([ '--innodb-flush-log-at-trx-commit=1' ]);
      const store = new TestMysqlStore(mysqlPool(server.url));
      return { server, store, close: () => store.close() };
    },
  },
};

describe('after a crash of the store\'s server, sessions go on without a restart of the application', () => {
  for (const [ name, { keeps, open }] of Object.entries(SUBJECTS)) {
    it(`in ${name}`, async () => {
      const { server, store, close } = await open();
      mm.consoleLevel('NONE');
      const app: MockApplication = await createApp('web', { session: { store, storeTimeout: 1000 } });
      const client = await Client.of(app);
      const visit = () => client.tryRun((session: any) => {
        session.visits = (session.visits ?? 0) + 1;
        return { visits: session.visits };
      });
      try {
        assert.deepEqual((await visit()).json(), { visits: 1 });
        const start = await server.restart();
        for (let i = 0; i < 3; i++) assert.equal((await visit()).status, 503);
        await start();
        let answer!: Awaited<ReturnType<typeof visit>>;
        await until('a request works', async () => (answer = await visit()).status === 200);
        assert.deepEqual(answer.json(), { visits: keeps ? 2 : 1 });
      } finally {
        mm.restore();
        await client.close();
        await app.close();
        await close();
        await server.stop();
      }
    });
  }
});
