'use strict';

// Removes what packing writes beside the sources: the .js and .d.ts of each source, and the entry for ES modules.
const fs = require('node:fs');
const path = require('node:path');
const ts = require('typescript');
const { remove } = require('./exports');

const root = path.join(__dirname, '..');
const { config } = ts.readConfigFile(path.join(root, 'tsconfig.build.json'), ts.sys.readFile);

for (const source of ts.parseJsonConfigFileContent(config, ts.sys, root).fileNames) {
  if (source.endsWith('.d.ts')) continue;
  const name = source.slice(0, -'.ts'.length);
  fs.rmSync(`${name}.js`, { force: true });
  fs.rmSync(`${name}.d.ts`, { force: true });
}
remove();
