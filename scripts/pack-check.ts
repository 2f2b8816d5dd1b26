// Packs the plugin, installs the tarball in a copy of the example and in a fresh application, and uses it there as its users
// do: in development, as docs/migration.md tells them to, type-checked by their own compiler, and running from the compiled files in production.
import { strict as assert } from 'node:assert';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Browser } from '../test/support/Browser';
import { startServer, visit } from '../test/support/egg-server';
import { migrate } from './migration-check';
import { useRunners } from './runners';

const ROOT = path.join(__dirname, '..');
const ALLOWED = [
  /^(index|app|agent|(app|config|module|testing)\/.+)\.js$/,
  /^(index|module\/.+|testing\/.+)\.d\.ts$/,
  /^index\.(mjs|d\.mts)$/,
  /^(package\.json|module\/package\.json|README\.md|README\.zh-CN\.md|LICENSE)$/,
];
/** In bytes. */
const LARGEST = 130_000;
/** What finds mistakes in packages, at fixed versions: they are too large for everybody to install. */
const LINTERS = [[ 'publint@0.3.25', '--strict' ], [ '@arethetypeswrong/cli@0.18.5' ]];
/** Besides the one that is installed. */
const OTHER_COMPILERS = [ '6.0.3', '7.0.2' ];
const compiler = (version: string) => [ '--yes', '-p', `typescript@${version}`, 'tsc' ];
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

/** Packs a copy: the compiled files would be in the way of whatever else runs in the repository, as the tests do. */
function pack(): string {
  const copy = path.join(temp, 'plugin');
  const ignored = /^(node_modules|\.git|coverage|logs|run|\.egg|egg-4|.*\.tgz)$/;
  fs.cpSync(ROOT, copy, { recursive: true, filter: file => !ignored.test(path.basename(file)) });
  fs.symlinkSync(path.join(ROOT, 'node_modules'), path.join(copy, 'node_modules'));
  const before = list(copy);
  run('npm', [ 'pack', '--pack-destination', temp ], copy);
  assert.deepEqual(list(copy), before, 'packing leaves or removes files');
  assert.deepEqual(readJson(copy, 'package.json'), readJson(ROOT, 'package.json'), 'packing leaves package.json changed');

  const tarball = path.join(temp, fs.readdirSync(temp).find(file => file.endsWith('.tgz'))!);
  const packed = execFileSync('tar', [ '-tzf', tarball ], { encoding: 'utf8' }).trim().split('\n')
    .map(file => file.replace(/^package\//, ''));
  for (const file of packed) assert.ok(ALLOWED.some(pattern => pattern.test(file)), `${file} must not be packed`);
  for (const file of before) {
    const compiled = /^(index|app|agent|(app|config|module|testing)\/.+)(?<!\.d)\.ts$/.exec(file);
    const expected = compiled ? `${compiled[1]}.js` : ALLOWED.at(-1)!.test(file) && file;
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

/** Installs the tarball in a copy of the example, with the versions of our lock file. */
function install(tarball: string): string {
  const example = path.join(temp, 'example');
  const ignored = /^(node_modules|logs|run|\.egg)$/;
  fs.cpSync(path.join(ROOT, 'example'), example, { recursive: true, filter: file => !ignored.test(path.basename(file)) });
  const { packages } = readJson(ROOT, 'package-lock.json');
  const locked = (dependencies: Record<string, string>) => Object.fromEntries(Object.entries(dependencies)
    .map(([ name, range ]) => [ name, packages[`node_modules/${name}`]?.version ?? range ]));
  const { dependencies, devDependencies, ...rest } = readJson(example, 'package.json');
  fs.writeFileSync(path.join(example, 'package.json'), JSON.stringify({
    ...rest,
    dependencies: { ...locked(dependencies), 'egg-tegg-session': `file:${tarball}` },
    devDependencies: locked(devDependencies),
  }));
  run('npm', [ 'install', '--no-audit', '--no-fund', '--prefer-offline' ], example);

  const installed = path.join(example, 'node_modules/egg-tegg-session');
  assert.ok(!fs.lstatSync(installed).isSymbolicLink(), 'the tarball is linked, not installed');
  assert.ok(!fs.existsSync(path.join(installed, 'node_modules/egg-tegg-session')), 'it has itself installed');
  for (const name of [ 'egg-mock', 'fast-check' ]) {
    for (const dir of [ installed, example ]) {
      assert.ok(!fs.existsSync(path.join(dir, 'node_modules', name)), `our devDependency ${name} is installed`);
    }
  }
  ok('npm installs it in a copy of the example, without our devDependencies');
  return example;
}

/** `npm run dev` in a copy of the example. */
async function develop(example: string) {
  run('node_modules/.bin/tsc', [ '--noEmit' ], example);
  const npm = fs.realpathSync(run('which', [ 'npm' ], example).trim());
  const server = await startServer(port => [ npm, 'run', 'dev', '--', `--port=${port}` ], {
    cwd: example,
    env: { NODE_ENV: undefined, EGG_SERVER_ENV: undefined, EGG_TYPESCRIPT: undefined, NODE_OPTIONS: undefined, STORE: 'memory' },
  });
  try {
    const browser = new Browser(server.port);
    const { text } = await browser.request('/promises');
    const [ , _csrf ] = /name="_csrf" value="(.*?)"/.exec(text)!;
    const { status } = await browser.request('/promises', { method: 'POST', body: new URLSearchParams({ _csrf }) });
    assert.equal(status, 303);
    const verdicts = [ ...(await browser.request('/promises')).text.matchAll(/class="verdict (kept|broken)"/g) ];
    assert.deepEqual(verdicts.map(([ , verdict ]) => verdict), [ 'kept', 'broken', 'kept', 'broken', 'kept', 'broken' ]);
  } finally {
    await server.stop();
  }
  ok('the example is copied elsewhere: npm run dev, and it keeps its promises');
}

/** A fresh application, with what is installed in the copy of the example: an installation takes a while. */
function createApp(example: string): string {
  const app = path.join(temp, 'app');
  fs.cpSync(path.join(ROOT, 'test/fixtures/pack-app'), app, { recursive: true });
  fs.renameSync(path.join(example, 'node_modules'), path.join(app, 'node_modules'));
  return app;
}

/** A fresh application on Egg 4, with the versions that the tests have there. */
function createAppOnEgg4(tarball: string): string {
  const app = path.join(temp, 'app-egg-4');
  fs.cpSync(path.join(ROOT, 'test/fixtures/pack-app'), app, { recursive: true });
  const packages = { ...readJson(ROOT, 'package-lock.json').packages, ...readJson(ROOT, 'test/egg-4/package-lock.json').packages };
  const dependencies = Object.fromEntries(APP_DEPENDENCIES.map(name => [ name, packages[`node_modules/${name}`].version ]));
  const { overrides } = readJson(ROOT, 'package.json');
  fs.writeFileSync(path.join(app, 'package.json'), JSON.stringify({
    ...readJson(app, 'package.json'), dependencies: { ...dependencies, 'egg-tegg-session': `file:${tarball}` }, overrides,
  }));
  run('npm', [ 'install', '--no-audit', '--no-fund', '--prefer-offline' ], app);
  return app;
}

/** Compiles the application, and leaves only what was compiled. */
function compile(app: string, egg: number) {
  run('node_modules/.bin/tsc', [], app);
  const checks = [ '--noEmit', '--allowJs', '--checkJs' ];
  run('node_modules/.bin/tsc', checks, app);
  for (const version of OTHER_COMPILERS) run('npx', [ ...compiler(version), ...checks ], app);
  // declarations of other packages, which skipLibCheck passes over, may be wrong; ours must not be, but for what Egg 4
  // leaves no other way: it has a type of its own for `config.session`, which no wider one may take the place of
  const { status, stdout } = spawnSync('node_modules/.bin/tsc', [
    ...checks, '--skipLibCheck', 'false', '--module', 'CommonJS', '--moduleResolution', 'Node10',
  ], { cwd: app, encoding: 'utf8' });
  assert.ok(status === 0 || stdout.includes('error TS'), 'the compiler has ended early');
  const errors = stdout.split('\n').filter(line => line.includes('error TS') && !/^node_modules\/(?!egg-tegg-session\/)/.test(line));
  const allowed = egg === 4 ? /^[^ ]+index\.d\.ts\(\d+,\d+\): error TS2430: Interface '.*' incorrectly extends interface '.*Context'/ : /^$/;
  assert.deepEqual(errors.filter(line => !allowed.test(line)), [], 'the declarations of the plugin, or the application with them, have errors');
  for (const file of list(app)) if (/(?<!\.d)\.ts$/.test(file)) fs.rmSync(path.join(app, file));
  ok('the application compiles, with TypeScript 5, 6 and 7; its SessionData are typed, in JavaScript too');
}

/** An application of ES modules has the types of the session, however it is resolved, and the objects that `require` gives. */
function useAsModules(app: string) {
  const dir = path.join(app, 'es-modules');
  for (const type of [ 'module', 'commonjs' ]) {
    fs.mkdirSync(path.join(dir, type), { recursive: true });
    fs.writeFileSync(path.join(dir, type, 'package.json'), JSON.stringify({ type }));
    fs.writeFileSync(path.join(dir, type, 'types.ts'), TYPES);
  }
  fs.writeFileSync(path.join(dir, 'tsconfig.json'), JSON.stringify({
    compilerOptions: { noEmit: true, strict: true, skipLibCheck: true, target: 'es2022', types: [ 'node' ] },
    files: [ 'module/types.ts', 'commonjs/types.ts' ],
  }));
  for (const [ module, resolution ] of [[ 'NodeNext', 'NodeNext' ], [ 'Node16', 'Node16' ], [ 'ESNext', 'Bundler' ]]) {
    run('../node_modules/.bin/tsc', [ '--module', module, '--moduleResolution', resolution ], dir);
  }
  fs.writeFileSync(path.join(dir, 'same.mjs'), SAME);
  run(process.execPath, [ 'same.mjs' ], dir);
  fs.rmSync(dir, { recursive: true });
  ok('ES modules: ctx.session, app.sessionStore, config.session and the events are typed; import and require give the same classes');
}

const TYPES = `
  import type { Application, Context, EggAppConfig } from 'egg';
  import { type ContextSession, RedisSessionStore, type SessionEvents, type SessionOptions, SessionStore } from 'egg-tegg-session';
  type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false;
  export const session: Same<Context['session'], ContextSession> = true;
  export const loaded: Same<ReturnType<Context['loadSession']>, Promise<ContextSession>> = true;
  export const config: Partial<EggAppConfig['session']> & SessionOptions = { rolling: true };
  export const store = (app: Application) => app.sessionStore?.get('key', 1000, {} as never);
  export const key = (event: SessionEvents['session:created']): string | undefined => event.key;
  export const isStore: SessionStore = RedisSessionStore.prototype;
`;
const SAME = `
  import assert from 'node:assert';
  import { createRequire } from 'node:module';
  import * as ours from 'egg-tegg-session';
  const required = createRequire(import.meta.url)('egg-tegg-session');
  assert.deepEqual(Object.keys(ours).filter(name => name !== '__esModule').sort(), Object.keys(required).sort());
  for (const name of Object.keys(required)) assert.equal(ours[name], required[name]);
`;

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
      assert.ok(visits < 5000, `${how}: ${processes} processes should answer, only ${pids.size} did`);
    }
    assert.equal((await visit(new Browser(server.port))).visits, 1, `${how}: another browser has a session of its own`);
  } finally {
    await server.stop();
  }
  ok(`${how}: counts 1, 2, 3; another browser starts at 1`);
}

async function main() {
  const tarball = pack();
  await migrate(tarball, path.join(temp, 'migrating'));
  ok('an application on egg-session follows docs/migration.md: its visitor stays signed in, its store, csrf, schedule and tests go on');
  const example = install(tarball);
  await develop(example);
  for (const [ egg, app ] of [[ 3, createApp(example) ], [ 4, createAppOnEgg4(tarball) ]] as const) {
    compile(app, egg);
    if (egg === 4) {
      useAsModules(app);
      const runners = await useRunners(app, require.resolve('mocha/bin/mocha.js'));
      ok(`testSessionStore reports what a store keeps, breaks and lacks, under ${runners}`);
    }
    const start = (port: number) => [ 'start.js', String(port) ];
    await count(`Egg ${egg}, egg.start, a store written by the user`, app, true, start, 1);
    fs.rmSync(path.join(app, 'modules/store'), { recursive: true });
    await count(`Egg ${egg}, egg.start, sessions in the cookie`, app, false, start, 1);
    await count(`Egg ${egg}, egg-scripts with two workers, sessions in the cookie`, app, false, port => [
      'node_modules/egg-scripts/bin/egg-scripts.js', 'start', '--workers=2', `--port=${port}`,
    ], 2);
  }
}

main().catch(err => {
  console.error(`pack-check failed: ${err.message}`);
  process.exit(1);
});
