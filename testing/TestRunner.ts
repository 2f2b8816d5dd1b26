/**
 * The functions of a test runner that `testSessionStore` uses. mocha and jest have them as globals, vitest and `node:test` export
 * them, and the whole module may be given: `import * as runner from 'vitest'`.
 */
export interface TestRunner {
  /** Puts tests together. */
  describe(title: string, run: () => void): unknown;
  /** Makes a test. */
  it: {
    (title: string, run: () => Promise<void>): unknown;
    /** Shows a test without running it. */
    skip?(title: string, run: () => Promise<void>): unknown;
  };
  /** Runs before the tests, as in mocha and `node:test`; else `beforeAll` does. */
  before?(run: () => Promise<void>): unknown;
  /** Runs before the tests, as in vitest and jest. */
  beforeAll?(run: () => Promise<void>): unknown;
  /** Runs after the tests, as in mocha and `node:test`; else `afterAll` does. */
  after?(run: () => Promise<void>): unknown;
  /** Runs after the tests, as in vitest and jest. */
  afterAll?(run: () => Promise<void>): unknown;
}

/** What a test calls that has nothing to test; false when the runner can't show a running test as skipped, as jest can't. */
export type Skip = () => boolean;

type Run = (skip: Skip) => Promise<void>;

/** What mocha has as `this`, and vitest and `node:test` give as an argument. */
interface TestContext {
  timeout?(ms?: number): number;
  skip?(): void;
}

/** As vitest and jest have it, which take a time limit in ms; mocha and `node:test`, whose tests have none, ignore that. */
type Hook = (run: () => Promise<void>, timeout: number) => unknown;

/** A {@link TestRunner}, whichever it is, with a time limit for each test, in ms. */
export class Tests {
  /** @throws TypeError when the runner lacks a function, or when there is none */
  constructor(private readonly runner: TestRunner = globalThis as unknown as TestRunner, private readonly timeout: number) {
    const missing = [ 'describe', 'it', 'before', 'after' ]
      .filter(name => ![ name, `${name}All` ].some(either => typeof Reflect.get(runner, either) === 'function'));
    if (missing.length > 0) {
      throw new TypeError(`[egg-tegg-session] testSessionStore has no ${missing.join(', no ')}: run the file with mocha or jest, or give it ` +
        'the functions of another test runner, as { runner } with import * as runner from \'vitest\' or \'node:test\'');
    }
  }

  describe(title: string, run: () => void): void {
    this.runner.describe(title, run);
  }

  before(run: Run): void {
    const before: Hook = this.runner.before ?? this.runner.beforeAll!;
    before(this.toRun(run), this.timeout);
  }

  after(run: Run): void {
    const after: Hook = this.runner.after ?? this.runner.afterAll!;
    after(this.toRun(run), this.timeout);
  }

  it(title: string, run: Run): void {
    const it: (title: string, ...hook: Parameters<Hook>) => unknown = this.runner.it;
    it(title, this.toRun(run), this.timeout);
  }

  /** Shows a test as skipped that lacks an argument of `testSessionStore`, as `down`, so that the report names the gap. */
  skip(title: string): void {
    const { it } = this.runner;
    // jest can't skip a test that runs, and would report this one as passed
    if (it.skip) it.skip(title, async () => undefined);
    else this.it(title, async skip => void skip());
  }

  private toRun(run: Run): () => Promise<void> {
    const { timeout } = this;
    // without a parameter: mocha and jest would wait for a callback, and vitest looks for fixtures in it
    return async function(this: unknown) {
      const contexts = [ this, arguments[0] ] as Array<TestContext | undefined>; // eslint-disable-line prefer-rest-params
      const own = contexts[0]?.timeout?.(); // mocha's, and 0 is none
      if (own && own < timeout) contexts[0]!.timeout!(timeout);
      await run(() => {
        const context = contexts.find(each => typeof each?.skip === 'function');
        context?.skip!(); // throws, but for node:test
        return context !== undefined;
      });
    };
  }
}
