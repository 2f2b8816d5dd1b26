import type { Application, Context } from 'egg';
import mm, { type MockApplication } from 'egg-mock';
import type { SessionOptions } from '../..';
import { type AppOptions, Client, createApp, fixture, fixtureDir } from './app';
import { MapStore } from './MapStore';
import { bootOrShare, closeLeft, leave } from './shared';

export const KEYS = [ 'a test key', 'another test key' ];
export const NAME = 'EGG_SESS';
export const DAY = 24 * 3600 * 1000;
export const HTTPS = { 'x-forwarded-proto': 'https' };

export type Handle = (session: any, ctx: Context) => unknown;

export const count: Handle = session => {
  session.n = (session.n ?? 0) + 1;
  return { n: session.n };
};
export const read: Handle = session => ({ n: session.n ?? null, isNew: session.isNew });
export const EMPTY = { n: null, isNew: true };

const open: Array<{ close(): Promise<unknown> }> = [];

const createWeb = (options: AppOptions) => createApp('web', options);

/** Boots the application with these options, after the one before it has ended; or gives that one, see {@link bootOrShare}. */
export async function start(session: SessionOptions = {}, { config, boot, keys = KEYS }: AppOptions & { keys?: string[] } = {}) {
  await stop();
  mm.consoleLevel('NONE');
  const options: AppOptions = { session, boot, config: { keys: keys.join(), ...config } };
  const app = await bootOrShare(options, createWeb);
  open.unshift({ close: () => leave(app) });
  return await clientOf(app);
}

/** Boots an application with the real egg-session, which egg-mock would replace by the plugin that is tested. */
export async function startEggSession(session: SessionOptions = {}) {
  await stop();
  await closeLeft();
  mm.consoleLevel('NONE');
  fixture.config = { session, keys: KEYS.join() };
  fixture.boot = undefined;
  const app = mm.app({ baseDir: fixtureDir('egg-session'), cache: false, ...{ plugin: false } });
  await app.ready();
  open.unshift(app);
  return await clientOf(app);
}

async function clientOf(app: MockApplication) {
  const client = await Client.of(app);
  open.unshift(client);
  return { app, client, run: (handle: Handle, headers?: Record<string, string>) => client.run(handle, headers) };
}

export async function stop() {
  mm.restore();
  for (const each of open.splice(0)) await each.close();
}

/** The lines about sessions in the log, and the events; both from now on. */
export function listen(app: MockApplication) {
  app.mockLog('coreLogger');
  const events: string[] = [];
  for (const name of [ 'missed', 'expired', 'invalid' ]) {
    (app as unknown as Application).on(`session:${name}`, () => events.push(name));
  }
  return {
    events,
    lines: () => (app.getLogger('coreLogger') as unknown as { _mockLogs: string[] })._mockLogs
      .filter(line => line.includes('[session]')),
  };
}

/** Where sessions are kept: each test of cookies holds for the data in them, and for an id. */
export const MODES: Array<[ mode: string, given: () => SessionOptions, sealedFor: string ]> = [
  [ 'the data', () => ({}), NAME ],
  [ 'the id of a session in a store', () => ({ store: new MapStore() }), `${NAME} id` ],
];
