import { strict as assert } from 'node:assert';
import mm, { type MockApplication } from 'egg-mock';
import Redis from 'ioredis';
import { MemorySessionStore, RedisSessionStore, type SessionOptions, type SessionRecord, type SessionStore, type SessionStoreOptions } from '../..';
import { Client, createApp } from './app';
import { DATABASES } from './databases';
import { MapStore } from './MapStore';
import { startRedis, type TestServer } from './servers';

/** Lets requests wait for one another. */
export function gate() {
  let open!: () => void;
  const opened = new Promise<void>(resolve => {
    open = resolve;
  });
  return { open, opened };
}

const OPTIONS = {} as SessionStoreOptions;

interface Opened {
  store: SessionStore;
  /** For how many ms, from now on, a key is there; 0 when it is not. */
  ttl(key: string): Promise<number> | number;
  close(): Promise<unknown>;
}

export interface Subject {
  name: string;
  /** Whether it has the optional methods: then each step is atomic, and an id that ended leaves a tombstone. */
  atomic: boolean;
  /** Whether it has a clock of its own, which `later()` does not move. */
  hasClock?: boolean;
  open(): Promise<Opened> | Opened;
}

class InMemory extends MemorySessionStore {
  readonly remaining = (key: string) => (this.records.has(key) ? this.records.getRemainingTTL(key) : 0);
}

/** The real server of the suite that runs, for tests that look into it. */
export let server: TestServer;
export let redis: Redis;

/** One of each kind of store. */
export const SUBJECTS: Subject[] = [
  {
    name: 'RedisSessionStore',
    atomic: true,
    hasClock: true,
    async open() {
      server = await startRedis();
      redis = new Redis(server.port);
      const store = new class extends RedisSessionStore {
        protected readonly redis = redis;
      }();
      return {
        store,
        ttl: async key => Math.max(0, await redis.pttl(`session:${key}`)),
        close: async () => {
          redis.disconnect();
          await server.stop();
        },
      };
    },
  },
  {
    name: 'MemorySessionStore',
    atomic: true,
    open() {
      const store = new InMemory();
      return { store, ttl: store.remaining, close: () => store.close() };
    },
  },
  {
    name: 'a store with three methods',
    atomic: false,
    open() {
      const store = new MapStore();
      return {
        store,
        ttl: key => Math.max(0, (store.entries.get(key)?.expires ?? 0) - Date.now()),
        close: () => store.close(),
      };
    },
  },
  ...Object.entries(DATABASES).map(([ name, { open, store }]): Subject => ({
    name: `the store for ${name}`,
    atomic: true,
    hasClock: true,
    async open() {
      const database = await open();
      const { table, query, close } = database;
      return {
        store: store(database),
        async ttl(key) {
          const [ row ] = await query(`SELECT expires_at FROM ${table} WHERE session_key = ?`, key);
          return Math.max(0, Number(row?.expires_at ?? 0) - Date.now());
        },
        close,
      };
    },
  })),
];

/**
 * What the plugin decides above the store is the same with each that has the same methods: it is tested with one that has all, and
 * with one that has three. What a store has to do by itself, as merging and moving, is tested with {@link SUBJECTS}.
 */
export const ALL_METHODS_OR_THREE = SUBJECTS.filter(({ name }) => /^Redis| three /.test(name));

export type Method = 'get' | 'set' | 'touch' | 'getAndTouch' | 'merge' | 'compareAndSet' | 'retire';

type Work = (session: any, ctx: any) => unknown;

/** An application whose sessions are in the store of a subject, and a browser that has one: `{ userId: 1, cart: [ 'a' ] }`. */
export class Site {
  app!: MockApplication;
  client!: Client;
  /** The id of the browser's session. */
  id!: string;
  private opened!: Opened;

  constructor(private readonly subject: Subject, private readonly options: SessionOptions) {}

  get store(): SessionStore {
    return this.opened.store;
  }

  async boot() {
    this.opened = await this.subject.open();
    this.app = await createApp('web', { session: { store: this.store, ...this.options } });
  }

  async close() {
    await this.app.close();
    await this.opened.close();
  }

  async signIn() {
    this.client = await Client.of(this.app);
    const response = await this.client.run((_, ctx) => {
      ctx.session = { userId: 1, cart: [ 'a' ] };
      return ctx.session.save().then(() => ({ id: ctx.session.externalKey }));
    });
    this.id = response.json().id;
  }

  /** What is stored under an id, with the fields about the record. */
  readonly record = async (id = this.id): Promise<SessionRecord | undefined> =>
    await this.store.get(id, 60_000, OPTIONS) ?? undefined;

  /** The data stored under an id; undefined when there is no session. */
  readonly stored = async (id = this.id): Promise<SessionRecord | undefined> => {
    const record = await this.record(id);
    if (!record || '_successor' in record) return undefined;
    return Object.fromEntries(Object.entries(record).filter(([ field ]) => field[0] !== '_'));
  };

  readonly ttl = async (id = this.id) => await this.opened.ttl(id);

  /** Removes the record, and a tombstone that is there, without the plugin. */
  readonly removeElsewhere = (id = this.id) => this.store.destroy(id, OPTIONS);

  /** Writes a record without the plugin. */
  readonly write = (record: SessionRecord, maxAge = 60_000) => this.store.set(this.id, record, maxAge, OPTIONS);

  /** A request that has loaded the session, and goes on with `work` when it is told to. */
  readonly slow = async (work: Work, client = this.client.copy()) => {
    const loaded = gate();
    const goOn = gate();
    const response = client.run(async (session, ctx) => {
      void ctx.session; // what follows is of a session that was read
      loaded.open();
      await goOn.opened;
      return await work(session, ctx);
    });
    await Promise.race([ loaded.opened, response ]);
    const finish = () => {
      goOn.open();
      return response;
    };
    return { finish, client };
  };

  /** Has the next call of a method of the store's wait, once it is `reached`, until it is told to `go`. */
  hold(method: Method) {
    const reached = gate();
    const goOn = gate();
    this.next(method, async call => {
      reached.open();
      await goOn.opened;
      return await call();
    });
    return { reached: reached.opened, go: goOn.open };
  }

  /** Has the next call of a method of the store's fail, before anything is done. */
  fail(method: Method) {
    this.next(method, () => Promise.reject(new Error(`${method} failed`)));
  }

  /** Replaces the next call of a method of the store's. */
  next(method: Method, run: (call: () => Promise<unknown>) => Promise<unknown>) {
    const store = this.store as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
    // a store of three methods is asked by these for what others have a method for
    const name = store[method] ? method : { retire: 'destroy', merge: 'set', compareAndSet: 'set', touch: 'set' }[method as string]!;
    const real = store[name];
    mm(store, name, (...args: unknown[]) => {
      store[name] = real;
      return run(() => real.apply(store, args));
    });
  }

  /** The log lines that say that nothing was saved, from now on. */
  logged() {
    this.app.mockLog('coreLogger');
    return () => (this.app.getLogger('coreLogger') as unknown as { _mockLogs: string[] })._mockLogs
      .filter(line => line.includes('[session][ended]'));
  }
}

/** A suite for each of some stores, each test with a browser that has just signed in. */
export function forEachStore(title: string, define: (site: Site, subject: Subject) => void, options: SessionOptions = {},
  subjects = ALL_METHODS_OR_THREE): void {
  for (const subject of subjects) {
    describe(`${title}, with ${subject.name}`, () => {
      const site = new Site(subject, options);
      before(() => site.boot());
      beforeEach(() => site.signIn());
      afterEach(async () => {
        mm.restore();
        await site.client.close();
      });
      after(() => site.close());
      define(site, subject);
    });
  }
}

/** The timers that `run` sets before it first waits: none of them runs, unless the test has it `fire`. */
export function holdTimers<T>(run: () => T) {
  const timers: Array<{ ms: number; fire: () => void }> = [];
  const setReal = setTimeout;
  mm(globalThis, 'setTimeout', (fire: () => void, ms: number) => {
    timers.push({ ms, fire });
    const timer = setReal(() => undefined, ms);
    return timer.unref();
  });
  try {
    return { result: run(), timers };
  } finally {
    globalThis.setTimeout = setReal;
  }
}

const REMOVED = 'a removal of its record from elsewhere';

/** How a session ends while a slower request of it is running. */
export const ENDS: Record<string, (site: Site) => Promise<unknown>> = {
  'session.destroy()': ({ client }) => client.run(session => session.destroy()),
  'ctx.session = null': ({ client }) => client.run((_, ctx) => {
    ctx.session = null;
  }),
  'regenerate()': ({ client }) => client.run(session => session.regenerate()),
  [REMOVED]: ({ removeElsewhere }) => removeElsewhere(),
};

/** A response that does nothing to the browser's cookies. */
export function setsNoCookie({ setCookies }: { setCookies: string[] }): void {
  assert.deepEqual(setCookies, []);
}

