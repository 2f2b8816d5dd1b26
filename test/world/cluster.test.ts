import { strict as assert } from 'node:assert';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fixtureDir } from '../support/app';
import { Browser } from '../support/Browser';
import { type Server, startServer, visit } from '../support/egg-server';

describe('in processes of its own', () => {
  const root = path.join(__dirname, '../..');
  let baseDir: string;
  let server: Server | undefined;

  // the logs, and all else that Egg writes into an application's folder
  before(() => {
    baseDir = fs.mkdtempSync(path.join(os.tmpdir(), 'egg-tegg-session-'));
    fs.cpSync(fixtureDir('cluster'), baseDir, { recursive: true });
    fs.symlinkSync(path.join(root, 'node_modules'), path.join(baseDir, 'node_modules'));
  });
  afterEach(async () => {
    await server?.stop();
    server = undefined;
  });
  after(() => fs.rmSync(baseDir, { recursive: true }));

  const start = async (args: (port: number) => string[]) => {
    server = await startServer(args, {
      cwd: baseDir,
      env: {
        EGG_SERVER_ENV: 'prod',
        EGG_TYPESCRIPT: 'true',
        NODE_LOG_DIR: path.join(baseDir, 'logs'),
        NODE_OPTIONS: `--require ${require.resolve('../support/transpile')}`,
      },
    });
    return server.port;
  };

  it('counts visits with egg.start', async () => {
    const port = await start(port => [ 'start.ts', String(port) ]);
    const browser = new Browser(port);
    for (let visits = 1; visits < 4; visits++) assert.equal((await visit(browser)).visits, visits);
    assert.equal((await visit(new Browser(port))).visits, 1);
  });

  it('counts visits that two workers share', async () => {
    const port = await start(port => [
      require.resolve('egg-scripts/bin/egg-scripts.js'), 'start', '--workers=2', `--port=${port}`,
    ]);
    const browser = new Browser(port);
    const pids = new Set<number>();
    let visits = 0;
    while (visits < 4 || pids.size < 2) {
      const answer = await visit(browser);
      pids.add(answer.pid);
      assert.equal(answer.visits, ++visits);
      assert.ok(visits < 200, 'all requests went to one worker');
    }
    assert.equal((await visit(new Browser(port))).visits, 1);
  });
});
