import { AssertionError } from 'node:assert';
import { type SessionStore, testSessionStore } from '../..';

type Run = (this: unknown) => Promise<void> | void;

/** A test runner that keeps what it is given, to be run later. */
class Recorder {
  readonly befores: Run[] = [];
  readonly tests = new Map<string, Run>();
  readonly afters: Run[] = [];
  private readonly path: string[] = [];

  readonly globals = {
    describe: (title: string, define: () => void) => {
      this.path.push(title);
      define();
      this.path.pop();
    },
    it: (title: string, run?: Run) => run && this.tests.set([ ...this.path.slice(1), title ].join(': '), run),
    before: (run: Run) => this.befores.push(run),
    after: (run: Run) => this.afters.unshift(run),
  };
}

/** A store to test, and one whose server can't be reached. */
export type Subject = [ name: string, create: () => Promise<SessionStore>, down?: () => SessionStore ];

/** The contract's suite for a store, to be run later. */
function record([ name, create, down ]: Subject): Recorder {
  const recorder = new Recorder();
  testSessionStore(name, create, { runner: recorder.globals, anyKey: true, down });
  return recorder;
}

/**
 * Runs the same with each subject, at the same time.
 *
 * @throws AggregateError that names the subjects with which it failed
 */
export async function withEach<T>(subjects: Array<[ name: string, subject: T ]>, run: (subject: T, name: string) => Promise<void>): Promise<void> {
  const results = await Promise.allSettled(subjects.map(([ name, subject ]) => run(subject, name)));
  const failures = results.flatMap((result, i) => (result.status === 'rejected' ? [ `with ${subjects[i][0]}: ${result.reason.stack}` ] : []));
  if (failures.length > 0) throw new AssertionError({ message: failures.join('\n') });
}

/**
 * The contract's suite for many stores at the same time: it waits for what expires, and so takes as long as for one. A test that
 * fails names the stores, and so does one that some of them skip.
 */
export function testAtOnce(stores: Subject[]): void {
  const suites = stores.map((subject): [ string, Recorder ] => [ subject[0], record(subject) ]);
  before(() => withEach(suites, ({ befores }) => inTurn(befores)));
  for (const title of suites[0][1].tests.keys()) {
    it(title, async function() {
      const skipping: string[] = [];
      await withEach(suites, async ({ tests }, name) => {
        const skip = () => {
          skipping.push(name);
          throw SKIPPED;
        };
        await Promise.resolve(tests.get(title)!.call({ skip })).catch(err => {
          if (err !== SKIPPED) throw err;
        });
      });
      // all of them lack the optional method that it is about: mocha's report names it, as it does for one store
      if (skipping.length === suites.length) this.skip();
      if (skipping.length > 0) this.test!.title += ` (skipped: ${skipping.join(', ')})`;
    });
  }
  after(() => withEach(suites, ({ afters }) => inTurn(afters)));
}

async function inTurn(runs: Run[]): Promise<void> {
  for (const run of runs) await run.call({});
}

const SKIPPED = new Error('skipped');
