import { once } from 'node:events';
import type { Application } from 'egg';
import type { MockApplication } from 'egg-mock';
import Redis from 'ioredis';
import type { SessionOptions } from '../..';
import { SealedCookie } from '../../module/cookie/SealedCookie';
import { AppSessionStore as AppRedisStore } from '../fixtures/apps/redis-store/modules/store/AppSessionStore';
import { type AppOptions, Client, createApp } from './app';
import { startRedis } from './servers';

/** What a suite looks at: what was asked of the store, and how often a cookie was opened, since it has looked last. */
export interface Work {
  commands: string[];
  opened: number;
}

/** Where sessions are kept. */
export interface Kept {
  name: string;
  fixture: string;
  isStore: boolean;
  /** Starts its server. What is returned stops it. */
  open?(): Promise<() => Promise<void>>;
  /** What gives the commands that were sent since it was called last. */
  watch(app: MockApplication): Promise<() => Promise<string[]>>;
}

const COOKIE: Kept = { name: 'in the cookie', fixture: 'load', isStore: false, watch: async () => async () => [] };

export const MEMORY: Kept = {
  name: 'in memory',
  fixture: 'load-memory',
  isStore: true,
  async watch(app) {
    const calls: string[] = [];
    const store = (app as unknown as Application).sessionStore as unknown as Record<string, unknown>;
    for (const name of [ 'get', 'set', 'destroy', 'touch', 'merge', 'compareAndSet', 'retire', 'index', 'list' ]) {
      const method = store[name] as (...args: unknown[]) => unknown;
      store[name] = (...args: unknown[]) => {
        calls.push(name);
        return method.apply(store, args);
      };
    }
    return async () => calls.splice(0);
  },
};

let monitor: Redis;

/** By what Redis' own MONITOR tells. */
const REDIS: Kept = {
  name: 'in Redis',
  fixture: 'load-redis',
  isStore: true,
  async open() {
    const server = await startRedis();
    const client = new Redis(server.port);
    Object.assign(AppRedisStore, { client, prefix: 'session:' });
    return async () => {
      monitor.disconnect();
      client.disconnect();
      await server.stop();
    };
  },
  async watch() {
    const client = AppRedisStore.client as Redis;
    monitor = await client.monitor();
    let seen: string[] = [];
    let marks = 0;
    monitor.on('monitor', (_time: string, [ command, argument ]: string[], source: string) => {
      if (command.toLowerCase() === 'echo') monitor.emit(argument);
      else if (source !== 'lua') seen.push(command.toLowerCase());
    });
    return async () => {
      const mark = `mark ${marks++}`;
      const marked = once(monitor, mark);
      await client.echo(mark);
      await marked;
      const commands = seen;
      seen = [];
      return commands;
    };
  },
};

export const KEPT = [ COOKIE, MEMORY, REDIS ];

/** An application with `load: 'injected'` for the suite that calls this, and browsers with a session of it: `{ n: 1, userId: 7 }`. */
export function loadingSite(kept: Kept, options: SessionOptions = {}, more: AppOptions = {}) {
  let stop: (() => Promise<void>) | undefined;
  let commands: () => Promise<string[]>;
  const real = SealedCookie.prototype.open;
  let opens = 0;
  const site = {
    app: undefined as unknown as MockApplication,
    client: undefined as unknown as Client,
    /** What the plugin has done since this was called last. */
    async work(): Promise<Work> {
      const work = { commands: await commands(), opened: opens };
      opens = 0;
      return work;
    },
    /** A browser that is signed in. */
    async signIn(): Promise<Client> {
      const browser = site.client.another();
      await browser.run((_, ctx) => {
        ctx.session = { n: 1, userId: 7 };
      });
      await site.work();
      return browser;
    },
  };
  before(async () => {
    SealedCookie.prototype.open = function(value) {
      opens++;
      return real.call(this, value);
    };
    stop = await kept.open?.();
    site.app = await createApp(kept.fixture, { ...more, session: { load: 'injected', ...options } });
    commands = await kept.watch(site.app);
    site.client = await Client.of(site.app);
  });
  after(async () => {
    SealedCookie.prototype.open = real;
    await site.client.close();
    await site.app.close();
    await stop?.();
  });
  return site;
}

export const NOTHING: Work = { commands: [], opened: 0 };
export const NOT_LOADED = /the session was not loaded for this request, as config\.session\.load is 'injected'\. Inject it into the controller.*; or call await ctx\.loadSession\(\) before this/;
