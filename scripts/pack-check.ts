// Packs the plugin, installs the tarball in a fresh application, and uses it there as its users do: type-checked by their
// own compiler, from TypeScript and from JavaScript, and running from the compiled files in production.
import { strict as assert } from 'node:assert';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Browser } from '../test/support/Browser';
import { startServer, visit } from '../test/support/egg-server';

const ROOT = path.join(__dirname, '..');
const ALLOWED = [
  /^(index|app|(app|config|module|testing)\/.+)\.js$/,
  /^(index|module\/.+|testing\/.+)\.d\.ts$/,
  /^(package\.json|module\/package\.json|README\.md|README\.zh-CN\.md|LICENSE)$/,
];
/** In bytes. */
const LARGEST = 70_000;
/** What finds mistakes in packages, at fixed versions: they are too large for everybody to install. */
const LINTERS = [[ 'publint@0.3.25', '--strict' ], [ '@arethetypeswrong/cli@0.18.5' ]];
const APP_DEPENDENCIES = [
  'egg', 'egg-scripts', '@eggjs/tegg', '@eggjs/tegg-plugin', '@eggjs/tegg-config', '@eggjs/tegg-controller-plugin',
  'typescript', '@types/node',
];

const temp = fs.mkdtempSync(path.join(os.tmpdir(), 'egg-tegg-session-pack-'));
process.once('exit', () => fs.rmSync(temp, { recursive: true, force: true }));
for (const signal of [ 'SIGINT', 'SIGTERM' ] as const) process.once(signal, () => process.exit(1));

const readJson = (...file: string[]) => JSON.parse(fs.readFileSync(path.join(...file), 'utf8'));
const ok = (what: string) => console.log(`pack-check: ${what}`);

function run(command: string, args: string[], cwd: string) {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed:\n${stdout}${stderr}`);
  return stdout;
}

/** All files below `dir` except those in node_modules, by their path from it. */
function list(dir: string): string[] {
  return fs.readdirSync(dir, { withFileTypes: true, recursive: true })
    .filter(entry => !entry.isDirectory())
    .map(entry => path.relative(dir, path.join(entry.parentPath, entry.name)))
    .filter(file => !file.startsWith('node_modules'))
    .sort();
}

/** Packs a copy: the compiled files would be in the way of whatever else runs in the repository. */
function pack(): string {
  const copy = path.join(temp, 'plugin');
  const ignored = /^(node_modules|\.git|coverage|logs|run|\.egg|.*\.tgz)$/;
  fs.cpSync(ROOT, copy, { recursive: true, filter: file => !ignored.test(path.basename(file)) });
  fs.symlinkSync(path.join(ROOT, 'node_modules'), path.join(copy, 'node_modules'));
  const before = list(copy);
  run('npm', [ 'pack', '--pack-destination', temp ], copy);
  assert.deepEqual(list(copy), before, 'packing leaves or removes files');

  const tarball = path.join(temp, fs.readdirSync(temp).find(file => file.endsWith('.tgz'))!);
  const packed = execFileSync('tar', [ '-tzf', tarball ], { encoding: 'utf8' }).trim().split('\n')
    .map(file => file.replace(/^package\//, ''));
  for (const file of packed) assert.ok(ALLOWED.some(pattern => pattern.test(file)), `${file} must not be packed`);
  for (const file of before) {
    const compiled = /^(index|app|(app|config|module|testing)\/.+)(?<!\.d)\.ts$/.exec(file);
    const expected = compiled ? `${compiled[1]}.js` : ALLOWED[2].test(file) && file;
    if (expected) assert.ok(packed.includes(expected), `${expected} is not packed`);
  }
  const { size } = fs.statSync(tarball);
  assert.ok(size <= LARGEST, `the tarball has ${size} bytes, which is more than ${LARGEST}`);
  const { scripts } = readJson(ROOT, 'package.json');
  for (const name of [ 'preinstall', 'install', 'postinstall', 'prepare' ]) {
    assert.ok(!(name in scripts), `npm would run our script ${name} when somebody installs the package`);
  }
  for (const linter of LINTERS) run('npx', [ '--yes', ...linter, tarball ], temp);
  ok(`the tarball has ${packed.length} files in ${size} bytes: compiled code, types and no source; its linters have nothing to say`);
  return tarball;
}

/** Installs the tarball in a copy of the fixture application, with the versions of our lock file. */
function install(tarball: string): string {
  const app = path.join(temp, 'app');
  fs.cpSync(path.join(ROOT, 'test/fixtures/pack-app'), app, { recursive: true });
  const { packages } = readJson(ROOT, 'package-lock.json');
  const dependencies = Object.fromEntries(
    APP_DEPENDENCIES.map(name => [ name, packages[`node_modules/${name}`].version ]));
  const { overrides } = readJson(ROOT, 'package.json');
  fs.writeFileSync(path.join(app, 'package.json'), JSON.stringify({
    ...readJson(app, 'package.json'),
    dependencies: { ...dependencies, 'egg-tegg-session': `file:${tarball}` },
    overrides,
  }));
  run('npm', [ 'install', '--no-audit', '--no-fund' ], app);

  const installed = path.join(app, 'node_modules/egg-tegg-session');
  assert.ok(!fs.lstatSync(installed).isSymbolicLink(), 'the tarball is linked, not installed');
  for (const name of [ 'egg-tegg-session', 'mocha', 'ts-node' ]) {
    for (const dir of [ installed, app ]) {
      if (dir === app && name === 'egg-tegg-session') continue;
      assert.ok(!fs.existsSync(path.join(dir, 'node_modules', name)), `our devDependency ${name} is installed`);
    }
  }
  ok('npm installs it in a fresh application, without our devDependencies');
  return app;
}

/** Compiles the application, and leaves only what was compiled. */
function compile(app: string) {
  for (const module of [[ 'CommonJS', 'Node10' ], [ 'Node16', 'Node16' ]]) {
    run('node_modules/.bin/tsc', [
      '--noEmit', '--allowJs', '--checkJs', '--module', module[0], '--moduleResolution', module[1],
    ], app);
  }
  run('node_modules/.bin/tsc', [], app);
  // declarations of other packages, which skipLibCheck passes over, may be wrong; ours must not be
  const { stdout } = spawnSync('node_modules/.bin/tsc', [ '--noEmit', '--skipLibCheck', 'false' ],
    { cwd: app, encoding: 'utf8' });
  const ours = stdout.split('\n').filter(line => line.startsWith('node_modules/egg-tegg-session/'));
  assert.deepEqual(ours, [], 'the declarations of the plugin have errors');
  for (const file of list(app)) if (/(?<!\.d)\.ts$/.test(file)) fs.rmSync(path.join(app, file));
  ok('the application compiles, its SessionData are typed, in JavaScript too');
}

async function count(how: string, app: string, stored: boolean, args: (port: number) => string[], processes: number) {
  const server = await startServer(args, {
    cwd: app,
    env: {
      NODE_ENV: 'production', EGG_SERVER_ENV: 'prod', EGG_TYPESCRIPT: undefined, NODE_OPTIONS: undefined,
      NODE_LOG_DIR: path.join(app, 'logs'),
    },
  });
  try {
    const browser = new Browser(server.port);
    const pids = new Set<number>();
    for (let visits = 1; visits < 4 || pids.size < processes; visits++) {
      const answer = await visit(browser);
      pids.add(answer.pid);
      assert.deepEqual(answer, { visits, pid: answer.pid, stored }, how);
      assert.ok(visits < 200, `${how}: ${processes} processes should answer, only ${pids.size} did`);
    }
    assert.equal((await visit(new Browser(server.port))).visits, 1, `${how}: another browser has a session of its own`);
  } finally {
    await server.stop();
  }
  ok(`${how}: counts 1, 2, 3; another browser starts at 1`);
}

async function main() {
  const app = install(pack());
  compile(app);
  const start = (port: number) => [ 'start.js', String(port) ];
  await count('egg.start, a store written by the user', app, true, start, 1);
  fs.rmSync(path.join(app, 'modules/store'), { recursive: true });
  await count('egg.start, sessions in the cookie', app, false, start, 1);
  await count('egg-scripts with two workers, sessions in the cookie', app, false, port => [
    'node_modules/egg-scripts/bin/egg-scripts.js', 'start', '--workers=2', `--port=${port}`,
  ], 2);
}

main().catch(err => {
  console.error(`pack-check failed: ${err.message}`);
  process.exit(1);
});
