// Compiles the plugin and the application of the benchmark, so that servers boot and run as in production.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import ts from 'typescript';

const root = path.join(__dirname, '..');
const build = path.join(__dirname, 'build');

export const APP = path.join(build, 'app');
export const PEERS = path.join(__dirname, 'peers');

export function compile(): void {
  const plugin = path.join(build, 'node_modules/egg-tegg-session');
  fs.rmSync(build, { recursive: true, force: true });
  for (const file of [ 'package.json', 'index.ts', 'app.ts', 'agent.ts', 'app', 'config', 'module', 'testing' ]) {
    copy(path.join(root, file), path.join(plugin, file));
  }
  copy(path.join(__dirname, 'app'), APP);
}

/** How many expired rows go at once, in the compiled plugin. */
export function setBatch(rows: number): void {
  for (const name of [ 'postgres', 'mysql' ]) {
    const file = path.join(build, `node_modules/egg-tegg-session/module/database/${name}.js`);
    const code = fs.readFileSync(file, 'utf8');
    const changed = code.replace(/^const BATCH = \d+;$/m, `const BATCH = ${rows};`);
    if (changed === code && !code.includes(`const BATCH = ${rows};`)) throw new Error(`${file} has no BATCH`);
    fs.writeFileSync(file, changed);
  }
}

/** Installs the frameworks that are measured beside Egg, which this package does not need for anything else. */
export function installPeers(): void {
  const modified = (file: string) => fs.statSync(path.join(PEERS, file), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (modified('node_modules/.package-lock.json') > modified('package-lock.json')) return;
  process.stderr.write('npm ci, in benchmark/peers\n');
  execFileSync('npm', [ 'ci', '--no-audit', '--no-fund', '--loglevel=error' ], { cwd: PEERS, stdio: [ 'ignore', 'ignore', 'inherit' ] });
}

const { options } = ts.parseJsonConfigFileContent(ts.readConfigFile(path.join(root, 'tsconfig.json'), ts.sys.readFile).config, ts.sys, root);

function copy(from: string, to: string): void {
  if (fs.statSync(from).isDirectory()) {
    for (const file of fs.readdirSync(from)) copy(path.join(from, file), path.join(to, file));
    return;
  }
  if (/\.(js|d\.ts)$/.test(from)) return; // compiled in place, for npm
  fs.mkdirSync(path.dirname(to), { recursive: true });
  if (!from.endsWith('.ts')) return fs.copyFileSync(from, to);
  const { outputText } = ts.transpileModule(fs.readFileSync(from, 'utf8'), { compilerOptions: options, fileName: from });
  fs.writeFileSync(to.replace(/ts$/, 'js'), outputText);
}
