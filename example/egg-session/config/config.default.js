'use strict';

const { randomBytes } = require('node:crypto');
const { tmpdir } = require('node:os');
const path = require('node:path');

const dir = path.join(tmpdir(), `teahouse-egg-session-${process.pid}`);

module.exports = {
  keys: randomBytes(32).toString('hex'),
  rundir: dir,
  logger: { dir, level: 'NONE', consoleLevel: 'NONE' },
  security: { csrf: { enable: false } },
};
