import { strict as assert } from 'node:assert';
import { format } from 'node:util';
import mm from 'egg-mock';
import type { Failure } from '../../module/store/failureOf';
import { StoreHealth, type StoreOperation } from '../../module/store/StoreHealth';

const PATIENCE = 2000;
const logged: string[] = [];
const note = (message: string | Error, ...args: unknown[]) => logged.push(format(message instanceof Error ? message.message : message, ...args));
const LOGGER = { error: note, warn: note, info: note };

type Step =
  | { after: number }
  /** So many calls fail, one after the other; they were allowed. */
  | { fail: StoreOperation; times?: number; by?: Failure; probe?: true }
  | { succeed: StoreOperation }
  | { ask: StoreOperation; is: 'allowed' | 'probe' | 'refused' }
  | { breaker: 'closed' | 'open' | 'half-open' }
  | { readOnly: boolean }
  /** The lines of the log since the last such step that have this in them. */
  | { log: RegExp; lines: number };

/** The store has failed for long enough. */
const DOWN: Step[] = [{ after: PATIENCE }, { fail: 'get', times: 5 }];

const RULES: Array<[ rule: string, steps: Step[] ]> = [
  [ 'is closed at first', [{ breaker: 'closed' }, { ask: 'get', is: 'allowed' }]],
  [ 'stays closed at four failures', [{ after: PATIENCE }, { fail: 'get', times: 4 }, { breaker: 'closed' }, { ask: 'get', is: 'allowed' }]],
  [ 'opens at the fifth', [ ...DOWN, { breaker: 'open' }, { ask: 'get', is: 'refused' }]],
  [ 'stays closed within storeTimeout of a success, however many fail',
    [{ after: PATIENCE }, { succeed: 'get' }, { after: PATIENCE - 1 }, { fail: 'get', times: 50 }, { breaker: 'closed' }]],
  [ 'opens once that has passed', [{ after: PATIENCE }, { succeed: 'get' }, { after: PATIENCE }, { fail: 'get', times: 5 }, { breaker: 'open' }]],
  [ 'counts failures in a row: a success begins anew',
    [{ after: PATIENCE }, { fail: 'get', times: 4 }, { succeed: 'get' }, { after: PATIENCE }, { fail: 'get', times: 4 }, { breaker: 'closed' }]],
  [ 'does not count what was about one call', [{ after: PATIENCE }, { fail: 'get', times: 50, by: 'call' }, { breaker: 'closed' }]],
  [ 'does not count that a server refuses to write', [{ after: PATIENCE }, { fail: 'merge', times: 50, by: 'writes' }, { breaker: 'closed' }]],
  [ 'asks again after a second, with one call', [ ...DOWN,
    { after: 999 }, { ask: 'get', is: 'refused' }, { breaker: 'open' },
    { after: 1 }, { breaker: 'half-open' }, { ask: 'get', is: 'probe' }, { ask: 'get', is: 'refused' }, { breaker: 'half-open' }]],
  [ 'is not kept open by calls that began before', [ ...DOWN, { after: 900 }, { fail: 'get' }, { after: 100 }, { ask: 'get', is: 'probe' }]],
  [ 'waits for another second when the probe fails', [ ...DOWN,
    { after: 1000 }, { ask: 'get', is: 'probe' }, { fail: 'get', probe: true },
    { after: 999 }, { ask: 'get', is: 'refused' }, { after: 1 }, { ask: 'get', is: 'probe' }]],
  [ 'asks with the next call when the probe has failed by itself', [ ...DOWN,
    { after: 1000 }, { ask: 'get', is: 'probe' }, { fail: 'get', probe: true, by: 'call' }, { ask: 'get', is: 'probe' }]],
  [ 'closes when the probe succeeds', [ ...DOWN,
    { after: 1000 }, { ask: 'get', is: 'probe' }, { succeed: 'get' }, { breaker: 'closed' }, { ask: 'get', is: 'allowed' }, { fail: 'get', times: 4 }, { breaker: 'closed' }]],
  [ 'of reads leaves writes alone', [ ...DOWN, { ask: 'merge', is: 'allowed' }, { ask: 'list', is: 'refused' }]],
  [ 'of writes leaves reads alone', [{ after: PATIENCE }, { fail: 'merge', times: 5 }, { breaker: 'open' },
    { ask: 'get', is: 'allowed' }, { ask: 'retire', is: 'refused' }]],
  [ 'of writes does not close as a read succeeds', [{ after: PATIENCE }, { fail: 'set', times: 5 }, { succeed: 'get' }, { ask: 'set', is: 'refused' }]],
  [ 'of writes closes as a read lets a session live on, which is a write',
    [{ after: PATIENCE }, { fail: 'set', times: 5 }, { succeed: 'getAndTouch' }, { breaker: 'closed' }, { ask: 'set', is: 'allowed' }]],
];

/** What a server that refuses to write is asked for. */
const READ_ONLY: typeof RULES = [
  [ 'is only read for a second', [{ fail: 'merge', by: 'writes' }, { readOnly: true }, { after: 999 }, { readOnly: true }, { after: 1 }, { readOnly: false }]],
  [ 'is only read as long, though reads succeed', [{ fail: 'merge', by: 'writes' }, { succeed: 'get' }, { readOnly: true }]],
  [ 'is written to when it has taken a write', [{ fail: 'merge', by: 'writes' }, { succeed: 'set' }, { readOnly: false }]],
  [ 'is written to when it has let a session live on', [{ fail: 'getAndTouch', by: 'writes' }, { succeed: 'getAndTouch' }, { readOnly: false }]],
];

const AGAIN = /the session store works again; 3 calls had failed/;

/** What the log says of single failures, which open no breaker. */
const LOG: typeof RULES = [
  [ 'says each cause once while calls fail within five seconds of each other', [{ fail: 'get', times: 3 }, { log: /no/, lines: 1 },
    { after: 4000 }, { succeed: 'get' }, { fail: 'get', times: 2 }, { log: /no/, lines: 0 }]],
  [ 'says that the store works again, once, when calls have succeeded for five seconds', [{ fail: 'get', times: 3 },
    { after: 5000 }, { succeed: 'get' }, { log: AGAIN, lines: 0 }, { after: 1 }, { succeed: 'get' }, { log: AGAIN, lines: 1 },
    { succeed: 'get' }, { log: AGAIN, lines: 0 }, { fail: 'get' }, { log: /no/, lines: 1 }]],
];

describe('the health of a store', () => {
  let now: number;
  beforeEach(() => {
    now = 1_000_000;
    logged.length = 0;
    mm(performance, 'now', () => now);
  });
  afterEach(() => mm.restore());

  function run(steps: Step[]): void {
    const health = new StoreHealth(LOGGER as never, PATIENCE);
    for (const step of steps) {
      if ('after' in step) now += step.after;
      else if ('succeed' in step) health.succeeded(step.succeed, now, false);
      else if ('ask' in step) assert.equal(health.ask(step.ask), step.is, JSON.stringify(step));
      else if ('breaker' in step) assert.equal(health.breaker, step.breaker);
      else if ('readOnly' in step) assert.equal(health.isReadOnly, step.readOnly);
      else if ('log' in step) assert.equal(logged.splice(0).filter(line => step.log.test(line)).length, step.lines, JSON.stringify(step));
      else for (let i = 0; i < (step.times ?? 1); i++) health.failed(step.fail, now, new Error('no'), step.by ?? 'server', Boolean(step.probe));
    }
  }

  for (const [ rule, steps ] of RULES) it(`the breaker ${rule}`, () => run(steps));
  for (const [ rule, steps ] of LOG) it(`the log ${rule}`, () => run(steps));
  for (const [ rule, steps ] of READ_ONLY) it(`a server that refuses to write ${rule}`, () => run(steps));
});
