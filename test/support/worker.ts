import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Settings } from '../fixtures/apps/scale-out/settings';
import { fixtureDir } from './app';
import { type Server, startServer } from './egg-server';

const root = path.join(__dirname, '../..');

/** Starts a worker of the fixture `scale-out`: a whole application in a process and a folder of its own; or another command there. */
export async function startWorker(settings: Settings, command = (port: number) => [ 'start.ts', String(port) ]): Promise<Server> {
  const cwd = fs.mkdtempSync(path.join(os.tmpdir(), 'egg-tegg-session-'));
  fs.cpSync(fixtureDir('scale-out'), cwd, { recursive: true });
  fs.symlinkSync(path.join(root, 'node_modules'), path.join(cwd, 'node_modules'));
  const remove = () => fs.rmSync(cwd, { recursive: true, force: true });
  try {
    const server = await startServer(command, {
      cwd,
      env: {
        EGG_SERVER_ENV: 'prod',
        EGG_TYPESCRIPT: 'true',
        NODE_LOG_DIR: path.join(cwd, 'logs'),
        NODE_OPTIONS: `--require ${require.resolve('./transpile')}`,
        SCALE_OUT: JSON.stringify(settings),
      },
    });
    return {
      ...server,
      async stop() {
        await server.stop();
        remove();
      },
    };
  } catch (err) {
    remove();
    throw err;
  }
}
