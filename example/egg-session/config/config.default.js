'use strict';

const { randomBytes } = require('node:crypto');
const { tmpdir } = require('node:os');
const path = require('node:path');

const dir = path.join(tmpdir(), `teahouse-egg-session-${process.pid}`);

module.exports = {
  keys: randomBytes(32).toString('hex'),
  rundir: dir,
  logger: { dir },
  security: { csrf: { enable: false } },
};
