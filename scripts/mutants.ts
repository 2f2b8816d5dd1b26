// Plants the faults of test/mutants.ts, one at a time and in a copy of the repository, and tells which of them no test finds.
// `npm run mutants` plants all, `npm run mutants -- Q6 C13` these; `--jobs 4` works on so many at a time.
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { type Mutant, MUTANTS } from '../test/mutants';

const ROOT = path.join(__dirname, '..');

/** The time, in ms, that the tests of one fault may take: many a fault has a test wait for ever. */
const PATIENCE = 300_000;

/** The time, in ms, that one test may take. */
const TEST_TIMEOUT = 60_000;

/** A test that boots an application: it passes where nothing is wrong with the copy. */
const SMOKE = 'world/contributing';

const copies = fs.mkdtempSync(path.join(os.tmpdir(), 'egg-tegg-session-mutants-'));
process.once('exit', () => fs.rmSync(copies, { recursive: true, force: true }));
for (const signal of [ 'SIGINT', 'SIGTERM' ] as const) process.once(signal, () => process.exit(130));

/** A copy of the sources; the packages are links, but for this one, which the tests of examples require by its name. */
function makeCopy(name: string): string {
  const copy = path.join(copies, name);
  const files = execFileSync('git', [ 'ls-files', '-z', '--cached', '--others', '--exclude-standard' ], { cwd: ROOT, encoding: 'utf8' });
  for (const file of files.split('\0').filter(Boolean)) {
    if (fs.existsSync(path.join(ROOT, file))) fs.cpSync(path.join(ROOT, file), path.join(copy, file));
  }
  const packages = path.join(ROOT, 'node_modules');
  fs.mkdirSync(path.join(copy, 'node_modules'));
  for (const each of fs.readdirSync(packages)) {
    const target = each === 'egg-tegg-session' ? '..' : path.join(packages, each);
    fs.symlinkSync(target, path.join(copy, 'node_modules', each));
  }
  return copy;
}

const running = new Set<number>();
process.once('exit', () => running.forEach(endAll));

/** Ends a process and all that it has started. */
function endAll(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch { /* it has ended */ }
}

/** Runs test files in a copy. Resolves to what has failed first; undefined when nothing has. */
function failureOf(copy: string, tests: readonly string[]): Promise<string | undefined> {
  const child = spawn(process.execPath, [
    'node_modules/mocha/bin/mocha.js', '--bail', '--timeout', String(TEST_TIMEOUT), '--reporter', 'json-stream', ...tests.map(name => `test/${name}.test.ts`),
  ], { cwd: copy, stdio: [ 'ignore', 'pipe', 'pipe' ], detached: true });
  let output = '';
  let isLate = false;
  running.add(child.pid!);
  const collect = (chunk: Buffer) => {
    output += chunk;
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  const timer = setTimeout(() => {
    isLate = true;
    endAll(child.pid!);
  }, PATIENCE);
  return new Promise(resolve => child.on('close', code => {
    clearTimeout(timer);
    endAll(child.pid!); // a server that a failed test has left
    running.delete(child.pid!);
    if (isLate) resolve('the time was over');
    else if (code === 0) resolve(undefined);
    else resolve(/^\["fail",.*?"fullTitle":"((?:[^"\\]|\\.)*)"/m.exec(output)?.[1] ?? `it ended with ${code}: ${output.trim().slice(-200)}`);
  }));
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({ options: { jobs: { type: 'string', default: '1' } }, allowPositionals: true });
  const unknown = positionals.filter(id => !MUTANTS.some(mutant => mutant.id === id));
  if (unknown.length > 0) throw new Error(`test/mutants.ts has no ${unknown.join(', ')}`);
  const todo = MUTANTS.filter(({ id }) => positionals.length === 0 || positionals.includes(id));
  const survivors: Mutant[] = [];
  const begun = Date.now();
  let [ next, done ] = [ 0, 0 ];

  const work = async (name: string) => {
    const copy = makeCopy(name);
    const broken = await failureOf(copy, [ SMOKE ]);
    if (broken !== undefined) throw new Error(`the tests fail without any fault: ${broken}`);
    while (next < todo.length) {
      const mutant = todo[next++];
      const { id, file, find, replace, tests, why, accepted } = mutant;
      const target = path.join(copy, file);
      const text = fs.readFileSync(target, 'utf8');
      if (text.split(find).length !== 2) throw new Error(`${id}: what it replaces is not in ${file} exactly once`);
      const start = Date.now();
      fs.writeFileSync(target, text.replace(find, () => replace));
      const failure = await failureOf(copy, tests);
      fs.writeFileSync(target, text);
      if (failure === undefined) survivors.push(mutant);
      const seconds = Math.round((Date.now() - start) / 1000);
      const outcome = failure !== undefined ? `found in ${seconds} s: ${failure}` : `SURVIVED ${seconds} s of ${tests.join(', ')}: ${accepted ?? why}`;
      console.log(`${++done}/${todo.length} ${id} ${outcome}`);
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, Number(values.jobs) || 1) }, (_, i) => work(String(i))));

  const missed = survivors.filter(({ accepted }) => accepted === undefined);
  console.log(`${todo.length - survivors.length} of ${todo.length} faults found in ${Math.round((Date.now() - begun) / 60_000)} min; ` +
    `${survivors.length - missed.length} accepted${missed.length > 0 ? `; no test finds ${missed.map(({ id }) => id).join(', ')}` : ''}`);
  process.exitCode = missed.length > 0 ? 1 : 0;
}

main().catch(err => {
  console.error(err.message);
  process.exit(2);
});
