import mm, { type MockApplication } from 'egg-mock';
import Redis, { Cluster } from 'ioredis';
import { type Session, type SessionOptions, SessionRegistry } from '../..';
import { AppSessionStore as AppRedisStore } from '../fixtures/apps/redis-store/modules/store/AppSessionStore';
import { Client, createApp } from './app';
import { startRedis, startRedisCluster } from './servers';

/** One of each kind of store that knows whose sessions it has, as a tegg class of an application. */
export interface IndexedStore {
  name: string;
  fixture: 'memory-store' | 'redis-store';
  /** Starts its server. What is returned stops it. */
  open(): Promise<() => Promise<void>>;
}

const MEMORY: IndexedStore = { name: 'MemorySessionStore', fixture: 'memory-store', open: async () => async () => undefined };

export const REDIS: IndexedStore = {
  name: 'RedisSessionStore',
  fixture: 'redis-store',
  async open() {
    const server = await startRedis();
    const client = new Redis(server.port);
    AppRedisStore.client = client;
    return async () => {
      client.disconnect();
      await server.stop();
    };
  },
};

const CLUSTER: IndexedStore = {
  name: 'RedisSessionStore on a Cluster',
  fixture: 'redis-store',
  async open() {
    const cluster = await startRedisCluster();
    const client = new Cluster(cluster.ports.map(port => ({ host: '127.0.0.1', port })));
    AppRedisStore.client = client;
    return async () => {
      client.disconnect();
      await cluster.stop();
    };
  },
};

export const INDEXED_STORES = [ MEMORY, REDIS, CLUSTER ];

type Handle = (session: Session & Record<string, any>) => unknown;

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

  /** A new browser. */
  browser(): Client {
    const browser = this.first.another();
    this.browsers.push(browser);
    return browser;
  }

  /** A new browser that signs in, as applications should. */
  async signIn(userId: string | number, more: Handle = () => undefined, userAgent = 'a browser'): Promise<Client> {
    const browser = this.browser();
    await browser.run(async (session: any) => {
      await session.regenerate();
      session.userId = userId;
      await more(session);
    }, { 'user-agent': userAgent });
    return browser;
  }

  /** Who is signed in there, as far as the application knows; null when nobody is. */
  async user(browser: Client): Promise<unknown> {
    return (await browser.run((session: any) => ({ userId: session.userId ?? null }))).json().userId;
  }
}

/** A suite for each kind of indexed store. */
export function forEachIndexedStore(title: string, define: (site: IndexedSite) => void, options: SessionOptions = {},
  subjects: IndexedStore[] = INDEXED_STORES): void {
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
