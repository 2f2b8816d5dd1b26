import type { Application, Context } from 'egg';
import mm, { type MockApplication } from 'egg-mock';
import type { SessionStoreLike } from '../..';
import { type AppOptions, Client, configure, createApp, fixtureDir } from './app';
import { bootOrShare, closeLeft, leave } from './shared';

/**
 * Whoever comes from egg-session finds what they left: each test of `asEggSession` runs against egg-session 3.3 itself, then
 * against this plugin through `ctx.session`, then through the injected session.
 */
export const SUBJECTS: Array<{ name: string; plugin: string; pick: (session: any, ctx: Context) => any }> = [
  { name: 'egg-session', plugin: 'egg-session', pick: (_, ctx) => ctx.session },
  { name: 'egg-tegg-session: ctx.session', plugin: 'egg-tegg-session', pick: (_, ctx) => ctx.session },
  { name: 'egg-tegg-session: the injected session', plugin: 'egg-tegg-session', pick: session => session },
];
export type Subject = typeof SUBJECTS[number];
export type Handle = (session: any, ctx: Context) => unknown;
export type Headers = Record<string, string>;

export const DAY = 24 * 3600 * 1000;
export const HTTPS = { 'x-forwarded-proto': 'https' };
export const chrome = (version: number) => ({
  ...HTTPS,
  'user-agent': `Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${version}.0.0.0 Safari/537.36`,
});

/** With egg-session, the cookie has no SameSite unless it is configured; with this plugin, none when that is configured. */
const SAME = { cookies: { sameSite: false } };

const open: Array<{ close(): Promise<unknown> }> = [];

/** Boots an application with the real egg-session, which egg-mock would replace by the plugin that is tested. */
async function createEggSessionApp(options: AppOptions): Promise<MockApplication> {
  await closeLeft();
  configure(options);
  const app = mm.app({ baseDir: fixtureDir('egg-session'), cache: false, clean: false, ...{ plugin: false } });
  await app.ready();
  return app;
}

const createPluginApp = (options: AppOptions) => createApp('web', options);

export async function start({ plugin, pick }: Subject, given: AppOptions = {}) {
  const options = { ...given, config: { ...SAME, ...given.config } };
  const app = await bootOrShare(options, plugin === 'egg-session' ? createEggSessionApp : createPluginApp);
  open.unshift({ close: () => leave(app) });
  const client = await Client.of(app);
  open.unshift(client);
  const runOn = (browser: Client) => (handle: Handle, headers?: Headers) =>
    browser.run((session, ctx) => handle(pick(session, ctx), ctx), headers);
  const tryRun = (handle: Handle) => client.tryRun((session, ctx) => handle(pick(session, ctx), ctx));
  return { app, client, run: runOn(client), runOn, tryRun };
}

export async function stop() {
  mm.restore();
  for (const each of open.splice(0)) await each.close();
}

/** The cookies that a response sets, with their attributes; times that depend on the clock are left out. */
export const cookies = ({ setCookies }: { setCookies: string[] }) => setCookies.map(line => line
  .replace(/=[^;]*/, '')
  .replace(/expires=(?!Thu, 01 Jan 1970)[^;]*/, 'expires'));

export const count: Handle = session => {
  session.n = (session.n ?? 0) + 1;
  return { n: session.n };
};
export const begin: Handle = session => {
  session.n = 1;
  return { id: session.externalKey };
};
export const read: Handle = session => ({ n: session.n ?? null });
export const destroy: Handle = (_, ctx) => {
  ctx.session = null;
};

/** A store as egg-session's users write it, which leaves it to the plugin to see that a record has expired. */
export class PlainStore implements SessionStoreLike {
  readonly records = new Map<string, string>();
  constructor(readonly app?: Application) {}
  async get(key: string) {
    const text = this.records.get(key);
    return text && JSON.parse(text);
  }
  async set(key: string, record: object) {
    this.records.set(key, JSON.stringify(record));
  }
  async destroy(key: string) {
    this.records.delete(key);
  }
}
export const useStore = (store: unknown) => (app: Application) => {
  app.sessionStore = store as SessionStoreLike;
};

/** A suite for each subject; `stop` runs after each test. */
export function asEggSession(define: (subject: Subject) => void): void {
  for (const subject of SUBJECTS) {
    describe(`as egg-session does: ${subject.name}`, () => {
      afterEach(stop);
      define(subject);
    });
  }
}
