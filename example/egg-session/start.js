'use strict';

// A small Egg application with the egg-session that comes with Egg, for the page of promises: once with sessions in the cookie, and
// once with a store. It ends with the process that has started it.
const fs = require('node:fs');
const { once } = require('node:events');
const { start } = require('egg');

process.once('disconnect', () => process.exit());

async function listen(withStore) {
  const app = await start({ baseDir: __dirname, ignoreWarning: true });
  process.once('exit', () => fs.rmSync(app.config.rundir, { recursive: true, force: true }));
  if (withStore) {
    const records = new Map();
    app.sessionStore = {
      get: async id => records.has(id) && JSON.parse(records.get(id)),
      set: async (id, record) => void records.set(id, JSON.stringify(record)),
      destroy: async id => void records.delete(id),
    };
  }
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server.address().port;
}

async function main() {
  process.send({ cookie: await listen(false), store: await listen(true) });
}

main().catch(err => {
  console.error(err);
  process.exit(1);
});
