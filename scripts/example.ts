// Starts the application in example/ in one process, as `npm start` does. What it writes goes to a temporary directory.
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';

const dir = path.join(os.tmpdir(), `egg-tegg-session-example-${process.getuid?.() ?? 'user'}`);

process.env.EGG_TYPESCRIPT = 'true';
process.env.MODULE_DUMP_PATH = dir;
process.env.EGG_APP_CONFIG = JSON.stringify({
  rundir: path.join(dir, 'run'), logger: { dir: path.join(dir, 'logs'), consoleLevel: 'WARN' },
});

async function main() {
  const { start } = await import('egg');
  const app = await start({ baseDir: path.join(__dirname, '../example'), ignoreWarning: true });
  const port = Number(process.env.PORT || 7001);
  const server = app.listen(port, '127.0.0.1', () => {
    console.log(`The example runs on http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  });
  server.on('error', (err: NodeJS.ErrnoException) => fail(err.code === 'EADDRINUSE' ? `Port ${port} is taken. Choose another one: PORT=8080 npm start` : err));
}

function fail(err: unknown) {
  console.error(err);
  process.exit(1);
}

main().catch(fail);
