'use strict';

// Starts the application in example/ in one process, as `npm start` does. What it writes goes to a temporary directory. This file is
// JavaScript, to speak before TypeScript is there.
const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const os = require('node:os');
const path = require('node:path');

const HOST = '127.0.0.1';
/** After how many ms without a line there is another one. */
const PATIENCE = 2000;
const begun = Date.now();
let told = begun;

const dir = path.join(os.tmpdir(), `egg-tegg-session-example-${process.getuid?.() ?? 'user'}`);

process.env.EGG_TYPESCRIPT = 'true';
process.env.MODULE_DUMP_PATH = dir;
process.env.EGG_APP_CONFIG = JSON.stringify({
  rundir: path.join(dir, 'run'), logger: { dir: path.join(dir, 'logs'), consoleLevel: 'WARN' },
});

/** Tells what the start is waiting for, also while modules load and no timer runs. */
class Progress {
  files = 0;
  doing = 'loading Egg';
  timer = setInterval(() => this.tick(), PATIENCE / 4);

  constructor() {
    for (const extension of [ '.js', '.ts' ]) {
      const load = require.extensions[extension];
      require.extensions[extension] = (module, file) => {
        this.files++;
        this.tick();
        load(module, file);
      };
    }
  }

  tick() {
    const now = Date.now();
    if (now - told >= PATIENCE) say(`  ${Math.round((now - begun) / 1000)} s: ${this.doing}, ${this.files} files so far`);
  }

  end() {
    clearInterval(this.timer);
  }
}

/** Takes the port before all else; requests wait there for what answers them. */
async function listen(callback) {
  const port = Number(process.env.PORT || 7001);
  if (!Number.isInteger(port) || port < 0 || port > 65535) fail(`PORT is ${process.env.PORT}; it must be a number from 0 to 65535`);
  const server = http.createServer(async (req, res) => (await callback)(req, res)).listen(port, HOST);
  try {
    await once(server, 'listening');
  } catch (err) {
    fail(`Port ${port} ${err.code === 'EADDRINUSE' ? 'is taken' : `cannot be used (${err.code})`}. Choose another one: PORT=8080 npm start`);
  }
  return server.address().port;
}

async function main() {
  let ready;
  const port = await listen(new Promise(resolve => {
    ready = resolve;
  }));
  say('Starting the example. This takes a few seconds, and longer the first time, when its TypeScript is compiled.');
  require('../test/support/transpile.js');
  const progress = new Progress();
  const { start } = require('egg');
  progress.doing = 'loading the application and its plugins';
  const app = await start({ baseDir: path.join(__dirname, '../example'), ignoreWarning: true });
  progress.end();
  ready(app.callback());
  say(`The example runs on http://${HOST}:${port}`);
}

function say(line) {
  told = Date.now();
  fs.writeSync(1, `${line}\n`); // at once, also into a pipe
}

function fail(err) {
  console.error(err);
  process.exit(1);
}

main().catch(fail);
