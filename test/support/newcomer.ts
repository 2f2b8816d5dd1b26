import { exec, fork } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { ROOT } from './docs';

/** The files of an application by their paths; null takes a file away. */
export type Files = Record<string, string | null>;

const controllerOf = (body: string) => `
import { Context, HTTPController, HTTPMethod, HTTPMethodEnum, Inject } from '@eggjs/tegg';
import { Session } from 'egg-tegg-session';

@HTTPController()
export class HomeController {
  @Inject()
  private readonly session: Session & Record<string, any>;

  @HTTPMethod({ method: HTTPMethodEnum.GET, path: '/' })
  async home(@Context() ctx: any) {
    ${body}
    return { visits: this.session.visits };
  }
}
`;

const TEGG = `
  teggConfig: { enable: true, package: '@eggjs/tegg-config' },
  tegg: { enable: true, package: '@eggjs/tegg-plugin' },
  teggController: { enable: true, package: '@eggjs/tegg-controller-plugin' },`;

/** `config/plugin.ts`; what is left out makes the start quicker. */
export const plugins = (more = '', tegg = TEGG) => `export default {
  watcher: { enable: false }, development: { enable: false }, i18n: { enable: false }, multipart: { enable: false },
  logrotator: { enable: false }, static: { enable: false }, jsonp: { enable: false }, view: { enable: false }, ${tegg}
  session: { enable: true, package: 'egg-tegg-session' }, ${more}
};`;

/** `config/config.default.ts`. */
export const config = (session: string, more = 'keys: \'a key\',') => `export default { ${more} session: ${session} };`;

/** A controller whose route `/` does this before it answers. */
export const controller = (body: string): Files => ({ 'app/module/web/HomeController.ts': controllerOf(body) });

const moduleNamed = (name: string) => `{ "name": "${name}", "eggModule": { "name": "${name}" } }`;

/** What the classes of the tests use. */
export const IMPORTS = `
import { Inject, SingletonProto } from '@eggjs/tegg';
import { RedisSessionStore, Session, SessionStore } from 'egg-tegg-session';
`;
/** A store on what is injected as `redis`. */
export const redisStore = (decorator = '@SingletonProto()'): Files => ({
  'app/module/store/package.json': moduleNamed('store'),
  'app/module/store/AppSessionStore.ts': `${IMPORTS}
    ${decorator}
    export class AppSessionStore extends RedisSessionStore { @Inject() protected readonly redis: any; }`,
});
/** The plugin redis, with a server at this port. */
export const redisAt = (port: number, more = ''): Files => ({
  'config/plugin.ts': plugins('redis: { enable: true, package: \'egg-redis\' }'),
  'config/config.default.ts': config('{}', `keys: 'a key', redis: { client: {
    host: '127.0.0.1', port: ${port}, password: '', db: 0, maxRetriesPerRequest: 1, ${more} } },`),
});
/** A class, Visitor.ts, in the module of the controller. */
export const classFile = (code: string): Files => ({ 'app/module/web/Visitor.ts': `${IMPORTS}${code}` });

/** The application of the quick start. */
const APPLICATION: Files = {
  'package.json': '{ "name": "newcomer", "egg": { "typescript": true } }',
  'config/plugin.ts': plugins(),
  'config/config.default.ts': config('{}'),
  'app/module/web/package.json': moduleNamed('web'),
  ...controller('this.session.visits = (this.session.visits ?? 0) + 1;'),
};

const made: string[] = [];
process.once('exit', () => made.forEach(dir => fs.rmSync(dir, { recursive: true, force: true })));

/** A process that has loaded Egg, and has served applications that have left nothing; it takes the next one, as it takes seconds to start another. */
let ready: ReturnType<typeof launch> | undefined;

const USUAL: NodeJS.ProcessEnv = { NODE_ENV: 'development', EGG_SERVER_ENV: 'local' };

function launch(env: NodeJS.ProcessEnv) {
  const child = fork(__filename, {
    execArgv: [ '-r', path.join(__dirname, 'transpile.js') ],
    stdio: [ 'ignore', 'pipe', 'pipe', 'ipc' ],
    env: { ...process.env, ...USUAL, EGG_TYPESCRIPT: 'true', EGG_LOG: undefined, NODE_V8_COVERAGE: undefined, ...env },
  });
  return { child, streams: [ child.stdout!, child.stderr! ], closed: once(child, 'close') };
}

/** What it prints when it has served one. */
const SERVED = '\n(served)\n';

/**
 * Starts the application of the quick start with other files, in a process that serves nothing else meanwhile, as a newcomer does; sends
 * two requests.
 *
 * @param files those that differ
 * @param env of its process
 * @param commands what else the newcomer types, where 7001 is the port
 * @return all that the newcomer can read: what the application prints, the error that stops it, and its answers
 */
export async function start(files: Files, env: NodeJS.ProcessEnv = {}, commands: string[] = []): Promise<string> {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'newcomer-'));
  made.push(dir);
  for (const [ name, text ] of Object.entries({ ...APPLICATION, ...files })) {
    if (text === null) continue;
    fs.mkdirSync(path.dirname(path.join(dir, name)), { recursive: true });
    fs.writeFileSync(path.join(dir, name), text);
  }
  fs.symlinkSync(path.join(ROOT, 'node_modules'), path.join(dir, 'node_modules'));
  const isUsual = Object.entries(env).every(([ name, value ]) => USUAL[name] === value);
  const launched = isUsual && ready?.child.connected ? ready : launch(env);
  ready = undefined;
  const { child, streams, closed } = launched;
  let output = '';
  const served = streams.map(stream => new Promise<void>(resolve => {
    let text = '';
    stream.on('data', data => {
      output += data;
      text += data;
      if (text.endsWith(SERVED)) resolve();
    });
  }));
  child.send({ dir, commands });
  const isReady = await Promise.race([ Promise.all(served).then(() => isUsual), closed.then(() => false) ]);
  for (const stream of streams) stream.removeAllListeners('data');
  if (isReady) ready = launched;
  else child.kill();
  return output.replaceAll(SERVED, '');
}

interface Application {
  listen(port: number, host: string): Server;
  close(): Promise<void>;
  agent: { close(): Promise<void> };
}

async function serve(dir: string, commands: string[]) {
  process.chdir(dir);
  const egg = await import('egg');
  const app = await egg.start({ baseDir: dir, ignoreWarning: true }) as unknown as Application;
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  for (let i = 0; i < 2; i++) {
    const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { accept: 'application/json' } });
    console.log('answer %d: %s', response.status, (await response.text()).slice(0, 2000));
  }
  for (const command of commands) {
    console.log('$ %s\n%s', command, (await promisify(exec)(command.replaceAll('7001', String(port)), { cwd: dir })).stdout);
  }
  server.closeAllConnections();
  server.close();
  await app.close();
  await app.agent.close();
}

/** The timers and connections that an application could go on with. */
const left = () => process.getActiveResourcesInfo().filter(name => /^T(CP|imeout)/.test(name)).length;

if (require.main === module) {
  process.once('disconnect', () => process.exit());
  process.on('message', async ({ dir, commands }: { dir: string; commands: string[] }) => {
    const before = left();
    try {
      await serve(dir, commands);
    } catch (err) {
      console.log('the application does not start: %s', (err as Error).message);
      process.exit();
    }
    for (let turns = 0; left() > before; turns++) {
      if (turns === 20) process.exit();
      await sleep(10);
    }
    for (const stream of [ process.stdout, process.stderr ]) stream.write(SERVED);
  });
}
