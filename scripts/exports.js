'use strict';

// Gives the package an entry for ES modules, whose types reach Egg's own for these; and takes it away again. It is there in the packed package only: in
// the repository, `index.js` is `index.ts`.
const fs = require('node:fs');
const path = require('node:path');

const root = path.join(__dirname, '..');
const file = name => path.join(root, name);
const ENTRY = [ 'index.mjs', 'index.d.mts' ];
const EXPORTS = {
  '.': {
    import: { types: './index.d.mts', default: './index.mjs' },
    require: { types: './index.d.ts', default: './index.js' },
  },
  './package.json': './package.json',
};

function write(exports) {
  const manifest = { ...JSON.parse(fs.readFileSync(file('package.json'), 'utf8')), exports };
  fs.writeFileSync(file('package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
}

exports.add = () => {
  fs.writeFileSync(file('index.mjs'), 'export * from \'./index.js\';\n');
  const types = fs.readFileSync(file('index.d.ts'), 'utf8');
  fs.writeFileSync(file('index.d.mts'), types.replace(/(from ')(\.[^']+)(')/g, '$1$2.js$3'));
  write(EXPORTS);
};

exports.remove = () => {
  for (const name of ENTRY) fs.rmSync(file(name), { force: true });
  if (/^ {2}"exports"/m.test(fs.readFileSync(file('package.json'), 'utf8'))) write(undefined);
};
