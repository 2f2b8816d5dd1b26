'use strict';

module.exports = {
  'node-option': [
    'enable-source-maps',
    // mocha would let Node.js itself load the tests, which knows only a part of TypeScript
    ...(process.features.typescript ? [ 'no-experimental-strip-types' ] : []),
  ],
  require: [ 'test/support/transpile.js', 'test/support/env.ts' ],
  extension: 'ts',
  // enough for a busy machine: what a test waits for has an end of its own
  timeout: 300_000,
  exit: true,
};
