import type { Application, Context } from 'egg';
import mm, { type MockApplication } from 'egg-mock';
import Redis, { Cluster } from 'ioredis';
import { type Session, type SessionOptions, SessionRegistry, type SessionStore } from '../..';
import { AppSessionStore as AppRedisStore } from '../fixtures/apps/redis-store/modules/store/AppSessionStore';
import { AppSessionStore as AppMysqlStore } from '../fixtures/apps/mysql-store/modules/store/AppSessionStore';
import { AppSessionStore as AppPostgresStore } from '../fixtures/apps/postgres-store/modules/store/AppSessionStore';
import { principalColumn } from '../../module/database/rows';
import { Client, createApp, later } from './app';
import { DATABASES, type TestDatabase } from './databases';
import { startRedis, startRedisCluster } from './servers';

/** One of each kind of store that knows whose sessions it has, as a tegg class of an application. */
export interface IndexedStore {
  name: string;
  fixture: 'memory-store' | 'redis-store' | 'indexed-store' | 'postgres-store' | 'mysql-store';
  /** Whether what has moved or ended leaves a trace for a while. */
  hasTombstones: boolean;
  /** Starts its server. What is returned stops it. */
  open(): Promise<() => Promise<void>>;
  /** What is open, when it is a database. */
  database?(): TestDatabase;
}

const nothing = async () => async () => undefined;

export const MEMORY: IndexedStore = { name: 'MemorySessionStore', fixture: 'memory-store', hasTombstones: true, open: nothing };

const CUSTOM: IndexedStore = { name: 'a SessionStore with five methods', fixture: 'indexed-store', hasTombstones: false, open: nothing };

/** Redis, or a Cluster, behind a client with a `keyPrefix` of its own, and with another `prefix` in the store. */
export function redisStore(title = '', { keyPrefix = '', prefix = 'session:', isCluster = false } = {}): IndexedStore {
  return {
    name: `RedisSessionStore${title}`,
    fixture: 'redis-store',
    hasTombstones: true,
    async open() {
      const server = isCluster ? await startRedisCluster() : await startRedis();
      const client = 'ports' in server
        ? new Cluster(server.ports.map(port => ({ host: '127.0.0.1', port })), { keyPrefix })
        : new Redis(server.port, { keyPrefix });
      Object.assign(AppRedisStore, { client, prefix });
      return async () => {
        client.disconnect();
        await server.stop();
      };
    },
  };
}

export const REDIS = redisStore();
export const CLUSTER = redisStore(' on a Cluster', { isCluster: true });

/** A database, with tables of its own. */
function databaseStore(fixture: 'postgres-store' | 'mysql-store', AppStore: { database: TestDatabase }, { open }: { open(): Promise<TestDatabase> }, name: string): IndexedStore {
  return {
    name, fixture,
    hasTombstones: true,
    async open() {
      AppStore.database = await open();
      return AppStore.database.close;
    },
    database: () => AppStore.database,
  };
}

export const POSTGRES = databaseStore('postgres-store', AppPostgresStore, DATABASES.PostgreSQL, 'PostgresSessionStore');
export const MYSQL = databaseStore('mysql-store', AppMysqlStore, DATABASES.MariaDB, 'MysqlSessionStore');

export const INDEXED_STORES = [ MEMORY, REDIS, CLUSTER, CUSTOM, POSTGRES, MYSQL ];

/** Of these, one with all methods and one without tombstones: for what the plugin decides above the store, see `ALL_METHODS_OR_THREE`. */
const WITH_TOMBSTONES_OR_WITHOUT = [ REDIS, CUSTOM ];

/** As servers have it, whatever `later()` says. */
const unmockedNow = () => Math.round(performance.timeOrigin + performance.now());

const nodesOf = (redis: Redis | Cluster) => (redis instanceof Cluster ? redis.nodes('master') : [ redis ]);

type Handle = (session: Session & Record<string, any>, ctx: Context) => unknown;

/** What tests look at in a store that is in this process. */
interface OwnStore {
  principals: Map<string, Map<string, number>>;
  /** As a `MapStore` and a `MemorySessionStore` name them. */
  entries?: Map<string, unknown>;
  records: Map<string, unknown>;
}

/** An application that knows whose sessions it has, by `userId`, and its browsers. */
export class IndexedSite {
  app!: MockApplication;
  /** As a class of the application has it injected. */
  registry!: SessionRegistry;
  private first!: Client;
  private stop!: () => Promise<void>;
  private readonly browsers: Client[] = [];

  constructor(readonly subject: IndexedStore, private readonly options: SessionOptions = {}) {}

  async boot(options: SessionOptions = {}) {
    this.stop = await this.subject.open();
    this.app = await createApp(this.subject.fixture, { session: { principal: 'userId', ...this.options, ...options } });
    this.registry = await this.app.getEggObject(SessionRegistry);
    this.first = await Client.of(this.app);
  }

  async close() {
    mm.restore();
    await this.first.close();
    await this.app.close();
    await this.stop();
  }

  /** The client of the Redis server; undefined when sessions are in memory. */
  get redis(): Redis | Cluster | undefined {
    return this.subject.fixture === 'redis-store' ? AppRedisStore.client : undefined;
  }

  /** The store, as the application has it. */
  get store(): SessionStore {
    return (this.app as unknown as Application).config.session.store as SessionStore;
  }

  private get own(): OwnStore {
    return this.store as unknown as OwnStore;
  }

  /** The keys that the store has noted for a principal, whether there are such sessions or not. */
  async noted(principal: string): Promise<string[]> {
    if (this.redis) return await this.redis.zrange(`${AppRedisStore.prefix}principal:${principal}`, 0, -1);
    const database = this.subject.database?.();
    if (database) {
      const rows = await database.query(`SELECT session_key FROM ${database.table}_principals WHERE principal = ? AND expires_at > ${unmockedNow()}`, principalColumn(principal));
      return rows.map(({ session_key }) => String(session_key));
    }
    return [ ...this.own.principals.get(principal)?.keys() ?? [] ];
  }

  /** Takes the index of a principal out of the store, and leaves the sessions. */
  async loseIndex(principal: string): Promise<void> {
    const database = this.subject.database?.();
    if (this.redis) await this.redis.del(`${AppRedisStore.prefix}principal:${principal}`);
    else if (database) await database.query(`DELETE FROM ${database.table}_principals WHERE principal = ?`, principalColumn(principal));
    else this.own.principals.delete(principal);
  }

  /** Time passes, here and for the store's server. */
  async later(ms: number): Promise<void> {
    later(ms);
    const database = this.subject.database?.();
    if (database) {
      await database.query(`UPDATE ${database.table} SET expires_at = expires_at - ${ms}, created_at = created_at - ${ms}`);
      await database.query(`UPDATE ${database.table}_principals SET expires_at = expires_at - ${ms}`);
    }
    for (const node of this.redis ? nodesOf(this.redis) : []) {
      for (const key of await node.keys('*')) {
        const left = await node.pttl(key);
        if (left >= 0) await node.pexpire(key, left - ms);
      }
    }
  }

  /** Takes a record out of the store, as its server may, without a word to the plugin. */
  async lose(key: string): Promise<void> {
    const database = this.subject.database?.();
    if (this.redis) await this.redis.del(AppRedisStore.prefix + key);
    else if (database) await database.query(`DELETE FROM ${database.table} WHERE session_key = ?`, key);
    else (this.own.entries ?? this.own.records).delete(key);
  }

  /** A request that has loaded its session when this resolves, and runs `handle` after `go()`. */
  async slow(browser: Client, handle: Handle) {
    let go!: () => void;
    const held = new Promise<void>(resolve => {
      go = resolve;
    });
    let done!: Promise<Awaited<ReturnType<Client['run']>>>;
    await new Promise<void>(resolve => {
      done = browser.copy().tryRun(async (session, ctx) => {
        session.toJSON();
        resolve();
        await held;
        return await handle(session, ctx);
      });
    });
    return {
      async finish() {
        go();
        return await done;
      },
    };
  }

  /** A new browser. */
  browser(): Client {
    const browser = this.first.another();
    this.browsers.push(browser);
    return browser;
  }

  /** A new browser that signs in, as applications should. */
  async signIn(userId: string | number, more: Handle = () => undefined, userAgent = 'a browser'): Promise<Client> {
    const browser = this.browser();
    await browser.run(async (session: any, ctx) => {
      await session.regenerate();
      session.userId = userId;
      await more(session, ctx);
    }, { 'user-agent': userAgent });
    return browser;
  }

  /** Who is signed in there, as far as the application knows; null when nobody is. */
  async user(browser: Client): Promise<unknown> {
    return (await browser.run((session: any) => ({ userId: session.userId ?? null }))).json().userId;
  }
}

/** A suite for each of some indexed stores. */
export function forEachIndexedStore(title: string, define: (site: IndexedSite) => void, options: SessionOptions = {},
  subjects: IndexedStore[] = WITH_TOMBSTONES_OR_WITHOUT): void {
  for (const subject of subjects) {
    describe(`${title}, with ${subject.name}`, () => {
      const site = new IndexedSite(subject, options);
      before(() => site.boot());
      afterEach(() => mm.restore());
      after(() => site.close());
      define(site);
    });
  }
}
