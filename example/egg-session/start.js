'use strict';

// A small Egg application with the egg-session that Egg brings, for the page of promises. It lives as long as the process
// that has started it.
const fs = require('node:fs');
const { start } = require('egg');

process.once('disconnect', () => process.exit());

async function main() {
  const app = await start({ baseDir: __dirname, ignoreWarning: true });
  process.once('exit', () => fs.rmSync(app.config.rundir, { recursive: true, force: true }));
  if (process.argv[2] === 'store') {
    const records = new Map();
    app.sessionStore = {
      get: async id => records.has(id) && JSON.parse(records.get(id)),
      set: async (id, record) => void records.set(id, JSON.stringify(record)),
      destroy: async id => void records.delete(id),
    };
  }
  const server = app.listen(0, '127.0.0.1', () => process.send(server.address().port));
}

main().catch(err => {
  console.error(err);
  process.exit(1);
});
