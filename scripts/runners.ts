// Runs testSessionStore of the packed plugin under mocha, vitest, jest and node:test, on a good store and a bad one: each has to report the same.
import { strict as assert } from 'node:assert';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

/** At fixed versions: they are too large for everybody to install. */
const RUNNERS = [ 'vitest@4.1.12', 'jest@30.5.2' ];

const STORES = `
  const { SessionStore, testSessionStore } = require('egg-tegg-session');

  /** It fails when more than five calls are running, as a pool that lets nobody wait. */
  class Good extends SessionStore {
    constructor(down = false) {
      super();
      Object.assign(this, { down, sessions: new Map(), running: 0 });
    }
    async call(key, run) {
      if (this.down) throw new Error('connect ECONNREFUSED');
      if (!/^[\\w-]{43}$/.test(key)) throw new Error('no key of a session: ' + key);
      if (++this.running > 5) throw new Error('no connection is free');
      await new Promise(setImmediate);
      try {
        const session = this.sessions.get(key);
        return run(session && session.expires > Date.now() ? session : undefined);
      } finally {
        this.running--;
      }
    }
    get(key) {
      return this.call(key, session => session && JSON.parse(session.json));
    }
    set(key, record, maxAge) {
      return this.call(key, () => void this.sessions.set(key, { json: JSON.stringify(record), expires: Date.now() + this.ttl(maxAge) }));
    }
    destroy(key) {
      return this.call(key, () => void this.sessions.delete(key));
    }
    touch(key) {
      return this.call(key, session => {
        if (!session) return false;
        const maxAge = this.lifetime(JSON.parse(session.json));
        session.expires = Date.now() + this.ttl(maxAge);
        return maxAge;
      });
    }
  }

  class Bad extends Good {
    async get(key) {
      return this.down ? undefined : await super.get(key.toLowerCase());
    }
    destroy(key) {
      return super.destroy(key.toLowerCase());
    }
    set(key, ...more) {
      return super.set(key.toLowerCase(), ...more);
    }
    async touch() {
      return false;
    }
  }

  exports.test = runner => {
    testSessionStore('Good', () => new Good(), { down: () => new Good(true), runner });
    testSessionStore('Bad', () => new Bad(), { down: () => new Bad(true), runner });
    testSessionStore('Unknown', () => new Good(), { runner });
  };
`;

/** For `node:test`: a line of JSON for each test, in place of its prose. */
const REPORTER = `
  module.exports = async function* (events) {
    for await (const { type, data: { name, skip, details } } of events) {
      if (!/^test:(pass|fail)$/.test(type) || details.type === 'suite') continue;
      yield JSON.stringify({ title: name, status: skip ? 'skipped' : type.slice('test:'.length), message: details.error?.cause?.message }) + '\\n';
    }
  };
`;

const TYPES = `
  import { MemorySessionStore, testSessionStore } from 'egg-tegg-session';
  import * as jest from '@jest/globals';
  import * as node from 'node:test';
  import * as vitest from 'vitest';
  class Store extends MemorySessionStore {}
  for (const runner of [ vitest, jest, node, undefined ]) testSessionStore('', () => new Store(), { runner });
  testSessionStore('', () => new Store(), { runner: { describe: node.suite, it: node.test, before: node.before, after: node.after } });
`;

const FILES = {
  'package.json': JSON.stringify({ private: true, jest: { testMatch: [ '**/*.test.cjs' ] } }),
  'stores.cjs': STORES,
  'reporter.cjs': REPORTER,
  'types.mts': TYPES,
  'globals.test.cjs': 'require("./stores.cjs").test();',
  'globals.test.mjs': 'import stores from "./stores.cjs"; stores.test();',
  'vitest.test.mjs': 'import * as runner from "vitest"; import stores from "./stores.cjs"; stores.test(runner);',
  'jest.test.cjs': 'require("./stores.cjs").test(require("@jest/globals"));',
  'node.test.mjs': 'import * as runner from "node:test"; import stores from "./stores.cjs"; stores.test(runner);',
};

interface Test {
  title: string;
  status: 'pass' | 'fail' | 'skipped';
  message?: string;
}

/** What vitest and jest print as JSON. */
function fromJson(json: string): Test[] {
  const { testResults } = JSON.parse(json) as { testResults: Array<{ assertionResults: Array<{ title: string; status: string; failureMessages: string[] }> }> };
  return testResults.flatMap(({ assertionResults }) => assertionResults.map(({ title, status, failureMessages }) =>
    ({ title, status: status === 'passed' ? 'pass' : status === 'failed' ? 'fail' : 'skipped', message: failureMessages?.join('\n') })));
}

function fromMocha(json: string): Test[] {
  const { passes, failures, pending } = JSON.parse(json) as Record<string, Array<{ title: string; err: { message?: string } }>>;
  return [[ 'pass', passes ], [ 'fail', failures ], [ 'skipped', pending ]].flatMap(([ status, tests ]) =>
    (tests as typeof passes).map(({ title, err }) => ({ title, status: status as Test['status'], message: err.message })));
}

const fromLines = (lines: string): Test[] => lines.trim().split('\n').map(line => JSON.parse(line));

const LACKING = [ 'getAndTouch', 'merge', 'compareAndSet', 'retire', 'index and list' ];
const UNKNOWN = 'makes each call fail: give testSessionStore a store whose server is down, as { down: () => new MyStore(…) }';
/** What the bad store fails, and what is said of that. */
const FAILURES: Array<[ title: string, message: RegExp ]> = [
  [ 'keep keys apart that differ in case only', /deep-equal|deepStrictEqual/ ],
  [ 'makes each call fail: a session that can\'t be read is not one that is not there, and one that can\'t be ended is not over', /get resolves, to undefined/ ],
  [ 'touch, if the store has it', /touch lets a record live for its own lifetime again[^]+touch lets the session of a browser live on/ ],
];

/** Runs `testSessionStore` of the packed plugin with each test runner, on a good store and on a bad one, and reads what that reports. */
export async function useRunners(app: string, mocha: string): Promise<string> {
  const dir = path.join(app, 'runners');
  fs.mkdirSync(dir);
  for (const [ name, code ] of Object.entries(FILES)) fs.writeFileSync(path.join(dir, name), code);
  const run = (command: string, ...args: string[]) => new Promise<{ stdout: string; stderr: string }>(resolve => {
    const env = { ...process.env, NODE_OPTIONS: undefined, NODE_ENV: undefined };
    execFile(command, args, { cwd: dir, maxBuffer: 1e8, env }, (_err, stdout, stderr) => resolve({ stdout, stderr })); // tests that fail are in what it prints
  });
  const node = (...args: string[]) => run(process.execPath, ...args);
  const installation = await run('npm', 'install', '--no-audit', '--no-fund', '--prefer-offline', ...RUNNERS);
  assert.ok(fs.existsSync(path.join(dir, 'node_modules/jest')), installation.stderr);
  assert.equal((await run('../node_modules/.bin/tsc', '--noEmit', '--strict', '--skipLibCheck', '--target', 'es2022', '--module', 'NodeNext',
    '--types', 'node', 'types.mts')).stdout, '');

  const vitest = (...args: string[]) => node('node_modules/vitest/vitest.mjs', 'run', '--reporter=json', ...args);
  const jest = (file: string) => node('node_modules/jest/bin/jest.js', '--json', '--silent=false', file);
  const cases: Record<string, [ ran: ReturnType<typeof run>, tests: (output: string) => Test[] ]> = {
    'mocha, its globals': [ node(mocha, '--no-config', '--reporter', 'json', 'globals.test.cjs'), fromMocha ],
    vitest: [ vitest('vitest.test.mjs'), fromJson ],
    'vitest, its globals': [ vitest('--globals', 'globals.test.mjs'), fromJson ],
    jest: [ jest('jest.test.cjs'), fromJson ],
    'jest, its globals': [ jest('globals.test.cjs'), fromJson ],
    'node:test': [ node('--test-reporter=./reporter.cjs', 'node.test.mjs'), fromLines ],
  };
  const counts = new Set<number>();
  for (const [ name, [ ran, read ]] of Object.entries(cases)) {
    const { stdout, stderr } = await ran;
    const tests = read(stdout);
    const skipped = tests.filter(({ status }) => status === 'skipped').map(({ title }) => title.replace(/, if the store has (it|them)$/, ''));
    const isJest = name.startsWith('jest');
    assert.deepEqual(skipped.sort(), [ ...isJest ? [] : [ ...LACKING, ...LACKING, ...LACKING ], UNKNOWN ].sort(), name);
    if (isJest) assert.equal(stderr.split(`not tested, as the store lacks it: ${LACKING.join(', ')}`).length - 1, 3, stderr);
    const failures = tests.filter(({ status }) => status === 'fail').sort((a, b) => (a.title < b.title ? -1 : 1));
    assert.deepEqual(failures.map(({ title }) => title), FAILURES.map(([ title ]) => title), name);
    for (const [ i, [ title, message ]] of FAILURES.entries()) assert.match(failures[i].message!, message, `${name}: ${title}`);
    counts.add(tests.length);
  }
  assert.equal(counts.size, 1, `each runner reports as many tests: ${[ ...counts ]}`);
  fs.rmSync(dir, { recursive: true });
  return Object.keys(cases).join('; ');
}
