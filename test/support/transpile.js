'use strict';

// Has `require` take TypeScript, as `ts-node --transpile-only` does, and keeps the JavaScript: the tests start many processes.
const { createHash } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { version } = require('typescript/package.json');

const root = path.join(__dirname, '../..');
const cache = path.join(root, 'node_modules/.cache/egg-tegg-session');
const config = fs.readFileSync(path.join(root, 'tsconfig.json'), 'utf8');
const how = fs.readFileSync(__filename, 'utf8');

fs.mkdirSync(cache, { recursive: true });

require.extensions['.ts'] = (module, file) => {
  module._compile(toJavaScript(file, fs.readFileSync(file, 'utf8')), file);
};

function toJavaScript(file, source) {
  const name = path.basename(file); // not its folder: some tests copy an application
  const hash = createHash('sha256').update(JSON.stringify([ version, config, how, name, source ])).digest('hex');
  const kept = path.join(cache, `${hash}.js`);
  try {
    return fs.readFileSync(kept, 'utf8');
  } catch (err) {
    if (err.code !== 'ENOENT') throw err;
  }
  const code = transpile(name, source);
  const unfinished = `${kept}.${process.pid}`; // other processes may write the same file, or read it
  fs.writeFileSync(unfinished, code);
  fs.renameSync(unfinished, kept);
  return code;
}

function transpile(fileName, source) {
  const ts = require('typescript'); // what takes so long to load
  const { compilerOptions } = ts.parseConfigFileTextToJson('tsconfig.json', config).config;
  const { options } = ts.convertCompilerOptionsFromJson(compilerOptions, root);
  return ts.transpileModule(source, { fileName, compilerOptions: { ...options, inlineSourceMap: true } }).outputText;
}
